"""Another process that looks into a live log must not take its write-ahead log away when it leaves."""

import subprocess
import sys
from pathlib import Path

from privacy.log.record import Entry
from tests.coordinator.test_log_store import opened

COUNT = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    "print(c.execute('SELECT count(*) FROM event').fetchone()[0]); c.close()"
)
ENTRY = Entry("alarm.raised", {"class": "gap", "severity": "low", "evidence": "x"})


def seen(path: Path) -> int:
    shown = subprocess.run([sys.executable, "-c", COUNT, str(path)], check=True, capture_output=True, text=True)
    return int(shown.stdout)


def test_records_written_after_a_foreign_reader_left_are_there_for_the_next(tmp_path: Path) -> None:
    store = opened(tmp_path)
    first = seen(tmp_path / "log.db")
    store.append([ENTRY] * 3)
    # The second reader stands for whoever opens the files after this process was killed.
    assert seen(tmp_path / "log.db") == first + 3
    store.close()
