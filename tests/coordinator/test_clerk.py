"""One job from the queue to its final state in the database, the outcome file and the registry, whatever happens."""

import asyncio
import hashlib
import json
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from coordinator import config
from coordinator.clerk import Clerk, Office
from coordinator.counter import Counter
from coordinator.farewell import Farewells
from coordinator.progress import Progress
from coordinator.store import Job, Member, Store
from privacy.envelope import COORDINATOR
from privacy.log.record import Entry
from tests.coordinator.operator import make_operator
from tests.network import CODE, Network, Node
from tests.privacy.table import identity_of
from tests.virtual_time import run_virtual

SCHEMA = """
name = "room"
version = 1
title = "t"
source = "s"
[target]
field = "bad"
meaning = "1 = bad"
[[field]]
name = "turnover"
dimension = "credit"
text = "turnover"
type = "number"
unit = "CNY"
bounds = [0, 100]
risk_when_rising = "down"
[[field]]
name = "arrears"
dimension = "behaviour"
text = "arrears"
type = "flag"
risk_when_rising = "up"
"""


class Receipts:
    """Issue empty receipts: this room keeps no log."""

    async def acknowledge(self, _arrived: object) -> bytes:
        return b"{}"


class Desk:
    """An operator's folder, a network, and a clerk between them."""

    def __init__(self, folder: Path, count: int, monkeypatch: pytest.MonkeyPatch, **permit: Any) -> None:
        monkeypatch.setattr("coordinator.clerk.installed_digest", lambda: CODE)
        (folder / "operator").mkdir()
        (folder / "banks").mkdir()
        self.settings = config.load(make_operator(folder / "operator").config)
        self.settings.state.dir.mkdir(exist_ok=True)
        self.network = Network.of(folder / "banks", count, **permit)
        self.entries: list[Entry] = []
        self.sealed: list[tuple[str, int]] = []
        self.released: list[list[str]] = []
        self.store = Store(self.settings.storage.url)
        for serial, name in enumerate(self.network.names, start=1):
            self.store.add_member(Member(name, identity_of(name).public.hex(), serial))

    def queue(self, **changes: Any) -> Job:
        job = {"recipe": "scorecard", "purpose": "credit-risk-model", "seed": 0, "holdout_ppm": 300_000, **changes}
        spec = {"job": {"max_rows": 4096, **job}, "parameters": {}, "schema": tomllib.loads(SCHEMA)}
        return self.store.job(self.store.add_job("scorecard", spec))

    def play(self, job: Job, script: Callable[["Desk", Clerk], Awaitable[None]] | None = None) -> dict[str, Any]:
        """Run one job with everybody here; return its outcome file."""

        async def test() -> None:
            clerk = Clerk(self.office(), job)
            self.network.start()
            running = asyncio.create_task(clerk.run())
            self.running = running
            if script:
                await script(self, clerk)
            await asyncio.wait([running])
            await asyncio.sleep(1.0)

        run_virtual(test())
        path = self.settings.state.dir / "jobs" / job.id / "outcome.json"
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        assert document["state"] == self.store.job(job.id).state
        assert document["reason"] == self.store.job(job.id).reason
        assert self.store.job(job.id).ended is not None
        assert self.store.next_queued() is None
        return document

    def office(self) -> Office:
        network, policy = self.network, self.settings.policy
        identities = {name: identity_of(name).public for name in network.names}
        carry = network.carry
        counter = Counter(identity_of(COORDINATOR), cast(Any, Receipts()), lambda: identities, carry)
        network.arrive = lambda node, message: counter.take(node.name, message)  # type: ignore[method-assign]
        network.presence.lost_after_s = policy.lost_after_s
        self.progress = Progress(self.store)
        self.farewells = Farewells(
            self.store, self.progress, identity_of(COORDINATOR), network.presence, carry, lambda _member: 0
        )
        return Office(self.settings, identity_of(COORDINATOR), self.store, counter, network.presence, carry,
                      lambda _member: 0, network.now, self.entries.extend, self.seal, self.release,
                      self.progress, self.farewells)  # fmt: skip

    async def seal(self, job: str) -> None:
        """Note that the log's head would be cosigned now; the model is pending until then."""
        self.sealed.append((job, len(self.store.models(job))))

    async def release(self) -> None:
        """Note which models wait for their release now."""
        self.released.append([model.job for model in self.store.pending_models()])


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def made(count: int = 5, **permit: Any) -> Desk:
        desks.append(Desk(tmp_path, count, monkeypatch, **permit))
        return desks[-1]

    yield made
    for desk in desks:
        desk.store.close()


def dies(node: Node) -> bool:
    node.die()
    return False


def kinds(desk: Desk, job: Job) -> list[str]:
    return [event.kind for event in desk.store.job_events(job.id) if event.kind != "round-opened"]


