"""End a process by SIGKILL at every line of reserve, record, upload and spend, and look at what the disk then says.

    python -m tests.node.kill_points FOLDER

A child process does one release as the node does it: reserve, record in the log, upload, mark as sent. Before its k-th
line in the node's files it kills itself; k goes up until it comes through. The product has no hook for this: Python's
tracing calls us before each line. It prints how many places were tried, and ends with 1 at the first upload that the
ledger lacks.
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from node.budget import Budget
from node.ledger_store import LedgerStore
from node.record_store import RecordStore
from privacy.guarantee import Guarantee
from tests.node.test_record_store import opened
from tests.privacy.logs import ORIGIN, egress
from tests.privacy.table import manifest_of, names_of
from tests.privacy.test_ledger import WIDE

__all__ = ["check", "main", "release", "uploads"]

TRACED = ("node/budget.py", "node/ledger_store.py", "node/record_store.py", "privacy/ledger.py",
          "privacy/log/appender.py", "tests/node/kill_points.py")  # fmt: skip
MANIFEST = manifest_of(names_of(5), privacy="dp", dp=Guarantee("3", "0.000001", 5_000_000))


@dataclass(frozen=True)
class Noisy:
    """A request with noise."""

    name: str = "newton-1"
    rows: str = "train"
    noise: int = 10_000
    row_l1: int = 30
    row_l2_squared: int = 900
    sampling_ppm: int = 1_000_000

    def encode(self) -> bytes:
        """Return canonical bytes."""
        return self.name.encode()


def release(folder: Path, trace: Any) -> None:
    """Do one release; the byte in `uploads` stands for the part that left."""
    log = opened(folder)
    budget = Budget(LedgerStore(folder, ORIGIN), WIDE, "dataset", lambda entry: log.defer([entry]), lambda: 5)
    sys.settrace(trace)
    _release(folder, log, budget)
    sys.settrace(None)


def _release(folder: Path, log: RecordStore, budget: Budget) -> None:
    made = budget.reserve(MANIFEST, (1, 1, 1), Noisy())
    log.append([egress(1)])
    with (folder / "uploads").open("ab", buffering=0) as stream:
        stream.write(b"1")
    budget.spend(made)


def uploads(folder: Path) -> int:
    """Return how many parts have left."""
    path = folder / "uploads"
    return path.stat().st_size if path.exists() else 0


def check(folder: Path) -> None:
    """Fail unless ledger and log hold every part that left, and fit each other."""
    log, store = opened(folder), LedgerStore(folder, ORIGIN)
    newest = log.last("dp.spend")
    recorded = [event for event in log.events(0, 10_000) if event.kind == "dp.spend"]
    if newest is not None:
        store.check_log(newest.body)
    reserved, sent = len(store.ledger.reserved), len(store.ledger.sent)
    assert sent <= uploads(folder) <= len(recorded) <= reserved, (sent, uploads(folder), len(recorded), reserved)
    entries = [int(str(event.body["entry"])) for event in recorded]
    assert entries == sorted(set(entries))
    log.close()
    store.close()


def die_before_line(number: int) -> Any:
    """Return a trace function that ends this process before the line of that number."""
    left = number

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def main(folder: Path) -> int:
    """Kill at every line in turn, all in one state folder, and check it after each."""
    tried = 0
    while True:
        tried += 1
        child = os.fork()
        if child == 0:
            release(folder, die_before_line(tried))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check(folder)
        if not os.WIFSIGNALED(status):
            break
    print(f"{tried} places, {uploads(folder)} parts left, {len(LedgerStore(folder, ORIGIN).ledger.reserved)} reserved")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
