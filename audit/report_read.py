"""One pass over every log of a report: what each question needs is kept, all else is forgotten.

It judges nothing; whether a log holds is `privacy.log.verify`'s word. Theory: a log of 100 000 events becomes a page of
a few hundred rows, so each question keeps sums, maxima and its first rows while the events go by. Leaf hashes are kept
for all events (32 bytes each), because an inclusion proof of a row on the page may need any of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from audit.checked import MEMBER_SUFFIX
from audit.epsilon import EpsilonAudit
from audit.opened import OpenLog
from audit.prover import roots_at
from audit.reconcile import Reconciliation
from audit.report_answer import Answer
from audit.screen import INCOMPLETE, VALID, code_of
from audit.secagg import Violation
from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.cosignature import read_line
from privacy.log.kinds import KINDS
from privacy.log.note import Signature
from privacy.log.policy import Policy
from privacy.log.record import Event, decode_event
from privacy.log.tree import HASH_BYTES, leaf_hash
from privacy.log.verify import KnownHead, Report, Step

__all__ = ["COORDINATOR_ORIGIN", "Account", "Inquiry", "Scene", "count_of", "read_account", "text_of"]

COORDINATOR_ORIGIN = "coordinator/privacy-log"
SILENCE_US = 25 * 3_600_000_000


@dataclass(slots=True)
class Account:
    """One log of the report.

    Attributes:
        number: place on the page, from 0.
        log: where its bytes come from, and its key.
        events, unread: records, and how many of them could not be read.
        first_us, last_us: UTC microseconds of the first and the last record.
        kinds: how many records there are of each kind.
        clocks: largest stated error in microseconds by source of time; clock_back: how often the wall clock went back.
        silences: (last before, first after, its sequence number) where more than 25 hours passed.
        note: the last checkpoint's bytes, and `covered`, the records under it.
        policy: its witnesses, None when they are not known.
        heads: heads of this log that other logs of the report recorded.
        verification: the outcome of all steps, set after the pass.
    """

    number: int
    log: OpenLog
    events: int = 0
    unread: int = 0
    first_us: int = 0
    last_us: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    clocks: dict[str, int] = field(default_factory=dict)
    clock_back: int = 0
    silences: list[tuple[int, int, int]] = field(default_factory=list)
    note: bytes = b""
    covered: int = 0
    policy: Policy | None = None
    heads: tuple[KnownHead, ...] = ()
    verification: Report | None = None
    _leaves: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def member(self) -> str:
        """Return who keeps the log, as its origin says."""
        return self.log.origin.removesuffix(MEMBER_SUFFIX)

    @property
    def is_coordinator(self) -> bool:
        """Say whether this is the log of the coordinator, which approves no job."""
        return self.log.origin == COORDINATOR_ORIGIN

    @property
    def unknown(self) -> int:
        """Return how many records are of kinds that this version does not know and no question looks at."""
        return sum(count for kind, count in self.kinds.items() if kind not in KINDS)

    @property
    def holds(self) -> bool:
        """Say whether verification found nothing wrong, so that more can be concluded from the log."""
        return self.verification is not None and code_of(self.verification) in (VALID, INCOMPLETE)

    def leaf(self, seq: int) -> bytes:
        """Return the leaf hash of a record."""
        return bytes(self._leaves[HASH_BYTES * seq : HASH_BYTES * (seq + 1)])

    def take(self, encoded: bytes) -> Event | None:
        """Add a record to the tree and return it, or None when it cannot be read."""
        self._leaves += leaf_hash(encoded)
        self.events += 1
        try:
            event = decode_event(encoded)
        except VerificationError:
            self.unread += 1
            return None
        self.kinds[event.kind] += 1
        self._time(event)
        return event

    def cosigned(self) -> tuple[int, Mapping[str, int]]:
        """Return the newest size that witnesses of the policy cosigned, and who did when (Unix seconds)."""
        lines: dict[int, list[Signature]] = {}
        for size, line in self.log.bare().cosignatures or ():
            if 0 < size <= self.events:
                with suppress(VerificationError):
                    lines.setdefault(size, []).append(read_line(line))
        if self.policy is None or not lines:
            return 0, {}
        size = max(lines)
        head = Checkpoint(self.log.origin, size, roots_at(self.log.events(), frozenset({size}))[size])
        return size, self.policy.judge(head, lines[size]).cosigners

    def _time(self, event: Event) -> None:
        if not self.clocks:
            self.first_us = event.utc_us
        elif event.utc_us < self.last_us:
            self.clock_back += 1
        elif event.utc_us - self.last_us > SILENCE_US:
            self.silences.append((self.last_us, event.utc_us, event.seq))
        self.last_us = event.utc_us
        self.clocks[event.clock_source] = max(self.clocks.get(event.clock_source, 0), event.clock_error_us)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that answers may look at once all logs are read.

    Attributes:
        accounts: the logs, by their number.
        comparisons: by a bank's log number, its comparison with the coordinator's log; empty without that log.
        spending: by log number, its `dp.spend` records recomputed; only of logs that hold.
        masks: the rules about masks over all banks' logs that hold: the steps, and where they are broken.
        made_us: when the report is made, UTC microseconds.
        pinned: whether the public keys came from outside the logs.
    """

    accounts: tuple[Account, ...]
    comparisons: Mapping[int, Reconciliation]
    spending: Mapping[int, EpsilonAudit]
    masks: tuple[Sequence[Step], Sequence[Violation]]
    made_us: int
    pinned: bool

    @property
    def banks(self) -> tuple[Account, ...]:
        """Return the logs of the banks."""
        return tuple(account for account in self.accounts if not account.is_coordinator)


