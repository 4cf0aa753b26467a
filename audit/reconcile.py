"""Compare what a bank and the coordinator say they sent each other, in both directions.

Both logs are taken as verified. Theory: a tree proves that nothing recorded was removed; only the other side's log
shows what was never recorded. Records are joined by message id. An arrival that its sender's log lacks is the sender's
doing when it carries the sender's signature, and the receiver's invention when it does not.

A bank records an upload durably before it leaves. The coordinator's records of what it gives to banks, and a bank's of
what it took from the coordinator, ride on a later commit: a crash may lose some, and where the log says that it was
opened after one, their absence is graver than nothing and lighter than a hidden message.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from audit.halves import Arrived, Half, Name, Sent, coordinator_halves, node_half
from privacy.log.record import decode_event
from privacy.log.verify import KnownHead

__all__ = ["Finding", "Reconciliation", "Severity", "compare", "peer_heads", "reconcile"]

Severity = Literal["low", "medium", "critical"]
IN_FLIGHT_US = 600_000_000
CLOCK_US = 5_000_000
_DEFERRED = "/sum-signature/"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree: how grave, a stable code, the message id, and one line."""

    severity: Severity
    code: str
    msg_id: str
    detail: str


@dataclass(slots=True)
class Reconciliation:
    """The comparison's outcome; `down_` is what the coordinator sent to the bank, the rest what the bank sent.

    Attributes:
        matched: messages that both logs show with one digest and size.
        sent_bytes, received_bytes: their sums over all payload records of the node and of its arrivals.
        control_bytes: upper bound of what the node authorised in blocks of control frames.
        signatures: arrivals whose sender's signature was checked and holds.
        unresolved: the coordinator's records for several banks that do not say for which.
        findings: what does not agree; codes of the second direction begin with `down-`.
    """

    matched: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    control_bytes: int = 0
    signatures: int = 0
    down_matched: int = 0
    down_sent_bytes: int = 0
    down_received_bytes: int = 0
    down_signatures: int = 0
    unresolved: int = 0
    findings: list[Finding] = field(default_factory=list)

    def worst(self) -> Severity | None:
        """Return the gravest severity found, None when all agrees."""
        found = {finding.severity for finding in self.findings}
        return next((each for each in ("critical", "medium", "low") if each in found), None)


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction: its code's prefix, its parties' names, what a crash excuses, and whether times mean anything.

    crashed_us: when the sender's log was last opened after a crash. ended_us: its last record's time, by which a
    process that was killed and never started again is known; None where that excuses nothing.
    """

    prefix: str
    sender: str
    receiver: str
    hidden: str
    invented: str
    latest_us: int
    crashed_us: int
    ended_us: int | None
    partial: bool
    timed: bool

    def lost(self, name: Name, arrival: Arrived) -> bool:
        """Say whether the sender's record may have been lost with its process: only one that rides on a later commit.

        A bank's signature on a sum is such a record, within a block of bytes that it authorised durably before.
        """
        if self.timed and _DEFERRED not in name[0]:
            return False
        ended = self.ended_us is not None and arrival.utc_us + CLOCK_US > self.ended_us
        return ended or self.crashed_us > arrival.utc_us


def peer_heads(node_events: Iterable[bytes], origin: str) -> tuple[KnownHead, ...]:
    """Return every head of the log `origin` that the node recorded in a `peer.checkpoint`."""
    heads = []
    for event in map(decode_event, node_events):
        if event.kind == "peer.checkpoint" and event.body["origin"] == origin:
            holder = f"{event.log} in its record {event.seq}"
            heads.append(KnownHead(holder, int(str(event.body["size"])), bytes.fromhex(str(event.body["root"]))))
    return tuple(heads)


def reconcile(
    node_events: Iterable[bytes],
    peer_events: Iterable[bytes],
    member: str,
    identity: bytes | None,
    coordinator: bytes | None = None,
) -> Reconciliation:
    """Compare a node's log with the coordinator's.

    Args:
        node_events: events of the node's log in order.
        peer_events: events of the coordinator's log in order.
        member: the node's id in the coordinator's records.
        identity: the node's 32-byte public key; without it, signatures of its messages are not checked.
        coordinator: the coordinator's, likewise.
    """
    return compare(node_half(node_events, coordinator), coordinator_halves(peer_events, {member: identity})[member])


def compare(node: Half, peer: Half) -> Reconciliation:
    """Compare the two halves of one bank and the coordinator."""
    out = Reconciliation(
        sent_bytes=node.sent_bytes,
        received_bytes=peer.arrived_bytes,
        control_bytes=node.control_bytes,
        signatures=peer.signatures,
        down_sent_bytes=peer.sent_bytes,
        down_received_bytes=node.arrived_bytes,
        down_signatures=node.signatures,
        unresolved=peer.unresolved,
    )
    latest_us = max(node.latest_us, peer.latest_us)
    names = ("", "node", "coordinator", "egress-hidden", "arrival-invented")
    up = _Way(*names, latest_us, node.crashed_us, node.latest_us, partial=False, timed=True)
    unsure = peer.unresolved > 0
    names = ("down-", "coordinator", "node", "hidden", "invented")
    down = _Way(*names, latest_us, peer.crashed_us, None, partial=unsure, timed=False)
    out.matched = _walk(up, node.sent, peer.arrived, out)
    # Logs that were written before this direction was recorded hold nothing of it on either side.
    out.down_matched = _walk(down, peer.sent, node.arrived, out)
    return out


def _walk(way: _Way, sent: dict[Name, Sent], arrived: dict[Name, Arrived], out: Reconciliation) -> int:
    matched = 0
    for name, arrival in arrived.items():
        record = sent.get(name)
        if record is None:
            out.findings += _one_sided(way, name, arrival)
            continue
        wrong = _differs(way, name, record, arrival)
        matched += not wrong
        out.findings += [*wrong, *_asides(way, name, record, arrival)]
    for name, record in sent.items():
        if name not in arrived:
            young = way.latest_us - record.utc_us < IN_FLIGHT_US
            detail = f"was recorded by the {way.sender}, and the {way.receiver} has no record of it"
            detail += ", ten minutes or less before the end" if young else ""
            out.findings.append(_finding(way, "low" if young else "medium", "not-received", name, detail))
    return matched


def _one_sided(way: _Way, name: Name, arrival: Arrived) -> list[Finding]:
    if way.partial:
        # The sender wrote down messages without saying to whom, so one more or less cannot be told.
        return []
    if arrival.signed is False:
        detail = f"the {way.receiver} records an arrival that the {way.sender} did not sign"
        return [_finding(way, "critical", way.invented, name, detail)]
    if way.lost(name, arrival):
        detail = f"arrived, but the {way.sender} has no record of it; its log ends there or was opened after a crash"
        return [_finding(way, "medium", "lost", name, detail)]
    if arrival.signed:
        detail = f"arrived with the {way.sender}'s signature, but the {way.sender} recorded no such message"
        return [_finding(way, "critical", way.hidden, name, detail)]
    detail = f"only the {way.receiver} records it; give the members' identities to tell who lies"
    return [_finding(way, "critical", "one-sided", name, detail)]


def _differs(way: _Way, name: Name, record: Sent, arrival: Arrived) -> list[Finding]:
    if not arrival.forms <= record.forms:
        return [_finding(way, "critical", "differs", name, "the two logs show another digest or size")]
    if arrival.signed is False:
        return [_finding(way, "critical", "signature", name, f"the arrival's signature is not the {way.sender}'s")]
    return []


def _asides(way: _Way, name: Name, record: Sent, arrival: Arrived) -> list[Finding]:
    """Return what is worth saying of a message that both logs show."""
    found = []
    if arrival.accepted > 1:
        found.append(_finding(way, "medium", "accepted-twice", name, f"was accepted {arrival.accepted} times"))
    elif arrival.count > record.count:
        found.append(_finding(way, "medium", "arrived-twice", name, "arrived more often than it was sent"))
    elif arrival.count < record.count:
        detail = f"was sent {record.count} times and arrived {arrival.count} times"
        found.append(_finding(way, "low", "sent-again", name, detail))
    if not arrival.accepted:
        found.append(_finding(way, "low", "refused", name, f"the {way.receiver} refused it: {arrival.reason or '-'}"))
    # Of repeated messages nobody knows which times belong together, and a record that rode on a later commit bears the
    # time of that commit.
    apart = abs(arrival.utc_us - record.utc_us) > CLOCK_US + record.error_us + arrival.error_us
    prompt = way.timed and _DEFERRED not in name[0]
    if apart and prompt and record.count == arrival.count == 1:
        found.append(_finding(way, "low", "clock", name, "the two logs' times differ by more than five seconds"))
    return found


def _finding(way: _Way, severity: Severity, code: str, name: Name, detail: str) -> Finding:
    label = name[0] if not name[1] else f"{name[0]} ({name[1]})"
    return Finding(severity, way.prefix + code, label, detail)
