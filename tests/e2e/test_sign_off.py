"""Sign-off over real processes: a quorum of banks promotes, each bank sees for itself, and a crash loses nothing."""

import hashlib
import json
import shutil
import signal
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coordinator.model_view import models_document, shelf_of
from coordinator.store import Store
from node import model_commands
from tests.e2e.command import COORDINATOR, NODE, Ended, command
from tests.e2e.command import run as run_command
from tests.e2e.consortium_room import ConsortiumRoom

pytestmark = pytest.mark.slow
AUDIT = "creditmesh-audit"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsortiumRoom]:
    with ConsortiumRoom(tmp_path_factory.mktemp("sign-off"), 4, rows=400, recipes=("scorecard", "validation")) as room:
        room.start()
        yield room


@pytest.fixture(scope="module")
def models(room: ConsortiumRoom) -> tuple[str, str]:
    """Return two models; the second one was validated too."""
    first, second = trained(room, 1), trained(room, 2)
    text = f'[job]\nrecipe = "validation"\nschema = "schema.toml"\n[parameters]\nmodel = "{second}"\n'
    (room.folder / "job.toml").write_text(text)
    name = room.submit()
    assert room.outcome(name)["state"] == "done"
    room.results(name, room.names)
    return first, second


def operate(room: ConsortiumRoom, *arguments: str) -> Ended:
    return run_command(command(COORDINATOR, *arguments, "--config", room.settings))


def at_bank(room: ConsortiumRoom, name: str, *arguments: str) -> Ended:
    return run_command(command(NODE, *arguments, "--config", room.run.nodes[name] / "node.toml"))


def trained(room: ConsortiumRoom, seed: int) -> str:
    """Train a model and wait until it is released; return its digest."""
    job = room.folder / "job.toml"
    job.write_text(f'[job]\nrecipe = "scorecard"\nschema = "schema.toml"\nseed = {seed}\n')
    name = room.submit()
    assert room.outcome(name)["state"] == "done"
    room.results(name, room.names)
    path = room.run.coordinator / "jobs" / name / "outcome.json"
    room.wait(lambda: json.loads(path.read_text())["released"], f"{name} to be released")
    return str(json.loads(path.read_text())["model_sha256"])


def listed(room: ConsortiumRoom) -> dict[str, Any]:
    """Return what the coordinator's database says, as `models --json` does."""
    store = Store(f"sqlite:///{database(room)}")
    try:
        return models_document(shelf_of(room.run.coordinator, store))
    finally:
        store.close()


def proposed(room: ConsortiumRoom, model: str, role: str = "champion") -> int:
    """Propose a model and wait until every bank has it before it; return the proposal's number."""
    ended = operate(room, "propose", model, "--as", role, "--json")
    assert ended.code == 0, ended.err
    number = int(json.loads(ended.out)["number"])
    for name in room.names:
        folder = room.run.nodes[name] / "signoff" / "proposals"
        room.wait(partial(has_number, folder, number), f"proposal {number} at {name}")
    return number


def has_number(folder: Path, number: int) -> bool:
    return any(json.loads(path.read_text())["number"] == number for path in folder.glob("*.json"))


def await_model(room: ConsortiumRoom, model: str, role: str = "champion") -> None:
    """Wait until every bank has taken a promotion."""
    for name in room.names:
        room.wait(lambda: in_force(room, name).get(role) == model, f"{name} to take the {role}")  # noqa: B023 - at once


def sign(room: ConsortiumRoom, model: str, names: list[str], role: str = "champion", reason: str = "") -> None:
    """Leave a person's decision at these banks, as `creditmesh-node sign` does."""
    decision = ("reject" if reason else "approve", reason, "risk-1")
    for name in names:
        assert model_commands.sign(room.run.nodes[name] / "node.toml", model, role, decision) == 0


def in_force(room: ConsortiumRoom, name: str) -> dict[str, Any]:
    path = room.run.nodes[name] / "promoted.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def test_a_quorum_promotes_a_crash_loses_nothing_and_a_rollback_goes_the_same_way(
    room: ConsortiumRoom, models: tuple[str, str]
) -> None:
    first, second = models

    # Two of four are a half and no quorum: nothing moves, and the ballots outlive a coordinator that is killed.
    number = proposed(room, first)
    sign(room, first, room.names[:2])
    room.wait(lambda: len(votes(room, number)) == 2, "two ballots")
    room.send("coordinator", signal.SIGKILL)
    room.processes["coordinator"].wait()
    assert all(not in_force(room, name) for name in room.names)
    assert votes(room, number) == ["bank-0", "bank-1"]
    said = at_bank(room, "bank-2", "sign", first, "--as", "champion", "--approve", "--who", "risk-2")
    assert said.code == 0 and "approve proposal 1" in said.out  # the node keeps it until somebody listens
    room.start_coordinator()
    await_model(room, first)
    assert votes(room, number) == ["bank-0", "bank-1", "bank-2"] and listed(room)["champion"] == first
    again = at_bank(room, "bank-0", "sign", first, "--as", "champion", "--approve", "--who", "x")
    again.check_one_line(NODE, 2, "proposal 1 is promoted; there is nothing to sign")

    number = proposed(room, second)
    sign(room, second, room.names[1:])
    await_model(room, second)

    older = room.folder / "older.db"
    with closing(sqlite3.connect(database(room))) as source, closing(sqlite3.connect(older)) as copy:
        source.backup(copy)

    # Back to the first one: the same way, under a new number, and said to be what it is.
    back = proposed(room, first)
    assert back == number + 1
    sign(room, first, ["bank-0", "bank-2", "bank-3"])
    await_model(room, first)
    statement = in_force(room, "bank-1")["statements"]["champion"]
    assert statement["rollback"] and statement["approved"] == ["bank-0", "bank-2", "bank-3"]
    shown = operate(room, "models", "--json")
    entry = next(each for each in json.loads(shown.out)["models"] if each["sha256"] == second)
    assert (entry["aliases"], entry["was"], entry["lineage"]["parent"]) == ([], ["champion"], first)

    # The coordinator's database is put back from a copy that knows nothing of it: the banks give it back.
    room.send("coordinator", signal.SIGKILL)
    room.processes["coordinator"].wait()
    for path in room.run.coordinator.glob("coordinator.db*"):
        path.unlink()
    shutil.copy(older, database(room))
    assert listed(room)["champion"] == second
    room.start_coordinator()
    room.wait(lambda: listed(room)["champion"] == first, "the banks to give the promotion back")
    assert votes(room, back) == ["bank-0", "bank-2", "bank-3"]


