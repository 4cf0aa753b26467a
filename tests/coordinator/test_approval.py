"""A person at a bank decides on a job that the permit allows: once, for this very offer, and in time or not at all."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.clerk import Clerk
from node.offer_book import OfferBook
from privacy.errors import InputError
from tests.coordinator.mortal import learned_from
from tests.coordinator.test_clerk import Desk, kinds
from tests.coordinator.test_resume import learned  # noqa: F401 - a fixture
from tests.network import Node

Script = Callable[[Desk, Clerk], Any]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def made(count: int = 5, **permit: Any) -> Desk:
        desks.append(Desk(tmp_path, count, monkeypatch, **permit))
        return desks[-1]

    yield made
    for desk in desks:
        desk.store.close()


async def until(ready: Callable[[], bool]) -> None:
    while not ready():
        await asyncio.sleep(0.05)


def by_person(desk: Desk, *names: str) -> list[Node]:
    nodes = [desk.network.nodes[name] for name in names or desk.network.names]
    for node in nodes:
        node.permit = type(node.permit)(node.permit.settings.model_copy(update={"approval": "person"}))
    return nodes


@pytest.fixture
def played(make: Callable[..., Desk], learned: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    def play(count: int, names: list[str], script: Script, **job: Any) -> tuple[Desk, tuple[str, str, Any]]:
        from tests.virtual_time import run_virtual

        desk = make(count)
        by_person(desk, *names)
        queued = desk.queue(**job)

        async def test() -> None:
            clerk = Clerk(desk.office(), queued)
            desk.network.start()
            running = asyncio.create_task(clerk.run())
            await script(desk, clerk)
            await running
            await asyncio.sleep(1.0)

        run_virtual(test())
        return desk, learned["coordinator"][-1]

    return play


async def all_wait(desk: Desk, count: int) -> str:
    """Wait until so many offers wait for people; return the job."""
    await until(lambda: sum(bool(OfferBook(node.state).listed()) for node in desk.network.nodes.values()) >= count)
    job = desk.store.jobs()[0].id
    await until(lambda: desk.store.job(job).state == "approving")
    return job


async def decide(desk: Desk, name: str, job: str, accepted: bool) -> None:
    node = desk.network.nodes[name]
    OfferBook(node.state).decide(job, f"{name}-risk", accepted, "" if accepted else "not this quarter")
    await node.session.settle_offers()


def test_people_agree_and_the_job_runs(played: Any) -> None:
    async def script(desk: Desk, _clerk: Clerk) -> None:
        job = await all_wait(desk, 2)
        assert all(not node.written for node in desk.network.nodes.values())
        await decide(desk, "bank-001", job, True)
        await decide(desk, "bank-003", job, True)

    desk, (state, reason, outcome) = played(5, ["bank-001", "bank-003"], script)

    assert (state, reason, outcome) == ("done", "", learned_from(desk.network.names))
    assert desk.network.nodes["bank-001"].deciders == ["bank-001-risk"]
    assert desk.network.nodes["bank-002"].deciders == ["permit"]
    assert "job-awaits-approval" in kinds(desk, desk.store.jobs()[0])
    (line,) = OfferBook(desk.network.nodes["bank-003"].state).listed()
    assert (line["state"], line["who"], line["members"]) == ("accepted", "bank-003-risk", desk.network.names)


def test_who_refuses_or_never_decides_is_left_out(played: Any) -> None:
    async def script(desk: Desk, _clerk: Clerk) -> None:
        job = await all_wait(desk, 2)
        await decide(desk, "bank-001", job, False)

    desk, (state, _reason, outcome) = played(6, ["bank-001", "bank-003"], script, approval_wait_s=120)

    others = [name for name in desk.network.names if name not in ("bank-001", "bank-003")]
    assert (state, outcome) == ("done", learned_from(others))
    left_out = {
        event.body["member"]: event.body["code"]
        for event in desk.store.job_events(desk.store.jobs()[0].id)
        if event.kind == "member-left-out"
    }
    assert left_out == {"bank-001": "refused-by-person", "bank-003": "approval-pending"}
    assert ("not this quarter") in [reason for _, reason in desk.network.nodes["bank-001"].decisions]
    (waiting,) = OfferBook(desk.network.nodes["bank-003"].state).listed()
    assert waiting["state"] == "waiting"


def test_a_charter_that_nobody_agreed_to_is_refused(played: Any) -> None:
    async def script(desk: Desk, clerk: Clerk) -> None:
        await all_wait(desk, 1)
        assert clerk.enlistment is not None
        clerk.enlistment.waiting.discard("bank-001")
        clerk.enlistment.accepted.add("bank-001")  # a coordinator that says so
        clerk.wake()

    desk, (_state, _reason, _outcome) = played(5, ["bank-001"], script)

    node = desk.network.nodes["bank-001"]
    assert ("nobody at this bank has agreed to this job; see the node's offers") in [text for _, text in node.decisions]
    assert not node.written and "secagg.upload" not in {outgoing.kind for outgoing in node.log}


def test_a_decision_survives_restarts_of_both_sides(played: Any) -> None:
    async def script(desk: Desk, clerk: Clerk) -> None:
        job = await all_wait(desk, 1)
        node = desk.network.nodes["bank-001"]
        OfferBook(node.state).decide(job, "risk", True)
        node.die()
        node.start()  # nobody is asked again when the same offer comes
        assert clerk.enlistment is not None
        for downlink in clerk.enlistment.offer(clerk.office.identity, ["bank-001"]):
            desk.network.carry(downlink.to, downlink.message)

    desk, (state, _reason, outcome) = played(5, ["bank-001"], script)

    assert (state, outcome) == ("done", learned_from(desk.network.names))
    assert desk.network.nodes["bank-001"].deciders == ["risk"]


def test_a_decision_is_made_once_and_by_somebody(tmp_path: Path) -> None:
    book = OfferBook(tmp_path)
    with pytest.raises(InputError, match="no offer of a job"):
        book.decide("job-1", "risk", True)
    (tmp_path / "offers").mkdir()
    (tmp_path / "offers" / "job-1.json").write_text(json.dumps({"manifest": "{}", "received_us": 1}))
    for name in ("", "a b", "../x", "名", "x" * 64):
        with pytest.raises(InputError, match="pseudonym"):
            book.decide("job-1", name, True)
    book.decide("job-1", "risk", False, "no")
    with pytest.raises(InputError, match="risk refused job-1 already"):
        book.decide("job-1", "other", True)
