"""Outcomes are taken whole or not at all, once however often they come, and are never lost or changed in silence."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.cli import main
from node.outcome_store import Outcome, OutcomeStore
from node.outcomes import Taken, outcomes_of_file, take_outcomes
from privacy.errors import InputError
from tests.node.connectors.small_bank import FIELDS, SETTINGS, write_small_bank
from tests.node.decisions import decide

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "application_id,result,on\n"


def state_of(folder: Path) -> Path:
    for number in range(3):
        decide(folder / "state", f"A{number}", datetime(2025, 3, 10 + number))  # noqa: DTZ001
    return folder / "state"


def take(folder: Path, *lines: str, correct: bool = False) -> Taken:
    path = folder / "outcomes.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return take_outcomes(folder / "state", outcomes_of_file(path), None, NOW, correct=correct)


def kept(state: Path) -> dict[str, str]:
    store = OutcomeStore(state)
    found: dict[str, str] = {name: each.result for name, each in store.newest().items()}
    store.close()
    return found


def test_outcomes_are_taken_once_however_often_they_come(tmp_path: Path) -> None:
    state = state_of(tmp_path)

    assert take(tmp_path, "A0,repaid,2026-04-01", "A1,bad,2025-09-01") == Taken(2, 2, 0, 0, 0)
    assert take(tmp_path, "A0,repaid,2026-04-01", "A1,bad,2025-10-01", "A2,bad,2026-01-01") == Taken(3, 1, 2, 0, 0)

    assert kept(state) == {"A0": "repaid", "A1": "bad", "A2": "bad"}
    assert (state / "outcomes.db").stat().st_mode & 0o777 == 0o600


def test_the_same_line_twice_is_one_outcome(tmp_path: Path) -> None:
    state_of(tmp_path)

    assert take(tmp_path, "A0,repaid,2026-04-02", "A0,repaid,2026-04-01") == Taken(2, 1, 0, 0, 0)

    store = OutcomeStore(tmp_path / "state")
    assert store.newest()["A0"].ended_on == "2026-04-01"  # the day it was known first
    store.close()


def test_applications_never_decided_here_are_left_out_and_counted(tmp_path: Path) -> None:
    state = state_of(tmp_path)

    assert take(tmp_path, "A0,repaid,2026-04-01", "X9,bad,2026-04-01") == Taken(2, 1, 0, 0, 1)
    assert kept(state) == {"A0": "repaid"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["A1,repaid,2026-01-01", "A1,bad,2026-01-01"], "1 applications with two different results"),
        (["A1,bad,2025-03-10"], "1 outcomes of before the decision"),
        (["A1,bad,2026-06-02"], "1 outcomes dated ahead of today"),
        (["A1,late,2026-01-01"], "1 results other than repaid, bad"),
        (["A1,,2026-01-01"], "1 cells of column result empty"),
        (["A1,bad,"], "1 cells of column on empty"),
        (["A1,bad,soon"], "1 cells of column on empty or unreadable"),
        ([",bad,2026-01-01"], "1 cells of column application_id empty"),
        (["A0,bad,2026-04-01"], "1 results that contradict what is known"),
    ],
)
def test_a_table_with_a_fault_is_refused_whole(tmp_path: Path, lines: list[str], said: str) -> None:
    state = state_of(tmp_path)
    take(tmp_path, "A0,repaid,2026-04-01")

    with pytest.raises(InputError) as caught:
        take(tmp_path, "A2,bad,2026-02-01", *lines)

    assert said in caught.value.message and "\n" not in caught.value.message and "late" not in caught.value.message
    assert kept(state) == {"A0": "repaid"}


def test_a_correction_keeps_both_and_the_newest_counts(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    take(tmp_path, "A0,repaid,2026-04-01")

    assert take(tmp_path, "A0,bad,2026-05-01", correct=True) == Taken(1, 0, 0, 1, 0)

    assert kept(state) == {"A0": "bad"}
    with sqlite3.connect(state / "outcomes.db") as connection:
        assert connection.execute("SELECT result FROM outcome ORDER BY number").fetchall() == [("repaid",), ("bad",)]
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outcome SET result = 'repaid'",
        "DELETE FROM outcome",
        "INSERT OR REPLACE INTO outcome VALUES (1, 'A0', 'repaid', '2026-04-01', 1, '')",
    ],
)
def test_an_outcome_cannot_be_changed_or_removed(tmp_path: Path, statement: str) -> None:
    store = OutcomeStore(tmp_path)
    store.add([Outcome("A0", "bad", "2026-04-01")], 1, "0" * 64)

    with pytest.raises(sqlite3.IntegrityError):
        store._connection.execute(statement)

    assert store.newest()["A0"].result == "bad"
    store.close()


def test_outcomes_come_by_the_command_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_of(tmp_path)
    settings = SETTINGS + (
        '[outcomes]\ndatabase = "loans"\nsql = "SELECT id, status, closed FROM loans WHERE status <> \'open\'"\n'
        'application = "id"\nresult = "status"\non = "closed"\nvalues = { P = "repaid", D = "bad" }\n'
        '[database.loans]\nurl = "sqlite:///loans.db"\n'
    )
    connectors, _ = write_small_bank(tmp_path, FIELDS, settings)
    with sqlite3.connect(tmp_path / "loans.db") as connection:
        connection.execute("CREATE TABLE loans (id TEXT, status TEXT, closed TEXT)")
        lines = [("A0", "P", "2026-01-01"), ("A1", "D", "2026-01-01"), ("A2", "open", None), ("Z", "D", "2026-01-01")]
        connection.executemany("INSERT INTO loans VALUES (?, ?, ?)", lines)
    connection.close()
    (tmp_path / "node.toml").write_text(
        '[member]\nid = "bank"\n[coordinator]\nendpoint = "127.0.0.1:9"\n'
        '[tls]\nca = "a"\ncertificate = "b"\nkey = "c"\n[identity]\nkey = "d"\npeers = "e"\n'
        '[source]\ntable = "t.csv"\nschema = "schema.toml"\n[state]\ndir = "state"\n'
    )
    command = ["outcomes", "--connectors", str(connectors), "--config", str(tmp_path / "node.toml")]

    assert main(command) == 3
    assert capsys.readouterr().out == (
        "2 outcomes taken, 0 known already, 0 corrected, 1 left out: applications this node never decided\n"
    )
    assert main([*command, "--json"]) == 3
    assert kept(tmp_path / "state") == {"A0": "repaid", "A1": "bad"}
    assert main(["outcomes", "--config", str(tmp_path / "node.toml")]) == 2
