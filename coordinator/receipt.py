"""Receipts for what members sent: write each message's digest into the coordinator's log, and prove it to the sender.

The desk sees digests and sizes, never a payload, and decides nothing about a message: whoever handled it says whether
it was accepted. Theory: the sender's own log says what left, this log says what arrived; a receipt binds the two, and
an auditor later joins them by `msg_id`. The record carries the sender's signature, so that a coordinator that invents
an arrival, or a bank that hides one, is told from the other. Arrivals that come while a commit runs share the next.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.log_store import LogStore
from privacy.arrival import signed_fields
from privacy.envelope import Envelope
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.receipt import Receipt
from privacy.log.record import Entry

__all__ = ["Arrival", "ReceiptDesk", "arrival"]

GATHER_S = 0.01


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message that arrived.

    Attributes:
        msg_id: the message's name.
        sender: member id.
        size: application bytes that crossed the link.
        payload_sha256: 64 hex digits, digest of the payload that the sender's signature covers.
        payload_kind: kind of the payload.
        accepted: whether the protocol took it.
        reason: code of the error when it did not.
        job, purpose: what the message belongs to.
        signed: the fields, in hexadecimal, that make the sender's signature verifiable from the record alone:
            `signature` and, where the message has them, `manifest_sha256`, `agreement_root` and `binding`.
    """

    msg_id: str
    sender: str
    size: int
    payload_sha256: str
    payload_kind: str
    accepted: bool
    reason: str
    job: str
    purpose: str
    signed: tuple[tuple[str, str], ...] = ()

    def entry(self) -> Entry:
        """Return the `ingress.received` event."""
        body: dict[str, object] = {
            "msg_id": self.msg_id,
            "from": self.sender,
            "bytes": self.size,
            "payload_sha256": self.payload_sha256,
            "payload_kind": self.payload_kind,
            "accepted": self.accepted,
            **dict(self.signed),
        }
        if self.reason:
            body["reason"] = self.reason
        return Entry("ingress.received", body, self.purpose, self.job)


def arrival(envelope: Envelope, size: int, purpose: str, refusal: str = "") -> Arrival:
    """Describe a message whose signature was checked; `refusal` is the code of the error that refused it."""
    return Arrival(
        msg_id=envelope.msg_id,
        sender=envelope.sender,
        size=size,
        payload_sha256=envelope.payload_sha256,
        payload_kind=f"secagg.{envelope.kind}",
        accepted=not refusal,
        reason=refusal,
        job=envelope.address.job,
        purpose=purpose,
        signed=tuple(signed_fields(envelope).items()),
    )


class ReceiptDesk:
    """Record arrivals and issue their receipts. All calls are made on one event loop."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._waiting: list[tuple[Arrival, asyncio.Future[bytes]]] = []
        self._told: dict[str, int] = {}
        self._serving: asyncio.Task[None] | None = None

    async def acknowledge(self, arrived: Arrival) -> bytes:
        """Record one arrival durably and return its receipt (canonical JSON, `privacy.log.receipt`).

        Receipts of one member resolve in the order of the calls and must be sent to it in that order.

        Raises:
            InputError: `disk-full` or `log-unusable`: the arrival is not recorded and no receipt may be given.
        """
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrived, future))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        try:
            while self._waiting:
                # Nobody waits for a receipt, and a commit costs as much for one arrival as for those of a whole round.
                await asyncio.sleep(GATHER_S)
                group, self._waiting = self._waiting, []
                await self._issue(group)
        finally:
            self._serving = None

    async def _issue(self, group: Sequence[tuple[Arrival, asyncio.Future[bytes]]]) -> None:
        try:
            receipts = await asyncio.to_thread(self._write, [arrived for arrived, _ in group])
        except Exception as error:  # every caller of the group gets the error and raises it
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), receipt in zip(group, receipts, strict=True):
            if not future.done():
                future.set_result(receipt)

    def _write(self, group: Sequence[Arrival]) -> list[bytes]:
        indices = self._store.append([arrived.entry() for arrived in group])
        note = self._store.checkpoint()
        size = parse_checkpoint(note)[0].size
        receipts = []
        for arrived, index in zip(group, indices, strict=True):
            told = self._told.get(arrived.sender, 0)
            consistency = self._store.consistency(told, size) if 0 < told < size else []
            (event,) = self._store.events(index, index + 1)
            receipt = Receipt(
                event=event.encoded,
                index=index,
                inclusion=tuple(self._store.inclusion(index, size)),
                checkpoint=note,
                from_size=told,
                consistency=tuple(consistency),
            )
            self._told[arrived.sender] = size
            receipts.append(receipt.encode())
        return receipts
