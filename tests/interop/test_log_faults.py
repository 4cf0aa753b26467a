"""The table of faults names tests that exist, and the one fault that is about size is played here."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.bench.million_events import build, verify

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "log-faults.md"


def test_every_case_has_a_test_that_exists() -> None:
    rows = re.findall(r"^\| (\d+)[a-c]? \|.*\| ([^|]+) \|$", TABLE.read_text("utf-8"), re.MULTILINE)

    assert {int(number) for number, _ in rows} == set(range(1, 26))
    for number, named in rows:
        if number == "15":
            assert named.startswith("not testable here")
            continue
        path, _, test = named.partition("::")
        text = (ROOT / path).read_text("utf-8")
        assert not test or f"def {test}(" in text, named


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads a child's largest memory as Linux counts it")
def test_verifying_twice_as_many_records_takes_little_more_memory(tmp_path: Path) -> None:
    peaks = []
    for events in (10_000, 40_000):
        folder = tmp_path / str(events)
        folder.mkdir()
        build(folder, events, 500)
        found = verify(folder)
        assert found.code == 0
        peaks.append(found.peak_bytes)
        os.remove(folder / "log.db")
    # 30 000 events more are 23 MB on disk; what is kept of each is a digest of its message id.
    assert peaks[1] - peaks[0] < 12_000_000, peaks
