"""The cohort rule of an exact job: no two opened sums may differ by one bank, unless its peers' permits say so."""

from dataclasses import replace

import pytest

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import Address
from privacy.errors import PeerError, RefusalError, VerificationError
from privacy.secagg import binding as bind
from privacy.secagg.standing import State
from tests.privacy.secagg.scenes import ASK, closing, narrowed, plan_of, uploaded
from tests.privacy.table import Bench, allow_nothing, bench, names_of, parts_of, refused

NAMES = names_of(7)  # t = 5, c = 2, u_min = 5
OWN = NAMES[0]
PLAN = plan_of(NAMES)


def opened_once(table: Bench | None = None, mute: list[str] | None = None) -> Bench:
    """Return a table whose first round has opened over everybody but the mute."""
    table = table or bench(NAMES)
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN), mute=mute or ())
    return table


def test_an_opened_sum_reaches_every_member_once() -> None:
    table = opened_once()
    parts = parts_of(NAMES, PLAN, 2)
    assert (table.round(b"ask-2", PLAN, parts) == sum(parts.values())).all()
    table.down(table.coordinator.end("done", ""))
    for name in NAMES:
        assert [each.round for each in table.sums[name]] == [1, 2]
        assert (PLAN.decode(PLAN.from_bytes(table.sums[name][1].vector)) == sum(parts.values())).all()
        assert table.members[name].state is State.ENDED


def test_a_cohort_that_shrank_goes_on_in_a_new_epoch_only() -> None:
    table = opened_once(mute=NAMES[-1:])
    with refused("cohort-epoch", RefusalError):
        table.down(table.coordinator.open(b"ask-2", PLAN))
    assert table.members[OWN].history.rounds == 0  # the sum is not lost with the refused open
    table.assemble(NAMES[:-1])
    assert [each.round for each in table.sums[OWN]] == [1]
    parts = parts_of(NAMES, PLAN, 2)
    assert (table.round(b"ask-2", PLAN, parts) == sum(parts[name] for name in NAMES[:-1])).all()


def test_the_lost_do_not_come_back_into_a_fixed_cohort() -> None:
    table = opened_once(mute=NAMES[-1:])
    with refused("cohort-changed", RefusalError):
        table.assemble(NAMES)


def test_a_burnt_request_comes_again_over_the_same_cohort_only() -> None:
    table, _parts = uploaded(NAMES)
    message, headers, _downlinks = closing(table, OWN)
    table.tell(OWN, table.here(OWN), message, headers)  # voted for all seven; the position burns
    table.down(each for each in table.coordinator.assemble(table.manifest.roster))
    table.begin(ASK, PLAN)
    table.dead.add(NAMES[-1])
    table.upload(parts_of(NAMES, PLAN))
    fewer, headers, downlinks = closing(table, OWN)
    with refused("cohort-changed", RefusalError):
        table.tell(OWN, table.here(OWN), fewer, headers)
    assert fewer.survivors == tuple(NAMES[:-1]) and downlinks


def test_a_burnt_position_then_the_same_request_opens() -> None:
    table, _parts = uploaded(NAMES)
    _message, _headers, downlinks = closing(table, OWN)
    for downlink in downlinks[:4]:  # t - 1 votes, then the coordinator gives the position up
        table.up(downlink.to, table.answer(downlink.to, downlink.message))
    assert not table.coordinator.settled
    parts = parts_of(NAMES, PLAN, 3)
    assert (table.round(ASK, PLAN, parts) == sum(parts.values())).all()
    assert table.coordinator.opened[0].opened.position == 2


def test_a_cohort_smaller_than_the_vote_is_refused_later_in_the_same_epoch() -> None:
    table = opened_once()
    table.begin(b"ask-2", PLAN)
    table.upload(parts_of(NAMES, PLAN))
    message, headers, _ = closing(table, OWN)
    with refused("cohort-changed", RefusalError):
        table.tell(OWN, table.here(OWN), *narrowed(message, headers, [0, 1, 2, 3, 4, 5]))


def test_an_exclusion_needs_the_permit_and_is_for_good() -> None:
    asked: list[frozenset[str]] = []
    table = opened_once(bench(NAMES, may_exclude=asked.append))
    table.assemble(NAMES[:-1])
    assert asked == [frozenset(NAMES[-1:])] * 6
    parts = parts_of(NAMES, PLAN, 2)
    assert (table.round(b"ask-2", PLAN, parts) == sum(parts[name] for name in NAMES[:-1])).all()
    with refused("cohort-changed", RefusalError):
        table.assemble(NAMES)
    strict = opened_once(bench(NAMES, may_exclude=allow_nothing))
    with refused("permit-exclusion", RefusalError):
        strict.assemble(NAMES[:-1])
    assert strict.members[OWN].history.cohort == tuple(NAMES)


def test_a_member_lost_in_the_last_round_opens_nothing() -> None:
    table = opened_once(bench(NAMES, may_exclude=allow_nothing))
    table.begin(b"ask-2", PLAN)
    table.dead.add(NAMES[-1])
    table.upload(parts_of(NAMES, PLAN))
    with refused("cohort-changed", RefusalError):
        table.down(table.coordinator.close())
    with refused("permit-exclusion", RefusalError):
        table.assemble(NAMES[:-1])


# -- sums as they are shown --------------------------------------------------------------------------------------------


def shown(table: Bench, opened: say.Opened, **packet: object) -> None:
    """Show the first member an open of round 2 that carries this sum."""
    last, member = table.coordinator.opened[-1], table.members[OWN]
    at = Address(table.manifest.job, 1, 2, table.manifest.sha256(), member._root, bytes(32))
    extra = {"attachments": last.evidence, "vector": last.vector, **packet}
    table.tell(OWN, at, say.Open(2, bytes(32), opened), **extra)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["sum_sha256", "headers_sha256"])
def test_a_sum_that_is_not_the_one_named_is_refused(field: str) -> None:
    table = opened_once()
    last = table.coordinator.opened[-1]
    code = {"sum_sha256": "sum-signature", "headers_sha256": "headers-digest"}[field]
    with refused(code, VerificationError if field == "sum_sha256" else PeerError):
        shown(table, replace(last.opened, **{field: bytes(32)}))  # type: ignore[arg-type]
    altered = bytes([last.vector[0] ^ 1]) + last.vector[1:]
    with refused("opened-digest", PeerError):
        shown(table, last.opened, vector=altered)
    assert table.members[OWN].history.rounds == 0


def test_a_sum_of_another_size_than_planned_is_refused() -> None:
    table = opened_once()
    with refused("vector-size", PeerError):
        shown(table, table.coordinator.opened[-1].opened, vector=b"\0" * 8)


def test_a_sum_over_another_cohort_than_the_vote_is_refused() -> None:
    table = opened_once()
    last = table.coordinator.opened[-1]
    headers = last.headers[:-1]
    fewer = replace(last.opened, survivors=last.opened.survivors[:-1], headers_sha256=bind.headers_digest(headers))
    with refused("headers-digest", PeerError):
        shown(table, fewer, attachments=(*headers, *last.signatures))


@pytest.mark.parametrize(("field", "value"), [("position", 3), ("epoch", 2)])
def test_a_sum_of_a_position_without_a_vote_is_refused(field: str, value: int) -> None:
    table = opened_once()
    with refused("previous-unknown", PeerError):
        shown(table, replace(table.coordinator.opened[-1].opened, **{field: value}))  # type: ignore[arg-type]


def test_an_open_without_the_sum_before_it_is_refused() -> None:
    table = opened_once()
    table.round(b"ask-2", PLAN, parts_of(NAMES, PLAN, 2))
    member = table.members[OWN]
    at = Address(table.manifest.job, 1, 3, table.manifest.sha256(), member._root, bytes(32))
    with refused("previous-missing", PeerError):
        table.tell(OWN, at, say.Open(2, bytes(32), None))
    changed = replace(table.coordinator.opened[0].opened, sum_sha256=bytes(32))
    with refused("previous-changed", PeerError):
        table.tell(OWN, at, say.Open(2, bytes(32), changed))


def test_a_sum_altered_for_one_member_lacks_its_verifiers_signatures() -> None:
    table = opened_once()
    last = table.coordinator.opened[-1]
    forged = PLAN.to_bytes(PLAN.encode(parts_of(NAMES, PLAN, 9)[OWN]))
    lied = replace(last.opened, sum_sha256=sha256(forged))
    with refused("sum-signature", VerificationError):
        shown(table, lied, vector=forged)
    with refused("sum-unverified", VerificationError):
        shown(table, lied, vector=forged, attachments=last.headers)


def test_a_sum_that_one_member_too_few_verified_is_refused() -> None:
    table = opened_once()
    last = table.coordinator.opened[-1]
    with refused("sum-unverified", VerificationError):
        shown(table, last.opened, attachments=(*last.headers, *last.signatures[1:]))
    with refused("sum-signature", VerificationError):
        shown(table, last.opened, attachments=(*last.headers, *last.signatures[1:], last.signatures[-1]))


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_job_that_ended_assembles_no_more() -> None:
    table = opened_once()
    table.down(table.coordinator.end("done", ""))
    with refused("state-order", PeerError):
        table.assemble()


def test_a_job_is_not_done_without_its_last_sum() -> None:
    table = opened_once()
    table.round(b"ask-2", PLAN, parts_of(NAMES, PLAN, 2))
    at = Address(table.manifest.job, manifest_sha256=table.manifest.sha256())
    with refused("previous-missing", PeerError):
        table.tell(OWN, at, say.Ended("done", "", None))
    table.tell(OWN, at, say.Ended("failed", "a member was lost", None))
    assert table.members[OWN].state is State.ENDED


def test_a_halt_forgets_all_keys() -> None:
    table, _parts = uploaded(NAMES)
    member = table.members[OWN]
    outgoing = member.halt("disk-full")
    assert outgoing.kind == "secagg.halt" and member._epoch is None and member._at is None
    message, headers, _ = closing(table, OWN)
    with refused("state-order", PeerError):
        table.tell(OWN, table.here(NAMES[1]), message, headers)
