"""The table of decisions: one row an application, durable, whole or not at all."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from node.decision_store import DecisionStore, OverrideRow, Row
from privacy.errors import InputError

ROW = Row("A-1", "D-1", 1_764_000, "2026-11", "ab" * 32, "cd" * 32, 612, 0.02, "B1", "approve", '{"industry":"x"}',
          "", None, None, "till", "ef" * 32, "01" * 32, "23" * 32, b'{"x":1}', b'{"y":2}')  # fmt: skip


def other(number: int) -> Row:
    return replace(ROW, application_id=f"A-{number}", decision_id=f"D-{number}")


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path)
    unscored = replace(other(2), score=None, pd=None, grade=None)
    store.keep([ROW, unscored])
    assert store.find("A-1") == ROW and store.find("A-2") == unscored and store.find("A-3") is None
    assert store.newest(1) == [unscored]
    store.close()
    again = DecisionStore(tmp_path)
    assert again.find("A-1") == ROW
    again.close()
    assert (tmp_path / "decisions.db").stat().st_mode & 0o777 == 0o600


def test_a_group_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path)
    store.keep([ROW])
    with pytest.raises(InputError, match="cannot be used"):
        store.keep([other(2), ROW])
    assert store.find("A-2") is None
    store.keep([other(2)])
    store.forget(["A-2", "A-9"])
    assert store.find("A-2") is None and store.find("A-1") == ROW
    store.close()


def test_overrides_stand_in_order(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path)
    store.keep([ROW])
    said = [OverrideRow("A-1", 5, "wang", "risk", "approve", "refer", "R1"),
            OverrideRow("A-1", 6, "li", "account-manager", "refer", "decline", "R2")]  # fmt: skip
    for each in said:
        store.keep_override(each)
    assert store.overrides("A-1") == said and store.overrides("A-2") == []
    with pytest.raises(InputError):
        store.keep_override(replace(said[0], application_id="unknown"))
    store.close()


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "decisions.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="cannot be used") as caught:
        DecisionStore(tmp_path)
    assert "\n" not in caught.value.message


def test_a_power_cut_takes_nothing_that_was_kept(tmp_path: Path) -> None:
    store = DecisionStore(tmp_path)
    store.keep([ROW])
    # The mode that survives one is set on the connection that writes.
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with sqlite3.connect(tmp_path / "decisions.db") as reader:
        assert reader.execute("SELECT outcome, segment FROM decision").fetchall() == [("approve", ROW.segment)]
    store.close()
