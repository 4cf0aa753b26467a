"""Notes of commands on disk: whole, taken up once they are recorded, and a bad one stops nobody."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from node.access import leave_note, take_notes
from privacy.log.record import Entry


def test_a_note_is_taken_up_once(tmp_path: Path) -> None:
    found: list[Entry] = []
    assert take_notes(tmp_path, found.extend) == 0
    leave_note(tmp_path, "submit", "job-1")
    leave_note(tmp_path, "submit", "j" * 400)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert take_notes(tmp_path, found.extend) == 2
    assert take_notes(tmp_path, found.extend) == 0
    assert {entry.body["resource"] for entry in found} == {"job-1", "j" * 256}
    assert {entry.kind for entry in found} == {"access.checked"}


def test_a_note_that_could_not_be_recorded_stays(tmp_path: Path) -> None:
    def fails(_entries: Sequence[Entry]) -> None:
        raise OSError("no room")

    leave_note(tmp_path, "submit", "job-1")
    with pytest.raises(OSError, match="no room"):
        take_notes(tmp_path, fails)
    assert take_notes(tmp_path, lambda _entries: None) == 1


def test_a_note_that_nobody_can_read_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_note(tmp_path, "submit", "job-1")
    (tmp_path / "access" / "bad.json").write_bytes(b"\x00" * 5000)
    (tmp_path / "access" / "half.draft").write_bytes(b"{")
    found: list[Entry] = []
    assert take_notes(tmp_path, found.extend) == 1
    assert len(found) == 1
    assert "access_note_unreadable" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "access").iterdir()] == ["half.draft"]