def test_a_job_that_is_done_leaves_figures_a_model_and_every_round(make: Callable[..., Desk]) -> None:
    desk = make()
    job = desk.queue()

    outcome = desk.play(job)

    assert (outcome["state"], outcome["reason"]) == ("done", "")
    assert (outcome["members"], outcome["left_out"], outcome["dropouts"]) == (desk.network.names, {}, 0)
    rounds = desk.store.rounds(job.id)
    assert {each.state for each in rounds} == {"opened"}
    assert outcome["sums"] == outcome["rounds"] == len(rounds) >= 10
    assert set(outcome["upload_bytes"]) == set(desk.network.names)
    content = (desk.settings.state.dir / "models" / f"{outcome['model_sha256']}.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == outcome["model_sha256"]
    assert outcome["metrics"]["auc"] > 0.5
    assert kinds(desk, job) == ["job-started", "job-done"]
    assert outcome["released"] is False
    assert (desk.sealed, desk.released) == ([(job.id, 0)], [[job.id]])
    assert {node.written[-1] for node in desk.network.nodes.values()} == {(job.id, "done")}


def test_whoever_declines_or_is_not_there_is_left_out_by_name(make: Callable[..., Desk]) -> None:
    desk = make(6)
    desk.network.nodes["bank-001"].permit = type(desk.network.nodes["bank-001"].permit)(
        desk.network.nodes["bank-001"].permit.settings.model_copy(update={"min_rows": 10**6})
    )
    job = desk.queue()

    async def script(desk: Desk, _clerk: Clerk) -> None:
        desk.network.nodes["bank-002"].die()

    outcome = desk.play(job, script)

    assert (outcome["state"], len(outcome["members"])) == ("done", 4)
    assert outcome["left_out"] == {"bank-001": "permit-rows", "bank-002": "no-answer"}
    assert kinds(desk, job) == ["member-left-out", "member-left-out", "job-started", "job-done"]


@pytest.mark.parametrize(
    ("permit", "changes", "reason"),
    [
        ({"min_rows": 10**6}, {}, "0 members joined, at least 4 are needed (bank-000: permit-rows"),
        ({}, {"purpose": "marketing"}, "bank-004: permit-purpose"),
        ({}, {"recipe": "nothing"}, "nothing"),
        ({}, {"max_rows": 0}, "max_rows"),
    ],
)
def test_a_job_that_cannot_start_fails_with_its_reason(
    make: Callable[..., Desk], permit: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    desk = make(5, **permit)

    outcome = desk.play(desk.queue(**changes))

    assert outcome["state"] == "failed"
    assert reason in outcome["reason"]


def test_three_members_are_no_network(make: Callable[..., Desk]) -> None:
    desk = make(5)
    for name in desk.network.names[3:]:
        desk.store.set_member_status(name, "suspended")

    assert "3 members are enrolled, at least 4" in desk.play(desk.queue())["reason"]


def test_a_loss_pauses_the_job_and_both_stand_in_the_database(make: Callable[..., Desk]) -> None:
    desk = make(4)
    job = desk.queue()
    node = desk.network.nodes["bank-001"]
    seen: list[str] = []

    async def script(desk: Desk, _clerk: Clerk) -> None:
        node.before_send = lambda outgoing: (outgoing.round or 0) < 3 or dies(node)
        while not desk.running.done():
            seen.append(desk.store.job(job.id).state)
            await asyncio.sleep(1.0)

    outcome = desk.play(job, script)

    assert (outcome["state"], "member lost: bank-001" in outcome["reason"]) == ("failed", True)
    assert "paused" in seen
    assert outcome["sums"] == 2
    assert kinds(desk, job) == ["job-started", "job-paused", "job-failed"]


def test_a_stop_in_the_middle_leaves_the_job_as_it_is(make: Callable[..., Desk]) -> None:
    desk = make()
    job = desk.queue()

    async def test() -> None:
        clerk = Clerk(desk.office(), job)
        desk.network.start()
        running = asyncio.create_task(clerk.run())
        while clerk.session is None or len(clerk.session.aggregator.opened) < 2:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    run_virtual(test())

    assert [each.id for each in desk.store.unfinished()] == [job.id]
    assert not (desk.settings.state.dir / "jobs" / job.id).exists()
    assert all(node.written == [] for node in desk.network.nodes.values())


def test_a_fault_of_our_own_ends_the_job_before_it_is_raised(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a row's value: 17")

    monkeypatch.setattr("coordinator.clerk.Replay", broken)
    desk = make()

    outcome = desk.play(desk.queue())

    assert (outcome["state"], outcome["reason"]) == ("failed", "internal error: ZeroDivisionError")
    assert isinstance(desk.running.exception(), ZeroDivisionError)
