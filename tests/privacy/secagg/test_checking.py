"""Verified sums: a verifier adds up what was signed and nothing else, and a sum without c + 1 signatures is no sum."""

from dataclasses import replace

import pytest

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, Address, open_envelope
from privacy.errors import PeerError, VerificationError
from privacy.secagg.checking import order_of_verifiers
from privacy.secagg.spool import MemorySpool
from privacy.wire import decode_packet
from tests.privacy.secagg.scenes import ASK, content, plan_of, said, uploaded
from tests.privacy.table import Bench, bench, names_of, packet_of, parts_of, refused, sign_as

NAMES = names_of(7)  # c = 2, so three members verify
OWN = NAMES[0]
PLAN = plan_of(NAMES)
Parts = list[tuple[say.CheckPart, bytes | memoryview]]


def settled(lost: int = 0) -> Bench:
    """Return a table whose sum is open at the coordinator and verified by nobody yet."""
    table, _parts = uploaded(NAMES, alive=NAMES[: len(NAMES) - lost])
    table.down(table.coordinator.close())
    if lost:
        table.down(table.coordinator.certify())
    table.coordinator.open_sum()
    return table


def shown(table: Bench, name: str = OWN) -> tuple[Parts, say.Check]:
    """Return the honest check as one member would be shown it."""
    packets = [decode_packet(each.message) for each in table.coordinator.check([name])]
    parts = [(said(packet.signed, say.CheckPart), packet.vector) for packet in packets[:-1]]
    return parts, said(packets[-1].signed, say.Check)


def show(table: Bench, parts: Parts, check: say.Check, name: str = OWN) -> say.SumSignature:
    """Show a member parts and seeds and return what it signs."""
    here = table.here(name)
    for part, vector in parts:
        table.tell(name, here, part, (), vector)
    return content(table.tell(name, here, check), say.SumSignature)


@pytest.mark.parametrize("lost", [0, 2])
def test_an_honest_sum_is_signed_as_it_is(lost: int) -> None:
    table = settled(lost)
    signature = show(table, *shown(table))
    member = table.members[OWN]
    assert member._at is not None and signature.cohort_sha256 == member._at.cohort
    assert table.coordinator._vector and signature.sum_sha256 == sha256(table.coordinator._vector)


def test_a_changed_doubled_or_foreign_part_is_refused() -> None:
    table = settled(1)
    parts, check = shown(table)
    (first, vector), rest = parts[0], parts[1:]
    with refused("sum-mismatch", VerificationError):
        show(table, [(first, bytes([vector[0] ^ 1]) + vector[1:])], check)
    with refused("sum-mismatch", VerificationError):  # another member's part under this name
        show(table, [(first, rest[0][1])], check)
    with refused("check-owner", PeerError):
        show(table, [(say.CheckPart(NAMES[-1]), vector)], check)  # who dropped has no part in the sum
    with refused("check-owner", PeerError):
        show(table, [parts[0], parts[0]], check)


def test_a_check_before_all_parts_is_refused() -> None:
    table = settled()
    parts, check = shown(table)
    with refused("check-incomplete", PeerError):
        show(table, parts[:-1], check)


@pytest.mark.parametrize(
    ("change", "code"),
    [("self-seed", "sum-mismatch"), ("pair-seed", "sum-mismatch"), ("fewer-seeds", "check-incomplete"),
     ("fewer-pairs", "check-incomplete"), ("other-cohort", "check-cohort")],
)  # fmt: skip
def test_seeds_that_were_not_signed_are_refused(change: str, code: str) -> None:
    table = settled(2)
    parts, check = shown(table)
    changed = {
        "self-seed": replace(check, self_seeds=(replace(check.self_seeds[0], value=bytes(31)), *check.self_seeds[1:])),
        "pair-seed": replace(check, pairs=(replace(check.pairs[0], value=bytes(32)), *check.pairs[1:])),
        "fewer-seeds": replace(check, self_seeds=check.self_seeds[1:]),
        "fewer-pairs": replace(check, pairs=check.pairs[1:]),
        "other-cohort": replace(check, cohort_sha256=bytes(32)),
    }[change]
    with refused(code):
        show(table, parts, changed)


def test_nothing_is_verified_before_a_vote() -> None:
    table, _parts = uploaded(NAMES)
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(OWN), say.CheckPart(OWN), (), b"")
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(OWN), say.Check(bytes(32), (), ()))


