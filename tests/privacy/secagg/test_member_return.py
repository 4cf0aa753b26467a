"""A member that comes back: it answers nothing of an old epoch, checks all it is shown, and stands by its votes."""

from dataclasses import replace

import numpy as np
import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address
from privacy.errors import PeerError, RefusalError, VerificationError
from privacy.secagg import binding as bind
from privacy.secagg.history import Vote
from privacy.secagg.standing import State
from privacy.wire import Packet, decode_packet
from tests.privacy.secagg.scenes import ASK, closing, plan_of, said, uploaded
from tests.privacy.table import Bench, allow_nothing, bench, names_of, packet_of, parts_of, refused, sign_as

NAMES = names_of(7)
OWN = NAMES[0]
PLAN = plan_of(NAMES)
ASKS = [b"ask-1", b"ask-2"]


def two_rounds(mute: list[str] | None = None) -> tuple[Bench, dict[int, Vote]]:
    """Return a table after two opened rounds, and the first member's votes."""
    table = bench(NAMES)
    table.assemble()
    table.round(ASKS[0], PLAN, parts_of(NAMES, PLAN, 1), mute=mute or ())
    if mute:
        table.assemble([name for name in NAMES if name not in mute])
    table.round(ASKS[1], PLAN, parts_of(NAMES, PLAN, 2))
    survivors = tuple(name for name in NAMES if name not in (mute or ()))
    return table, {1: Vote(survivors, bytes(32)), 2: Vote(survivors, bytes(32))}


def past(table: Bench, round_number: int, name: str = OWN) -> tuple[Address, say.CatchUp, Packet]:
    """Return what the coordinator shows of one opened round."""
    packet = decode_packet(table.coordinator.catch_up(name)[round_number - 1].message)
    envelope = table.members[name].receive(packet.signed)
    return envelope.address, said(packet.signed, say.CatchUp), packet


def show(table: Bench, at: Address, message: say.Message, packet: Packet, ask: bytes = ASKS[0]) -> None:
    """Show the first member a past round under the coordinator's own signature."""
    member = table.members[OWN]
    raw = packet_of(sign_as(COORDINATOR, OWN, at, message, packet.attachments, packet.vector))
    member.catch_up(member.receive(raw.signed), raw, ask, PLAN)


def test_a_restarted_member_catches_up_and_goes_on() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    table.sums[OWN] = []
    table.catch_up(OWN, ASKS, PLAN)
    assert [each.round for each in table.sums[OWN]] == [1, 2]
    assert table.members[OWN].history.transcript == table.coordinator._transcript
    table.assemble()
    parts = parts_of(NAMES, PLAN, 3)
    assert (table.round(b"ask-3", PLAN, parts) == sum(parts.values())).all()


def test_a_restarted_member_answers_nothing_of_the_old_epoch() -> None:
    table, _parts = uploaded(NAMES)
    at = table.here(OWN)
    message, headers, _ = closing(table, OWN)
    member = table.members[OWN]
    ready = say.Ready()
    table.restart(OWN, {})
    open_again = say.Open(1, bind.ask_digest(ASK), None)
    certificate = say.Certificate(message.survivors, message.headers_sha256)
    root_only = replace(at, position=0, binding=b"")
    for place, asked in ((at, message), (at, certificate), (at, open_again), (root_only, ready),
                         (replace(root_only, agreement_root=b""), say.Setups())):  # fmt: skip
        with refused("state-order", PeerError):
            table.tell(OWN, place, asked, headers)
    assert table.members[OWN].state is State.IDLE and member is not table.members[OWN]


def test_an_old_assembly_cannot_bring_the_old_keys_back() -> None:
    table = bench(NAMES)
    first = table.coordinator.assemble(table.manifest.roster)
    setups = {each.to: table.answer(each.to, each.message) for each in first}
    raws = tuple(decode_packet(each.message).signed for each in setups.values() if each)
    table.restart(OWN, {})
    assert table.answer(OWN, first[0].message) is not None  # replayed: answered with fresh keys
    at = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    with refused("setup-replaced", PeerError):
        table.tell(OWN, at, say.Setups(), raws)


def test_votes_of_an_earlier_process_bind() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes, allow_nothing)
    with refused("permit-exclusion", RefusalError):
        table.tell(OWN, Address(table.manifest.job, 9, manifest_sha256=table.manifest.sha256()),
                   say.Assemble(tuple(NAMES[:-1]), None))  # fmt: skip


