"""Read the coordinator's privacy log beside the process that writes it: pages of records, proofs, an export.

It writes nothing and judges no signature: whoever wants to know whether the log is whole verifies an export offline.
Theory: records are only ever added, so a reader on a connection of its own sees a prefix that stays true. A filtered
page reads backwards a bounded number of records, so that a long log cannot hold up the console.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from coordinator.config import CoordinatorConfig
from coordinator.log_file import LogFile
from coordinator.log_store import LogConnection, LogPlace
from privacy.errors import InputError
from privacy.log.canonical import INTEGER_LIMIT
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.journal import hash_reader, read_events
from privacy.log.record import Event
from privacy.log.tree import inclusion_proof

__all__ = ["Inclusion", "LogPage", "LogReader", "log_place"]

PAGE = 50
REACH = 20_000


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Proof that a record is in the log: its index, its bytes, the path to the root, and the checkpoint it leads to."""

    index: int
    encoded: bytes
    path: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class LogPage:
    """Records, newest first; older: below which index the next page starts, None at the end. size: of the log."""

    events: tuple[Event, ...]
    older: int | None
    size: int


def log_place(config: CoordinatorConfig) -> LogPlace:
    """Return where the coordinator's log lies: its file, or the server that `[log] url` names."""
    if config.log is None:
        return LogFile(config.state.dir / "log.db")
    try:
        from coordinator.postgres import LogServer
    except ImportError as error:
        text = f"[log] url: its driver cannot be loaded ({error}); install creditmesh[postgres]"
        raise InputError("driver-missing", text) from error
    return LogServer(config.log.url)


class LogReader:
    """Read a log; every call opens a connection of its own, so it is safe from any thread."""

    def __init__(self, config: CoordinatorConfig) -> None:
        self._config = config

    @property
    def exists(self) -> bool:
        """Say whether the log has been opened once; before the coordinator's first start there is none."""
        return self._config.log is not None or (self._config.state.dir / "log.db").exists()

    def head(self) -> tuple[Checkpoint, bytes] | None:
        """Return the newest checkpoint and its note, None for an empty log."""
        with self._reading() as database:
            return self._head(database)

    def opened_us(self) -> int | None:
        """Return when the newest record was written, UTC microseconds; None for an empty log."""
        with self._reading() as database:
            row = database.execute("SELECT max(seq) FROM event").fetchone()
            newest = [] if row[0] is None else list(read_events(database, row[0], row[0] + 1))
        return newest[0].utc_us if newest else None

    def page(self, before: int | None, kinds: Sequence[str] = (), job: str = "") -> LogPage:
        """Return up to 50 records below index `before` (None: from the end) of these kinds (none: all) and that job."""
        with self._reading() as database:
            size = int(database.execute("SELECT coalesce(max(seq) + 1, 0) FROM event").fetchone()[0])
            stop = size if before is None else max(0, min(before, size))
            lowest = max(0, stop - REACH)
            found: list[Event] = []
            while stop > lowest and len(found) < PAGE:
                start = max(lowest, stop - 4 * PAGE)
                chunk = [each for each in read_events(database, start, stop) if _fits(each, kinds, job)]
                found += reversed(chunk)
                stop = start
        events = tuple(found[:PAGE])
        older = events[-1].seq if len(found) > PAGE else stop
        return LogPage(events, older or None, size)

    def event(self, index: int) -> Event:
        """Return one record; raises `InputError` if there is none of that index."""
        _check_index(index)
        with self._reading() as database:
            for event in read_events(database, index, index + 1):
                return event
        raise InputError("event-unknown", f"the log has no record {index}")

    def inclusion(self, index: int) -> Inclusion:
        """Return a record with its proof against the newest checkpoint."""
        _check_index(index)
        with self._reading() as database:
            head = self._head(database)
            events = list(read_events(database, index, index + 1))
            if head is None or not events or index >= head[0].size:
                raise InputError("event-unknown", f"the log has no record {index} below its newest checkpoint")
            path = inclusion_proof(index, head[0].size, hash_reader(database))
        return Inclusion(index, events[0].encoded, tuple(path), head[1])

    @contextmanager
    def exporting(self) -> Iterator[LogConnection]:
        """Yield a connection of its own on which all of the log is read as it is at this moment."""
        place = log_place(self._config)
        try:
            with closing(place.open_export()) as database:
                if self._config.log is None:
                    database.execute("BEGIN")  # a server's connection is one snapshot by itself
                yield database
        except place.errors as error:
            raise place.fault(error) from error

    @property
    def names(self) -> tuple[str, str]:
        """Return the log's origin and verifier key."""
        folder: Path = self._config.state.dir
        origin, vkey = (folder.joinpath(name).read_text("ascii").strip() for name in ("origin", "log.vkey"))
        return origin, vkey

    @contextmanager
    def _reading(self) -> Iterator[LogConnection]:
        if not self.exists:
            raise InputError("log-absent", "there is no log yet; start the coordinator once")
        place = log_place(self._config)
        try:
            with closing(place.open_reader()) as database:
                yield database
        except place.errors as error:
            raise place.fault(error) from error

    def _head(self, database: LogConnection) -> tuple[Checkpoint, bytes] | None:
        row = database.execute("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        if row is None:
            return None
        note = bytes(row[0])
        return parse_checkpoint(note)[0], note


def _check_index(index: int) -> None:
    # Beyond this no database counts.
    if not 0 <= index < INTEGER_LIMIT:
        raise InputError("event-unknown", "the log has no such record")


def _fits(event: Event, kinds: Sequence[str], job: str) -> bool:
    return (not kinds or event.kind in kinds) and (not job or event.job == job)
