"""Every decision of this bank, by application: what was asked, what was answered, and who changed it.

This module decides nothing and logs nothing. Theory: an application has one answer, so its id is the key, and a second
request is answered by the bytes of the first. SQLite in WAL mode with `synchronous=FULL`: a row that was committed
survives a power cut. The file is 0600 and never leaves the bank; it holds the applicant's fields, which explanation
and review need, while the decision log holds only digests of them.

Table `decision`: see `_COLUMNS`; `score`, `pd` and `grade` are null where nothing could be scored. Table `override`: a
person's word on a decision, in order.
"""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["DecisionStore", "OverrideRow", "Row"]

_COLUMNS = """
    application_id TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL UNIQUE,
    decided_us INTEGER NOT NULL,
    month TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    policy_sha256 TEXT NOT NULL,
    score INTEGER,
    pd REAL,
    grade TEXT,
    outcome TEXT NOT NULL,
    segment TEXT NOT NULL,
    challenger_sha256 TEXT NOT NULL,
    challenger_score INTEGER,
    challenger_logit REAL,
    caller TEXT NOT NULL,
    ref TEXT NOT NULL,
    nonce TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    body BLOB NOT NULL,
    answer BLOB NOT NULL
"""
_OVERRIDE = """
    number INTEGER PRIMARY KEY,
    application_id TEXT NOT NULL REFERENCES decision (application_id),
    given_us INTEGER NOT NULL,
    caller TEXT NOT NULL,
    role TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    reason_code TEXT NOT NULL
"""
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA trusted_schema = OFF",
            "PRAGMA busy_timeout = 10000", "PRAGMA foreign_keys = ON")  # fmt: skip
_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS decision ({_COLUMNS}) STRICT",
    f"CREATE TABLE IF NOT EXISTS override ({_OVERRIDE}) STRICT",
    "CREATE INDEX IF NOT EXISTS decision_month ON decision (month)",
    "CREATE INDEX IF NOT EXISTS override_application ON override (application_id)",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One decision, as the table holds it; the fields are the columns, in order."""

    application_id: str
    decision_id: str
    decided_us: int
    month: str
    model_sha256: str
    policy_sha256: str
    score: int | None
    pd: float | None
    grade: str | None
    outcome: str
    segment: str
    challenger_sha256: str
    challenger_score: int | None
    challenger_logit: float | None
    caller: str
    ref: str
    nonce: str
    body_sha256: str
    body: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One person's word on a decision: who, in which role, from which outcome to which, and why, as a code."""

    application_id: str
    given_us: int
    caller: str
    role: str
    before: str
    after: str
    reason_code: str


# Every statement is put together from the names of this module's own columns, never from a caller's text.
_COLUMN_NAMES = tuple(item.name for item in fields(Row))
_NAMES = ", ".join(_COLUMN_NAMES)
_INSERT = f"INSERT INTO decision ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMN_NAMES))})"  # noqa: S608
_FIND = f"SELECT {_NAMES} FROM decision WHERE application_id = ?"  # noqa: S608
_FORGET = "DELETE FROM decision WHERE application_id = ?"
_NEWEST = f"SELECT {_NAMES} FROM decision ORDER BY rowid DESC LIMIT ?"  # noqa: S608
_SAID_NAMES = tuple(item.name for item in fields(OverrideRow))
_SAID = ", ".join(_SAID_NAMES)
_SAY = f"INSERT INTO override ({_SAID}) VALUES ({', '.join('?' * len(_SAID_NAMES))})"  # noqa: S608
_HEAR = f"SELECT {_SAID} FROM override WHERE application_id = ? ORDER BY number"  # noqa: S608
_row_values = attrgetter(*_COLUMN_NAMES)
_said_values = attrgetter(*_SAID_NAMES)


class DecisionStore:
    """Keep decisions in `decisions.db` of a state folder; one writer, readers from any thread."""

    def __init__(self, state: Path) -> None:
        """Open the file, made (0600) if it is absent; raise `InputError` where it cannot be used."""
        self._path = state / "decisions.db"
        self._lock = threading.Lock()
        try:
            self._path.touch(mode=0o600)
            self._writer = self._connect()
            for statement in _SCHEMA:
                self._writer.execute(statement)
            self._reader = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error

    def keep(self, rows: Sequence[Row]) -> None:
        """Write decisions in one transaction, durable on return; raise `InputError` where that fails."""
        self._write(_INSERT, [_row_values(row) for row in rows])

    def forget(self, application_ids: Sequence[str]) -> None:
        """Remove decisions that were never answered, durably; for `node.scorer.recorder` alone."""
        self._write(_FORGET, [(each,) for each in application_ids])

    def keep_override(self, row: OverrideRow) -> None:
        """Write one override, durable on return."""
        self._write(_SAY, [_said_values(row)])

    def find(self, application_id: str) -> Row | None:
        """Return the decision on an application, None where there is none."""
        found = self._read(_FIND, (application_id,))
        return Row(*found[0]) if found else None

    def overrides(self, application_id: str) -> list[OverrideRow]:
        """Return what people said of a decision, oldest first."""
        return [OverrideRow(*found) for found in self._read(_HEAR, (application_id,))]

    def newest(self, count: int) -> list[Row]:
        """Return the newest decisions, newest first."""
        return [Row(*found) for found in self._read(_NEWEST, (count,))]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._writer.executemany(statement, rows)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _read(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._reader.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        return connection

    def _fault(self, error: sqlite3.Error | OSError) -> InputError:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return InputError("disk-full", f"{self._path}: the disk is full; nothing is decided before it can be kept")
        return InputError("decisions-unusable", f"{self._path}: cannot be used ({type(error).__name__})")