def test_a_position_is_verified_once() -> None:
    table = settled()
    parts, check = shown(table)
    show(table, parts, check)
    with refused("check-again", PeerError):
        show(table, [], check)
    with refused("check-again", PeerError):
        show(table, parts, check)


# -- signatures at the coordinator -------------------------------------------------------------------------------------


def sign(table: Bench, name: str, message: say.SumSignature) -> None:
    packet = packet_of(sign_as(name, COORDINATOR, table.here(name), message))
    table.coordinator.receive(open_envelope(packet.signed, table.coordinator.identity_of), packet)


def test_a_signature_over_another_sum_or_unasked_is_refused() -> None:
    table = settled()
    honest = show(table, *shown(table))
    with refused("sum-mismatch", PeerError):
        sign(table, OWN, replace(honest, sum_sha256=bytes(32)))
    with refused("sum-signature-cohort", PeerError):
        sign(table, OWN, replace(honest, cohort_sha256=bytes(32)))
    with refused("sum-signature-cohort", PeerError):
        sign(table, NAMES[1], honest)
    for _ in range(3):
        sign(table, OWN, honest)  # one member, however often, is one signature
    assert table.coordinator.missing_signatures() == 2 and OWN not in table.coordinator.verifiers()
    with refused("phase-order", PeerError):
        table.coordinator.finish()


def test_verifiers_change_with_the_position() -> None:
    orders = {tuple(order_of_verifiers(bytes([at]) * 32, NAMES)) for at in range(20)}
    assert len(orders) > 10 and all(sorted(order) == NAMES for order in orders)
    assert len({order[0] for order in orders}) > 3


# -- signatures as members see them ------------------------------------------------------------------------------------


def test_a_sum_without_enough_signatures_is_no_sum() -> None:
    table = bench(NAMES)
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN))
    last, member = table.coordinator.opened[-1], table.members[OWN]
    at = Address(table.manifest.job, 1, 2, table.manifest.sha256(), member._root, bytes(32))
    here = open_envelope(last.signatures[0], table.manifest.identity_of).address
    cohort = open_envelope(last.signatures[0], table.manifest.identity_of).message
    assert isinstance(cohort, say.SumSignature)
    two = last.signatures[:2]

    def forged(sender: str, place: Address = here, message: say.Message = cohort) -> bytes:
        return packet_of(sign_as(sender, COORDINATOR, place, message)).signed

    cases: list[tuple[str, tuple[bytes, ...]]] = [
        ("sum-unverified", ()),
        ("sum-unverified", two),
        ("sum-signature", (*two, two[0])),
        ("sum-signature", (*two, forged(NAMES[6], message=replace(cohort, sum_sha256=bytes(32))))),
        ("sum-signature", (*two, forged(NAMES[6], message=say.Agree()))),
        ("envelope-position", (*two, forged(NAMES[6], replace(here, position=9)))),
        ("member-unknown", (*two, forged("stranger"))),
        ("member-unknown", (*two, forged(COORDINATOR))),
    ]
    for code, signatures in cases:
        with refused(code):
            table.tell(OWN, at, say.Open(2, bytes(32), last.opened), (*last.headers, *signatures), last.vector)
        assert member.history.rounds == 0


def test_who_was_not_in_the_cohort_verifies_nothing() -> None:
    table = bench(NAMES)
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN), mute=NAMES[6:])
    last = table.coordinator.opened[-1]
    here = open_envelope(last.signatures[0], table.manifest.identity_of).address
    cohort = open_envelope(last.signatures[0], table.manifest.identity_of).message
    outsider = packet_of(sign_as(NAMES[6], COORDINATOR, here, cohort)).signed
    with refused("sum-signature", VerificationError):
        table.tell(OWN, Address(table.manifest.job, 2, manifest_sha256=table.manifest.sha256()),
                   say.Assemble(tuple(NAMES[:6]), last.opened), (*last.headers, *last.signatures[:2], outsider),
                   last.vector)  # fmt: skip


def test_a_spool_keeps_and_forgets() -> None:
    spool = MemorySpool()
    spool.put("a", b"part")
    assert spool.get("a") == b"part"
    spool.close()
    with pytest.raises(KeyError):
        spool.get("a")


def test_parts_are_spooled_until_the_sum_is_over() -> None:
    closed: list[str] = []

    class Watched(MemorySpool):
        def close(self) -> None:
            closed.append("closed")
            super().close()

    table = bench(NAMES)
    table.coordinator._new_spool = Watched
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN))
    assert closed == ["closed"]
