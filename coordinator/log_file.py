"""The coordinator's privacy log in an SQLite file: how it is opened, and what its failures mean.

It writes no record (`coordinator.log_store`), and the lock that keeps a second process out is `coordinator.mark_file`.
Theory: WAL with `synchronous=FULL`, so a commit that returned survives a crash and a power loss.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from coordinator.state_folder import make_private
from privacy.errors import InputError
from privacy.log.journal import PRAGMAS, SCHEMA

__all__ = ["LogFile"]

_READ_PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "PRAGMA busy_timeout = 10000")


class LogFile:
    """Open connections to one file, made with mode 0600 when absent."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def open_writer(self) -> sqlite3.Connection:
        """Return the one connection that writes, with the tables and triggers made."""
        return self._connect((*PRAGMAS, *SCHEMA))

    def open_reader(self) -> sqlite3.Connection:
        """Return a connection that only reads."""
        return self._connect(_READ_PRAGMAS)

    def open_export(self) -> sqlite3.Connection:
        """Return a connection that reads the whole log, row by row."""
        return self._connect(_READ_PRAGMAS)

    def fault(self, error: Exception) -> InputError:
        """Return the one line that an error of the file or of SQLite means: `disk-full` or `log-unusable`."""
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return InputError(
                "disk-full", f"{self.name}: the disk is full; nothing is sent before the log can grow again"
            )
        return InputError("log-unusable", f"{self.name}: the log cannot be used ({error}); nothing is sent without it")

    def _connect(self, statements: Sequence[str]) -> sqlite3.Connection:
        # SQLite would make the file readable by all; its write-ahead log takes over the mode.
        make_private(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for statement in statements:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection
