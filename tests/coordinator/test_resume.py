"""A coordinator that dies at any step goes on to the same model; what cannot go on fails with its reason.

How it dies is in `tests.coordinator.mortal`.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.coordinator.mortal import ROUNDS, Coordinator, Steps, learned_from, part_of, play, requests
from tests.coordinator.test_clerk import Desk
from tests.network import Node

pytestmark = pytest.mark.slow

MOMENTS = [("charter", 3), ("close", 33), ("opened", 7), ("outcome", 1)]


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Let jobs add up plain vectors, and return what everybody learned, by name."""
    told: dict[str, list[Any]] = {}

    def write(_state: Path, _store: Any, ending: Any, _session: Any, outcome: Any) -> None:
        told.setdefault("coordinator", []).append((ending.state, ending.reason, outcome))

    def write_result(state: Path, how: str, seat: Any) -> None:
        told.setdefault(state.name, []).append((how, seat.outcome))

    monkeypatch.setattr("coordinator.clerk.rounds", lambda _spec: requests())
    monkeypatch.setattr("node.seat.rounds", lambda _spec: requests())
    monkeypatch.setattr("node.seat.contribute", lambda ask, book: part_of(book.table.member, int(ask.name[-1])))
    monkeypatch.setattr("coordinator.clerk.write_outcome", write)
    monkeypatch.setattr("tests.network.write_result", write_result)
    return told


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def made(count: int = 5, name: str = "one", **permit: Any) -> Desk:
        folder = tmp_path / name
        folder.mkdir()
        desks.append(Desk(folder, count, monkeypatch, **permit))
        return desks[-1]

    yield made
    for desk in desks:
        desk.store.close()


def outcome_of(desk: Desk) -> dict[str, Any]:
    path = desk.settings.state.dir / "jobs" / desk.store.jobs()[0].id / "outcome.json"
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def check_books(desk: Desk) -> None:
    """Fail unless the job left nothing behind that it should not, here or at a member."""
    (job,) = desk.store.jobs()
    assert job.state == "done"
    assert desk.progress.farewells() == []
    with desk.store.engine.connect() as connection:
        for table in ("sums", "progress"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
    for node in desk.network.nodes.values():
        assert node.written[-1] == (job.id, "done")
        assert (node.alarms, node.usage.jobs, node.usage.excluded) == ([], [job.id], [])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(tmp_path_factory.mktemp("undisturbed"), 5, patch)
        play(desk, Steps(), patch)
        yield outcome_of(desk)
        desk.store.close()


@pytest.mark.parametrize(("name", "number"), MOMENTS, ids=[f"{name}-{number}" for name, number in MOMENTS])
def test_a_killed_coordinator_goes_on_to_the_same_model(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, Any], name: str, number: int
) -> None:
    desk = make()

    assert play(desk, Steps(name, number, after=True), monkeypatch).deaths == 1

    outcome = outcome_of(desk)
    assert (outcome["state"], outcome["reason"]) == ("done", "")
    for figure in ("model_sha256", "metrics", "members", "sums", "smallest_cohort", "dropouts"):
        assert outcome[figure] == undisturbed[figure]
    check_books(desk)


def test_it_may_die_at_any_step(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    with monkeypatch.context() as patch:
        desk = make(4)
        counts = play(desk, Steps(), patch).steps.counts
    expected = learned_from(desk.network.names)
    assert (counts["opened"], counts["check-part"], counts["ended-message"]) == (ROUNDS, 2 * 4 * ROUNDS, 4)

    everything = os.environ.get("CREDITMESH_EVERY_STEP") == "1"  # takes a minute or two
    moments = [
        (name, number, after)
        for place, (name, most) in enumerate(counts.items())
        for number, after in itertools.product(range(1, most + 1), (False, True))
        if everything or (number, after) == ((1, True), (most, False))[place % 2]
    ]
    for place, (name, number, after) in enumerate(moments):
        learned.clear()
        with monkeypatch.context() as patch:
            desk = make(4, f"moment-{place}")
            assert play(desk, Steps(name, number, after=after), patch).deaths == 1
        assert learned["coordinator"][-1] == ("done", "", expected), (name, number, after)
        assert all(learned[member][-1] == ("done", expected) for member in desk.network.names), (name, number, after)
        check_books(desk)


# -- what may go wrong besides ---------------------------------------------------------------------------------------


def reboot(node: Node) -> None:
    node.die()
    node.start()


@pytest.mark.parametrize("moment", [("charter", 2), ("close", 7), ("opened", 2), ("ended", 1), ("ended-message", 2)])
def test_a_node_that_was_killed_meanwhile_is_shown_what_it_lacks(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]], moment: tuple[str, int]
) -> None:
    desk = make(5, allow_exclusion=0)
    lost = desk.network.nodes["bank-002"]

    coordinator = play(desk, Steps(*moment), monkeypatch, lambda _: reboot(lost))

    assert coordinator.deaths == 1
    assert learned["coordinator"][-1] == ("done", "", learned_from(desk.network.names))
    assert learned["bank-002"][-1] == ("done", learned_from(desk.network.names))
    assert lost.alarms == []


