"""The coordinator's counter: open every message that comes in, hand it to whom it concerns, and give a receipt.

It keeps no job and decides nothing. Theory: a message is opened once, its signature checked against the enrolled
identity; then the running job or the enlistment takes it or refuses it; either way it is written into the
coordinator's log, and the member gets the proof. Of two messages of one name the first counts; both are written down.
"""

import asyncio
from collections.abc import Callable, Mapping

from coordinator.journal_line import say
from coordinator.receipt import ReceiptDesk, arrival
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import InputError, PeerError, PrivacyError
from privacy.keys import IdentityKey
from privacy.wire import Packet, decode_packet, encode_packet

__all__ = ["Counter", "Taker"]

Taker = Callable[[Envelope, Packet, int], str]
"""Take a member's message of a size in bytes; return "" or the code of its refusal."""


class Counter:
    """Route members' messages by job."""

    def __init__(
        self,
        identity: IdentityKey,
        desk: ReceiptDesk,
        identities: Callable[[], Mapping[str, bytes]],
        send: Callable[[str, bytes], None],
    ) -> None:
        """identities: returns the enrolled identities; send: queues bytes for a member."""
        self._identity = identity
        self._desk = desk
        self._identities = identities
        self._send = send
        self._takers: dict[str, tuple[str, Taker]] = {}
        self._heard: dict[str, set[str]] = {}
        self._kinds: dict[str, tuple[str, Taker]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def serve(self, job: str, purpose: str, taker: Taker) -> None:
        """Hand a job's messages to `taker` from now on."""
        self._takers[job] = (purpose, taker)
        self._heard.setdefault(job, set())

    def serve_kind(self, kind: str, purpose: str, taker: Taker) -> None:
        """Hand messages of a kind to `taker`, whatever their job; it is its own judge of what comes twice."""
        self._kinds[kind] = (purpose, taker)

    def release(self, job: str) -> None:
        """Refuse a job's messages from now on."""
        self._takers.pop(job, None)
        self._heard.pop(job, None)

    def take(self, member: str, raw: bytes) -> None:
        """Take one message of a member."""
        try:
            packet = decode_packet(raw)
            envelope = open_envelope(packet.signed, self._identity_of)
            if envelope.sender != member:
                raise PeerError("sender-spoofed", f"{member} sent a message signed by {envelope.sender}")
        except PrivacyError as error:
            say("message_refused", member=member, code=error.code, reason=error.message)
            return
        at_hand = self._takers.get(envelope.address.job, ("operations", _no_such_job))
        purpose, taker = self._kinds.get(envelope.kind, at_hand)
        heard = set() if envelope.kind in self._kinds else self._heard.get(envelope.address.job, set())
        code = "duplicate" if envelope.msg_id in heard else taker(envelope, packet, len(raw))
        heard.add(envelope.msg_id)
        if code:
            say("message_refused", member=member, job=envelope.address.job, code=code)
        task = asyncio.create_task(self._acknowledge(envelope, len(raw), purpose, code))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait for the receipts that are under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _acknowledge(self, envelope: Envelope, size: int, purpose: str, code: str) -> None:
        try:
            receipt = await self._desk.acknowledge(arrival(envelope, size, purpose, code))
        except InputError as error:
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        at = Address(envelope.address.job)
        signed = sign_envelope(self._identity, COORDINATOR, envelope.sender, at, msg.Receipt(receipt))
        self._send(envelope.sender, encode_packet(Packet(signed.raw)))

    def _identity_of(self, sender: str) -> bytes:
        identity = self._identities().get(sender)
        if identity is None:
            raise PeerError("member-unknown", f"{sender!r} is not enrolled")
        return identity


def _no_such_job(envelope: Envelope, _packet: Packet, _size: int) -> str:
    return "" if isinstance(envelope.message, msg.Halt) else "job-not-running"
