"""Appends to a log: many callers, one transaction for all that wait (group commit).

The database is a connection that the caller opened for this object alone; locks here keep it to one thread at a
time. Nothing else is touched: clocks, randomness and the keeping of the high-water mark come in as callables. Theory:
the disk's sync dominates the cost of an append, so whoever gets the lock commits for everybody who queued meanwhile;
the others find their work done. Entries that may wait (`defer`) ride on the next commit and cost none of their own.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from privacy.log.checkpoint import Checkpoint
from privacy.log.instant import Instant
from privacy.log.journal import Batch, Database, Journal, write_batch
from privacy.log.record import Draft, Entry, draft_event

__all__ = ["Appender", "Surroundings"]

_DISK_ALARM = Entry(
    "alarm.raised", {"class": "disk", "severity": "high", "evidence": "an append failed; nothing was sent"}
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an appender needs of the outside.

    Attributes:
        clock: reads both clocks.
        random_bytes: gives so many fresh random bytes.
        keep_mark: keeps the head that was just committed apart from the database; called under the lock.
    """

    clock: Callable[[], Instant]
    random_bytes: Callable[[int], bytes]
    keep_mark: Callable[[Batch], None]


@dataclass(slots=True)
class _Work:
    drafts: tuple[Draft, ...]
    indices: tuple[int, ...] = ()
    error: BaseException | None = None
    done: bool = False


@dataclass(slots=True)
class _Waiting:
    since_us: int | None = None
    work: list[_Work] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    receipts: list[tuple[str, bytes]] = field(default_factory=list)
    cosignatures: list[tuple[int, str]] = field(default_factory=list)


class Appender:
    """Append events durably, from any thread."""

    def __init__(self, database: Database, journal: Journal, surroundings: Surroundings) -> None:
        self._database = database
        self._journal = journal
        self._surroundings = surroundings
        self._waiting = _Waiting()
        self._queue_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._note = b""

    @property
    def head(self) -> Checkpoint:
        """Return the newest durable head."""
        return self._journal.head

    @property
    def note(self) -> bytes:
        """Return the newest signed checkpoint, empty before the first append of this process."""
        return self._note

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Write the entries; on return they are durable.

        Returns:
            leaf index of each entry.

        Raises:
            MisuseError: `event-invalid` before anything is queued.
            Exception: whatever the database raised; then none of the entries is in the log.
        """
        work = _Work(tuple(draft_event(self._journal.author, entry) for entry in entries))
        with self._queue_lock:
            self._waiting.work.append(work)
        with self._commit_lock:
            if not work.done:
                self._commit()
        if work.error is not None:
            raise work.error
        return list(work.indices)

    def defer(
        self,
        entries: Sequence[Entry],
        receipts: Sequence[tuple[str, bytes]] = (),
        cosignatures: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Let entries, receipts (message id, bytes) and cosignatures (size, line) ride on the next commit.

        A crash before it loses them.
        """
        drafts = [draft_event(self._journal.author, entry) for entry in entries]
        if not (drafts or receipts or cosignatures):
            return
        with self._queue_lock:
            if self._waiting.since_us is None:
                self._waiting.since_us = self._surroundings.clock().mono_us
            self._waiting.drafts.extend(drafts)
            self._waiting.receipts.extend(receipts)
            self._waiting.cosignatures.extend(cosignatures)

    def flush(self, older_than_us: int = 0) -> None:
        """Write what was deferred, if anything; with an age, only if something waits that long already."""
        with self._queue_lock:
            since = self._waiting.since_us
        if since is not None and self._surroundings.clock().mono_us - since >= older_than_us:
            self.append(())

    def _commit(self) -> None:
        with self._queue_lock:
            taken, self._waiting = self._waiting, _Waiting()
        try:
            batch = self._write(taken)
        except BaseException as error:  # it belongs to every caller of the group, who raises it
            self._give_back(taken, error)
            return
        place = len(taken.drafts)
        for work in taken.work:
            work.indices = batch.indices[place : place + len(work.drafts)]
            work.done = True
            place += len(work.drafts)

    def _write(self, taken: _Waiting) -> Batch:
        drafts = [*taken.drafts, *(draft for work in taken.work for draft in work.drafts)]
        batch = self._journal.prepare(drafts, self._surroundings.clock(), self._surroundings.random_bytes)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            write_batch(self._database, batch, taken.receipts, taken.cosignatures)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._journal.accept(batch)
        self._note = batch.note
        self._surroundings.keep_mark(batch)
        return batch

    def _give_back(self, taken: _Waiting, error: BaseException) -> None:
        with self._queue_lock:
            # What was deferred keeps waiting; the failure itself is recorded as soon as an append succeeds again.
            alarm = draft_event(self._journal.author, _DISK_ALARM)
            alarms = [] if alarm in taken.drafts else [alarm]
            self._waiting.since_us = taken.since_us or self._surroundings.clock().mono_us
            self._waiting.drafts[:0] = [*taken.drafts, *alarms]
            self._waiting.receipts[:0] = taken.receipts
            self._waiting.cosignatures[:0] = taken.cosignatures
        for work in taken.work:
            work.error, work.done = error, True
