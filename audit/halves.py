"""One log's half of what passed between a bank and the coordinator: what it says it sent, and what arrived.

Nothing is compared here. Records of one message are gathered under its id and part; blocks of control frames, which
name no message, are summed apart. A coordinator's record for many recipients names them by a bitmap over the seats that
its `job.decided` lists; where the list is missing, the record belongs to nobody in particular and is counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from privacy.errors import VerificationError
from privacy.log.record import Event, decode_event
from privacy.log.sender import verify_sender

__all__ = ["COORDINATOR", "Arrived", "Half", "Name", "Sent", "coordinator_halves", "node_half"]

COORDINATOR = "coordinator"
EVERYONE = "*"
Name = tuple[str, str]
"""Message id, and whose masked part it shows (empty for most)."""


@dataclass(slots=True)
class Sent:
    """All records of sending one message: digests with sizes, how often, and the last record's clock."""

    forms: set[tuple[str, int]] = field(default_factory=set)
    count: int = 0
    utc_us: int = 0
    error_us: int = 0


@dataclass(slots=True)
class Arrived:
    """All records of one message's arrival. signed: whether the sender's signature holds, None when not checked."""

    forms: set[tuple[str, int]] = field(default_factory=set)
    count: int = 0
    accepted: int = 0
    signed: bool | None = None
    reason: str = ""
    utc_us: int = 0
    error_us: int = 0


@dataclass(slots=True)
class Half:
    """What one log says of one partner.

    Attributes:
        sent, arrived: by message.
        sent_bytes, arrived_bytes: sums over their records.
        control_bytes: upper bound of what was authorised in blocks.
        signatures: arrivals whose signature holds.
        unresolved: records for several recipients that nobody can tell.
        latest_us: the newest record's time, UTC microseconds.
        crashed_us: when the log was last opened after an end without order, 0 for never.
    """

    sent: dict[Name, Sent] = field(default_factory=dict)
    arrived: dict[Name, Arrived] = field(default_factory=dict)
    sent_bytes: int = 0
    arrived_bytes: int = 0
    control_bytes: int = 0
    signatures: int = 0
    unresolved: int = 0
    latest_us: int = 0
    crashed_us: int = 0

    def send(self, event: Event) -> None:
        """Take an `egress.authorised` record that is for this partner."""
        form = _form(event)
        self.sent_bytes += form[1]
        sent = self.sent.setdefault(_name(event), Sent())
        sent.forms.add(form)
        sent.count += 1
        sent.utc_us, sent.error_us = event.utc_us, event.clock_error_us

    def arrive(self, event: Event, identity: bytes | None) -> None:
        """Take an `ingress.received` record; identity: the sender's 32-byte key, None to leave signatures unchecked."""
        form = _form(event)
        self.arrived_bytes += form[1]
        arrived = self.arrived.setdefault(_name(event), Arrived())
        arrived.forms.add(form)
        arrived.count += 1
        arrived.accepted += event.body["accepted"] is True
        arrived.reason = arrived.reason or str(event.body.get("reason", ""))
        arrived.utc_us, arrived.error_us = event.utc_us, event.clock_error_us
        if identity is not None:
            holds = _holds(event.body, identity)
            arrived.signed = holds and arrived.signed is not False
            self.signatures += holds

    def pass_over(self, event: Event) -> None:
        """Take the time of any record, and a start after a crash."""
        self.latest_us = max(self.latest_us, event.utc_us)
        if event.kind == "log.opened" and event.body["unclean"] is True:
            self.crashed_us = event.utc_us


def node_half(events: Iterable[bytes], coordinator: bytes | None) -> Half:
    """Gather a node's half; coordinator: its 32-byte key, by which signatures on arrivals are checked."""
    half = Half()
    for event in map(decode_event, events):
        half.pass_over(event)
        if event.kind == "egress.authorised":
            if "frames" in event.body:
                half.control_bytes += int(str(event.body["bytes"]))
            else:
                half.send(event)
        elif event.kind == "ingress.received" and event.body["from"] == COORDINATOR:
            half.arrive(event, coordinator)
    return half


def coordinator_halves(events: Iterable[bytes], members: Mapping[str, bytes | None]) -> dict[str, Half]:
    """Gather the coordinator's half for each of these members, in one pass; members: id to key, None unchecked."""
    halves = {member: Half() for member in members}
    seats: dict[str, list[str]] = {}
    for event in map(decode_event, events):
        for half in halves.values():
            half.pass_over(event)
        if event.kind == "job.decided":
            approvers = event.body["approvers"]
            seats[event.job] = [str(each) for each in approvers] if isinstance(approvers, list) else []
        elif event.kind == "ingress.received" and event.body["from"] in halves:
            member = str(event.body["from"])
            halves[member].arrive(event, members[member])
        elif event.kind == "egress.authorised" and "frames" not in event.body:
            _address(event, seats.get(event.job, []), halves)
    return halves


def _address(event: Event, seats: list[str], halves: Mapping[str, Half]) -> None:
    body = event.body
    bitmap = str(body.get("recipients", ""))
    if body["to"] != EVERYONE:
        recipients = [str(body["to"])]
    elif len(bitmap) == len(seats):
        recipients = [seat for seat, bit in zip(seats, bitmap, strict=True) if bit == "1"]
    else:
        for half in halves.values():
            half.unresolved += 1
        return
    for member in recipients:
        if member in halves:
            halves[member].send(event)


def _name(event: Event) -> Name:
    return str(event.body["msg_id"]), str(event.body.get("part", ""))


def _form(event: Event) -> tuple[str, int]:
    return str(event.body["payload_sha256"]), int(str(event.body["bytes"]))


def _holds(body: Mapping[str, object], identity: bytes) -> bool:
    try:
        verify_sender(body, identity)
    except VerificationError:
        return False
    return True
