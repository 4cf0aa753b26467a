"""State directories of one node and one coordinator on disk, written by the stores that ship."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from coordinator.log_store import LogSettings, LogStore
from coordinator.log_store import load_log_key as load_coordinator_key
from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.envelope import COORDINATOR, Address, Envelope, sign_envelope
from privacy.keys import IdentityKey
from privacy.log.record import Actor, Author
from privacy.messages import Halt
from tests.privacy.logs import HandClock

__all__ = ["IDENTITY", "NODE", "PEER", "coordinator_store", "disarmed", "envelope", "named_store", "node_store"]

NODE = "bank-a/privacy-log"
PEER = "coordinator/privacy-log"
IDENTITY = IdentityKey.from_seed(b"a" * 32)


def node_store(directory: Path, clock: HandClock) -> RecordStore:
    return named_store(directory, "bank-a", clock)


def named_store(directory: Path, member: str, clock: HandClock) -> RecordStore:
    """Return the store of any bank."""
    origin = f"{member}/privacy-log"
    who = Author(origin, os.urandom(16), Actor("service", member, "node", "mtls"))
    return RecordStore(StoreSettings(directory, who, load_log_key(directory, origin), "creditmesh", "00" * 32, clock))


def coordinator_store(directory: Path, clock: HandClock) -> LogStore:
    who = Author(PEER, os.urandom(16), Actor("service", "coordinator", "coordinator", "mtls"))
    key = load_coordinator_key(directory, PEER)
    return LogStore(LogSettings(directory, who, key, "creditmesh", "00" * 32, clock))


def envelope(position: int, identity: IdentityKey = IDENTITY) -> Envelope:
    """Return a signed message of bank-a's at a position."""
    return sign_envelope(identity, "bank-a", COORDINATOR, Address("job-1", 1, position), Halt(f"code-{position}"))


def disarmed(database: Path, *statements: str) -> None:
    """Run statements on a closed log as somebody who owns the file, without its triggers."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