class Inquiry(Protocol):
    """What one or more questions keep of the events, and how they answer."""

    kinds: frozenset[str]

    def take(self, account: Account, event: Event) -> None:
        """Look at one event of one of `kinds`, in the order of its log."""
        ...

    def answers(self, scene: Scene) -> Iterable[Answer]:
        """Return the answers, once all logs are read."""
        ...


def read_account(account: Account, inquiries: Iterable[Inquiry]) -> list[tuple[str, KnownHead]]:
    """Read one log for all inquiries and return the heads of other logs that it recorded, with their origins."""
    by_kind: dict[str, list[Inquiry]] = {}
    for inquiry in inquiries:
        for kind in inquiry.kinds:
            by_kind.setdefault(kind, []).append(inquiry)
    heads: dict[tuple[str, int, str], KnownHead] = {}
    for encoded in account.log.events():
        event = account.take(encoded)
        if event is None:
            continue
        if event.kind == "peer.checkpoint":
            origin, size, root = text_of(event, "origin"), count_of(event, "size"), text_of(event, "root")
            holder = f"{account.log.origin} in its record {event.seq}"
            heads.setdefault((origin, size, root), KnownHead(holder, size, bytes.fromhex(root)))
        for inquiry in by_kind.get(event.kind, ()):
            inquiry.take(account, event)
    _read_checkpoints(account)
    return [(origin, head) for (origin, _, _), head in heads.items()]


def text_of(event: Event, key: str) -> str:
    """Return a text of the event's body; its schema was checked when it was read."""
    return str(event.body[key])


def count_of(event: Event, key: str) -> int:
    """Return a count of the event's body."""
    return int(str(event.body[key]))


def _read_checkpoints(account: Account) -> None:
    """Keep the last checkpoint that the log signed and that the log's records reach."""
    last: Checkpoint | None = None
    for encoded in account.log.bare().checkpoints:
        try:
            checkpoint, _ = parse_checkpoint(encoded)
        except VerificationError:
            continue
        if checkpoint.size <= account.events and (last is None or checkpoint.size > last.size):
            last, account.note = checkpoint, encoded
    account.covered = last.size if last else 0
