"""The coordinator's privacy log in a PostgreSQL database: how it is opened and locked, and what its failures mean.

The statements are those of `privacy.log.journal`; here the few that differ are translated. It writes no record
(`coordinator.log_store`). Theory: whoever writes holds an advisory lock for as long as its connection lives, so one
sequencer gives all numbers and a second one is refused, also on another machine; a connection that broke is never
opened again under a running process, since the lock may have gone to another. With `synchronous_commit = on` and the
server's `fsync`, a commit that returned is on disk. The high-water mark stays with the coordinator: a database that was
put back from a copy is smaller than it.
"""

import hashlib
from itertools import count
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from privacy.errors import InputError
from privacy.log.journal import POSTGRES_SCHEMA, TABLES

__all__ = ["LogServer", "ServerConnection"]

# One log to a database: the lock's number is the same for every coordinator.
_LOCK = int.from_bytes(hashlib.sha256(b"creditmesh/privacy-log/v1").digest()[:8], "big", signed=True)
# A server takes a moment to see that a killed process is gone; a second coordinator stays longer than that.
_PATIENCE_MS = 10_000
# A server that went silent is given up after about twenty seconds.
_LINK: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20000,
    "client_encoding": "utf8",
    "application_name": "creditmesh-coordinator",
}
_TRIGGERS = """
    SELECT count(*) FROM pg_trigger
    WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgrelid IN (SELECT to_regclass(name) FROM unnest(?::text[]) name)
"""
_ROWS_AT_ONCE = 1000


class ServerConnection:
    """An open connection that takes SQLite's spelling; a `Database` of `privacy.log.journal`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Say whether a transaction is open; False when the connection is gone, and the transaction with it."""
        return self._connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one statement and return its rows."""
        return self._connection.execute(_translated(sql), parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Run one statement for every row of parameters, in one exchange with the server."""
        cursor = self._connection.cursor()
        cursor.executemany(_translated(sql), parameters)
        return cursor

    def close(self) -> None:
        """Give the connection back, and the lock with it."""
        self._connection.close()


class _Export(ServerConnection):
    """A connection whose rows come a thousand at a time, all of the same moment."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(connection)
        self._numbers = count()

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one query whose rows stay at the server until they are asked for."""
        cursor = self._connection.cursor(name=f"export_{next(self._numbers)}")
        cursor.itersize = _ROWS_AT_ONCE
        return cursor.execute(_translated(sql), parameters)


class LogServer:
    """Open connections to one database."""

    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, url: str) -> None:
        """Take the URL of `[log]`, which holds no password; nothing is opened yet."""
        self.name = url.partition("?")[0]
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)

    def open_writer(self) -> ServerConnection:
        """Return the one connection that writes, with the lock held and the tables checked or made.

        Raises:
            InputError: `log-in-use` or `log-unusable`.
            psycopg.Error: of the connection; `fault` has the line for it.
        """
        connection = psycopg.connect(make_conninfo(self._url, **_LINK), autocommit=True)
        database = ServerConnection(connection)
        try:
            connection.execute("SET synchronous_commit = on")
            self._lock(database)
            self._check_server(database)
            self._check_tables(database)
        except BaseException:
            connection.close()
            raise
        return database

    def open_reader(self) -> ServerConnection:
        """Return a connection that only reads."""
        connection = psycopg.connect(make_conninfo(self._url, **_LINK), autocommit=True)
        connection.execute("SET default_transaction_read_only = on")
        return ServerConnection(connection)

    def open_export(self) -> ServerConnection:
        """Return a connection that reads the whole log, so many rows at a time, as it was at its first query."""
        connection = psycopg.connect(make_conninfo(self._url, **_LINK))
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return _Export(connection)

    def fault(self, error: Exception) -> InputError:
        """Return the one line that an error of the server means: `disk-full` or `log-unusable`."""
        if isinstance(error, psycopg.errors.DiskFull):
            text = f"{self.name}: the server's disk is full; nothing is sent before the log can grow again"
            return InputError("disk-full", text)
        # Later lines of the server's messages may quote a row.
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        return InputError("log-unusable", f"{self.name}: the log cannot be used ({reason}); nothing is sent without it")

    def _lock(self, database: ServerConnection) -> None:
        database.execute(f"SET lock_timeout = {_PATIENCE_MS}")
        try:
            database.execute("SELECT pg_advisory_lock(?)", (_LOCK,))
        except psycopg.errors.LockNotAvailable:
            raise InputError("log-in-use", f"{self.name}: another process writes this log; stop it first") from None
        database.execute("SET lock_timeout = 0")

    def _check_server(self, database: ServerConnection) -> None:
        for setting, wanted in (("fsync", "on"), ("session_replication_role", "origin")):
            (found,) = database.execute("SELECT current_setting(?)", (setting,)).fetchone()
            if found != wanted:
                text = f"{self.name}: found {setting} = {found}, expected {wanted}; records could be lost or changed"
                raise InputError("log-unusable", text)

    def _check_tables(self, database: ServerConnection) -> None:
        names = (list(TABLES),)
        (found,) = database.execute("SELECT count(to_regclass(name)) FROM unnest(?::text[]) name", names).fetchone()
        if found == 0:
            database.execute("BEGIN")
            for statement in POSTGRES_SCHEMA:
                database.execute(statement)
            database.execute("COMMIT")
        (triggers,) = database.execute(_TRIGGERS, names).fetchone()
        if triggers != 2 * len(TABLES):
            text = f"{self.name}: found {triggers} append-only triggers on the log's tables, expected {2 * len(TABLES)}"
            raise InputError("log-unusable", f"{text}; make them by `creditmesh-coordinator log-tables`")


def _translated(sql: str) -> bytes:
    # No statement of the log holds a question mark or a percent sign that means itself.
    return sql.replace("BEGIN IMMEDIATE", "BEGIN").replace("?", "%s").encode("ascii")
