"""Read the rows of a SELECT from a bank's database, by cursor, in a transaction that cannot write.

This module keeps no row and makes no statement of its own but the one that asks for a single applicant. Theory: the
bank's core system is read once, in batches, and never burdened twice; the statement runs read-only, so that neither a
slip in it nor a function it calls changes anything. A password comes from the environment or a file of mode 0600 and
stands in no message: what a driver says is repeated only where it can quote neither a row nor a credential.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from node.connectors.settings import Database
from privacy.errors import InputError

__all__ = ["BATCH_ROWS", "read_rows"]

BATCH_ROWS = 20_000
_LARGEST_PASSWORD = 4096
# SQLSTATE classes whose text speaks of the statement or the server: syntax and names, connections, log-in.
_PLAIN_STATES = ("42", "08", "28")


def read_rows(
    name: str, database: Database, select: str, only: tuple[str, str] | None = None
) -> Iterator[tuple[tuple[str, ...], list[tuple[str | None, ...]]]]:
    """Yield (column names, batch of rows as texts) of a SELECT; at least one batch, which may be empty.

    name: the database's name in the file, for messages. only: a column and the one value of it that is wanted.
    Dates and times come in ISO 8601, times in UTC. Raises `InputError` for a database that cannot be used.
    """
    inner = sa.text(select.strip().removesuffix(";").replace("\\", "\\\\").replace(":", "\\:") + "\n")
    statement: sa.Executable = inner
    if only is not None:
        # A value without a type takes the column's, so a database can use its index.
        rows = inner.columns(sa.column(only[0])).subquery("source_rows")
        wanted = sa.bindparam("wanted", only[1], type_=sa.types.NullType())
        statement = sa.select(sa.literal_column("*")).select_from(rows).where(rows.c[only[0]] == wanted)
    with _reading(name, database) as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(statement)
        names = tuple(result.keys())
        some = False
        while batch := result.fetchmany(BATCH_ROWS):
            some = True
            yield names, [tuple(_text(cell) for cell in row) for row in batch]
        if not some:
            yield names, []


@contextmanager
def _reading(name: str, database: Database) -> Iterator[sa.Connection]:
    engine = _engine(name, database)
    try:
        with engine.connect() as connection:
            guard = "PRAGMA query_only = ON" if engine.dialect.name == "sqlite" else "SET TRANSACTION READ ONLY"
            connection.exec_driver_sql(guard)
            yield connection
            connection.rollback()
    except sa.exc.SQLAlchemyError as error:
        raise InputError("database", f"database {name}: {_reason(error)}") from None
    finally:
        engine.dispose()


def _engine(name: str, database: Database) -> sa.Engine:
    try:
        url = sa.make_url(database.url)
    except sa.exc.ArgumentError:
        raise InputError("database-url", f"database {name}: url is none that SQLAlchemy reads") from None
    if url.password is not None or any("pass" in key.lower() for key in url.query):
        message = f"database {name}: url holds a password; expected it in password_env or password_file"
        raise InputError("database-password", message)
    password = _password(name, database)
    if url.get_backend_name() == "sqlite":
        # A name that is wrong would make an empty database there.
        if not Path(url.database or "").is_file():
            raise InputError("database-url", f"database {name}: no SQLite file {url.database}")
        url = url.set(database=f"file:{quote(str(url.database))}", query={"mode": "ro", "uri": "true"})
    try:
        return sa.create_engine(url if password is None else url.set(password=password), hide_parameters=True)
    except (sa.exc.SQLAlchemyError, ImportError):
        message = f"database {name}: no driver for {url.drivername!r} is installed here"
        raise InputError("database-driver", message) from None


def _password(name: str, database: Database) -> str | None:
    if database.password_env is not None:
        found = os.environ.get(database.password_env)
        if not found:
            message = f"database {name}: the environment variable {database.password_env} is not set; set it"
            raise InputError("database-password", message)
        return found
    if database.password_file is None:
        return None
    path = database.password_file
    try:
        with path.open(encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            found = stream.read(_LARGEST_PASSWORD).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("database-password", f"{path}: cannot be read ({type(error).__name__})") from None
    if mode & 0o077:
        raise InputError("database-password", f"{path}: mode {mode:04o}, expected 0600; run chmod 600 on it")
    if not found:
        raise InputError("database-password", f"{path}: the file is empty; expected a password")
    return found


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None)
    kind = type(cause or error).__name__
    state = str(getattr(cause, "sqlstate", "") or "")
    # SQLite's errors of preparing a statement name tables and columns; so do the states above. Others may quote a cell.
    plain = isinstance(error, sa.exc.OperationalError) and not state
    if cause is None or not (plain or state.startswith(_PLAIN_STATES)):
        return f"the query failed ({kind}{' ' + state if state else ''})"
    first = str(cause).strip().splitlines()[0] if str(cause).strip() else kind
    return f"{first[:200]} ({kind})"


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, datetime):
        moment = cell if cell.tzinfo is None else cell.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="microseconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, bytes | memoryview | Mapping | list):
        raise InputError(
            "database-type", "a column of the SELECT is binary or nested; expected numbers, texts or dates"
        )
    return str(cell)
