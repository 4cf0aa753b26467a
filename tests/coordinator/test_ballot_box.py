"""Proposals and ballots on disk: numbers rise, a bank votes once, what is closed stays closed, all of it survives."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.ballot_box import BallotBox
from coordinator.store import Store
from privacy.errors import InputError, MisuseError
from privacy.log.signoff import Proposal
from tests.node.signoff_bank import proposal_of
from tests.postgres_server import PostgresServer, Unavailable
from tests.privacy.table import refused


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    try:
        server = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BallotBox]:
    url = f"sqlite:///{tmp_path}/c.db"
    if request.param == "postgresql":
        started: PostgresServer = request.getfixturevalue("server")
        url = started.url(started.database())
    store = Store(url)
    clock = iter(range(1, 10**6))
    box = BallotBox(store.engine, now_us=lambda: next(clock))
    box.job = store.add_job("scorecard", {})  # type: ignore[attr-defined]
    yield box
    store.close()


def propose(box: BallotBox, **changes: object) -> Proposal:
    job = box.job  # type: ignore[attr-defined]
    return box.propose(lambda number, now: proposal_of(number=number, proposed_us=now, **{"job": job, **changes}))


def test_numbers_rise_and_what_was_proposed_comes_back(box: BallotBox) -> None:
    first, second = propose(box), propose(box, role="challenger")
    assert (first.number, second.number) == (1, 2)
    assert [standing.proposal for standing in box.open()] == [first, second] == [each.proposal for each in box.all()]
    assert box.states() == {1: "open", 2: "open"} and box.one(2).ballots == {}
    with refused("proposal-unknown", InputError):
        box.one(3)


def test_the_same_model_is_open_once_in_a_role(box: BallotBox) -> None:
    propose(box)
    with refused("proposal-open", InputError):
        propose(box)
    assert box.close(1, "withdrawn")
    assert propose(box).number == 2


def test_a_number_is_given_once_however_many_ask(box: BallotBox) -> None:
    found: list[int] = []

    def ask(place: int) -> None:
        for _ in range(50):
            try:
                found.append(propose(box, model=f"{place:064x}").number)
                return
            except InputError as error:
                assert error.code == "proposal-raced"

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4, 5, 6]


def test_a_bank_votes_once(box: BallotBox) -> None:
    propose(box)
    assert box.add_ballot(1, "a", "approve", b"one")
    assert not box.add_ballot(1, "a", "approve", b"one")
    with refused("ballot-again", InputError):
        box.add_ballot(1, "a", "reject", b"two")
    assert box.add_ballot(1, "b", "reject", b"three")
    assert dict(box.one(1).ballots) == {"a": b"one", "b": b"three"}


def test_a_ballot_needs_its_proposal(box: BallotBox) -> None:
    with pytest.raises((InputError, MisuseError)):
        box.add_ballot(7, "a", "approve", b"one")
    assert box.all() == []


def test_what_is_closed_stays_closed_and_the_newest_promotion_is_in_force(box: BallotBox) -> None:
    for model in ("aa" * 32, "bb" * 32, "cc" * 32):
        propose(box, model=model)
    assert box.in_force("champion") is None
    assert box.close(2, "promoted") and box.close(1, "promoted") and box.close(3, "rejected")
    assert not any(box.close(number, "withdrawn") for number in (1, 2, 3))
    newest = box.in_force("champion")
    assert newest is not None and newest.proposal.model == "bb" * 32 and box.in_force("challenger") is None
    assert box.open() == []


def test_everything_is_there_after_a_restart(box: BallotBox) -> None:
    proposal = propose(box)
    box.add_ballot(1, "a", "approve", b"one")
    again = BallotBox(box._engine)
    assert again.open()[0].proposal == proposal and dict(again.open()[0].ballots) == {"a": b"one"}
    assert replace(again.one(1)).closed is None


def test_a_lost_promotion_is_put_back_once_and_moves_the_numbers_on(box: BallotBox) -> None:
    lost = proposal_of(number=7, job=box.job)  # type: ignore[attr-defined]
    ballots = {"a": ("approve", b"one"), "b": ("reject", b"two")}
    assert box.restore(lost, ballots) and not box.restore(lost, ballots)
    assert box.one(7).state == "promoted" and dict(box.one(7).ballots) == {"a": b"one", "b": b"two"}
    assert propose(box, model="aa" * 32).number == 8
    with refused("proposal-forked", InputError):
        box.restore(replace(lost, role="challenger"), ballots)
    with refused("store-integrity", MisuseError):
        box.restore(replace(lost, number=9, job="job-unknown"), ballots)
    assert box.states() == {7: "promoted", 8: "open"} and not box.has_models()
