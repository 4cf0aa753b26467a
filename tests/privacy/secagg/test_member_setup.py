"""What a member refuses before it holds a single key: false seats, false keys, false signatures."""

import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, open_envelope
from privacy.errors import PeerError, RefusalError
from privacy.field import Plan
from privacy.keys import AgreementKey
from privacy.secagg import binding as bind
from privacy.secagg.member import Member
from privacy.secagg.standing import MemberRules, State
from privacy.wire import decode_packet
from tests.privacy.table import (
    Bench,
    allow_nothing,
    bench,
    identity_of,
    manifest_of,
    member_of,
    names_of,
    packet_of,
    parts_of,
    refused,
    seeded_bytes,
    sign_as,
)  # fmt: skip

NAMES = names_of(5)
OWN = NAMES[0]
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def assembled(table: Bench) -> dict[str, bytes]:
    """Let all members send their set-up and return the signed set-ups."""
    setups: dict[str, bytes] = {}
    for downlink in table.coordinator.assemble(table.manifest.roster):
        outgoing = table.answer(downlink.to, downlink.message)
        assert outgoing is not None
        setups[downlink.to] = decode_packet(outgoing.message).signed
    return setups


def epoch_address(table: Bench, epoch: int = 1, root: bytes = b"") -> Address:
    return Address(table.manifest.job, epoch, manifest_sha256=table.manifest.sha256(), agreement_root=root)


def forged_setup(table: Bench, member: str, public: bytes) -> bytes:
    """Return a set-up that a colluding member signs over any key."""
    raw = sign_as(member, COORDINATOR, epoch_address(table), say.Setup(public, bytes(32)))
    return packet_of(raw).signed


def test_a_member_without_a_seat_does_not_start() -> None:
    with refused("seat-missing", RefusalError):
        member_of(manifest_of(NAMES), "stranger", 1)


def test_all_set_ups_and_all_signatures_make_an_epoch() -> None:
    table = bench(NAMES)
    table.assemble()
    assert {member.state for member in table.members.values()} == {State.WAITING}


def test_a_key_swapped_under_another_signature_is_refused() -> None:
    table = bench(NAMES)
    setups = assembled(table)
    # The man in the middle has no key of bank-001, so it signs with its own.
    setups[NAMES[1]] = packet_of(
        sign_as(COORDINATOR, COORDINATOR, epoch_address(table), say.Setup(AgreementKey.from_random(b"m" * 32).public,
                                                                          bytes(32)))
    ).signed  # fmt: skip
    with refused("member-unknown", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), tuple(setups.values()))


def test_a_key_changed_inside_a_signed_set_up_is_refused() -> None:
    table = bench(NAMES)
    setups = assembled(table)
    genuine = setups[NAMES[1]]
    key = open_envelope(genuine, table.manifest.identity_of).message.agreement_key  # type: ignore[attr-defined]
    setups[NAMES[1]] = genuine.replace(key, AgreementKey.from_random(b"m" * 32).public)
    with refused("signature-invalid", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), tuple(setups.values()))


def test_a_replaced_own_set_up_is_refused() -> None:
    table = bench(NAMES)
    first = assembled(table)
    second_epoch = {}
    for downlink in table.coordinator.assemble(table.manifest.roster):
        outgoing = table.answer(downlink.to, downlink.message)
        assert outgoing is not None
        second_epoch[downlink.to] = decode_packet(outgoing.message).signed
    old = {**second_epoch, OWN: first[OWN]}
    with refused("envelope-epoch", PeerError):
        table.tell(OWN, epoch_address(table, 2), say.Setups(), tuple(old.values()))
    # A member's own key, stolen, signs another set-up for the right epoch: still not the one we sent.
    stolen = sign_as(OWN, COORDINATOR, epoch_address(table, 2), say.Setup(AgreementKey.from_random(b"z" * 32).public,
                                                                          bytes(32)))  # fmt: skip
    with refused("setup-replaced", PeerError):
        table.tell(
            OWN, epoch_address(table, 2), say.Setups(), tuple({**second_epoch, OWN: packet_of(stolen).signed}.values())
        )


