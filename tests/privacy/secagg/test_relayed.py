"""What the coordinator relays of others: genuine messages of the right members that do not belong where they are shown.

Every piece in these attacks carries a real signature; only where it stands, or how many there are, is wrong.
"""

from dataclasses import replace

import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address
from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.cohort import check_vote
from privacy.secagg.spool import MemorySpool
from privacy.secagg.sum import MaskedSum
from privacy.wire import decode_packet
from tests.privacy.secagg.scenes import ASK, closing, plan_of, said, signed_of, uploaded
from tests.privacy.table import Bench, bench, names_of, packet_of, parts_of, refused, sign_as

NAMES = names_of(7)
OWN, OTHER, LAST = NAMES[0], NAMES[1], NAMES[-1]
PLAN = plan_of(NAMES)


def signed(sender: str, at: Address, message: say.Message) -> bytes:
    return packet_of(sign_as(sender, COORDINATOR, at, message)).signed


def opened_once(mute: tuple[str, ...] = ()) -> Bench:
    table = bench(NAMES)
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN), mute=mute)
    return table


def test_a_vote_is_no_header() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    vote = signed(OTHER, table.here(OWN), say.Consent(bytes(32), ()))
    changed = (headers[0], vote, *headers[2:])
    with refused("relayed-sender", PeerError):
        table.tell(OWN, table.here(OWN), replace(message, headers_sha256=bind.headers_digest(changed)), changed)


@pytest.mark.parametrize("count", [6, 8])
def test_headers_are_as_many_as_the_cohort(count: int) -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    changed = (*headers, headers[0])[:count]
    with refused("headers-count", PeerError):
        table.tell(OWN, table.here(OWN), replace(message, headers_sha256=bind.headers_digest(changed)), changed)


def test_a_sum_is_shown_over_the_headers_that_were_voted_for_and_no_others_of_the_same_members() -> None:
    table = opened_once()
    last, at = table.coordinator.opened[-1], table.here(OWN)
    second = replace(said(last.headers[1], say.Header), commitment=bytes(32))  # the member signed two headers
    headers = (last.headers[0], signed(OTHER, at, second), *last.headers[2:])
    place = replace(at, position=2, binding=bytes(32))
    with refused("headers-digest", PeerError):
        table.tell(OWN, place, say.Open(2, bytes(32), last.opened), (*headers, *last.signatures), bytes(last.vector))
    assert table.members[OWN].history.rounds == 0


def test_a_sum_of_a_position_that_this_member_has_not_voted_on_is_unknown() -> None:
    table, _parts = uploaded(NAMES)
    at = table.here(OWN)
    opened = say.Opened(1, 1, 1, tuple(NAMES), bytes(32), bytes(32))
    with refused("previous-unknown", PeerError):
        table.tell(OWN, replace(at, position=2, binding=bytes(32)), say.Open(2, bytes(32), opened))


def test_whoever_was_excluded_has_no_voice_in_the_epoch() -> None:
    table = opened_once(mute=(LAST,))
    table.assemble(NAMES[:-1])
    member = table.members[OWN]
    assert member._identity_in_epoch(OTHER) == table.manifest.identity_of(OTHER)
    with refused("member-unknown", PeerError):
        member._identity_in_epoch(LAST)


def test_every_signature_on_a_root_is_on_this_root_in_a_catch_up_too() -> None:
    table = opened_once(mute=(LAST,))
    table.restart(OWN, {})
    member = table.members[OWN]
    packet = decode_packet(table.coordinator.catch_up(OWN)[0].message)
    at, message = member.receive(packet.signed).address, said(packet.signed, say.CatchUp)
    place = replace(at, position=0)
    for other in (replace(place, agreement_root=bytes(32)), replace(place, epoch=2)):
        agreements = (*packet.attachments[: message.agreements - 1], signed(LAST, other, say.Agree()))
        shown = replace(packet, attachments=(*agreements, *packet.attachments[message.agreements :]))
        raw = packet_of(sign_as(COORDINATOR, OWN, at, message, shown.attachments, bytes(shown.vector)))
        with refused("envelope-agreement-root" if other.epoch == 1 else "envelope-epoch", PeerError):
            member.catch_up(member.receive(raw.signed), raw, ASK, PLAN)
    assert member.history.rounds == 0


