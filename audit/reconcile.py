"""Compare what a node says it sent with what the coordinator says it received.

Both logs are taken as verified. Theory: a tree proves that nothing recorded was removed; only the other side's log
shows what was never recorded. Records are joined by message id. An arrival that the node's log lacks is the node's
doing when it carries the node's signature, and the coordinator's invention when it does not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from privacy.errors import VerificationError
from privacy.log.record import BLOCKS, Event, decode_event
from privacy.log.sender import verify_sender
from privacy.log.verify import KnownHead

__all__ = ["Finding", "Reconciliation", "Severity", "peer_heads", "reconcile"]

Severity = Literal["low", "medium", "critical"]
IN_FLIGHT_US = 600_000_000
CLOCK_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree: how grave, a stable code, the message id, and one line."""

    severity: Severity
    code: str
    msg_id: str
    detail: str


@dataclass(slots=True)
class Reconciliation:
    """The comparison's outcome.

    Attributes:
        matched: messages that both logs show with one digest and size.
        sent_bytes, received_bytes: their sums over all payload records of the node and of its arrivals.
        control_bytes: upper bound of what the node authorised in blocks of control frames.
        signatures: arrivals whose sender's signature was checked and holds.
        findings: what does not agree, in the order of the logs.
    """

    matched: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    control_bytes: int = 0
    signatures: int = 0
    findings: list[Finding] = field(default_factory=list)

    def worst(self) -> Severity | None:
        """Return the gravest severity found, None when all agrees."""
        found = {finding.severity for finding in self.findings}
        return next((each for each in ("critical", "medium", "low") if each in found), None)


@dataclass(frozen=True, slots=True)
class _Sent:
    payload_sha256: str
    size: int
    utc_us: int


def peer_heads(node_events: Iterable[bytes], origin: str) -> tuple[KnownHead, ...]:
    """Return every head of the log `origin` that the node recorded in a `peer.checkpoint`."""
    heads = []
    for event in map(decode_event, node_events):
        if event.kind == "peer.checkpoint" and event.body["origin"] == origin:
            holder = f"{event.log} in its record {event.seq}"
            heads.append(KnownHead(holder, int(str(event.body["size"])), bytes.fromhex(str(event.body["root"]))))
    return tuple(heads)


def reconcile(
    node_events: Iterable[bytes], peer_events: Iterable[bytes], member: str, identity: bytes | None
) -> Reconciliation:
    """Compare a node's egress with the coordinator's arrivals from it.

    Args:
        node_events: events of the node's log in order.
        peer_events: events of the coordinator's log in order.
        member: the node's id in the coordinator's records.
        identity: the node's 32-byte public key; without it, signatures of arrivals are not checked.
    """
    out = Reconciliation()
    sent, sends, latest = _collect(node_events, out)
    arrivals: Counter[str] = Counter()
    for event in map(decode_event, peer_events):
        latest = max(latest, event.utc_us)
        if event.kind == "ingress.received" and event.body["from"] == member:
            name = str(event.body["msg_id"])
            arrivals[name] += 1
            _compare(event, sent.get(name), identity, out)
            if arrivals[name] > sends[name] > 0:
                out.findings.append(Finding("medium", "arrived-twice", name, "arrived more often than it was sent"))
    for name, record in sent.items():
        if arrivals[name] < sends[name]:
            young = latest - record.utc_us < IN_FLIGHT_US
            detail = "was recorded by the node and never received" + (
                ", within ten minutes of the end" if young else ""
            )
            out.findings.append(Finding("low" if young else "medium", "not-received", name, detail))
    return out


def _collect(events: Iterable[bytes], out: Reconciliation) -> tuple[dict[str, _Sent], Counter[str], int]:
    sent: dict[str, _Sent] = {}
    sends: Counter[str] = Counter()
    latest = 0
    for event in map(decode_event, events):
        latest = max(latest, event.utc_us)
        if event.kind != "egress.authorised":
            continue
        body, size = event.body, int(str(event.body["bytes"]))
        if body["payload_kind"] in BLOCKS:
            out.control_bytes += size
            continue
        name = str(body["msg_id"])
        out.sent_bytes += size
        sends[name] += 1
        sent[name] = _Sent(str(body["payload_sha256"]), size, event.utc_us)
    return sent, sends, latest


def _compare(event: Event, record: _Sent | None, identity: bytes | None, out: Reconciliation) -> None:
    body: Mapping[str, object] = event.body
    name, size = str(body["msg_id"]), int(str(body["bytes"]))
    out.received_bytes += size
    signed = _signed(body, identity, out)
    if record is None:
        detail = {
            True: ("egress-hidden", "arrived with the node's signature, but the node recorded no such message"),
            False: ("arrival-invented", "the coordinator records an arrival that the node did not sign"),
            None: ("one-sided", "only the coordinator records it; give the members' identities to tell who lies"),
        }[signed]
        out.findings.append(Finding("critical", detail[0], name, detail[1]))
        return
    if (body["payload_sha256"], size) != (record.payload_sha256, record.size):
        out.findings.append(Finding("critical", "differs", name, "the two logs show another digest or size"))
    elif signed is False:
        out.findings.append(Finding("critical", "signature", name, "the arrival's signature is not the node's"))
    else:
        out.matched += 1
    if not body["accepted"]:
        out.findings.append(Finding("low", "refused", name, f"the coordinator refused it: {body.get('reason', '-')}"))
    if abs(event.utc_us - record.utc_us) > CLOCK_US:
        out.findings.append(Finding("low", "clock", name, "the two logs' times differ by more than five seconds"))


def _signed(body: Mapping[str, object], identity: bytes | None, out: Reconciliation) -> bool | None:
    if identity is None:
        return None
    try:
        verify_sender(body, identity)
    except VerificationError:
        return False
    out.signatures += 1
    return True