@pytest.mark.parametrize("public", LOW_ORDER, ids=lambda key: key.hex()[:8])
def test_a_low_order_key_is_refused(public: bytes) -> None:
    table = bench(NAMES)
    setups = {**assembled(table), NAMES[4]: forged_setup(table, NAMES[4], public)}
    with refused("agreement-key-low-order", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), tuple(setups.values()))
    assert table.members[OWN].state is State.AGREEING


def test_two_equal_keys_are_refused() -> None:
    table = bench(NAMES)
    setups = assembled(table)
    copied = open_envelope(setups[NAMES[1]], table.manifest.identity_of).message
    assert isinstance(copied, say.Setup)
    setups[NAMES[4]] = forged_setup(table, NAMES[4], copied.agreement_key)
    with refused("agreement-key-repeated", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), tuple(setups.values()))


def test_set_ups_of_too_few_or_in_another_order_are_refused() -> None:
    table = bench(NAMES)
    setups = tuple(assembled(table).values())
    with refused("setups-count", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), setups[:-1])
    with refused("relayed-sender", PeerError):
        table.tell(OWN, epoch_address(table), say.Setups(), (setups[1], setups[0], *setups[2:]))


@pytest.mark.parametrize("roster", [NAMES[1:], [*NAMES, "sybil"], [*NAMES[:4], "sybil"]], ids=str)
def test_an_epoch_without_this_member_or_with_a_stranger_is_refused(roster: list[str]) -> None:
    table = bench(NAMES)
    with refused("cohort-changed", RefusalError):
        table.tell(OWN, epoch_address(table), say.Assemble(tuple(sorted(roster)), None))
    assert table.members[OWN].state is State.IDLE


def test_an_epoch_of_three_is_refused() -> None:
    table = bench(NAMES)
    with refused("roster-size", RefusalError):
        table.tell(OWN, epoch_address(table), say.Assemble(tuple(NAMES[:3]), None))


@pytest.mark.parametrize("kept", [4, 5])
def test_an_epoch_below_the_job_s_smallest_cohort_is_refused_even_where_the_permit_allows_it(kept: int) -> None:
    seven = names_of(7)  # u_min = 5
    table = bench(seven)
    call = (seven[0], epoch_address(table), say.Assemble(tuple(seven[:kept]), None))
    if kept >= table.manifest.roster.smallest_cohort:
        assert table.tell(*call) is not None
        return
    with refused("cohort-too-small", RefusalError):
        table.tell(*call)
    assert table.members[seven[0]].history.cohort is None


def test_fewer_members_need_the_permit() -> None:
    table = bench(NAMES, may_exclude=allow_nothing)
    with refused("permit-exclusion", RefusalError):
        table.tell(OWN, epoch_address(table), say.Assemble(tuple(NAMES[:4]), None))
    assert table.members[OWN].state is State.IDLE
    assert table.members[OWN].history.cohort is None
    table = bench(NAMES)
    assert table.tell(OWN, epoch_address(table), say.Assemble(tuple(NAMES[:4]), None)) is not None
    assert table.members[OWN].history.cohort == tuple(NAMES[:4])
    with refused("cohort-changed", RefusalError):  # who was left behind for good does not come back
        table.tell(OWN, epoch_address(table, 2), say.Assemble(tuple(NAMES), None))


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_does_not_come_twice(epoch: int) -> None:
    table = bench(NAMES)
    table.assemble()
    with refused("epoch-order", PeerError):
        table.tell(OWN, epoch_address(table, epoch), say.Assemble(tuple(NAMES), None))


def test_a_missing_doubled_or_foreign_signature_on_the_root_is_refused() -> None:
    table = bench(NAMES)
    setups = tuple(assembled(table).values())
    root = bind.agreement_root(table.manifest.sha256(), 1, table.members[OWN].history.transcript, setups)
    here = epoch_address(table, root=root)
    other = epoch_address(table, root=b"\x07" * 32)
    assert table.tell(OWN, epoch_address(table), say.Setups(), setups) is not None
    agreed = [packet_of(sign_as(name, COORDINATOR, here, say.Agree())).signed for name in NAMES]
    elsewhere = packet_of(sign_as(NAMES[4], COORDINATOR, other, say.Agree())).signed
    cases = {
        "agreements-count": agreed[:-1],
        "relayed-sender": [*agreed[:-1], agreed[0]],
        "envelope-agreement-root": [*agreed[:-1], elsewhere],
    }
    for code, attachments in cases.items():
        with refused(code, PeerError):
            table.tell(OWN, here, say.Ready(), tuple(attachments))
        assert table.members[OWN].state is State.AGREED
    table.tell(OWN, here, say.Ready(), tuple(agreed))
    assert table.members[OWN].state is State.WAITING