def test_a_catch_up_over_another_cohort_than_the_vote_is_refused() -> None:
    table, votes = two_rounds(mute=NAMES[-1:])
    table.restart(OWN, {1: Vote(tuple(NAMES), bytes(32)), 2: votes[2]})
    at, message, packet = past(table, 1)
    with refused("opened-vote", VerificationError):
        show(table, at, message, packet)


def test_a_catch_up_for_a_request_not_derived_is_refused() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    at, message, packet = past(table, 1)
    with refused("envelope-binding", PeerError):
        show(table, at, message, packet, ask=b"another ask")


def test_a_catch_up_out_of_order_is_refused() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    at, message, packet = past(table, 2)
    with refused("envelope-binding", PeerError):
        show(table, at, message, packet, ask=ASKS[1])
    first = past(table, 1)
    show(table, *first)
    with refused("envelope-binding", PeerError):  # the transcript has moved on
        show(table, *first)


def test_a_catch_up_with_a_false_sum_is_refused() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    at, message, packet = past(table, 1)
    altered = replace(packet, vector=bytes([packet.vector[0] ^ 1]) + packet.vector[1:])
    with refused("opened-digest", PeerError):
        show(table, at, message, altered)
    with refused("vector-size", PeerError):
        show(table, at, message, replace(packet, vector=packet.vector[:-8]))
    assert table.members[OWN].history.rounds == 0


def test_a_catch_up_without_every_signature_on_its_root_is_refused() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    at, message, packet = past(table, 1)
    headers = packet.attachments[message.agreements :]
    agreements = packet.attachments[: message.agreements]
    # Six of the seven, then six and only their headers: those speak of seven members, so the roster does not fit.
    six = replace(message, agreements=6)
    with refused("headers-count", PeerError):
        show(table, at, six, replace(packet, attachments=(*agreements[:6], *headers)))
    survivors, digest = six.opened.survivors[:6], bind.headers_digest(headers[:6])
    six = replace(six, opened=replace(six.opened, survivors=survivors, headers_sha256=digest))
    with refused("header-roster", PeerError):
        show(table, at, six, replace(packet, attachments=(*agreements[:6], *headers[:6])))
    # The coordinator cannot take the place of a member whose signature it lacks.
    own = packet_of(sign_as(COORDINATOR, COORDINATOR, replace(at, position=0), say.Agree())).signed
    with refused("member-unknown", PeerError):
        show(table, at, message, replace(packet, attachments=(*agreements[:6], own, *headers)))
    with refused("envelope-agreement-root", PeerError):
        show(table, replace(at, agreement_root=bytes(32)), replace(message, agreement_root=bytes(32)), packet)


@pytest.mark.parametrize("survivors", [4, 0])
def test_a_catch_up_over_too_small_a_cohort_is_refused(survivors: int) -> None:
    table, _votes = two_rounds()
    table.restart(OWN, {})
    at, message, packet = past(table, 1)
    split = message.agreements
    headers = packet.attachments[split:][:survivors]
    fewer = replace(message.opened, survivors=message.opened.survivors[:survivors],
                    headers_sha256=bind.headers_digest(headers))  # fmt: skip
    with refused("cohort-too-small", RefusalError):
        show(
            table, at, replace(message, opened=fewer), replace(packet, attachments=packet.attachments[:split] + headers)
        )


def test_only_an_idle_member_catches_up() -> None:
    table, _votes = two_rounds()
    at, message, packet = past(table, 1)
    with refused("state-order", PeerError):
        show(table, at, message, packet)
    table.restart(OWN, {})
    with refused("envelope-kind", PeerError):
        show(table, at, say.Ready(), packet)


def test_a_rolled_back_member_cannot_be_led_apart() -> None:
    # Its disk forgot both votes and the coordinator shows it nothing: it stands at another transcript than the others.
    table, _votes = two_rounds()
    table.restart(OWN, {})
    with refused("previous-unknown", PeerError):
        table.assemble()
    hidden = bench(NAMES)
    hidden.coordinator.epoch = 5
    hidden.members = {**table.members}
    with refused("previous-missing", PeerError):
        hidden.assemble()


def test_after_an_exclusion_the_sum_runs_over_the_rest() -> None:
    table, votes = two_rounds()
    table.restart(OWN, votes)
    table.sums[OWN] = []
    table.catch_up(OWN, ASKS, PLAN)
    table.dead.add(NAMES[-1])
    table.assemble(NAMES[:-1])
    parts = parts_of(NAMES, PLAN, 4)
    expected: np.ndarray = sum(parts[name] for name in NAMES[:-1])  # type: ignore[assignment]
    assert (table.round(b"ask-3", PLAN, parts) == expected).all()
