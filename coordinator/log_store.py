"""The coordinator's privacy log: its records in a file or on a server, and a high-water mark in the state directory.

This module opens, checks and closes the log and turns failures into one line; what an append writes is
`privacy.log.journal`, how callers share a commit is `privacy.log.appender`. Where the records lie is a place:
`coordinator.log_file` or `coordinator.postgres`. What is recorded, and the receipts, are `coordinator.receipt`. A node
has its own store of the same files: the shells never import each other.

Theory: an append that returned survives a crash and a power loss; one process holds the log (`flock`), one connection
writes. The mark is written after every commit and synced every few seconds and at the end: a database that is smaller
than its mark was put back from a backup, and going on from there would show the banks two histories, so it is refused.

Files in the state directory: `log.db` unless the records lie elsewhere, `log.mark`, `log.key` (0600), `log.vkey`,
`origin`.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coordinator.log_file import LogFile
from coordinator.mark_file import MarkFile
from privacy.errors import InputError, VerificationError
from privacy.log.appender import Appender, Surroundings
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.instant import Instant
from privacy.log.journal import (
    Batch,
    Database,
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

__all__ = ["LOG_ORIGIN", "LogConnection", "LogPlace", "LogSettings", "LogStore", "load_log_key"]

LOG_ORIGIN = "coordinator/privacy-log"


class LogConnection(Database, Protocol):
    """An open connection that ends."""

    def close(self) -> None:
        """End the connection, and a transaction that is open."""


class LogPlace(Protocol):
    """Where the records lie: opens connections, and says in one line what its errors mean.

    Attributes:
        name: what the operator calls it.
        errors: what its connections raise.
    """

    name: str
    errors: tuple[type[Exception], ...]

    def open_writer(self) -> LogConnection:
        """Return the one connection that writes, with tables and triggers in place."""

    def open_reader(self) -> LogConnection:
        """Return a connection that only reads."""

    def open_export(self) -> LogConnection:
        """Return a connection that reads the whole log without holding it in memory."""

    def fault(self, error: Exception) -> InputError:
        """Return `disk-full` or `log-unusable` with one line."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Say which log this is, where it lies and what surrounds it.

    Attributes:
        directory: state directory; made with mode 0700 when absent.
        author: origin, boot, actor and clock of all events.
        signer: the log's own key (`load_log_key`).
        software: name and version, for `log.opened`.
        config_sha256: 64 hex digits over the configuration, for `log.opened`.
        clock: reads wall clock (UTC microseconds) and monotonic clock.
        random_bytes: gives so many fresh random bytes.
        place: where the records lie; None for `log.db` in the directory.
    """

    directory: Path
    author: Author
    signer: NoteSigner
    software: str
    config_sha256: str
    clock: Callable[[], Instant]
    random_bytes: Callable[[int], bytes] = os.urandom
    place: LogPlace | None = None


class LogStore:
    """Append events durably and answer with proofs; safe to call from any thread."""

    def __init__(self, settings: LogSettings) -> None:
        """Open the log, check it against its mark, and record `log.opened`.

        Raises:
            InputError: `log-in-use`, `log-unusable`, `log-key-mismatch` or `disk-full`.
            VerificationError: `rolled-back`, `forked`, `log-damaged` or `mark-unreadable`; nothing is written then.
        """
        self._settings = settings
        self._place = settings.place or LogFile(settings.directory / "log.db")
        self._broken: InputError | None = None
        self._reader_lock = threading.Lock()
        with ExitStack() as held:
            self._mark = MarkFile(settings.directory / "log.mark", settings.author.origin)
            held.callback(self._mark.close)
            with self._telling(OSError):
                self._database = held.enter_context(closing(self._place.open_writer()))
                self._reader = held.enter_context(closing(self._place.open_reader()))
                tree, last_us = self._load()
                surroundings = Surroundings(settings.clock, settings.random_bytes, self._keep_mark)
                self._appender = Appender(self._database, Journal(settings.author, settings.signer, tree), surroundings)
                self.append([self._opened(tree, last_us), *clock_fell_back(last_us, settings.clock())])
            self._held = held.pop_all()

    @property
    def origin(self) -> str:
        """Return the log's origin."""
        return self._settings.author.origin

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Write the entries; on return they are durable, with the leaf index of each.

        Raises:
            InputError: `disk-full` (the log stays valid and later appends may succeed) or `log-unusable`.
            MisuseError: `event-invalid`.
        """
        if self._broken:
            raise self._broken
        try:
            return self._appender.append(entries)
        except self._place.errors as error:
            fault = self._place.fault(error)
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
        with self._telling():
            self._appender.flush()

    def checkpoint(self) -> bytes:
        """Return the newest signed checkpoint, a C2SP note."""
        return self._appender.note

    def checkpoint_at(self, size: int) -> bytes:
        """Return a signed checkpoint of the head that the log had at `size` records, at most as many as it has."""
        return sign_checkpoint(Checkpoint(self.origin, size, self.root(size)), self._settings.signer)

    @property
    def size(self) -> int:
        """Return how many records the newest checkpoint covers."""
        return self._appender.head.size

    def events(self, start: int, stop: int) -> list[Event]:
        """Return events `start` to `stop` - 1, as many as there are."""
        with self._reading():
            return list(read_events(self._reader, start, stop))

    def of_kinds(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds, oldest first."""
        found: list[Event] = []
        with self._reading():
            for kind in kinds:
                needle = (f'"kind":"{kind}"'.encode("ascii"),)
                rows = self._reader.execute("SELECT event FROM event WHERE instr(event, ?) > 0", needle).fetchall()
                found += [decode_event(bytes(row[0])) for row in rows]
        return sorted(found, key=lambda event: event.seq)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of leaf `index` in the tree of `size` leaves."""
        with self._reading():
            return inclusion_proof(index, size, hash_reader(self._reader))

    def root(self, size: int) -> bytes:
        """Return the root that the tree had at `size` leaves."""
        with self._reading():
            return root_at(size, hash_reader(self._reader))

    def cosigned(self) -> dict[tuple[str, bytes], int]:
        """Return the largest size that each witness key, by name and 4-byte id, has cosigned."""
        with self._reading():
            return read_cosigned(self._reader)

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `old_size` leaves is a prefix of that of `size`."""
        with self._reading():
            return consistency_proof(old_size, size, hash_reader(self._reader))

    def close(self) -> None:
        """Write what was deferred, note the orderly end in the mark, and release the log."""
        try:
            self.flush()
            self._mark.keep(self._appender.head, clean=True, now_us=None)
        finally:
            self._held.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._reader_lock, self._telling():
            yield

    @contextmanager
    def _telling(self, *others: type[Exception]) -> Iterator[None]:
        try:
            yield
        except (*self._place.errors, *others) as error:
            raise self._place.fault(error) from error

    def _load(self) -> tuple[CompactTree, int | None]:
        origin = self._settings.author.origin
        tree = read_head(self._database, self._settings.signer, origin)
        mark = self._mark.stored
        if mark is None:
            if tree.size:
                raise VerificationError("mark-missing", f"{self._place.name} holds records, but its log.mark is gone")
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


