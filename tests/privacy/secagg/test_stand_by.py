"""A coordinator that comes back as another process, or says so: votes, sums and cohorts stand; old keys are gone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address
from privacy.errors import PeerError, RefusalError, VerificationError
from privacy.secagg import binding as bind
from privacy.secagg.aggregator import Aggregator
from privacy.secagg.history import History
from privacy.secagg.retrace import Retraced, retrace
from privacy.secagg.standing import State
from tests.privacy.secagg.scenes import ASK, closing, narrowed, plan_of, uploaded
from tests.privacy.table import Bench, allow_nothing, bench, identity_of, names_of, parts_of, refused

NAMES = names_of(7)
OWN = NAMES[0]
PLAN = plan_of(NAMES)
ASKS = [b"ask-1", b"ask-2"]


def opened(count: int = 2) -> Bench:
    """Return a table after so many rounds."""
    table = bench(NAMES)
    table.assemble()
    for place in range(count):
        table.round(ASKS[place], PLAN, parts_of(NAMES, PLAN, place))
    return table


def stand_by(table: Bench) -> None:
    for member in table.members.values():
        member.stand_by()


def another_process(table: Bench, epoch: int | None = None) -> None:
    """Replace the coordinator by one that knows what was kept."""
    past = Retraced(table.manifest, table.coordinator.epoch if epoch is None else epoch)
    for kept, ask in zip(table.coordinator.opened, ASKS, strict=False):
        past.take(kept, ask, PLAN)
    table.coordinator = Aggregator(table.manifest, identity_of(COORDINATOR), past=past)
    stand_by(table)


def call(table: Bench, epoch: int, roster: list[str] | None = None) -> None:
    at = Address(table.manifest.job, epoch, manifest_sha256=table.manifest.sha256())
    table.tell(OWN, at, say.Assemble(tuple(roster or NAMES), None))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_job_goes_on_over_the_same_transcript(count: int) -> None:
    table = opened(count)
    another_process(table)
    table.assemble()
    assert {member.history.transcript for member in table.members.values()} == {table.coordinator._transcript}
    parts = parts_of(NAMES, PLAN, 9)
    assert (table.round(b"ask-next", PLAN, parts) == sum(parts.values())).all()
    assert table.coordinator.opened[-1].opened.epoch == 2
    assert len({past.root for past in table.coordinator.opened}) == (2 if count else 1)


def test_a_round_that_was_voted_for_is_asked_again_over_the_same_cohort() -> None:
    table, parts = uploaded(NAMES)
    table.down(table.coordinator.close())  # all have voted, and nobody keeps what they said
    another_process(table)
    table.assemble()
    assert (table.round(ASK, PLAN, parts) == sum(parts.values())).all()


def test_nothing_of_the_old_epoch_is_answered() -> None:
    table, _parts = uploaded(NAMES)
    at = table.here(OWN)
    message, headers, _ = closing(table, OWN)
    stand_by(table)
    root_only = replace(at, position=0, binding=b"")
    certificate = say.Certificate(message.survivors, message.headers_sha256)
    asked: list[tuple[Address, Any]] = [
        (at, message), (at, certificate), (replace(at, position=2), say.Open(1, bind.ask_digest(ASK), None)),
        (root_only, say.Ready()), (replace(root_only, agreement_root=b""), say.Setups()),
    ]  # fmt: skip
    for place, each in asked:
        with refused("state-order", PeerError):
            table.tell(OWN, place, each, headers)
    member = table.members[OWN]
    assert member.state is State.IDLE and member._epoch is None and member._at is not None and member._at.keys is None


def test_an_epoch_is_never_called_a_second_time() -> None:
    table = opened(0)
    stand_by(table)
    with refused("epoch-order", PeerError):
        call(table, 1)


def test_a_second_vote_for_a_round_is_for_the_same_cohort_or_none() -> None:
    table, parts = uploaded(NAMES)
    table.down(table.coordinator.close())
    another_process(table)
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts)
    at = table.here(OWN)
    close, headers, _ = closing(table, OWN)
    fewer, fewer_headers = narrowed(close, headers, [0, 1, 2, 3, 4, 5])
    with refused("cohort-changed", RefusalError):
        table.tell(OWN, at, fewer, fewer_headers)


def test_a_restart_is_no_way_to_leave_somebody_behind() -> None:
    table, _ = uploaded(NAMES)
    table.down(table.coordinator.close())
    for member in table.members.values():
        member._rules = replace(member._rules, may_exclude=allow_nothing)
    stand_by(table)
    with refused("permit-exclusion", RefusalError):
        call(table, 2, NAMES[:-1])
    assert table.members[OWN].history.cohort == tuple(NAMES)


def test_a_round_that_was_opened_is_not_opened_again() -> None:
    table = opened(2)
    forgetful = Retraced(table.manifest, table.coordinator.epoch)
    forgetful.take(table.coordinator.opened[0], ASKS[0], PLAN)
    last = table.coordinator.opened[1]
    table.coordinator = Aggregator(table.manifest, identity_of(COORDINATOR), past=forgetful)
    for member in table.members.values():  # they saw the second sum before the coordinator forgot it
        assert member._at is not None
        member.history.take(last.opened, last.vector, last.headers, member._at.bound)
    stand_by(table)
    with refused("previous-changed", PeerError):
        table.down(table.coordinator.assemble(table.manifest.roster))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda past: replace(past, vector=bytes(len(past.vector))), "opened-digest"),
        (lambda past: replace(past, signatures=past.signatures[:2]), "sum-unverified"),
        (lambda past: replace(past, agreements=past.agreements[:-1]), "headers-count"),
        (lambda past: replace(past, root=bytes(32)), "envelope-agreement-root"),
        (lambda past: replace(past, headers=past.headers[::-1]), "headers-digest"),
        (lambda past: replace(past, opened=replace(past.opened, round=2)), "envelope-binding"),
    ],
)
def test_a_kept_sum_is_believed_no_more_than_a_strangers(change: Callable[[Any], Any], code: str) -> None:
    table = opened(1)
    past = Retraced(table.manifest, 1)
    with pytest.raises((PeerError, VerificationError)) as caught:
        past.take(change(table.coordinator.opened[0]), ASKS[0], PLAN)
    assert (caught.value.code, past.opened) == (code, [])


def test_a_sum_of_an_epoch_that_was_not_kept_is_not_gone_on_from() -> None:
    table = opened(1)
    with refused("epoch-unknown", VerificationError):
        Retraced(table.manifest, 0).take(table.coordinator.opened[0], ASKS[0], PLAN)


def test_a_kept_sum_against_an_own_vote_is_refused() -> None:
    table = opened(1)
    from privacy.secagg.history import Vote

    history = History(table.manifest.sha256(), {1: Vote(tuple(NAMES[:-1]), bytes(32))})
    with refused("opened-vote", VerificationError):
        retrace(table.manifest, history, table.coordinator.opened[0], ASKS[0], PLAN)


def test_a_member_that_ended_stands_by_no_more() -> None:
    table = opened(0)
    table.members[OWN].halt("enough")
    with refused("state-order", PeerError):
        table.members[OWN].stand_by()
