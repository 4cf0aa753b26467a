"""Make decisions durable before they are answered: in the decision log, and in the table of decisions.

The scorer has a log of its own, `decisions/` in the state folder, since a log has one writer and the node's has the
node (ADR 0070); `creditmesh-audit verify` reads it as any other. It decides nothing. Theory: group commit: whatever has
queued up is one append to the log and one transaction of the table, written side by side, so a group waits for the disk
once. The answer leaves when both are durable. A crash in between leaves a record whose answer never left, which is
harmless, or a row without a record, which is removed at the next start: its answer never left either.
"""

import asyncio
import hashlib
import hmac
import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from node.access import leave_note
from node.decision_store import DecisionStore, OverrideRow, Row
from node.disk_space import DiskRule
from node.journal_line import say
from node.note_key import load_note_key
from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.errors import InputError
from privacy.log.instant import Instant
from privacy.log.record import Actor, Author, Entry

__all__ = [
    "LogSettings",
    "Recorder",
    "anchor",
    "application_ref",
    "body_commitment",
    "load_ref_key",
    "open_decision_log",
]

FOLDER = "decisions"
SOFTWARE = "creditmesh-scorer"
_MOST_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Say whose decision log it is, where the state folder lies, and how much of its disk must be free."""

    member: str
    state: Path
    config_sha256: str
    disk: DiskRule


@dataclass(frozen=True, slots=True)
class _Work:
    row: Row | OverrideRow
    entry: Entry
    done: "asyncio.Future[None]"


def open_decision_log(settings: LogSettings) -> RecordStore:
    """Open the decision log, `<member>/decision-log`, and record that it was opened.

    Raises what `RecordStore` raises: `log-in-use` where another scorer runs, among others.
    """
    folder, origin = settings.state / FOLDER, f"{settings.member}/decision-log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    author = Author(origin, os.urandom(16), Actor("service", "scorer", "scorer", "process"))
    signer = load_log_key(folder, origin)
    return RecordStore(
        StoreSettings(folder, author, signer, SOFTWARE, settings.config_sha256, _clock, disk=settings.disk)
    )


def anchor(state: Path, log: RecordStore) -> None:
    """Leave the decision log's head for the node's privacy log, whose heads other banks cosign.

    So whoever replaced the decision log as a whole would have to replace what others hold, too.
    """
    origin, size, root = log.checkpoint().decode("utf-8").splitlines()[:3]
    leave_note(state, "decision-log", f"{origin} {size} {root}")


def load_ref_key(state: Path) -> bytes:
    """Return the key that hides application ids in the log; made (0600) at the first start.

    The key is kept in the form of a note key, of which only the seed is used: it signs nothing.
    """
    path = state / FOLDER / "ref.key"
    load_note_key(path, "application-ref")
    return bytes.fromhex(path.read_text("ascii").strip())


def application_ref(key: bytes, application_id: str) -> str:
    """Return the name of an application in the log, 64 hex digits: an id can be guessed, its HMAC cannot."""
    return hmac.digest(key, b"creditmesh/application/v1\0" + application_id.encode("utf-8"), "sha256").hex()


def body_commitment(nonce: bytes, body: bytes) -> str:
    """Return the commitment to what was asked, 64 hex digits; nonce: 32 random bytes that the bank keeps."""
    return hashlib.sha256(b"creditmesh/decision-body/v1\0" + nonce + body).hexdigest()


class Recorder:
    """Write decisions and overrides, in order, from one thread of its own."""

    def __init__(self, log: RecordStore, decisions: DecisionStore) -> None:
        """Take over both files; `close` closes them."""
        self.log, self.decisions = log, decisions
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._beside = ThreadPoolExecutor(1, "decision-log")
        self._forget_unrecorded()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    async def record(self, row: Row | OverrideRow, entry: Entry) -> None:
        """Return once the entry stands in the log and the row in the table, both durable.

        Raises:
            InputError: the log or the table cannot be written; nothing may be answered then but that.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(row, entry, done))
        await done

    def finish(self) -> None:
        """Write what is queued and end the threads."""
        self._queue.put(None)
        self._thread.join()
        self._beside.shutdown()

    def close(self) -> None:
        """Close both files, after `finish`."""
        self.log.close()
        self.decisions.close()

    def _work(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            taken, ended = [work], False
            while len(taken) < _MOST_AT_ONCE and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    ended = True
                    break
                taken.append(more)
            error = self._write(taken)
            taken[0].done.get_loop().call_soon_threadsafe(_finish, taken, error)
            if ended:
                return

    def _write(self, taken: Sequence[_Work]) -> BaseException | None:
        rows = [work.row for work in taken if isinstance(work.row, Row)]
        logging = self._beside.submit(self.log.append, [work.entry for work in taken])
        try:
            if rows:
                self.decisions.keep(rows)
            logging.result()
            for work in taken:
                # A person's word may wait for the log: there are few.
                if isinstance(work.row, OverrideRow):
                    self.decisions.keep_override(work.row)
        except BaseException as error:  # it belongs to every caller of the group, who raises it
            if logging.exception() is not None:
                self._forget(rows)
            return error
        return None

    def _forget(self, rows: Sequence[Row]) -> None:
        """Remove rows whose record could not be written; what cannot be removed now is at the next start."""
        with suppress(InputError):
            self.decisions.forget([row.application_id for row in rows])

    def _forget_unrecorded(self) -> None:
        """Remove the rows of a group that was cut off before the log had it: the newest, up to the first on record."""
        lost = []
        for row in self.decisions.newest(_MOST_AT_ONCE):
            if self.log.newest_with(row.ref) is not None:
                break
            lost.append(row.application_id)
        if lost:
            self.decisions.forget(lost)
            say("decisions_forgotten", reason=f"{len(lost)} were cut off before they were recorded; none was answered")


def _finish(taken: Sequence[_Work], error: BaseException | None) -> None:
    for work in taken:
        if work.done.done():
            continue
        if error is None:
            work.done.set_result(None)
        else:
            work.done.set_exception(error)


def _clock() -> Instant:
    return Instant(time.time_ns() // 1000, time.monotonic_ns() // 1000)
