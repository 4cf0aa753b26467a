"""What a member refuses inside a round: forged requests, second votes, false cohorts, false certificates."""

from dataclasses import replace

import numpy as np
import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address
from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.field import Plan
from privacy.secagg import binding as bind
from privacy.secagg.standing import State
from tests.privacy.secagg.scenes import ASK, closing, content, narrowed, plan_of, said, uploaded, voted
from tests.privacy.table import Bench, bench, names_of, packet_of, parts_of, refused, sign_as

NAMES = names_of(7)  # t = 5, c = 2, u_min = 5
OWN = NAMES[0]
PLAN = plan_of(NAMES)


# -- open and derive ---------------------------------------------------------------------------------------------------


def test_a_forged_request_is_refused() -> None:
    table = bench(NAMES)
    table.assemble()
    table.down(table.coordinator.open(b"one chosen borrower", PLAN))
    with refused("ask-mismatch", RefusalError):
        table.members[OWN].derive(ASK, PLAN)
    with refused("state-order", PeerError):
        table.members[OWN].upload(np.zeros(6, np.int64))


def test_a_request_of_the_right_name_over_another_history_is_refused() -> None:
    table = bench(NAMES)
    table.assemble()
    member = table.members[OWN]
    bound = bind.binding(member._root, 1, 1, bind.ask_digest(ASK), b"\x01" * 32)
    at = Address(table.manifest.job, 1, 1, table.manifest.sha256(), member._root, bound)
    table.tell(OWN, at, say.Open(1, bind.ask_digest(ASK), None))
    with refused("envelope-binding", PeerError):
        member.derive(ASK, PLAN)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"job": "job-2"}, "envelope-job"),
        ({"epoch": 2}, "envelope-epoch"),
        ({"manifest_sha256": bytes(32)}, "envelope-manifest-sha256"),
        ({"agreement_root": bytes(32)}, "envelope-agreement-root"),
        ({"position": 0}, "position-order"),
    ],
)
def test_an_open_of_another_place_moves_nothing(changes: dict[str, object], code: str) -> None:
    table, _parts = uploaded(NAMES)
    member = table.members[OWN]
    bound = bind.binding(member._root, 2, 1, bind.ask_digest(ASK), member.history.transcript)
    at = Address(table.manifest.job, 1, 2, table.manifest.sha256(), member._root, bound)
    with refused(code, PeerError):
        table.tell(OWN, replace(at, **changes), say.Open(1, bind.ask_digest(ASK), None))  # type: ignore[arg-type]
    assert member.state is State.UPLOADED and member._at is not None


@pytest.mark.parametrize(("round_number", "code"), [(0, "round-range"), (1001, "round-range"), (2, "round-order")])
def test_a_round_out_of_order_is_refused(round_number: int, code: str) -> None:
    table = bench(NAMES)
    table.assemble()
    member = table.members[OWN]
    at = Address(table.manifest.job, 1, 1, table.manifest.sha256(), member._root, bytes(32))
    with refused(code, PeerError):
        table.tell(OWN, at, say.Open(round_number, bytes(32), None))
    assert member.state is State.WAITING


def test_a_position_does_not_come_again_and_does_not_leap() -> None:
    table, _parts = uploaded(NAMES)
    member = table.members[OWN]
    for position, code in ((1, "position-order"), (10_002, "position-order")):
        bound = bind.binding(member._root, position, 1, bind.ask_digest(ASK), member.history.transcript)
        at = Address(table.manifest.job, 1, position, table.manifest.sha256(), member._root, bound)
        with refused(code, PeerError):
            table.tell(OWN, at, say.Open(1, bind.ask_digest(ASK), None))
            member.derive(ASK, PLAN)


def test_an_old_open_is_not_taken_in_the_next_round() -> None:
    table = bench(NAMES)
    table.assemble()
    first = table.coordinator.open(ASK, PLAN)
    table.down(first)
    parts = parts_of(NAMES, PLAN)
    for name in NAMES:
        table.members[name].derive(ASK, PLAN)
    table.upload(parts)
    table.down(table.coordinator.close())
    table.verify()
    with refused("position-order", PeerError):
        table.answer(OWN, first[0].message)


def test_a_plan_for_fewer_members_is_our_own_mistake() -> None:
    table = bench(NAMES)
    table.assemble()
    table.down(table.coordinator.open(ASK, PLAN))
    with refused("plan-members", MisuseError):
        table.members[OWN].derive(ASK, Plan(6, 64, 1000, 6))