def test_a_node_that_does_not_come_back_is_excluded_as_after_any_loss(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    desk = make(5)

    play(desk, Steps("opened", 2, after=True), monkeypatch, lambda _: desk.network.nodes["bank-002"].die())

    (job,) = desk.store.jobs()
    assert learned["coordinator"][-1][:2] == ("done", "")
    kinds = [event.kind for event in desk.store.job_events(job.id)]
    assert kinds == ["job-started", "round-opened", "round-opened", "job-recovered", "job-paused", "members-excluded",
                     "job-resumed", "round-opened", "job-done"]  # fmt: skip
    assert [len(each.survivors) for each in desk.store.rounds(job.id)] == [5, 5, 4]
    assert desk.progress.farewells() == [(job.id, "bank-002")]


def test_a_permit_without_exclusion_ends_the_job_and_says_who_is_missing(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    desk = make(4)

    play(desk, Steps("opened", 2, after=True), monkeypatch, lambda _: desk.network.nodes["bank-002"].die())

    state, reason, outcome = learned["coordinator"][-1]
    assert (state, outcome) == ("failed", None)
    assert "member lost: bank-002" in reason
    assert learned["bank-001"][-1][0] == "failed"


def test_it_may_die_again_and_again(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    desk = make(4)
    fates = [
        ("assemble", 2),
        ("setups", 1),
        ("close", 3),
        ("opened", 1),
        ("assemble", 1),
        ("check", 2),
        ("state:done", 1),
    ]
    later = iter([Steps(*fate) for fate in fates[1:]] + [Steps()])
    restart = Coordinator.restart

    async def doomed(self: Coordinator) -> None:
        await restart(self)
        self.steps = next(later)

    monkeypatch.setattr(Coordinator, "restart", doomed)
    coordinator = play(desk, Steps(*fates[0]), monkeypatch)

    assert coordinator.deaths == len(fates)
    assert learned["coordinator"][-1] == ("done", "", learned_from(desk.network.names))
    check_books(desk)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE sums SET content = substr(content, 1, length(content) - 1) WHERE number = 2", "is damaged"),
        ("DELETE FROM sums WHERE number = 1", "is damaged"),
        ("UPDATE progress SET document = '{}'", "is damaged"),
        ("UPDATE progress SET document = replace(document, '\"epoch\":1', '\"epoch\":0')", "but not that epoch"),
        (
            "UPDATE sums SET content = (SELECT content FROM sums WHERE number = 2) WHERE number = 1",
            "belongs to another binding",
        ),
    ],
)
def test_what_was_damaged_is_not_gone_on_from(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]], damage: str, reason: str
) -> None:
    def spoil(coordinator: Coordinator) -> None:
        with coordinator.desk.store.engine.begin() as connection:
            assert connection.exec_driver_sql(damage).rowcount == 1

    desk = make(4)
    play(desk, Steps("opened", 2, after=True), monkeypatch, spoil)

    assert learned["coordinator"][-1][0] == "failed"
    assert reason in learned["coordinator"][-1][1]
    assert desk.store.jobs()[0].state == "failed"


def test_changed_software_does_not_go_on_with_a_job(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    desk = make(4)

    def update(_coordinator: Coordinator) -> None:
        monkeypatch.setattr("coordinator.clerk.installed_digest", lambda: "d" * 64)

    play(desk, Steps("opened", 2, after=True), monkeypatch, update)

    assert learned["coordinator"][-1][:2] == (
        "failed", "the software was changed while this job ran; submit it again"
    )  # fmt: skip
    assert all(learned[member][-1] == ("failed", None) for member in desk.network.names)


def test_a_job_that_was_cancelled_meanwhile_does_not_go_on(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, learned: dict[str, list[Any]]
) -> None:
    desk = make(4)

    def cancel(_coordinator: Coordinator) -> None:
        desk.store.set_wish(desk.store.jobs()[0].id, "cancel")

    play(desk, Steps("opened", 2, after=True), monkeypatch, cancel)

    assert learned["coordinator"][-1][:2] == ("cancelled", "the operator cancelled the job")
    assert desk.store.jobs()[0].state == "cancelled"
    assert all(learned[member][-1] == ("failed", None) for member in desk.network.names)
    assert all(node.session._seat is None for node in desk.network.nodes.values())
