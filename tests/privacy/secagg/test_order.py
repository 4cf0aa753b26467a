"""The coordinator's order: what comes early or late changes nothing, the first of two stays, what is over is gone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, EVERYONE, Address, open_envelope
from privacy.errors import MisuseError, PeerError
from privacy.messages import Message
from privacy.secagg.aggregator import Aggregator, Downlink, Phase
from privacy.secagg.spool import MemorySpool
from privacy.secagg.sum import MaskedSum
from privacy.wire import Packet, decode_packet
from tests.privacy.secagg.scenes import ASK, content, plan_of, uploaded
from tests.privacy.table import Bench, bench, identity_of, names_of, packet_of, refused, sign_as

NAMES = names_of(7)
FIRST, SECOND, LAST = NAMES[0], NAMES[1], NAMES[-1]
PLAN = plan_of(NAMES)


class Kept(MemorySpool):
    """A spool that tells whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def close(self) -> None:
        super().close()
        self.closed = True


def receive(table: Bench, packet: Packet) -> list[Downlink]:
    envelope = open_envelope(packet.signed, table.coordinator.identity_of)
    return list(table.coordinator.receive(envelope, packet))


def speak(table: Bench, sender: str, message: Message, at: Address, to: str = COORDINATOR) -> list[Downlink]:
    return receive(table, packet_of(sign_as(sender, to, at, message)))


def settled() -> Bench:
    """Return a table at which everything that opens the first sum is there."""
    table, _parts = uploaded(NAMES)
    table.down(table.coordinator.close())
    assert table.coordinator.settled
    return table


def spooled() -> tuple[Bench, list[Kept]]:
    """Return a table in its first position, and every spool that the coordinator asked for."""
    spools: list[Kept] = []

    def new_spool() -> Kept:
        spools.append(Kept())
        return spools[-1]

    plain = bench(NAMES)
    table = Bench(plain.manifest, plain.members, Aggregator(plain.manifest, identity_of(COORDINATOR), new_spool))
    uploaded(NAMES, table=table)
    return table, spools


@pytest.mark.parametrize(
    "step",
    [Aggregator.close, Aggregator.certify, Aggregator.open_sum, Aggregator.finish, lambda one: one.check([FIRST])],
)
def test_no_step_comes_before_its_turn(step: Callable[[Aggregator], object]) -> None:
    table = bench(NAMES)
    table.assemble()
    with refused("phase-order", PeerError):
        step(table.coordinator)
    if step is not Aggregator.close:
        table, _parts = uploaded(NAMES)
        with refused("phase-order", PeerError):
            step(table.coordinator)


def gathered(table: Bench) -> list[Downlink]:
    """Carry every set-up of the first epoch to the coordinator and return what it then shows."""
    shown: list[Downlink] = []
    for downlink in table.coordinator.assemble(table.manifest.roster):
        answer = table.answer(downlink.to, downlink.message)
        assert answer is not None
        shown = receive(table, decode_packet(answer.message))
    assert table.coordinator.phase is Phase.AGREEING
    return shown


def test_a_signature_before_the_last_set_up_and_a_set_up_after_it_are_refused() -> None:
    table = bench(NAMES)
    at = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    table.coordinator.assemble(table.manifest.roster)
    with refused("phase-order", PeerError):
        speak(table, FIRST, say.Agree(), at)
    table = bench(NAMES)
    gathered(table)
    with refused("phase-order", PeerError):
        speak(table, FIRST, say.Setup(bytes(32), bytes(32)), at)
    assert table.coordinator.phase is Phase.AGREEING


def test_the_first_of_two_signatures_on_a_root_stays() -> None:
    table = bench(NAMES)
    shown = gathered(table)
    table.dead.add(LAST)
    table.down(shown)
    first = table.coordinator._agreements[FIRST]
    member = table.members[FIRST]
    speak(table, FIRST, say.Agree(), member._address(member._root), EVERYONE)
    assert table.coordinator._agreements[FIRST] == first
    assert table.coordinator.pending() == {LAST}


def test_the_first_of_two_votes_stays_and_a_late_one_starts_nothing_again() -> None:
    table, _parts = uploaded(NAMES)
    asked = list(table.coordinator.close())
    votes = {each.to: table.answer(each.to, each.message) for each in asked}
    early = content(votes[FIRST], say.Consent)
    speak(table, FIRST, replace(early, shares=()), table.here(FIRST))
    first = table.coordinator._votes[FIRST]
    for name in NAMES[:-1]:
        table.up(name, votes[name])
    assert table.coordinator._votes[FIRST] == first
    assert table.coordinator.settled
    table.coordinator.open_sum()
    table.up(LAST, votes[LAST])
    assert table.coordinator.phase is Phase.CHECKING
    assert LAST not in table.coordinator._votes


