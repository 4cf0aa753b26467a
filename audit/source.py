"""Open a log for verification: a state directory of a node or the coordinator, or an export.

Reads only; a directory's database is opened read-only, also while its owner writes. What is read is bytes of unknown
truth: everything is judged by `privacy.log.verify`. A directory holds `log.db`, `log.vkey`, `origin` and, beside the
database, the high-water mark `log.mark`. An export is JSON lines, each in canonical spelling: a header, checkpoints,
events, receipts, and an end line with the digest of all lines before it.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import decode_object
from privacy.log.mark import MARK_BYTES, decode_mark
from privacy.log.note import VerifierKey
from privacy.log.verify import KnownHead, LogSource

__all__ = ["EXPORT_FORMAT", "OpenLog", "open_log"]

EXPORT_FORMAT = "creditmesh-log/1"
LINE_LIMIT_BYTES = 1 << 20
_SMALL_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that can be read more than once.

    Attributes:
        path: what the operator named.
        origin: the log's origin.
        key: the log's public key.
        own_key: whether the key came from the log's own directory or export, and proves nothing about its owner.
        source: makes a fresh source for one pass.
    """

    path: Path
    origin: str
    key: VerifierKey
    own_key: bool
    _source: Callable[[], LogSource] = field(repr=False)

    def under(self, key: VerifierKey | None) -> "OpenLog":
        """Return the same log judged by a key that the auditor holds; None leaves it as it is."""
        return self if key is None else replace(self, key=key, own_key=False)

    def source(self, peer: VerifierKey | None = None, heads: tuple[KnownHead, ...] = ()) -> LogSource:
        """Return the log's bytes for one pass, with a peer's key and heads known from elsewhere."""
        bare = self._source()
        return LogSource(
            origin=self.origin,
            key=self.key,
            events=bare.events,
            checkpoints=bare.checkpoints,
            hashes=bare.hashes,
            receipts=bare.receipts,
            peer=peer,
            heads=(*bare.heads, *heads),
        )


@contextmanager
def open_log(path: Path, key: VerifierKey | None) -> Iterator[OpenLog]:
    """Open a directory or an export; `key` replaces the public key found there.

    Raises:
        InputError: `no-log` or `log-unreadable` when there is nothing that could be a log.
        VerificationError: `log-damaged` when there is one that cannot be read as such.
    """
    if path.is_dir():
        with _open_directory(path, key) as log:
            yield log
    elif path.is_file():
        yield _open_export(path, key)
    else:
        raise InputError("no-log", f"{path}: no such file or directory; name a state directory or an export")


@contextmanager
def _open_directory(path: Path, key: VerifierKey | None) -> Iterator[OpenLog]:
    database = path / "log.db"
    if not database.is_file():
        raise InputError("no-log", f"{path}: holds no log.db; name a state directory of a node or the coordinator")
    origin = _line(path / "origin")
    own = key is None
    key = key or VerifierKey.parse(_line(path / "log.vkey"))
    heads = _mark(path / "log.mark", origin)
    try:
        with closing(_connect(database)) as connection:
            # One transaction: events, hashes and checkpoints of the same moment, also while the owner appends.
            connection.execute("BEGIN")
            yield OpenLog(path, origin, key, own, lambda: _database_source(connection, origin, key, heads))
    except sqlite3.DatabaseError as error:
        raise VerificationError("log-damaged", f"{database}: cannot be read as a log ({error})") from error


def _connect(database: Path) -> sqlite3.Connection:
    # A database that was closed in order needs no shared-memory file, so it can be read from a read-only medium.
    live = database.with_name(database.name + "-wal").exists()
    options = "mode=ro" if live else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


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
    )


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


def _line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            text = stream.read(_SMALL_FILE_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError("log-unreadable", f"{path}: missing or unreadable; expected one line of text") from None
    if not text or "\n" in text:
        raise InputError("log-unreadable", f"{path}: expected one line of text")
    return text


def _open_export(path: Path, key: VerifierKey | None) -> OpenLog:
    try:
        header = next(_lines(path), {})
    except VerificationError:
        header = {}
    origin, vkey = header.get("origin"), header.get("vkey")
    if header.get("format") != EXPORT_FORMAT or not isinstance(origin, str) or not isinstance(vkey, str):
        raise InputError("log-unreadable", f"{path}: is no export of format {EXPORT_FORMAT}")
    _check_end(path)
    own = key is None
    key = key or VerifierKey.parse(vkey)

    def each(name: str) -> Iterator[bytes]:
        return (str(line[name]).encode("utf-8") for line in _lines(path) if name in line and "format" not in line)

    def receipts() -> Iterator[tuple[str, bytes]]:
        for line in _lines(path):
            if "receipt" in line:
                yield str(line.get("msg_id")), str(line["receipt"]).encode("utf-8")

    def source() -> LogSource:
        return LogSource(origin, key, each("event"), each("checkpoint"), None, receipts())

    return OpenLog(path, origin, key, own, source)


def _lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open("rb") as stream:
        while line := stream.readline(LINE_LIMIT_BYTES + 2):
            try:
                yield decode_object(line.removesuffix(b"\n"), LINE_LIMIT_BYTES, f"{path}: a line")
            except VerificationError as error:
                raise VerificationError("export-damaged", error.message) from None


def _check_end(path: Path) -> None:
    """Check the digest in the last line: it finds damage, not an author who computes it anew."""
    state, last = hashlib.sha256(), b""
    with path.open("rb") as stream:
        while line := stream.readline(LINE_LIMIT_BYTES + 2):
            state.update(last)
            last = line
    end = decode_object(last.removesuffix(b"\n"), LINE_LIMIT_BYTES, f"{path}: the last line")
    if end != {"end": state.hexdigest()} or not last.endswith(b"\n"):
        raise VerificationError("export-damaged", f"{path}: is cut short or was changed since it was written")