def test_two_rosters_do_not_reach_one_root() -> None:
    table = bench(names_of(8))
    everyone, fewer = tuple(names_of(8)), tuple(names_of(7))
    setups: dict[str, bytes] = {}
    for name in everyone:
        roster = everyone if name in (OWN, everyone[-1]) else fewer
        outgoing = table.tell(name, epoch_address(table), say.Assemble(roster, None))
        assert outgoing is not None
        setups[name] = decode_packet(outgoing.message).signed
    agreements = []
    for name in fewer:
        shown = everyone if name == OWN else fewer
        outgoing = table.tell(name, epoch_address(table), say.Setups(), tuple(setups[each] for each in shown))
        assert outgoing is not None
        agreements.append(decode_packet(outgoing.message).signed)
    root = table.members[NAMES[1]]._root
    with refused("envelope-agreement-root", PeerError):
        table.tell(NAMES[1], epoch_address(table, root=root), say.Ready(), tuple(agreements))


def test_a_manifest_changed_for_one_member_is_another_job() -> None:
    table, other = bench(NAMES), bench(NAMES, max_rounds=9999)
    raw = other.coordinator.assemble(other.manifest.roster)[0].message
    with refused("envelope-manifest-sha256", PeerError):
        table.answer(OWN, raw)


def test_only_the_coordinator_speaks_to_a_member() -> None:
    table = bench(NAMES)
    with refused("envelope-sender", PeerError):
        table.answer(OWN, sign_as(NAMES[1], OWN, epoch_address(table), say.Assemble(tuple(NAMES), None)))


def test_a_message_of_another_key_or_for_another_member_is_refused() -> None:
    table = bench(NAMES)
    raw = sign_as(COORDINATOR, NAMES[1], epoch_address(table), say.Assemble(tuple(NAMES), None))
    with refused("envelope-recipient", PeerError):
        table.answer(OWN, raw)
    rules = MemberRules(OWN, identity_of(OWN), identity_of("other").public, bytes(32), allow_nothing, seeded_bytes(1))
    pinned = Member(table.manifest, rules)
    with refused("signature-invalid", PeerError):
        pinned.receive(packet_of(raw).signed)


def test_nothing_of_a_round_is_answered_before_everybody_signed() -> None:
    table = bench(NAMES)
    setups = tuple(assembled(table).values())
    assert table.tell(OWN, epoch_address(table), say.Setups(), setups) is not None
    root = table.members[OWN]._root
    at = Address(table.manifest.job, 1, 1, table.manifest.sha256(), root, bytes(32))
    with refused("state-order", PeerError):
        table.tell(OWN, at, say.Open(1, bytes(32), None))


def test_a_wrong_kind_is_refused_everywhere() -> None:
    table = bench(NAMES)
    member = table.members[OWN]
    packet = packet_of(sign_as(COORDINATOR, OWN, epoch_address(table), say.Ready()))
    envelope = member.receive(packet.signed)
    with refused("envelope-kind", PeerError):
        member.assemble(envelope, packet)


def test_a_member_never_prints_a_secret() -> None:
    table = bench(NAMES)
    table.assemble()
    member = table.members[OWN]
    assert "commit_key" not in repr(member._rules) and repr(member._rules.identity) == "IdentityKey(...)"


def test_a_refusal_leaves_the_sum_to_the_next_call() -> None:
    table = bench(names_of(8), may_exclude=allow_nothing)
    plan = Plan(4, 64, 10, 8)
    table.assemble()
    table.round(b"ask-1", plan, parts_of(table.members, plan))
    last = table.coordinator.opened[-1]
    fewer = say.Assemble(tuple(names_of(7)), last.opened)
    with refused("permit-exclusion", RefusalError):
        table.tell(OWN, epoch_address(table, 2), fewer, last.headers, last.vector)
    assert table.members[OWN].history.rounds == 0
    table.assemble()
    assert [each.round for each in table.sums[OWN]] == [1]
