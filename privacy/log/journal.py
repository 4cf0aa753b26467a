"""The writer's side of a log: what one append adds to the database, and how a database is read back.

The statements are plain SQL run through a connection that the caller opens, locks, commits and closes; no database
module is imported and nothing is opened here. Theory: one append is one transaction that holds the events, the tree's
new hashes and the signed checkpoint over them, so the newest checkpoint always covers the whole log. The tree in
memory moves on only after the caller's commit (`accept`), so a failed append leaves everything as it was.

Tables: `event` (leaf index, exact bytes), `hash` (number of `tree.node_position`, 32 bytes), `checkpoint` (size, note),
`receipt` (message and the peer's receipt), `cosignature` (size and a witness's line). Triggers refuse UPDATE, DELETE,
TRUNCATE and any INSERT that is not the next one, also where REPLACE would delete silently. They stop bugs, not somebody
who owns the file or the tables. SQLite and PostgreSQL hold the same tables; numbers are given here, never by a
sequence, which would leave gaps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from privacy.errors import InputError, VerificationError
from privacy.log.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from privacy.log.cosignature import read_line
from privacy.log.instant import Instant
from privacy.log.note import NoteSigner
from privacy.log.record import SALT_BYTES, Author, Draft, Entry, Event, decode_event, draft_event
from privacy.log.tree import CompactTree, ReadHash, leaf_hash, node_position, restore

__all__ = [
    "POSTGRES_SCHEMA",
    "PRAGMAS",
    "SCHEMA",
    "TABLES",
    "Batch",
    "Database",
    "Journal",
    "clock_fell_back",
    "hash_reader",
    "read_cosigned",
    "read_events",
    "read_head",
    "write_batch",
]

CLOCK_STEP_US = 1_000_000

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA busy_timeout = 10000",
)


# Columns of the tables; the first one is the key, in rising order.
_TABLES = {
    "event": "seq {integer} PRIMARY KEY, event {blob} NOT NULL",
    "hash": "position {integer} PRIMARY KEY, value {blob} NOT NULL",
    "checkpoint": "size {integer} PRIMARY KEY, note {blob} NOT NULL",
    "receipt": "number {integer} PRIMARY KEY, msg_id TEXT NOT NULL, receipt {blob} NOT NULL",
    "cosignature": "number {integer} PRIMARY KEY, size {integer} NOT NULL, line TEXT NOT NULL",
}
_OUT_OF_ORDER = {
    "event": "NEW.seq <> (SELECT coalesce(max(seq) + 1, 0) FROM event)",
    "hash": "NEW.position <> (SELECT coalesce(max(position) + 1, 0) FROM hash)",
    "checkpoint": "NEW.size <= (SELECT coalesce(max(size), -1) FROM checkpoint)",
    "receipt": "NEW.number <> (SELECT coalesce(max(number) + 1, 0) FROM receipt)",
    "cosignature": "NEW.number <> (SELECT coalesce(max(number) + 1, 0) FROM cosignature)",
}
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
_RAISE = "RAISE EXCEPTION 'append-only';"
_FUNCTION = "RETURNS trigger LANGUAGE plpgsql AS"

# For SQLite; run at every start.
SCHEMA = (
    *(
        f"CREATE TABLE IF NOT EXISTS {table} ({columns.format(integer='INTEGER', blob='BLOB')}) STRICT"
        for table, columns in _TABLES.items()
    ),
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{action} BEFORE {action.upper()} ON {table} {_REFUSE}"
        for table in _TABLES
        for action in ("update", "delete")
    ),
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_insert BEFORE INSERT ON {table} WHEN {condition} {_REFUSE}"
        for table, condition in _OUT_OF_ORDER.items()
    ),
)

# For PostgreSQL; run once, by the tables' owner, who need not be whoever appends. `instr` searches as SQLite's does.
POSTGRES_SCHEMA = (
    "CREATE FUNCTION instr(bytea, bytea) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT position($2 in $1)'",
    f"CREATE FUNCTION refuse_change() {_FUNCTION} $$BEGIN {_RAISE} END$$",
    *(f"CREATE TABLE {table} ({columns.format(integer='BIGINT', blob='BYTEA')})" for table, columns in _TABLES.items()),
    *(
        f"CREATE TRIGGER {table}_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in _TABLES
    ),
    *(
        f"CREATE FUNCTION {table}_next() {_FUNCTION} $$BEGIN IF {condition} THEN {_RAISE} END IF; RETURN NEW; END$$"
        for table, condition in _OUT_OF_ORDER.items()
    ),
    *(
        f"CREATE TRIGGER {table}_insert BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_next()"
        for table in _TABLES
    ),
)
TABLES = tuple(_TABLES)


class Database(Protocol):
    """What is needed of an open connection in autocommit mode; `sqlite3.Connection` has it.

    Statements are SQLite's with `?` for a parameter; whoever connects to another server translates the few that differ.
    """

    @property
    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run one statement and return its rows."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Run one statement for every row of parameters."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one append writes.

    Attributes:
        indices: leaf index of each entry that was asked for, in order.
        events: (seq, bytes) of these and of an alarm that came between.
        hashes: (position, 32 bytes).
        checkpoint: the head after the append.
        note: the same, signed.
        tree: the tree after the append.
        instant: when.
    """

    indices: tuple[int, ...]
    events: tuple[tuple[int, bytes], ...]
    hashes: tuple[tuple[int, bytes], ...]
    checkpoint: Checkpoint
    note: bytes
    tree: CompactTree
    instant: Instant