def load_log_key(directory: Path, origin: str, random_bytes: Callable[[int], bytes] = os.urandom) -> NoteSigner:
    """Read the log's signing key from the state directory; make it, its `log.vkey` and `origin` at the first start.

    Raises:
        InputError: `log-key-missing` when there is a log but no key, `secret-mode`, `log-key-format`, `log-unusable`.
    """
    path = directory / "log.key"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            if any((directory / name).exists() for name in ("log.db", "log.mark")):
                raise InputError("log-key-missing", f"{path}: no such file, but there is a log; put its key back")
            _write_new(path, random_bytes(32).hex().encode("ascii") + b"\n", 0o600)
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
        if mode & 0o077:
            raise InputError("secret-mode", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
        if not re.fullmatch(rb"[0-9a-f]{64}\n?", content):
            raise InputError("log-key-format", f"{path}: found {len(content)} bytes, expected 64 hex digits")
        signer = NoteSigner(origin, bytes.fromhex(content.decode("ascii")))
        for name, text in (("log.vkey", signer.verifier().encode()), ("origin", origin)):
            public = directory / name
            if not public.exists():
                _write_new(public, text.encode("ascii") + b"\n", 0o644)
            elif public.read_text("utf-8").strip() != text:
                raise InputError("log-key-mismatch", f"{public}: does not belong to {path} and origin {origin}")
    except OSError as error:
        raise InputError("log-unusable", f"{path}: cannot be used ({error.strerror})") from error
    return signer


def _write_new(path: Path, content: bytes, mode: int) -> None:
    # A draft and a rename: a crash in between leaves no half key behind.
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
