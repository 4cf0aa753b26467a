"""What an attacker does who owns a log's file and its signing key: rewrite records and make everything fit again."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from privacy.log.canonical import encode
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.mark import Mark
from privacy.log.note import NoteSigner
from privacy.log.tree import CompactTree, leaf_hash, node_position

__all__ = ["disarmed", "edited", "resign"]


def disarmed(state: Path) -> "closing[sqlite3.Connection]":
    """Open a log's database without its triggers."""
    connection = sqlite3.connect(state / "log.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # A scratch copy: nothing is lost that could not be made again.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return closing(connection)


def edited(event: bytes, **changes: object) -> bytes:
    """Return an event with other fields in its envelope."""
    return encode({**json.loads(event), **changes})


def resign(state: Path, change: Callable[[list[bytes]], None]) -> None:
    """Change the records, then number, hash and sign them anew with the log's own key, and write the mark to fit.

    Receipts that no record speaks of any more are taken away, cosignatures stay as they are.
    """
    origin = (state / "origin").read_text("ascii").strip()
    signer = NoteSigner(origin, bytes.fromhex((state / "log.key").read_text("ascii")))
    with disarmed(state) as database:
        events = [bytes(row[0]) for row in database.execute("SELECT event FROM event ORDER BY seq")]
        sizes = {row[0] for row in database.execute("SELECT size FROM checkpoint")}
        change(events)
        events = [edited(each, seq=number) for number, each in enumerate(events)]
        for table in ("event", "hash", "checkpoint"):
            database.execute(f"DELETE FROM {table}")
        tree = CompactTree()
        for seq, event in enumerate(events):
            tree, completed = tree.append(leaf_hash(event))
            database.execute("INSERT INTO event VALUES (?, ?)", (seq, event))
            rows = [(node_position(level, seq >> level), value) for level, value in enumerate(completed)]
            database.executemany("INSERT INTO hash VALUES (?, ?)", rows)
            if tree.size in sizes or tree.size == len(events):
                note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root()), signer)
                database.execute("INSERT INTO checkpoint VALUES (?, ?)", (tree.size, note))
        told = {str(json.loads(each)["body"].get("msg_id")) for each in events if b'"egress.result"' in each}
        kept = {str(row[0]) for row in database.execute("SELECT msg_id FROM receipt")}
        for msg_id in kept - told:
            database.execute("DELETE FROM receipt WHERE msg_id = ?", (msg_id,))
    (state / "log.mark").write_bytes(b"".join(Mark(n, origin, tree.size, tree.root(), True).slot() for n in (2, 1)))
