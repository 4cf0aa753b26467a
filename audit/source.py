"""Open a log for verification: a state directory of a node or the coordinator, or an export.

Reads only; a directory's database is opened read-only, also while its owner writes. What is read is bytes of unknown
truth: everything is judged by `privacy.log.verify`. A state directory holds `log.db`, `log.vkey`, `origin` and, beside
the database, the high-water mark `log.mark` and the side files `rounds/*.jsonl`. Exports are read by `audit.exported`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from audit.exported import open_jsonl, open_tiles
from audit.opened import OpenLog, read_line
from privacy.errors import InputError, VerificationError
from privacy.log.mark import MARK_BYTES, decode_mark
from privacy.log.note import VerifierKey
from privacy.log.verify import KnownHead, LogSource

__all__ = ["OpenLog", "open_log"]

_LINE_LIMIT_BYTES = 1 << 20


@contextmanager
def open_log(path: Path, key: VerifierKey | None) -> Iterator[OpenLog]:
    """Open a directory or an export; `key` replaces the public key found there.

    Raises:
        InputError: `no-log` or `log-unreadable` when there is nothing that could be a log.
        VerificationError: `log-damaged` when there is one that cannot be read as such.
    """
    if path.is_dir() and (path / "checkpoint").is_file() and not (path / "log.db").exists():
        yield open_tiles(path, key)
    elif path.is_dir():
        with _open_directory(path, key) as log:
            yield log
    elif path.is_file():
        yield open_jsonl(path, key)
    else:
        raise InputError("no-log", f"{path}: no such file or directory; name a state directory or an export")


@contextmanager
def _open_directory(path: Path, key: VerifierKey | None) -> Iterator[OpenLog]:
    database = path / "log.db"
    if not database.is_file():
        raise InputError(
            "no-log", f"{path}: holds no log.db; name a state directory, or the export of a log on a server"
        )
    origin = read_line(path / "origin")
    own = key is None
    key = key or VerifierKey.parse(read_line(path / "log.vkey"))
    heads = _mark(path / "log.mark", origin)
    try:
        with closing(_connect(database)) as connection:
            # One transaction: events, hashes and checkpoints of the same moment, also while the owner appends.
            connection.execute("BEGIN")
            _check_tables(connection, database)
            yield OpenLog(
                path=path,
                origin=origin,
                key=key,
                own_key=own,
                bare=lambda: _database_source(connection, origin, key, heads),
                rounds=lambda: _side_files(path / "rounds"),
            )
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # The database's own messages quote what they stumble over, which need not be text.
        raise VerificationError("log-damaged", f"{database}: cannot be read as a log ({error})") from error


def _connect(database: Path) -> sqlite3.Connection:
    # A database that was closed in order needs no shared-memory file, so it can be read from a read-only medium.
    live = database.with_name(database.name + "-wal").exists()
    options = "mode=ro" if live else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _check_tables(connection: sqlite3.Connection, database: Path) -> None:
    """Refuse a database whose tables are views: one of them can be made to yield rows for ever."""
    others = (
        "SELECT name FROM sqlite_master WHERE sql NOT LIKE 'CREATE TABLE%' AND sql NOT LIKE 'CREATE TRIGGER%' "
        "AND sql NOT LIKE 'CREATE INDEX%' AND sql NOT LIKE 'CREATE UNIQUE INDEX%'"
    )
    if connection.execute(others).fetchone():
        raise VerificationError("log-damaged", f"{database}: holds more than the tables of a log")


def _database_source(
    connection: sqlite3.Connection, origin: str, key: VerifierKey, heads: tuple[KnownHead, ...]
) -> LogSource:
    def column(sql: str) -> Iterator[bytes]:
        return (_blob(row[0]) for row in connection.execute(sql))

    receipts = connection.execute("SELECT msg_id, receipt FROM receipt ORDER BY number")
    return LogSource(
        origin=origin,
        key=key,
        events=column("SELECT event FROM event ORDER BY seq"),
        checkpoints=column("SELECT note FROM checkpoint ORDER BY size"),
        hashes=column("SELECT value FROM hash ORDER BY position"),
        receipts=((str(msg_id), _blob(receipt)) for msg_id, receipt in receipts),
        heads=heads,
        cosignatures=_cosignatures(connection),
    )


def _cosignatures(connection: sqlite3.Connection) -> Iterator[tuple[int, str]] | None:
    # A log that was written before there were witnesses has no such table.
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cosignature'").fetchone():
        return None
    rows = connection.execute("SELECT size, line FROM cosignature ORDER BY number")
    return ((int(size), _blob(line).decode("utf-8", "replace")) for size, line in rows)


def _side_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as stream:
            while line := stream.readline(_LINE_LIMIT_BYTES):
                yield f"rounds/{path.name}", line.removesuffix(b"\n")


def _blob(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _mark(path: Path, origin: str) -> tuple[KnownHead, ...]:
    if not path.is_file():
        return ()
    with path.open("rb") as stream:
        mark = decode_mark(stream.read(MARK_BYTES))
    if mark.origin != origin:
        raise VerificationError("origin-mismatch", f"{path}: is of another log than {origin}")
    return (KnownHead("the high-water mark", mark.size, mark.root),)
