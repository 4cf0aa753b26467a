"""The bank's export: written down first, complete, and beside a running process a note of it."""

import hashlib
import json
from pathlib import Path

import pytest

from audit.cli import main as audit
from node import cli
from node.access import leave_note
from node.state_folder import open_state
from tests.node.bank import Bank, make_bank

Lines = pytest.CaptureFixture[str]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make_bank(tmp_path)


def export(bank: Bank, out: Path, who: str = "auditor-7") -> int:
    return cli.main(["export", "--config", str(bank.config), "--out", str(out), "--who", who])


def events(path: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line["event"]) for line in lines if "event" in line]


def test_an_export_stands_in_the_log_that_it_shows(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert export(bank, first) == 0 and export(bank, second) == 0
    assert "the export stands in the log" in capsys.readouterr().out
    (record,) = [event for event in events(second) if event["kind"] == "audit.exported"]
    body = record["body"]
    assert isinstance(body, dict)
    assert body["who"] == "auditor-7" and body["rows"] == len(events(first))
    assert body["files"] == [{"name": "first.jsonl", "sha256": hashlib.sha256(first.read_bytes()).hexdigest()}]
    assert [path.name for path in tmp_path.glob("*.draft")] == []


def test_the_auditors_tool_accepts_it(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "log.jsonl"
    assert export(bank, out) == 0
    assert audit(["verify", "--no-state", str(out)]) == 0
    told = capsys.readouterr().out
    assert "result: valid" in told and "1 files are as they were written, not signed" in told
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    assert audit(["verify", "--no-state", str(state)]) == 0
    capsys.readouterr()


def test_side_files_travel_with_it(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    assert export(bank, tmp_path / "before.jsonl") == 0
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    (state / "rounds").mkdir(exist_ok=True)
    (state / "rounds" / "job-1.jsonl").write_bytes(b'{"a":1}\n{"a":2}\n')
    assert export(bank, tmp_path / "after.jsonl") == 0
    lines = [json.loads(line) for line in (tmp_path / "after.jsonl").read_text("utf-8").splitlines()]
    assert [line for line in lines if "file" in line] == [
        {"file": "rounds/job-1.jsonl", "line": '{"a":1}'},
        {"file": "rounds/job-1.jsonl", "line": '{"a":2}'},
    ]
    capsys.readouterr()


def test_what_commands_did_while_nothing_ran_stands_in_it(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    assert export(bank, tmp_path / "first.jsonl") == 0
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    leave_note(state, "replay", "job-1/2")
    assert export(bank, tmp_path / "second.jsonl") == 0
    lines = (tmp_path / "second.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(json.loads(line).get("event", "{}")) for line in lines]
    (checked,) = [event["body"] for event in found if event.get("kind") == "access.checked"]
    assert (checked["action"], checked["resource"]) == ("replay", "job-1/2")
    assert not list((state / "access").glob("*.json"))
    capsys.readouterr()


def test_beside_a_running_process_a_note_says_what_left(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "second.jsonl"
    assert export(bank, tmp_path / "first.jsonl") == 0
    state = next(path.parent for path in tmp_path.rglob("log.db"))
    with open_state(state):
        assert export(bank, out) == 0
        assert audit(["verify", "--no-state", str(out)]) == 0
        assert list((state / "access").glob("*.json"))
    assert export(bank, tmp_path / "third.jsonl") == 0

    (body,) = [each["body"] for each in events(tmp_path / "third.jsonl") if each["kind"] == "access.checked"]
    assert isinstance(body, dict) and body["action"] == "export"
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert body["resource"] == f"{len(events(out))} records, sha256 {digest}, asked for by auditor-7"
    assert [path.name for path in tmp_path.glob("*.draft")] == []
    capsys.readouterr()


@pytest.mark.parametrize("who", ["", "a\x1b[2J", "x" * 257])
def test_whoever_asks_has_a_name(bank: Bank, tmp_path: Path, capsys: Lines, who: str) -> None:
    assert export(bank, tmp_path / "log.jsonl", who) == 2
    assert "--who" in capsys.readouterr().err


def test_nothing_is_replaced_and_a_place_is_needed(bank: Bank, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "log.jsonl"
    out.write_text("mine")
    assert export(bank, out) == 2 and out.read_text() == "mine"
    assert export(bank, tmp_path / "gone" / "log.jsonl") == 2
    assert capsys.readouterr().err.count("\n") == 2
