"""Look at the coordinator's database while it runs: jobs, their events and rounds.

It writes nothing and imports no database library but the standard one, since a demo's launcher has to stay small.
Theory: the coordinator's tables are its working memory for whoever watches (`coordinator.tables`); SQLite in WAL mode
lets one process write while others read.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creditmesh_demo.run_record import RoundFact

__all__ = ["FINAL_STATES", "JobEvent", "JobHistory"]

FINAL_STATES = ("done", "failed")


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's history; seq grows over all jobs."""

    seq: int
    kind: str
    body: Mapping[str, Any]


class JobHistory:
    """Read the coordinator's database in its state folder."""

    def __init__(self, folder: Path) -> None:
        uri = (folder / "coordinator.db").absolute().as_uri()
        self._database = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=10.0)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def jobs(self) -> list[str]:
        """Return the ids of all jobs, oldest first."""
        return [job for (job,) in self._database.execute("SELECT id FROM jobs ORDER BY number")]

    def state(self, job: str) -> str:
        """Return a job's state."""
        (state,) = self._database.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        return str(state)

    def parameters(self, job: str) -> dict[str, Any]:
        """Return what was queued: the tables `job`, `parameters` and `schema`."""
        (text,) = self._database.execute("SELECT spec FROM jobs WHERE id = ?", (job,)).fetchone()
        return dict(json.loads(text))

    def events(self, job: str, after: int = 0) -> list[JobEvent]:
        """Return a job's events after a `seq`, oldest first."""
        rows = self._database.execute(
            "SELECT seq, kind, body FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, after)
        )
        return [JobEvent(seq, kind, json.loads(body)) for seq, kind, body in rows]

    def opened(self, job: str) -> tuple[RoundFact, ...]:
        """Return a job's opened rounds by number."""
        rows = self._database.execute(
            "SELECT number, name, survivors FROM rounds WHERE job = ? AND state = 'opened' ORDER BY number", (job,)
        )
        return tuple(RoundFact(number, name, tuple(json.loads(survivors))) for number, name, survivors in rows)