# -- upload ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [np.zeros(5, np.int64), np.zeros((1, 6), np.int64), np.zeros(6), np.full(6, np.nan), np.full(6, -0.0),
     np.full(6, 1001, np.int64), np.full(6, -1001, np.int64), np.full(6, -(2**63), np.int64)],
    ids=["short", "shape", "floats", "nan", "minus-zero", "above", "below", "lowest"],
)  # fmt: skip
def test_a_part_that_is_not_as_planned_never_leaves(part: np.ndarray) -> None:
    table = bench(NAMES)
    table.assemble()
    table.begin(ASK, PLAN)
    with pytest.raises(MisuseError):
        table.members[OWN].upload(part)
    assert table.members[OWN].state is State.DERIVED


def test_a_position_has_one_upload() -> None:
    table, parts = uploaded(NAMES)
    with refused("state-order", PeerError):
        table.members[OWN].upload(parts[OWN])


def test_an_upload_says_in_its_record_what_it_is_for() -> None:
    table, _parts = uploaded(NAMES)
    outgoing = next(each for name, each in table.sent if name == OWN and each.kind == "secagg.upload")
    assert outgoing.protection == "masked" and outgoing.round == 1
    assert outgoing.record["position"] == 1 and outgoing.record["ask_sha256"] == bind.ask_digest(ASK).hex()


# -- close -------------------------------------------------------------------------------------------------------------


def test_a_second_close_gets_no_second_vote() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, downlinks = closing(table, OWN)
    table.down(downlinks)
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(OWN), message, headers)
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(OWN), *narrowed(message, headers, [0, 1, 2, 3, 4, 5]))


def test_a_cohort_below_the_smallest_is_refused() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    with refused("cohort-too-small", RefusalError):
        table.tell(OWN, table.here(OWN), *narrowed(message, headers, [0, 1, 2, 3]))
    assert table.members[OWN].history.cohort is None


def test_a_cohort_without_the_member_itself_is_refused() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    with refused("cohort-stranger", PeerError):
        table.tell(OWN, table.here(OWN), *narrowed(message, headers, [1, 2, 3, 4, 5, 6]))


def test_a_ghost_in_the_cohort_is_refused() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    at = table.here(OWN)
    header = said(headers[1], say.Header)
    ghost = packet_of(sign_as("ghost", COORDINATOR, at, header)).signed
    everyone = (*headers, ghost)
    haunted = replace(
        message,
        survivors=(*message.survivors, "ghost"),
        boxes=(*message.boxes, b""),
        headers_sha256=bind.headers_digest(everyone),
    )
    with refused("headers-count", PeerError):
        table.tell(OWN, at, haunted, everyone)


def test_replaced_headers_are_refused() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    at = table.here(OWN)
    own = said(headers[0], say.Header)
    stolen = packet_of(sign_as(OWN, COORDINATOR, at, replace(own, commitment=bytes(32)))).signed
    changed = (stolen, *headers[1:])
    with refused("header-replaced", PeerError):
        table.tell(OWN, at, replace(message, headers_sha256=bind.headers_digest(changed)), changed)
    with refused("headers-digest", PeerError):
        table.tell(OWN, at, message, changed)
    doubled = (headers[0], headers[2], *headers[2:])
    with refused("relayed-sender", PeerError):
        table.tell(OWN, at, replace(message, headers_sha256=bind.headers_digest(doubled)), doubled)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"length": 7}, "header-shape"), ({"word_bits": 32}, "header-shape"),
     ({"pair_seed_sha256": (bytes(32),) * 6}, "header-roster"), ({"share_sha256": ()}, "header-roster")],
)  # fmt: skip
def test_a_peer_s_header_of_another_shape_is_refused(changes: dict[str, object], code: str) -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    at = table.here(OWN)
    theirs = said(headers[3], say.Header)
    forged = packet_of(sign_as(NAMES[3], COORDINATOR, at, replace(theirs, **changes))).signed  # type: ignore[arg-type]
    changed = (*headers[:3], forged, *headers[4:])
    with refused(code, PeerError):
        table.tell(OWN, at, replace(message, headers_sha256=bind.headers_digest(changed)), changed)


def test_boxes_for_more_or_fewer_than_the_cohort_are_refused() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _ = closing(table, OWN)
    with refused("boxes-count", PeerError):
        table.tell(OWN, table.here(OWN), replace(message, boxes=message.boxes[:-1]), headers)