def test_pair_seeds_before_a_certificate_and_after_the_sum_was_opened_are_dropped() -> None:
    table, _parts = uploaded(NAMES, alive=NAMES[:-1])
    table.down(table.coordinator.close())
    asked = table.coordinator.certify()
    reveals = {each.to: table.answer(each.to, each.message) for each in asked}
    table.coordinator.phase = Phase.VOTING
    table.up(FIRST, reveals[FIRST])
    assert table.coordinator._current()._seeds == {}
    table.coordinator.phase = Phase.REVEALING
    for name in NAMES[:-1]:
        table.up(name, reveals[name])
    table.coordinator.open_sum()
    table.up(FIRST, reveals[FIRST])
    assert table.coordinator.phase is Phase.CHECKING


def test_signatures_on_a_sum_are_those_of_the_members_that_were_asked_and_the_first_of_each() -> None:
    table = settled()
    table.coordinator.open_sum()
    opened = sha256(table.coordinator._vector)
    signed = say.SumSignature(table.coordinator._cohort, opened)
    for _ in table.coordinator.check(NAMES[:4]):
        pass
    speak(table, FIRST, signed, table.here(FIRST))
    first = table.coordinator._signatures[FIRST]
    speak(table, FIRST, signed, table.here(FIRST), EVERYONE)
    assert table.coordinator._signatures == {FIRST: first}
    for wrong, sender, code in (
        (signed, LAST, "sum-signature-cohort"),
        (replace(signed, cohort_sha256=bytes(32)), SECOND, "sum-signature-cohort"),
        (replace(signed, sum_sha256=bytes(32)), SECOND, "sum-mismatch"),
    ):
        with refused(code, PeerError):
            speak(table, sender, wrong, table.here(sender))
    for name in NAMES[1:3]:
        speak(table, name, signed, table.here(name))
    assert table.coordinator.phase is Phase.VERIFIED
    # Enough have signed: whatever else comes is dropped unread, a false one too.
    assert speak(table, NAMES[3], replace(signed, sum_sha256=bytes(32)), table.here(NAMES[3])) == []
    assert set(table.coordinator._signatures) == set(NAMES[:3])


def test_a_whole_cohort_whose_members_gave_no_shares_gets_no_certificate() -> None:
    table, _parts = uploaded(NAMES)
    for each in table.coordinator.close():
        consent = content(table.answer(each.to, each.message), say.Consent)
        speak(table, each.to, replace(consent, shares=()), table.here(each.to))
    assert table.coordinator.phase is Phase.VOTING and not table.coordinator.certifiable()
    with refused("certificate-early", MisuseError):
        table.coordinator.certify()


@pytest.mark.parametrize("again", ["assemble", "open", "drop_sum", "finish"])
def test_a_sum_that_is_over_leaves_nothing_behind(again: str) -> None:
    table, spools = spooled()
    coordinator = table.coordinator
    if again == "finish":
        table.down(coordinator.close())
        table.verify()
    else:
        steps = {"assemble": lambda: coordinator.assemble(table.manifest.roster),
                 "open": lambda: coordinator.open(ASK, PLAN), "drop_sum": coordinator.drop_sum}  # fmt: skip
        steps[again]()
    assert spools[0].closed
    if again == "open":
        assert coordinator.sum is not None and coordinator.sum.headers == {}
        return
    assert coordinator.sum is None
    late = next(each for name, each in table.sent if name == LAST and each.kind == "secagg.upload")
    assert receive(table, decode_packet(late.message)) == []
    if again != "assemble":
        assert coordinator.phase is Phase.READY


def test_a_sum_opens_with_enough_shares_and_seeds_only() -> None:
    table, _parts = uploaded(NAMES, alive=NAMES[:-1])
    table.down(table.coordinator.close())
    reveals = [(each.to, table.answer(each.to, each.message)) for each in table.coordinator.certify()]
    total: MaskedSum = table.coordinator._current()
    before = total._total.copy()
    for name, reveal in reveals[: table.coordinator.roster.threshold]:
        with refused("sum-not-ready", MisuseError):
            total.open()
        table.up(name, reveal)
    with refused("sum-not-ready", MisuseError):  # t shares, and one survivor's pair seed is not here
        total.open()
    assert np.array_equal(total._total, before)
    # All seeds, and one share short of t.
    total.take_seeds(NAMES[5], content(reveals[5][1], say.Reveal).seeds)
    kept = dict(total._shares)
    total._shares.pop(FIRST)
    with refused("sum-not-ready", MisuseError):
        total.open()
    total._shares = kept
    assert not np.array_equal(total.open(), before)
