"""Banks that witness each other, as real processes: after a job all is cosigned, and whoever falls back is told."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from creditmesh_demo.cosigned import log_sizes, pending_logs

from coordinator.store import Store
from tests.e2e.command import command
from tests.e2e.command import run as run_command
from tests.e2e.consortium_room import ConsortiumRoom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsortiumRoom]:
    with ConsortiumRoom(tmp_path_factory.mktemp("witnesses"), 4) as room:
        room.start()
        yield room


def await_quorum(room: ConsortiumRoom) -> None:
    """Wait until every newest checkpoint has its quorum and no log has grown for a moment.

    A log that was cosigned grows by what it was shown of the others' logs, and is cosigned again.
    """
    last: tuple[tuple[int, ...], float] = ((), 0.0)

    def rests() -> bool:
        nonlocal last
        sizes = log_sizes(room.run, room.names)
        if sizes != last[0] or pending_logs(room.run, room.names):
            last = (sizes, time.monotonic())
        return time.monotonic() - last[1] >= 1.5

    room.wait(rests, "every log to be cosigned")


def verify(room: ConsortiumRoom, folder: Path) -> dict[str, Any]:
    """Run the auditor's command over a log with the keys that bank-1 pins; return what it says."""
    pins = room.run.nodes["bank-1"] / "keys" / "members.json"
    ended = run_command(command("creditmesh-audit", "verify", folder, "--members", pins, "--no-state", "--json"))
    found: dict[str, Any] = json.loads(ended.out)
    return {**found, "code": ended.code}


def test_after_a_job_every_log_has_its_quorum_and_the_model_is_released(room: ConsortiumRoom) -> None:
    outcome = room.outcome(room.submit())
    assert (outcome["state"], outcome["released"]) == ("done", True), outcome["reason"]
    room.results(outcome["job"], room.names)
    await_quorum(room)

    for folder in (room.run.coordinator, *room.run.nodes.values()):
        found = verify(room, folder)
        assert found["code"] == 0, found
        steps = {step["name"]: step["status"] for step in found["logs"][0]["steps"]}
        assert (steps["cosignatures"], steps["quorum"]) == ("passed", "passed")
    store = Store(f"sqlite:///{room.run.coordinator}/coordinator.db")
    (model,) = store.models(outcome["job"])
    assert model.released is not None
    store.close()


def test_checkpoints_travel_under_a_block_and_have_no_record_each(room: ConsortiumRoom) -> None:
    for folder in room.run.nodes.values():
        with closing(sqlite3.connect(folder / "log.db")) as database:
            events = [json.loads(event) for (event,) in database.execute("SELECT event FROM event ORDER BY seq")]
        bodies = [event["body"] for event in events if event["kind"] == "egress.authorised"]
        assert len([body for body in bodies if body["payload_kind"] == "cosign"]) == 1
        assert all("checkpoint" not in body["payload_kind"] for body in bodies)


def test_a_bank_whose_state_folder_was_put_back_is_refused_with_the_proof(room: ConsortiumRoom) -> None:
    state, backup = room.run.nodes["bank-0"], room.folder / "backup"
    assert room.stop(["bank-0"]) == {"bank-0": 0}
    shutil.copytree(state, backup)
    room.start_node("bank-0")
    room.await_line("bank-0", "connected")
    outcome = room.outcome(room.submit())
    room.results(outcome["job"], room.names)
    await_quorum(room)
    assert room.stop(["bank-0"]) == {"bank-0": 0}
    newest = room.folder / "newest"
    state.rename(newest)
    shutil.copytree(backup, state)

    for _ in range(2):  # the second time without asking anybody: the proof lies there
        room.start_node("bank-0")
        assert room.processes["bank-0"].wait(60) == 4
        assert "restore the newest copy" in room._output("bank-0").read_text("utf-8")
    assert (state / "known-head.note").read_text("utf-8").startswith("bank-0/privacy-log\n")

    shutil.rmtree(state)
    newest.rename(state)
    room.start_node("bank-0")
    room.await_line("bank-0", "connected")
    await_quorum(room)


def test_a_job_ends_while_witnesses_are_away_and_its_model_waits_for_them(tmp_path: Path) -> None:
    """Seven banks are enrolled, so five must cosign; four are there for the job, a fifth comes later."""
    with ConsortiumRoom(tmp_path, 7, {"join_wait_s": 1}) as room:
        room.start_coordinator()
        four, fifth = room.names[:4], room.names[4]
        for name in four:
            room.start_node(name)
        for name in four:
            room.await_line(name, "connected")
        outcome = room.outcome(room.submit())
        assert (outcome["state"], outcome["members"], outcome["released"]) == ("done", four, False)
        path = room.run.coordinator / "jobs" / outcome["job"] / "outcome.json"

        room.start_node(fifth)
        room.wait(lambda: json.loads(path.read_bytes())["released"], "the model to be released")
        assert json.loads(path.read_bytes()) == {**outcome, "released": True}
        room.await_line("coordinator", "model_released")