@pytest.mark.parametrize("tamper", ["flipped", "swapped", "empty"])
def test_a_bad_box_keeps_all_shares_back_and_blames(tamper: str) -> None:
    table, parts = uploaded(NAMES)
    message, headers, downlinks = closing(table, OWN)
    boxes = list(message.boxes)
    boxes[3] = {"flipped": bytes([boxes[3][0] ^ 1]) + boxes[3][1:], "swapped": boxes[4], "empty": b""}[tamper]
    outgoing = table.tell(OWN, table.here(OWN), replace(message, boxes=tuple(boxes)), headers)
    assert content(outgoing, say.Consent).shares == ()
    assert table.members[OWN].blamed == {NAMES[3]: "box-altered"}
    # The vote stands, and the others' shares open the sum.
    table.up(OWN, outgoing)
    table.down(each for each in downlinks if each.to != OWN)
    assert (table.verify() == sum(parts.values())).all()


# -- consent and certificate -------------------------------------------------------------------------------------------


def test_a_whole_cohort_gets_shares_and_never_a_seed() -> None:
    table, _parts = uploaded(NAMES)
    _message, _headers, downlinks = closing(table, OWN)
    consent = content(table.answer(OWN, next(each.message for each in downlinks if each.to == OWN)), say.Consent)
    assert tuple(share.owner for share in consent.shares) == tuple(NAMES)
    at = table.here(OWN)
    member = table.members[OWN]
    assert member._at is not None
    message = say.Certificate(tuple(NAMES), member._at.headers_sha256)
    with refused("certificate-needless", PeerError):
        table.tell(OWN, at, message)


def split(lost: int = 2) -> tuple[Bench, dict[str, bytes], say.Certificate]:
    """Return a table where members dropped before their upload, every vote, and the honest certificate."""
    table, _parts = uploaded(NAMES, alive=NAMES[:-lost])
    message, _headers, downlinks = closing(table, OWN)
    votes = voted(table, downlinks)
    assert all(said(vote, say.Consent).shares == () for vote in votes.values())
    return table, votes, say.Certificate(message.survivors, message.headers_sha256)


def test_a_certificate_opens_seeds_of_the_lost_and_shares_of_the_living() -> None:
    table, votes, message = split()
    reveal = content(table.tell(OWN, table.here(OWN), message, tuple(votes.values())), say.Reveal)
    living, lost = {share.owner for share in reveal.shares}, {seed.dropped for seed in reveal.seeds}
    assert living == set(NAMES[:-2]) and lost == set(NAMES[-2:]) and not living & lost
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(OWN), message, tuple(votes.values()))


def test_a_certificate_with_too_few_doubled_or_foreign_votes_is_refused() -> None:
    table, votes, message = split()
    here = table.here(OWN)
    four = tuple(votes.values())[:4]
    cohort = said(four[0], say.Consent)

    def vote(sender: str, at: Address, consent: say.Message) -> bytes:
        return packet_of(sign_as(sender, COORDINATOR, at, consent)).signed

    cases = {
        "certificate-votes": four,
        "certificate-voter": (*four, four[0]),
        "member-unknown": (*four, vote("stranger", here, cohort)),
        "signature-invalid": (*four, votes[NAMES[4]][:-1] + bytes([votes[NAMES[4]][-1] ^ 1])),
        "certificate-vote": (*four, vote(NAMES[4], here, say.Consent(b"\x01" * 32, ()))),
        "envelope-binding": (*four, vote(NAMES[4], replace(here, binding=bytes(32)), cohort)),
        "envelope-position": (*four, vote(NAMES[4], replace(here, position=2), cohort)),
    }
    for code, attachments in cases.items():
        with refused(code, PeerError):
            table.tell(OWN, here, message, attachments)
        assert table.members[OWN].state is State.VOTED
    with refused("certificate-voter", PeerError):  # in the roster, but not in the cohort
        table.tell(OWN, here, message, (*four, vote(NAMES[6], here, cohort)))
    with refused("certificate-vote", PeerError):  # another signed message is no vote
        table.tell(OWN, here, message, (*four, vote(NAMES[4], here, say.Agree())))


def test_a_certificate_for_another_cohort_than_the_vote_is_refused() -> None:
    table, votes, message = split(lost=1)
    for other in (replace(message, survivors=message.survivors[:-1]), replace(message, headers_sha256=bytes(32))):
        with refused("certificate-cohort", PeerError):
            table.tell(OWN, table.here(OWN), other, tuple(votes.values()))


def test_no_certificate_before_a_vote() -> None:
    _table, votes, message = split()
    fresh, _parts = uploaded(NAMES, alive=NAMES[:-2])
    with refused("state-order", PeerError):
        fresh.tell(OWN, fresh.here(OWN), message, tuple(votes.values()))
