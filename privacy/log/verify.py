"""The auditor's numbered steps over one log: what holds, what fails, what could not be checked.

One pass over the events in constant memory but for message ids; nothing is read or written here, a `LogSource` gives
the bytes. Theory: the events' exact bytes rebuild the tree; every checkpoint that the log's key signed must show the
root of the tree at its size. So whoever changes, drops, adds or reorders a record must also forge a signature, or
take checkpoints away, which leaves an uncovered tail that is reported. What was never recorded cannot be seen here.

Steps: (1) formats, (2) sequence, (3) origin, (4) stored hashes, (5) checkpoint signatures, (6) checkpoint roots,
(7) clocks, (8) message ids, (9) receipts, (10) heads known from elsewhere, (11) cosignatures, (12) quorum. The last
two need a policy, which names the witnesses.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.note import VerifierKey
from privacy.log.policy import Policy
from privacy.log.quorum import QuorumWalk
from privacy.log.receipt import Seen, check_receipt, decode_receipt, verify_receipt
from privacy.log.record import Event, decode_event
from privacy.log.tree import CompactTree, leaf_hash

__all__ = ["KnownHead", "LogSource", "Report", "Status", "Step", "verify_log"]

Status = Literal["passed", "flagged", "failed", "incomplete", "rolled-back", "skipped"]

_NAMES = (
    "formats",
    "sequence",
    "origin",
    "stored hashes",
    "checkpoint signatures",
    "checkpoint roots",
    "clocks",
    "message ids",
    "receipts",
    "heads known from elsewhere",
    "cosignatures",
    "quorum",
)


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that somebody else holds: the high-water mark, a saved trust state, a bank that saw it."""

    holder: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class LogSource:
    """One log's exact bytes.

    Attributes:
        origin: the log's expected origin.
        key: public key of the log.
        events: events in order.
        checkpoints: notes in rising size.
        hashes: stored hashes in the order of `tree.node_position`, None when the source has none.
        receipts: (message id, receipt) that the log's owner got from its peer, None when the source has none.
        peer: key of the peer's log, None when it is not known.
        heads: heads known from elsewhere.
        cosignatures: (size, signature line) as witnesses gave them, None when the source has none.
        policy: the log's witnesses and quorum, None when they are not known.
    """

    origin: str
    key: VerifierKey
    events: Iterable[bytes]
    checkpoints: Iterable[bytes]
    hashes: Iterable[bytes] | None = None
    receipts: Iterable[tuple[str, bytes]] | None = None
    peer: VerifierKey | None = None
    heads: tuple[KnownHead, ...] = ()
    cosignatures: Iterable[tuple[int, str]] | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one step: its number and name, a status, and one line that says what was found."""

    number: int
    name: str
    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found: the log's head as rebuilt from its events, and every step."""

    origin: str
    size: int
    root: bytes
    steps: tuple[Step, ...]

    def has(self, status: Status) -> bool:
        """Say whether any step ended so."""
        return any(step.status == status for step in self.steps)

    def step(self, number: int) -> Step:
        """Return a step by its number, from 1."""
        return self.steps[number - 1]


@dataclass(slots=True)
class _Finding:
    checked: int = 0
    status: Status = "passed"
    detail: str = ""

    def note(self, status: Status, detail: str) -> None:
        """Keep the first finding of the worst kind met so far."""
        rank = ("passed", "skipped", "flagged", "incomplete", "rolled-back", "failed")
        if rank.index(status) > rank.index(self.status):
            self.status, self.detail = status, detail


def verify_log(source: LogSource) -> Report:
    """Run all steps and return the report; nothing is raised for what the log holds."""
    walk = _Walk(source)
    for encoded in source.events:
        walk.take(encoded)
    return walk.finish()


@dataclass(slots=True)
class _Clock:
    boot: str = ""
    mono_us: int = 0
    utc_us: int = 0


