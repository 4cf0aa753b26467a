"""The node's privacy log on disk: an SQLite file, and a high-water mark beside it.

This module opens, locks and closes files and turns a disk's failures into one line; what an append writes is
`privacy.log.journal`, how callers share a commit is `privacy.log.appender`. It decides nothing about what is recorded.

Theory: WAL with `synchronous=FULL`, so an append that returned survives a crash and a power loss; one process holds
the log (`flock`), one connection writes. The mark is written after every commit and synced every few seconds and at
the end: a database that is smaller than its mark was put back from a backup, and going on from there would show two
histories, so it is refused.

Files in the state directory: `log.db`, `log.mark`, `log.key` (0600), `log.vkey`, `origin`.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from node.disk_space import DiskRule, DiskWatch, free_percent
from node.mark_file import MarkFile
from node.note_key import keep_public, load_note_key
from node.state_folder import make_private
from privacy.errors import InputError, VerificationError
from privacy.log.appender import Appender, Surroundings
from privacy.log.checkpoint import Checkpoint
from privacy.log.instant import Instant
from privacy.log.journal import (
    PRAGMAS,
    SCHEMA,
    Batch,
    Journal,
    clock_fell_back,
    hash_reader,
    read_cosigned,
    read_events,
    read_head,
)
from privacy.log.mark import check_mark
from privacy.log.note import NoteSigner
from privacy.log.record import Author, Entry, Event, decode_event
from privacy.log.tree import EMPTY_ROOT, CompactTree, consistency_proof, inclusion_proof, root_at

__all__ = ["RecordStore", "StoreSettings", "load_log_key", "read_checkpoint", "read_egress"]

IDLE_PATIENCE_US = 1_000_000
JOB_PATIENCE_US = 10_000_000
_READ_PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "PRAGMA busy_timeout = 10000")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Say which log this is, where it lies and what surrounds it.

    Attributes:
        directory: state directory; made with mode 0700 when absent.
        author: origin, boot, actor and clock of all events.
        signer: the log's own key (`load_log_key`).
        software: name and version, for `log.opened`.
        config_sha256: 64 hex digits over the configuration, for `log.opened`.
        clock: reads wall clock (UTC microseconds) and monotonic clock.
        random_bytes: gives so many fresh random bytes.
        disk: how much of the disk must be free. free_percent: reads how much is.
    """

    directory: Path
    author: Author
    signer: NoteSigner
    software: str
    config_sha256: str
    clock: Callable[[], Instant]
    random_bytes: Callable[[int], bytes] = os.urandom
    disk: DiskRule = field(default_factory=DiskRule)
    free_percent: Callable[[Path], float] = free_percent


