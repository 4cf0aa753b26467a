"""Logs in memory for tests: a clock that is set by hand, seeded salts, and an SQLite database without a file."""

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from privacy.log.appender import Appender, Surroundings
from privacy.log.instant import Instant
from privacy.log.journal import PRAGMAS, SCHEMA, Batch, Journal
from privacy.log.note import NoteSigner
from privacy.log.record import Actor, Author, Entry
from privacy.log.tree import CompactTree
from privacy.log.verify import LogSource

__all__ = ["ORIGIN", "HandClock", "MemoryLog", "author", "egress", "ingress", "opened", "seeded"]

ORIGIN = "bank-a/privacy-log"
START_US = 1_790_000_000_000_000


def seeded(seed: int = 1) -> random.Random:
    """Return a reproducible source of randomness."""
    return random.Random(seed)


def author(origin: str = ORIGIN) -> Author:
    return Author(origin, bytes(range(16)), Actor("service", "bank-a", "node", "mtls"))


def egress(number: int, payload: str = "ab", **more: Any) -> Entry:
    """Return an `egress.authorised` entry with its own message id."""
    body: dict[str, object] = {
        "msg_id": f"job-1/1/{number}/upload/bank-a>coordinator",
        "to": "coordinator",
        "bytes": 100 + number,
        "payload_kind": "secagg.upload",
        "protection": "masked",
        "payload_sha256": payload * 32,
        **more,
    }
    return Entry("egress.authorised", body, "credit-risk-model", "job-1", number)


def ingress(number: int, payload: str = "ab", **more: Any) -> Entry:
    """Return the `ingress.received` entry that belongs to `egress`."""
    body: dict[str, object] = {
        "msg_id": f"job-1/1/{number}/upload/bank-a>coordinator",
        "from": "bank-a",
        "bytes": 100 + number,
        "payload_sha256": payload * 32,
        "accepted": True,
        **more,
    }
    return Entry("ingress.received", body, "credit-risk-model", "job-1")


def opened() -> Entry:
    head = {"size": 0, "root": "00" * 32}
    body = {"software": "creditmesh", "config_sha256": "00" * 32, "prev": head, "unclean": False, "gap_s": 0}
    return Entry("log.opened", body)


@dataclass(slots=True)
class HandClock:
    """Both clocks, moved by hand."""

    utc_us: int = START_US
    mono_us: int = 1_000_000

    def __call__(self) -> Instant:
        return Instant(self.utc_us, self.mono_us)

    def pass_us(self, wall: int, mono: int | None = None) -> None:
        self.utc_us += wall
        self.mono_us += wall if mono is None else mono


@dataclass(slots=True)
class MemoryLog:
    """A log in memory, written by the code that nodes and the coordinator use."""

    origin: str = ORIGIN
    seed: int = 1
    clock: HandClock = field(default_factory=HandClock)
    marks: list[int] = field(default_factory=list)
    database: sqlite3.Connection = field(init=False)
    signer: NoteSigner = field(init=False)
    appender: Appender = field(init=False)

    def __post_init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for statement in (*PRAGMAS, *SCHEMA):
            self.database.execute(statement)
        self.signer = NoteSigner(self.origin, seeded(self.seed).randbytes(32))
        journal = Journal(author(self.origin), self.signer, CompactTree())
        surroundings = Surroundings(self.clock, seeded(self.seed + 1).randbytes, self._keep)
        self.appender = Appender(self.database, journal, surroundings)

    def _keep(self, batch: Batch) -> None:
        self.marks.append(batch.checkpoint.size)

    def append(self, *entries: Entry) -> list[int]:
        self.clock.pass_us(1_000)
        return self.appender.append(entries)

    def column(self, sql: str) -> list[bytes]:
        return [row[0] for row in self.database.execute(sql)]

    def events(self) -> list[bytes]:
        return self.column("SELECT event FROM event ORDER BY seq")

    def source(self, events: Sequence[bytes] | None = None, **other: object) -> LogSource:
        """Return the log's bytes, with some of them replaced by an attacker's."""
        parts: dict[str, object] = {
            "checkpoints": self.column("SELECT note FROM checkpoint ORDER BY size"),
            "hashes": self.column("SELECT value FROM hash ORDER BY position"),
            "receipts": list(self.database.execute("SELECT msg_id, receipt FROM receipt ORDER BY number")),
            **other,
        }
        chosen = self.events() if events is None else events
        return LogSource(self.origin, self.signer.verifier(), chosen, **parts)  # type: ignore[arg-type]
