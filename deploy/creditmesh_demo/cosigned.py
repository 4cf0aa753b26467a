"""Say whether the newest checkpoint of each log of a run has its quorum of cosignatures.

It counts lines that nodes and coordinator verified before they kept them; `creditmesh-audit verify` checks them again.
Theory: a demo that stopped its processes at once would leave the last records of every log pending, though witnesses
were about to answer.
"""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from creditmesh_demo.folders import RunFolders
from privacy.log.cosignature import read_line
from privacy.log.policy import quorum_of

__all__ = ["log_sizes", "pending_logs"]


def pending_logs(run: RunFolders, alive: Collection[str]) -> list[str]:
    """Return whose newest checkpoint is below its quorum, of the coordinator and the members whose nodes live."""
    count = len(run.members)
    wanted = {"coordinator": (run.coordinator, quorum_of(count)[0])}
    wanted |= {bank: (run.nodes[bank], quorum_of(count - 1)[0]) for bank in alive}
    return [name for name, (folder, threshold) in wanted.items() if _cosigners(folder / "log.db") < threshold]


def log_sizes(run: RunFolders, alive: Collection[str]) -> tuple[int, ...]:
    """Return how many records stand under the newest checkpoint of each of the same logs."""
    return tuple(_size(folder / "log.db") for folder in (run.coordinator, *(run.nodes[bank] for bank in alive)))


def _size(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT coalesce(max(size), 0) FROM checkpoint").fetchone()[0])


def _cosigners(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        lines = database.execute(
            "SELECT line FROM cosignature WHERE size = (SELECT max(size) FROM checkpoint)"
        ).fetchall()
    return len({read_line(line).name for (line,) in lines})