class RecordStore:
    """Append events durably and answer with proofs; safe to call from any thread."""

    def __init__(self, settings: StoreSettings) -> None:
        """Open the log, check it against its mark, and record `log.opened`.

        Raises:
            InputError: `log-in-use`, `log-unusable`, `log-key-mismatch` or `disk-full`.
            VerificationError: `rolled-back`, `forked`, `log-damaged` or `mark-unreadable`; nothing is written then.
        """
        self._settings = settings
        self._path = settings.directory / "log.db"
        self._broken: InputError | None = None
        self._in_job = False
        self._disk = DiskWatch(settings.directory, settings.disk, settings.free_percent)
        self._mark = MarkFile(settings.directory / "log.mark", settings.author.origin)
        try:
            self._database = self._connect(PRAGMAS)
            self._reader = self._connect(_READ_PRAGMAS)
            self._reader_lock = threading.Lock()
            tree, last_us = self._load()
            surroundings = Surroundings(settings.clock, settings.random_bytes, self._keep_mark)
            self._appender = Appender(self._database, Journal(settings.author, settings.signer, tree), surroundings)
            self.append([self._opened(tree, last_us), *clock_fell_back(last_us, settings.clock())])
        except (sqlite3.Error, OSError) as error:
            self._mark.close()
            raise _fault(self._path, error) from error
        except BaseException:
            self._mark.close()
            raise

    @property
    def origin(self) -> str:
        """Return the log's origin."""
        return self._settings.author.origin

    @property
    def size(self) -> int:
        """Return how many records are durable."""
        return self._appender.head.size

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Write the entries; on return they are durable, with the leaf index of each.

        Raises:
            InputError: `disk-low` for an egress, `disk-full` (in both the log stays valid and later appends may
                succeed) or `log-unusable`.
            MisuseError: `event-invalid`.
        """
        if self._broken:
            raise self._broken
        self._appender.defer(self._disk.alarms())
        self._disk.check(entries)
        try:
            return self._appender.append(entries)
        except sqlite3.Error as error:
            fault = _fault(self._path, error)
            if fault.code == "log-unusable":
                # After a failed write or sync nobody knows what the disk holds; only opening again finds out.
                self._broken = fault
            raise fault from error

    async def record(self, entries: Sequence[Entry]) -> list[int]:
        """Do what `append` does without blocking the event loop."""
        return await asyncio.to_thread(self.append, entries)

    def defer(
        self,
        entries: Sequence[Entry],
        receipts: Sequence[tuple[str, bytes]] = (),
        cosignatures: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Let entries, receipts (message id, bytes) and cosignatures (size, line) ride on the next commit.

        A crash before it loses them.
        """
        self._appender.defer(entries, receipts, cosignatures)

    def flush(self) -> None:
        """Make what was deferred durable; raises what `append` raises."""
        self._flush(0)

    def flush_due(self) -> None:
        """Make durable what was deferred a second ago, or ten while a job runs; raises what `append` raises.

        In a job the next message to leave commits it anyhow, and a round's commits are counted.
        """
        self._appender.defer(self._disk.alarms())
        self._flush(JOB_PATIENCE_US if self._in_job else IDLE_PATIENCE_US)

    def hold(self, in_job: bool) -> None:
        """Say whether a job runs, for `flush_due`."""
        self._in_job = in_job

    def _flush(self, older_than_us: int) -> None:
        try:
            self._appender.flush(older_than_us)
        except sqlite3.Error as error:
            raise _fault(self._path, error) from error

    def newest_receipt(self) -> bytes | None:
        """Return the last receipt that was kept, None if there is none."""
        with self._reader_lock:
            row = self._reader.execute("SELECT receipt FROM receipt ORDER BY number DESC LIMIT 1").fetchone()
        return bytes(row[0]) if row else None

    def checkpoint(self) -> bytes:
        """Return the newest signed checkpoint, a C2SP note."""
        return self._appender.note

    def events(self, start: int, stop: int) -> list[Event]:
        """Return events `start` to `stop` - 1, as many as there are."""
        with self._reader_lock:
            return list(read_events(self._reader, start, stop))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of leaf `index` in the tree of `size` leaves."""
        with self._reader_lock:
            return inclusion_proof(index, size, hash_reader(self._reader))

    def root(self, size: int) -> bytes:
        """Return the root that the tree had at `size` leaves."""
        with self._reader_lock:
            return root_at(size, hash_reader(self._reader))

    def cosigned(self) -> dict[tuple[str, bytes], int]:
        """Return the largest size that each witness key, by name and 4-byte id, has cosigned."""
        with self._reader_lock:
            return read_cosigned(self._reader)

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `old_size` leaves is a prefix of that of `size`."""
        with self._reader_lock:
            return consistency_proof(old_size, size, hash_reader(self._reader))

    def last(self, kind: str) -> Event | None:
        """Return the newest event of a kind, or None."""
        return self.newest_with(f'"kind":"{kind}"')

    def newest_with(self, text: str) -> Event | None:
        """Return the newest event whose bytes hold this ASCII text, or None."""
        with self._reader_lock:
            row = self._reader.execute(
                "SELECT event FROM event WHERE instr(event, ?) > 0 ORDER BY seq DESC LIMIT 1", (text.encode("ascii"),)
            ).fetchone()
        return None if row is None else decode_event(bytes(row[0]))

    def of_kinds(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds, oldest first."""
        with self._reader_lock:
            found = [_find(self._reader, (f'"kind":"{kind}"'.encode("ascii"), b"")) for kind in kinds]
        return sorted((event for events in found for event in events), key=lambda event: event.seq)

    def egress(self, payload_kind: str, job: str = "") -> list[Event]:
        """Return the `egress.authorised` events of one payload kind, of one job or of all, oldest first."""
        with self._reader_lock:
            return _egress(self._reader, payload_kind, job)

    def of_job(self, kind: str, job: str) -> list[Event]:
        """Return the events of one kind in one job, oldest first."""
        wanted = (f'"kind":"{kind}"'.encode("ascii"), f'"job":"{job}"'.encode("ascii"))
        with self._reader_lock:
            return _find(self._reader, wanted)

    def close(self) -> None:
        """Write what was deferred, note the orderly end in the mark, and release the log."""
        try:
            self.flush()
            self._mark.keep(self._appender.head, clean=True, now_us=None)
        finally:
            self._reader.close()
            self._database.close()
            self._mark.close()

    def _connect(self, pragmas: Sequence[str]) -> sqlite3.Connection:
        # SQLite would make the file readable by all; its write-ahead log takes over the mode.
        make_private(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    def _load(self) -> tuple[CompactTree, int | None]:
        origin = self._settings.author.origin
        for statement in SCHEMA:
            self._database.execute(statement)
        tree = read_head(self._database, self._settings.signer, origin)
        mark = self._mark.stored
        if mark is None:
            if tree.size:
                raise VerificationError("mark-missing", f"{self._path} holds records, but its log.mark is gone")
            self._mark.keep(Checkpoint(origin, 0, EMPTY_ROOT), clean=False, now_us=None)
            return tree, None
        known = mark.size <= tree.size
        check_mark(mark, origin, tree.size, root_at(mark.size, hash_reader(self._database)) if known else None)
        newest = list(read_events(self._database, tree.size - 1, tree.size))
        return tree, newest[0].utc_us if newest else None

    def _opened(self, tree: CompactTree, last_us: int | None) -> Entry:
        mark = self._mark.stored
        gap_us = 0 if last_us is None else self._settings.clock().utc_us - last_us
        body = {
            "software": self._settings.software,
            "config_sha256": self._settings.config_sha256,
            "prev": {"size": tree.size, "root": tree.root().hex()},
            "unclean": mark is not None and mark.size > 0 and not (mark.clean and mark.size == tree.size),
            "gap_s": max(0, gap_us // 1_000_000),
        }
        return Entry("log.opened", body)

    def _keep_mark(self, batch: Batch) -> None:
        self._mark.keep(batch.checkpoint, clean=False, now_us=batch.instant.mono_us)


def read_egress(directory: Path, payload_kind: str, job: str) -> list[Event]:
    """Return what `RecordStore.egress` does from a log that another process may be writing; nothing is checked.

    Raises:
        InputError: `log-unusable`.
    """
    path = directory / "log.db"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return _egress(connection, payload_kind, job)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError("log-unusable", f"{path}: the log cannot be read ({error})") from error


def read_checkpoint(directory: Path) -> bytes | None:
    """Return the newest checkpoint's note of a log that another process may be writing, None for none.

    Raises:
        InputError: `log-unusable`.
    """
    path = directory / "log.db"
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise InputError("log-unusable", f"{path}: the log cannot be read ({error})") from error
    return bytes(row[0]) if row else None


def _egress(reader: sqlite3.Connection, payload_kind: str, job: str) -> list[Event]:
    named = f'"job":"{job}"' if job else '"job":"'
    return _find(reader, (named.encode(), f'"payload_kind":"{payload_kind}"'.encode()))


def _find(reader: sqlite3.Connection, needles: tuple[bytes, bytes]) -> list[Event]:
    """Return the events that hold both texts, oldest first."""
    rows = reader.execute(
        "SELECT event FROM event WHERE instr(event, ?) > 0 AND instr(event, ?) > 0 ORDER BY seq", needles
    ).fetchall()
    return [decode_event(bytes(row[0])) for row in rows]


def load_log_key(directory: Path, origin: str, random_bytes: Callable[[int], bytes] = os.urandom) -> NoteSigner:
    """Read the log's signing key from the state directory; make it, its `log.vkey` and `origin` at the first start.

    Raises:
        InputError: `log-key-missing` when there is a log but no key, or what `load_note_key` raises.
    """
    path = directory / "log.key"
    if not path.exists() and (directory / "log.db").exists():
        raise InputError("log-key-missing", f"{path}: no such file, but there is a log; put its key back")
    signer = load_note_key(path, origin, random_bytes)
    keep_public(directory / "log.vkey", signer.verifier().encode(), path)
    keep_public(directory / "origin", origin, path)
    return signer


def _fault(path: Path, error: sqlite3.Error | OSError) -> InputError:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return InputError("disk-full", f"{path}: the disk is full; nothing is sent before the log can grow again")
    return InputError("log-unusable", f"{path}: the log cannot be used ({error}); nothing is sent without it")