def test_what_a_third_rejects_is_closed_and_a_sleeping_bank_signs_when_it_wakes(
    room: ConsortiumRoom, models: tuple[str, str]
) -> None:
    model = models[1]
    number = proposed(room, model, "challenger")
    sign(room, model, ["bank-0", "bank-1"], "challenger", "fairness")
    room.wait(lambda: state_of(room, number) == "rejected", "the proposal to be rejected")
    assert not in_force(room, "bank-2").get("challenger")

    number = proposed(room, model, "challenger")
    assert room.stop(["bank-3"]) == {"bank-3": 0}
    sign(room, model, ["bank-1", "bank-2", "bank-3"], "challenger")
    room.wait(lambda: len(votes(room, number)) == 2, "two ballots")
    assert state_of(room, number) == "open"
    room.start_node("bank-3")
    await_model(room, model, "challenger")
    shown = json.loads(at_bank(room, "bank-3", "models", "--json").out)
    assert shown["challenger"] == listed(room)["challenger"] == model


def test_the_logs_of_both_sides_hold_and_agree(room: ConsortiumRoom, models: tuple[str, str]) -> None:
    folders = [room.run.nodes[name] for name in room.names]
    pins = folders[0] / "keys" / "members.json"
    room.stop(room.living())

    ended = run_command(command(AUDIT, "reconcile", *folders, room.run.coordinator, "--members", pins, "--json"))
    found = [finding for bank in json.loads(ended.out)["banks"] for finding in bank["findings"]]
    # A coordinator that is killed loses records that ride on a later commit; nothing graver may be missing.
    assert ended.code in (0, 3) and not [each for each in found if each["severity"] == "critical"], found
    for folder in (*folders, room.run.coordinator):
        seen = run_command(command(AUDIT, "verify", folder, "--members", pins, "--no-state", "--json"))
        assert seen.code in (0, 3), seen.out  # the last records may still wait for cosignatures

    page = room.folder / "report.html"
    run_command(command(AUDIT, "report", folders[0], room.run.coordinator, "--members", pins, "--out", page))
    assert "Models that a quorum of banks signed off" in page.read_text()

    # What a validation found is part of what was signed, and every bank compared it with its own.
    statement = json.loads((folders[1] / "promoted.json").read_text())["statements"]["challenger"]
    proposal = json.loads(statement["proposal"])
    (validation,) = (name for name in proposal["evidence"] if name.startswith("validation/"))
    assert proposal["model"] == models[1] and proposal["evidence"]["figures"] != proposal["evidence"][validation]
    figures = (folders[1] / "jobs" / validation.partition("/")[2] / "figures.json").read_bytes()
    assert hashlib.sha256(figures).hexdigest() == proposal["evidence"][validation]

    # A pack of the same records is the same archive, and says who signed what.
    packs = [room.folder / f"{place}.zip" for place in (1, 2)]
    for path in packs:
        assert operate(room, "evidence", "champion", "--out", str(path)).code == 0
    assert packs[0].read_bytes() == packs[1].read_bytes()
    with zipfile.ZipFile(packs[0]) as archive:
        assert {"manifest.json", "log-checkpoint.txt", "sign-off/1/bank-2.dsse.json"} <= set(archive.namelist())
        assert hashlib.sha256(archive.read("model.json")).hexdigest() == models[0]
    said = run_command(command(AUDIT, "sign-off", folders[0] / "promoted.json", "--members", pins))
    assert said.code == 0 and said.out.count("carries: 3 of 4 approved") == 2
    card = room.folder / "card.md"
    assert at_bank(room, "bank-0", "card", models[1][:8], "--out", str(card), "--language", "zh").code == 0
    assert all(text in card.read_text() for text in ("挑战者模型", "本行结果", validation.partition("-")[2][:4]))


def database(room: ConsortiumRoom) -> Path:
    return room.run.coordinator / "coordinator.db"


def votes(room: ConsortiumRoom, number: int) -> list[str]:
    found = [each for model in listed(room)["models"] for each in model["proposals"] if each["number"] == number]
    return [voice["member"] for voice in (*found[0]["approved"], *found[0]["rejected"])]


def state_of(room: ConsortiumRoom, number: int) -> str:
    found = [each for model in listed(room)["models"] for each in model["proposals"] if each["number"] == number]
    return str(found[0]["state"])