@pytest.mark.parametrize(
    "elsewhere",
    [{"job": "job-2"}, {"epoch": 2}, {"position": 2}, {"manifest_sha256": bytes(32)}, {"agreement_root": bytes(32)},
     {"binding": bytes(32)}],
)  # fmt: skip
def test_a_catch_up_stands_at_the_place_that_it_speaks_of(elsewhere: dict[str, object]) -> None:
    table = opened_once()
    table.restart(OWN, {})
    member = table.members[OWN]
    packet = decode_packet(table.coordinator.catch_up(OWN)[0].message)
    at, message = member.receive(packet.signed).address, said(packet.signed, say.CatchUp)
    place = replace(at, **elsewhere)  # type: ignore[arg-type]
    raw = packet_of(sign_as(COORDINATOR, OWN, place, message, packet.attachments, bytes(packet.vector)))
    with refused(f"envelope-{next(iter(elsewhere)).replace('_', '-')}", PeerError):
        member.catch_up(member.receive(raw.signed), raw, ASK, PLAN)
    other = packet_of(sign_as(COORDINATOR, OTHER, at, message, packet.attachments, bytes(packet.vector)))
    with refused("envelope-recipient", PeerError):
        member.catch_up(member.receive(other.signed), other, ASK, PLAN)


def test_a_vote_is_for_members_of_the_roster_alone() -> None:
    roster = Roster(tuple(NAMES))
    check_vote(OWN, tuple(NAMES), roster, None)
    for stranger in ((*NAMES, "bank-999"), (*NAMES[:-1], "bank-999")):
        with refused("cohort-stranger", PeerError):
            check_vote(OWN, stranger, roster, None)
    with refused("cohort-stranger", PeerError):
        check_vote(OWN, tuple(NAMES[1:]), roster, None)
    with refused("cohort-changed", RefusalError):
        check_vote(OWN, tuple(NAMES), roster, tuple(NAMES[:-1]))


def test_a_closed_sum_takes_no_upload() -> None:
    table, parts = uploaded(NAMES, alive=NAMES[:-1])
    outgoing = table.members[LAST].upload(parts[LAST])
    packet = decode_packet(outgoing.message)
    header = said(signed_of(outgoing), say.Header)
    total: MaskedSum = table.coordinator._current()
    total.close()
    before = total._total.copy()
    with refused("upload-late", PeerError):
        total.add(LAST, header, packet)
    assert (total._total == before).all()
    late = MaskedSum(total.roster, PLAN, total.bound, MemorySpool())
    late.add(LAST, header, packet)
    with refused("upload-late", PeerError):
        late.add(LAST, header, packet)


# -- what a member may not be asked, and what it forgets ---------------------------------------------------------------


def test_a_request_is_derived_once_and_only_after_an_open() -> None:
    table = bench(NAMES)
    table.assemble()
    with refused("state-order", PeerError):
        table.members[OWN].derive(ASK, PLAN)
    table.begin(ASK, PLAN)
    with refused("state-order", PeerError):
        table.members[OWN].derive(ASK, PLAN)


def test_a_member_that_has_nothing_to_work_on_says_so() -> None:
    table = bench(NAMES)
    with refused("state-missing", MisuseError):
        table.members[OWN]._plan()


def test_each_step_forgets_the_keys_of_the_one_before() -> None:
    table, _parts = uploaded(NAMES)
    member = table.members[OWN]
    assert member._agreement is None and member._epoch is not None and member._at is not None
    asked = table.coordinator.assemble(table.manifest.roster)
    table.answer(OWN, asked[0].message)
    assert member._agreement is not None
    assert (member._epoch, member._at, member._open) == (None, None, None)


@pytest.mark.parametrize("how", ["halt", "ended"])
@pytest.mark.parametrize("when", ["assembled", "uploaded"])
def test_a_member_that_stops_forgets_everything(how: str, when: str) -> None:
    table = bench(NAMES)
    if when == "uploaded":
        uploaded(NAMES, table=table)
    else:
        table.answer(OWN, table.coordinator.assemble(table.manifest.roster)[0].message)
    member = table.members[OWN]
    if how == "halt":
        member.halt("disk-full")
    else:
        at = Address(table.manifest.job, manifest_sha256=table.manifest.sha256())
        table.tell(OWN, at, say.Ended("failed", "a member was lost", None))
    assert (member._agreement, member._epoch, member._at) == (None, None, None)
