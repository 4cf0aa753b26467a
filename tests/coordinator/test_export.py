"""The coordinator's export: written down first, complete, and beside a running process a note of it."""

import hashlib
import json
from pathlib import Path

import pytest

from audit.cli import main as audit
from coordinator import cli
from coordinator.access import leave_note
from coordinator.state_folder import open_state
from tests.coordinator.operator import Operator, make_operator

Lines = pytest.CaptureFixture[str]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path)


def export(operator: Operator, out: Path, who: str = "auditor-7") -> int:
    return cli.main(["export", "--config", str(operator.config), "--out", str(out), "--who", who])


def events(path: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line["event"]) for line in lines if "event" in line]


def test_an_export_stands_in_the_log_that_it_shows(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert export(operator, first) == 0 and export(operator, second) == 0
    lines = [json.loads(line) for line in second.read_text("utf-8").splitlines()]
    events = [json.loads(line["event"]) for line in lines if "event" in line]
    (record,) = [event for event in events if event["kind"] == "audit.exported"]
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    assert record["body"]["files"] == [{"name": "first.jsonl", "sha256": digest}]
    assert audit(["verify", "--no-state", str(first), str(second)]) == 0
    capsys.readouterr()


def test_what_commands_did_while_nothing_ran_stands_in_it(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    assert export(operator, tmp_path / "first.jsonl") == 0
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    leave_note(state, "replay", "job-1/2")
    assert export(operator, tmp_path / "second.jsonl") == 0
    lines = (tmp_path / "second.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(json.loads(line).get("event", "{}")) for line in lines]
    (checked,) = [event["body"] for event in found if event.get("kind") == "access.checked"]
    assert (checked["action"], checked["resource"]) == ("replay", "job-1/2")
    assert not list((state / "access").glob("*.json"))
    capsys.readouterr()


def test_beside_a_running_process_a_note_says_what_left(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "second.jsonl"
    assert export(operator, tmp_path / "first.jsonl") == 0
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    with open_state(state):
        assert export(operator, out) == 0
        assert audit(["verify", "--no-state", str(out)]) == 0
        assert list((state / "access").glob("*.json"))
    assert export(operator, tmp_path / "third.jsonl") == 0

    (body,) = [each["body"] for each in events(tmp_path / "third.jsonl") if each["kind"] == "access.checked"]
    assert isinstance(body, dict) and body["action"] == "export"
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert body["resource"] == f"{len(events(out))} records, sha256 {digest}, asked for by auditor-7"
    assert [path.name for path in tmp_path.glob("*.draft")] == []
    capsys.readouterr()


def test_bad_input_is_one_line(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    assert export(operator, tmp_path / "gone" / "log.jsonl") == 2
    assert export(operator, tmp_path / "log.jsonl", "") == 2
    assert capsys.readouterr().err.count("\n") == 2
