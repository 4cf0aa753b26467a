"""Copy tables out of a database as lines of JSON, and back into another one, SQLite or PostgreSQL.

It opens no file. Theory: one transaction that sees one moment copies every table while others write; the lines name
their table and columns, so a copy of one engine goes into the other.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine, MetaData, insert, inspect, select, text

from coordinator import tables
from coordinator.database import explained, newest_revision, upgrade
from coordinator.log_store import LogConnection
from privacy.errors import InputError, VerificationError
from privacy.log.journal import TABLES

__all__ = ["check_log_empty", "copy_database", "copy_log", "fill_database", "fill_log"]

_BATCH = 500
_SNAPSHOT = {"sqlite": "BEGIN", "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"}
_LOG_COLUMNS = {"event": 2, "hash": 2, "checkpoint": 2, "receipt": 3, "cosignature": 3}


def copy_database(engine: Engine, out: BinaryIO) -> None:
    """Write every row of every table as it is at one moment."""
    with explained(), engine.connect() as connection:
        # Python's SQLite driver begins no transaction for reading by itself.
        connection.exec_driver_sql(_SNAPSHOT[engine.dialect.name])
        for table in tables.metadata.sorted_tables:
            _line(out, {"table": table.name, "columns": [column.name for column in table.columns]})
            keys = list(table.primary_key.columns)
            for row in connection.execution_options(stream_results=True).execute(select(table).order_by(*keys)):
                _line(out, [_packed(value) for value in row])
        connection.rollback()


def fill_database(engine: Engine, revision: str, lines: Iterable[bytes]) -> None:
    """Make the schema of `revision` in an empty database, put the rows there, and bring it up to date.

    Raises `InputError` if it is not empty or the copy is of later software, `VerificationError` for a damaged copy.
    """
    if revision > newest_revision():
        message = f"the backup has schema {revision}, this software knows up to {newest_revision()}"
        raise InputError("backup-newer", f"{message}; install the release that made it, or a later one")
    with explained():
        if inspect(engine).get_table_names():
            raise InputError(
                "database-not-empty", "the database to restore into holds tables already; name an empty one"
            )
        upgrade(engine, revision)
        found = MetaData()
        found.reflect(engine)
        with engine.begin() as connection:
            for name, columns, rows in _batches(lines):
                if name not in found.tables or not set(columns) <= set(found.tables[name].columns.keys()):
                    raise VerificationError("backup-damaged", f"the backup names a table {name} that its schema lacks")
                values = [dict(zip(columns, row, strict=True)) for row in rows]
                connection.execute(insert(found.tables[name]), values)
            if engine.dialect.name == "postgresql":
                _count_on(connection)
        upgrade(engine)


def copy_log(database: LogConnection, out: BinaryIO) -> None:
    """Write every record of a privacy log; the connection sees one moment."""
    for table in TABLES:
        _line(out, {"table": table, "columns": _LOG_COLUMNS[table]})
        for row in database.execute(f"SELECT * FROM {table} ORDER BY 1"):  # noqa: S608 - names of our own
            _line(out, [_packed(bytes(value) if isinstance(value, memoryview) else value) for value in row])


def check_log_empty(database: LogConnection) -> None:
    """Raise `InputError` if a log holds records."""
    if database.execute("SELECT count(*) FROM event").fetchone()[0]:
        raise InputError("log-not-empty", "the log to restore into holds records already; name an empty one")


def fill_log(database: LogConnection, lines: Iterable[bytes]) -> None:
    """Put the records into a log that has none; raises `InputError` if it has."""
    check_log_empty(database)
    database.execute("BEGIN IMMEDIATE")
    for table, columns, rows in _batches(lines):
        if table not in TABLES or columns != _LOG_COLUMNS[table]:
            raise VerificationError("backup-damaged", f"the backup names a table {table} that a log lacks")
        places = ", ".join("?" * columns)
        database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - names of our own
    database.execute("COMMIT")


def _batches(lines: Iterable[bytes]) -> Iterator[tuple[str, Any, list[list[Any]]]]:
    name, columns, rows = "", None, list[list[Any]]()
    for line in lines:
        entry = json.loads(line)
        if isinstance(entry, dict) or len(rows) == _BATCH:
            if rows:
                yield name, columns, rows
            rows = []
        if isinstance(entry, dict):
            name, columns = entry["table"], entry["columns"]
        else:
            rows.append([_unpacked(value) for value in entry])
    if rows:
        yield name, columns, rows


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL's sequences go on after the numbers that were put in."""
    for table in tables.metadata.tables.values():
        key = next(iter(table.primary_key.columns))
        where = {"table": table.name, "column": key.name}
        sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), where).scalar()
        newest = connection.execute(select(key).order_by(key.desc()).limit(1)).scalar() if sequence else None
        if newest is not None:
            connection.execute(text("SELECT setval(:sequence, :newest)"), {"sequence": sequence, "newest": newest})


def _line(out: BinaryIO, value: object) -> None:
    out.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8") + b"\n")


def _packed(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode("ascii")} if isinstance(value, bytes) else value


def _unpacked(value: Any) -> Any:
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value