class Journal:
    """Hold a log's state between appends: the tree's right edge and the last reading of the clocks."""

    def __init__(self, author: Author, signer: NoteSigner, tree: CompactTree) -> None:
        self.author = author
        self._signer = signer
        self._tree = tree
        self._last: Instant | None = None

    @property
    def head(self) -> Checkpoint:
        """Return the head of the tree as it is now."""
        return Checkpoint(self.author.origin, self._tree.size, self._tree.root())

    def prepare(self, drafts: Sequence[Draft], instant: Instant, random_bytes: Callable[[int], bytes]) -> Batch:
        """Build the next events, hashes and checkpoint without changing the journal.

        When wall clock and monotonic clock moved apart by more than a second since the last append, an
        `alarm.raised` of class `clock.step` goes before the others.
        """
        alarms = [draft_event(self.author, alarm) for alarm in self._clock_alarm(instant)]
        tree = self._tree
        events: list[tuple[int, bytes]] = []
        hashes: list[tuple[int, bytes]] = []
        for draft in (*alarms, *drafts):
            seq = tree.size
            event = draft.place(seq, instant, random_bytes(SALT_BYTES))
            tree, completed = tree.append(leaf_hash(event))
            events.append((seq, event))
            hashes.extend((node_position(level, seq >> level), value) for level, value in enumerate(completed))
        checkpoint = Checkpoint(self.author.origin, tree.size, tree.root())
        first = self._tree.size + len(alarms)
        return Batch(
            indices=tuple(range(first, tree.size)),
            events=tuple(events),
            hashes=tuple(hashes),
            checkpoint=checkpoint,
            note=sign_checkpoint(checkpoint, self._signer),
            tree=tree,
            instant=instant,
        )

    def accept(self, batch: Batch) -> None:
        """Move on to the state after a batch that is durable."""
        self._tree = batch.tree
        self._last = batch.instant

    def _clock_alarm(self, instant: Instant) -> tuple[Entry, ...]:
        if self._last is None:
            return ()
        wall, mono = instant.utc_us - self._last.utc_us, instant.mono_us - self._last.mono_us
        if abs(wall - mono) <= CLOCK_STEP_US:
            return ()
        evidence = f"wall clock moved {wall} us while the monotonic clock moved {mono} us"
        return (Entry("alarm.raised", {"class": "clock.step", "severity": "low", "evidence": evidence}),)


def clock_fell_back(last_us: int | None, instant: Instant) -> tuple[Entry, ...]:
    """Return the alarm of a process whose wall clock stands before the last record of the process before it.

    last_us: UTC microseconds of that record, None if there is none. No monotonic clock spans two boots, so a step
    forward cannot be told from time that passed.
    """
    if last_us is None or instant.utc_us >= last_us - CLOCK_STEP_US:
        return ()
    evidence = f"wall clock stands {last_us - instant.utc_us} us before the last record of the process before"
    return (Entry("alarm.raised", {"class": "clock.step", "severity": "medium", "evidence": evidence}),)


