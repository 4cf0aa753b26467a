"""Look into the bank's privacy log while the node writes it: pages of records, one record, and its proof.

It writes nothing and trusts nothing that it reads: a proof is checked against the signed checkpoint before it is shown.
Theory: RFC 6962 audit paths; a reader of SQLite in WAL mode sees a whole state and holds nobody up.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import InputError
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.journal import hash_reader
from privacy.log.record import Event, decode_event
from privacy.log.tree import inclusion_proof, leaf_hash, verify_inclusion

__all__ = ["LogReader", "Proven"]

PAGE = 50
_NEWEST = "SELECT event FROM event WHERE seq < ? AND instr(event, ?) AND instr(event, ?) ORDER BY seq DESC LIMIT ?"
_CHECKPOINT = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Proven:
    """A record and its proof: leaf hash, audit path, and the checkpoint's size, root and note."""

    event: Event
    leaf: str
    path: tuple[str, ...]
    size: int
    root: str
    note: str


class LogReader:
    """Read one node's log."""

    def __init__(self, state: Path) -> None:
        """state: the node's state folder."""
        self._path = state / "log.db"

    def size(self) -> int:
        """Return how many records the newest checkpoint covers, 0 without a log."""
        with self._opened() as database:
            row = None if database is None else database.execute(_CHECKPOINT).fetchone()
        return 0 if row is None else parse_checkpoint(bytes(row[0]))[0].size

    def page(self, kind: str, job: str, before: int) -> list[Event]:
        """Return up to `PAGE` records below number `before`, newest first; kind, job: ASCII, empty for any."""
        # Every record holds a quotation mark, so that stands for whatever was not asked.
        needles = [f'"{name}":"{value}"' if value else '"' for name, value in (("kind", kind), ("job", job))]
        asked = (before, *(needle.encode("ascii") for needle in needles), PAGE)
        with self._opened() as database:
            rows = [] if database is None else database.execute(_NEWEST, asked).fetchall()
        return [decode_event(bytes(row[0])) for row in rows]

    def prove(self, seq: int) -> Proven | None:
        """Return a record with its proof, None if the newest checkpoint does not cover such a number.

        Raises `VerificationError` if the stored hashes do not lead to the checkpoint's root.
        """
        with self._opened() as database:
            noted = None if database is None else database.execute(_CHECKPOINT).fetchone()
            if database is None or noted is None:
                return None
            note = bytes(noted[0])
            head = parse_checkpoint(note)[0]
            row = database.execute("SELECT event FROM event WHERE seq = ?", (seq,)).fetchone()
            if row is None or not 0 <= seq < head.size:
                return None
            path = inclusion_proof(seq, head.size, hash_reader(database))
        leaf = leaf_hash(bytes(row[0]))
        verify_inclusion(leaf, seq, head.size, path, head.root)
        shown = tuple(each.hex() for each in path)
        return Proven(decode_event(bytes(row[0])), leaf.hex(), shown, head.size, head.root.hex(), note.decode("utf-8"))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        if not self._path.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            raise InputError("log-unusable", f"{self._path}: the log cannot be read ({error})") from error
