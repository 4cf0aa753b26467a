"""SIGKILL at every line of reserve and spend never leaves an upload that the ledger lacks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The same run with a budget that writes its reservation after the part has left.
LATE = """
import sys
from pathlib import Path
from tests.node import kill_points as points

def late(folder, log, budget):
    with (folder / "uploads").open("ab", buffering=0) as stream:
        stream.write(b"1")
    made = budget.reserve(points.MANIFEST, (1, 1, 1), points.Noisy())
    log.append([points.egress(1)])
    budget.spend(made)

points._release = late
points.main(Path(sys.argv[1]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_no_kill_leaves_an_upload_that_is_not_in_the_ledger(tmp_path: Path) -> None:
    done = run("-m", "tests.node.kill_points", str(tmp_path))
    assert done.returncode == 0, done.stderr
    places = int(done.stdout.split(" places")[0].splitlines()[-1])
    assert places > 100


@pytest.mark.slow
def test_a_budget_that_writes_after_the_upload_is_found(tmp_path: Path) -> None:
    done = run("-c", LATE, str(tmp_path))
    assert done.returncode == 1 and "AssertionError: (" in done.stderr