def write_batch(
    database: Database,
    batch: Batch,
    receipts: Sequence[tuple[str, bytes]],
    cosignatures: Sequence[tuple[int, str]] = (),
) -> None:
    """Write a batch, receipts (message id, bytes) and cosignatures (size, line) inside the caller's transaction."""
    database.executemany("INSERT INTO event (seq, event) VALUES (?, ?)", batch.events)
    database.executemany("INSERT INTO hash (position, value) VALUES (?, ?)", batch.hashes)
    if batch.events:
        database.execute("INSERT INTO checkpoint (size, note) VALUES (?, ?)", (batch.checkpoint.size, batch.note))
    for msg_id, receipt in receipts:
        database.execute(
            "INSERT INTO receipt (number, msg_id, receipt) SELECT coalesce(max(number), -1) + 1, ?, ? FROM receipt",
            (msg_id, receipt),
        )
    for size, line in cosignatures:
        database.execute(
            "INSERT INTO cosignature (number, size, line) SELECT coalesce(max(number), -1) + 1, ?, ? FROM cosignature",
            (size, line),
        )


def read_cosigned(database: Database) -> dict[tuple[str, bytes], int]:
    """Return the largest size that each witness key, by name and 4-byte id, has cosigned."""
    found: dict[tuple[str, bytes], int] = {}
    for size, line in database.execute("SELECT size, line FROM cosignature"):
        signature = read_line(line)
        place = (signature.name, signature.key_id)
        found[place] = max(size, found.get(place, 0))
    return found


def hash_reader(database: Database) -> ReadHash:
    """Return a function that reads stored hashes of complete subtrees.

    It raises `VerificationError` `hash-missing` for a hash that should be there.
    """

    def read(level: int, position: int) -> bytes:
        number = node_position(level, position)
        row = database.execute("SELECT value FROM hash WHERE position = ?", (number,)).fetchone()
        if row is None:
            raise VerificationError("hash-missing", f"the log's tree lacks hash {number}")
        return bytes(row[0])

    return read


def read_events(database: Database, start: int, stop: int) -> Iterator[Event]:
    """Yield events `start` to `stop` - 1 in order, strictly decoded."""
    for (encoded,) in database.execute(
        "SELECT event FROM event WHERE seq >= ? AND seq < ? ORDER BY seq", (start, stop)
    ):
        yield decode_event(bytes(encoded))


def read_head(database: Database, signer: NoteSigner, origin: str) -> CompactTree:
    """Load the tree of a stored log and check it against its newest checkpoint.

    Checks: as many events as the checkpoint says, the checkpoint signed by this log's own key, the stored hashes
    leading to its root, and the last event's bytes to the last leaf. A full check is `privacy.log.verify`.

    Returns:
        the tree, empty for a new log.

    Raises:
        InputError: `log-key-mismatch` when the checkpoint was signed under another key.
        VerificationError: `log-damaged` or of the check that failed.
    """
    (size,) = database.execute("SELECT coalesce(max(seq) + 1, 0) FROM event").fetchone()
    newest = database.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if newest is None and size == 0:
        return CompactTree()
    if newest is None or newest[0] != size:
        raise VerificationError("log-damaged", f"the log holds {size} records, its newest checkpoint says otherwise")
    try:
        checkpoint = verify_checkpoint(bytes(newest[1]), signer.verifier(), origin)
    except VerificationError as error:
        if error.code in {"signature-missing", "origin-mismatch"}:
            raise InputError(
                "log-key-mismatch", f"the log was not written under this key and origin: {error}"
            ) from None
        raise
    read = hash_reader(database)
    tree = restore(size, read)
    if tree.root() != checkpoint.root:
        raise VerificationError("log-damaged", "the log's stored hashes do not lead to its newest checkpoint")
    (last,) = database.execute("SELECT event FROM event WHERE seq = ?", (size - 1,)).fetchone()
    if leaf_hash(bytes(last)) != read(0, size - 1):
        raise VerificationError("log-damaged", "the log's last record was changed")
    return tree