@dataclass(slots=True)
class _Walk:
    source: LogSource
    tree: CompactTree = field(default_factory=CompactTree)
    found: list[_Finding] = field(default_factory=lambda: [_Finding() for _ in _NAMES])
    clock: _Clock = field(default_factory=_Clock)
    seen: set[bytes] = field(default_factory=set)
    results: set[bytes] = field(default_factory=set)
    hashes: Iterator[bytes] | None = None
    checkpoints: Iterator[bytes] | None = None
    next_checkpoint: Checkpoint | None = None
    covered: int = -1
    roots: dict[int, bytes] = field(default_factory=dict)
    seen_peer: Seen = field(default_factory=Seen)
    quorum: QuorumWalk = field(init=False)

    def __post_init__(self) -> None:
        self.quorum = QuorumWalk(self.source.origin, self.source.policy)
        self.quorum.read(self.source.cosignatures or ())
        self.hashes = None if self.source.hashes is None else iter(self.source.hashes)
        self.checkpoints = iter(self.source.checkpoints)
        self.next_checkpoint = self._pull()
        self.roots = {head.size: b"" for head in self.source.heads}
        self._look()

    def take(self, encoded: bytes) -> None:
        index = self.tree.size
        self.tree, completed = self.tree.append(leaf_hash(encoded))
        self._compare_hashes(index, completed)
        self._look()
        formats = self.found[0]
        formats.checked += 1
        try:
            event = decode_event(encoded)
        except VerificationError as error:
            formats.note("failed", f"record {index}: {error.message}")
            return
        self._place(event, index)
        self._times(event)
        self._identify(event)

    def finish(self) -> Report:
        self._finish_hashes()
        self._finish_checkpoints()
        self._finish_receipts()
        self._finish_heads()
        for finding, (status, detail) in zip(self.found[10:], self.quorum.finish(self.tree.size), strict=True):
            finding.status, finding.detail = cast(Status, status), detail
        self.found[1].checked = self.found[2].checked = self.found[6].checked = self.tree.size
        steps = tuple(
            Step(number, name, found.status, found.detail or f"{found.checked} checked")
            for number, (name, found) in enumerate(zip(_NAMES, self.found, strict=True), 1)
        )
        return Report(self.source.origin, self.tree.size, self.tree.root(), steps)

    def _place(self, event: Event, index: int) -> None:
        if event.seq != index:
            self.found[1].note("failed", f"record {index} says it is number {event.seq}")
        if event.log != self.source.origin:
            self.found[2].note("failed", f"record {index} belongs to another log")

    def _compare_hashes(self, index: int, completed: list[bytes]) -> None:
        if self.hashes is None:
            return
        for value in completed:
            self.found[3].checked += 1
            if next(self.hashes, b"") != value:
                self.found[3].note("failed", f"a stored hash of record {index} is not the hash of the record")

    def _pull(self) -> Checkpoint | None:
        """Return the next checkpoint with a plain form; report one that is malformed, unsigned or out of order."""
        for encoded in self.checkpoints or ():
            signatures = self.found[4]
            signatures.checked += 1
            try:
                checkpoint, note = parse_checkpoint(encoded)
            except VerificationError as error:
                signatures.note("failed", f"checkpoint {signatures.checked - 1}: {error.message}")
                continue
            try:
                self.source.key.verify(note)
                if checkpoint.origin != self.source.origin:
                    raise VerificationError("origin-mismatch", "it is of another log")
            except VerificationError as error:
                signatures.note("failed", f"checkpoint {signatures.checked - 1}: {error.message}")
            self.quorum.add(checkpoint.size, note.signatures)
            return checkpoint
        return None

    def _look(self) -> None:
        """Compare the tree at its present size with the checkpoints and heads of that size."""
        size = self.tree.size
        if size in self.roots:
            self.roots[size] = self.tree.root()
        while self.next_checkpoint is not None and self.next_checkpoint.size <= size:
            checkpoint, roots = self.next_checkpoint, self.found[5]
            roots.checked += 1
            if checkpoint.size < size or checkpoint.size <= self.covered:
                roots.note("failed", f"checkpoint at {checkpoint.size} is out of order or stands twice")
            elif checkpoint.root != self.tree.root():
                roots.note("failed", f"checkpoint at {size} shows another root: a record up to there was changed")
            self.covered = max(self.covered, checkpoint.size)
            self.next_checkpoint = self._pull()
        if self.quorum.wants(size):
            self.quorum.look(size, self.tree.root())

    def _times(self, event: Event) -> None:
        clock, finding = self.clock, self.found[6]
        if event.utc_us < clock.utc_us:
            finding.note("flagged", f"the wall clock went back before record {event.seq}; order is the sequence's")
        if event.boot == clock.boot and event.mono_us < clock.mono_us:
            finding.note("flagged", f"the monotonic clock went back before record {event.seq} within one run")
        self.clock = _Clock(event.boot, event.mono_us, event.utc_us)

    def _identify(self, event: Event) -> None:
        body, finding = event.body, self.found[7]
        if event.kind == "egress.authorised":
            name = _short("out", body["msg_id"], body.get("part", ""), body["to"], body.get("attempt", 1))
        elif event.kind == "ingress.received" and body["accepted"]:
            # A process that comes back is shown again what the one before it took.
            name = _short("in", body["msg_id"], body.get("part", ""), body["from"], event.boot)
        else:
            if event.kind == "egress.result" and isinstance(body["peer"], Mapping):
                peer = body["peer"]
                self.results.add(_short(body["msg_id"], peer["index"], peer["size"], peer["root"]))
            return
        finding.checked += 1
        if name in self.seen:
            finding.note("failed", f"record {event.seq} repeats a message id that was already sent or accepted")
        self.seen.add(name)

    def _finish_hashes(self) -> None:
        if self.hashes is None:
            self.found[3].note("skipped", "the source holds no stored hashes")
        elif next(self.hashes, None) is not None:
            self.found[3].note("failed", "more hashes are stored than the records have: records were taken away")

    def _finish_checkpoints(self) -> None:
        size, covered, roots = self.tree.size, max(0, self.covered), self.found[5]
        if self.next_checkpoint is not None:
            signed = self.next_checkpoint.size
            roots.note("failed", f"the log once had {signed} records and shows {size}: records were taken away")
        elif covered < size:
            tail = size - covered
            roots.note("incomplete", f"the last {tail} of {size} records stand under no checkpoint and prove nothing")

    def _finish_receipts(self) -> None:
        finding, peer = self.found[8], self.source.peer
        if self.source.receipts is None:
            finding.note("skipped", "the source holds no receipts")
            return
        for msg_id, encoded in self.source.receipts:
            finding.checked += 1
            fault = self._fault_of_receipt(msg_id, encoded, peer)
            if fault:
                finding.note("failed", f"receipt {finding.checked - 1}: {fault}")
        if finding.checked != len(self.results):
            finding.note("failed", f"{len(self.results)} results were recorded, {finding.checked} receipts are kept")
        if not finding.checked:
            finding.note("skipped", "the source holds no receipts")
        if peer is None and finding.checked:
            finding.note("skipped", f"{finding.checked} receipts fit the log; no key to check their signatures with")

    def _fault_of_receipt(self, msg_id: str, encoded: bytes, peer: VerifierKey | None) -> str | None:
        try:
            receipt = decode_receipt(encoded)
            head = parse_checkpoint(receipt.checkpoint)[0]
            if _short(msg_id, receipt.index, head.size, head.root.hex()) not in self.results:
                return "no egress.result of this log speaks of it"
            if peer is None:
                event, _ = check_receipt(receipt, head, self.seen_peer)
            else:
                event, _, _ = verify_receipt(receipt, peer, peer.name, self.seen_peer)
            # Receipts are kept in the order in which the log's owner linked each to the head it had seen before.
            self.seen_peer = Seen(head.size, head.root)
            if event.body["msg_id"] != msg_id:
                return "it is for another message"
        except VerificationError as error:
            return error.message
        return None

    def _finish_heads(self) -> None:
        finding, size = self.found[9], self.tree.size
        if not self.source.heads:
            finding.note("skipped", "no head of this log is known from elsewhere")
        for head in self.source.heads:
            finding.checked += 1
            if head.size > size:
                finding.note("rolled-back", f"{head.holder} knows {head.size} records, the log shows {size}")
            elif self.roots[head.size] != head.root:
                finding.note("failed", f"{head.holder} knows another history of the first {head.size} records")


def _short(*parts: object) -> bytes:
    """Return 8 bytes that stand for the parts: a set of a million stays small, a chance collision is 1 in 10^7."""
    return hashlib.sha256("\x00".join(str(part) for part in parts).encode("utf-8")).digest()[:8]
