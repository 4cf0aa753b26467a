"""How loans ended, by application: `outcomes.db` in the state folder.

This module judges no outcome (`node.outcomes` does). Theory: an outcome is evidence and is never changed: a correction
is one more row, the newest counts, and triggers keep rows from being altered or removed. SQLite in WAL mode with
`synchronous=FULL`: what was taken survives a power cut. The file is 0600 and never leaves the bank. It joins
`decisions.db` by application id.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from privacy.errors import InputError

__all__ = ["Outcome", "OutcomeStore"]

Result = Literal["repaid", "bad"]

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS outcome (
        number INTEGER PRIMARY KEY,
        application_id TEXT NOT NULL,
        result TEXT NOT NULL CHECK (result IN ('repaid', 'bad')),
        ended_on TEXT NOT NULL,
        taken_us INTEGER NOT NULL,
        origin_sha256 TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS outcome_application ON outcome (application_id)",
    """CREATE TRIGGER IF NOT EXISTS outcome_stays BEFORE UPDATE ON outcome
        BEGIN SELECT RAISE(ABORT, 'outcomes are never changed'); END""",
    """CREATE TRIGGER IF NOT EXISTS outcome_remains BEFORE DELETE ON outcome
        BEGIN SELECT RAISE(ABORT, 'outcomes are never removed'); END""",
)
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA trusted_schema = OFF",
            "PRAGMA busy_timeout = 10000", "PRAGMA recursive_triggers = ON")  # fmt: skip
_NEWEST = """SELECT application_id, result, ended_on FROM outcome
    WHERE number IN (SELECT max(number) FROM outcome GROUP BY application_id)"""
_INSERT = "INSERT INTO outcome (application_id, result, ended_on, taken_us, origin_sha256) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one application's loan ended; ended_on: `YYYY-MM-DD`, the day it was known."""

    application_id: str
    result: Result
    ended_on: str


class OutcomeStore:
    """Keep outcomes; open it for one command and close it."""

    def __init__(self, state: Path) -> None:
        """Open the file, made (0600) if it is absent; raise `InputError` where it cannot be used."""
        self._path = state / "outcomes.db"
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            for statement in (*_PRAGMAS, *_SCHEMA):
                self._connection.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise InputError("outcomes-unusable", f"{self._path}: cannot be used ({type(error).__name__})") from error

    def newest(self) -> dict[str, Outcome]:
        """Return the outcome that counts of every application that has one."""
        return {str(row[0]): Outcome(*row) for row in self._connection.execute(_NEWEST)}

    def add(self, outcomes: Sequence[Outcome], taken_us: int, origin_sha256: str) -> None:
        """Add outcomes in one transaction, durable on return."""
        rows = [(each.application_id, each.result, each.ended_on, taken_us, origin_sha256) for each in outcomes]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(_INSERT, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise InputError(
                "outcomes-unusable", f"{self._path}: cannot be written ({type(error).__name__})"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
