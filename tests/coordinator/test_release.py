"""A model is released when the quorum covers its job's records, once, and everywhere at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coordinator.ballot_box import BallotBox
from coordinator.log_store import LogStore
from coordinator.relay import Quorum
from coordinator.release import Releases
from coordinator.store import ModelRecord, Store
from privacy.errors import InputError
from tests.coordinator.test_log_store import opened
from tests.node.signoff_bank import proposal_of

METRICS = {"auc": 0.8123456789, "psi": 1e-9, "bads": 621, "roc": [[0.0, 1.0]], "gini": float("nan")}


@dataclass
class Desk:
    """A state folder with a finished job, its database and its log."""

    folder: Path
    store: Store
    log: LogStore
    releases: Releases

    def finish(self, model: str = "ab" * 32) -> str:
        job = self.store.add_job("scorecard", {})
        folder = self.folder / "jobs" / job
        folder.mkdir(parents=True)
        document = {"job": job, "recipe": "scorecard", "metrics": METRICS, "released": False, "model_sha256": model}
        (folder / "outcome.json").write_text(json.dumps(document))
        self.store.add_model(ModelRecord(model, job, "models/x.json"))
        return job

    def outcome(self, job: str) -> dict[str, object]:
        document: dict[str, object] = json.loads((self.folder / "jobs" / job / "outcome.json").read_text())
        return document

    def events(self) -> list[dict[str, object]]:
        return [dict(event.body) for event in self.log.events(0, 99) if event.kind == "model.released"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store, log = Store(f"sqlite:///{tmp_path}/c.db"), opened(tmp_path)
    yield Desk(tmp_path, store, log, Releases(tmp_path, store, log))
    log.close()
    store.close()


def test_a_quorum_over_the_jobs_records_releases_its_model(desk: Desk) -> None:
    job = desk.finish()
    desk.releases.ended(job, 40)
    assert desk.releases.release_pending(Quorum(0, ())) == []
    assert desk.releases.release_pending(Quorum(39, ("a", "b", "c"))) == []
    assert desk.outcome(job)["released"] is False and desk.events() == []

    assert desk.releases.release_pending(Quorum(40, ("a", "b", "c"))) == [job]
    assert desk.outcome(job)["released"] is True
    (body,) = desk.events()
    assert (body["sha256"], body["jobs"], body["approvers"], body["quorum_size"]) == (
        "ab" * 32, [job], ["a", "b", "c"], 40)  # fmt: skip
    assert body["metrics"] == [{"name": "auc", "value": "0.812346"}, {"name": "psi", "value": "0.000000"}]
    assert desk.store.pending_models() == [] and desk.store.models(job)[0].released is not None


def test_a_model_is_released_once(desk: Desk) -> None:
    job = desk.finish()
    desk.releases.ended(job, 1)
    assert desk.releases.release_pending(Quorum(5, ("a",))) == [job]
    assert desk.releases.release_pending(Quorum(9, ("a",))) == []
    assert len(desk.events()) == 1


def test_a_model_of_an_earlier_process_is_released_by_the_next_quorum(desk: Desk) -> None:
    job = desk.finish()
    again = Releases(desk.folder, desk.store, desk.log)
    assert again.release_pending(Quorum(0, ())) == []
    assert again.release_pending(Quorum(1, ("a",))) == [job]


def test_of_two_models_only_the_covered_one_is_released(desk: Desk) -> None:
    first, second = desk.finish(), desk.finish("cd" * 32)
    desk.releases.ended(first, 10)
    desk.releases.ended(second, 20)
    assert desk.releases.release_pending(Quorum(15, ("a",))) == [first]
    assert desk.releases.release_pending(Quorum(20, ("a",))) == [second]


def test_without_its_outcome_nothing_is_released(desk: Desk) -> None:
    job = desk.finish()
    (desk.folder / "jobs" / job / "outcome.json").unlink()
    with pytest.raises(InputError) as caught:
        desk.releases.release_pending(Quorum(5, ("a",)))
    assert caught.value.code == "outcome-unreadable" and desk.events() == []


def test_a_release_names_the_champion_that_it_would_follow(desk: Desk) -> None:
    champion = "cd" * 32
    first = desk.finish(champion)
    desk.releases.release_pending(Quorum(5, ("a", "b", "c")))
    box = BallotBox(desk.store.engine)
    box.propose(lambda number, now: proposal_of(number=number, proposed_us=now, job=first, model=champion))
    box.close(1, "promoted")
    desk.finish("ef" * 32)
    desk.releases.release_pending(Quorum(6, ("a", "b", "c")))
    assert [event.get("parent") for event in desk.events()] == [None, champion]
