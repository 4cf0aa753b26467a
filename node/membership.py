"""What a running node does about keys: take lists of members, follow members.json, and renew its own certificate.

It decides on no job. Theory: the coordinator passes on what banks signed, and the book of pins decides what of it is
believed; whatever is pinned or compared takes effect in the running node within two seconds. The node renews its
certificate at half its life over the connection that it has: the request is signed with the bank's identity, which a
stolen certificate lacks, and the new key is used at once, so that the old certificate ends.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from node.certificate import check_certificate, is_due, keep_renewal, make_request, member_uri, new_tls_key
from node.config import NodeConfig
from node.journal_line import say
from node.keys_file import NodeKeys, Peers, read_peers
from node.pin_book import PinBook
from node.rotation import ROTATE_FILE
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import InputError, PeerError, PrivacyError
from privacy.log.record import Entry
from privacy.member_entry import MemberEntry, decode_list, sign_entry
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.wire import Packet, decode_packet, decode_signed, encode_packet, kind_of

__all__ = ["Membership", "MembershipDesk"]

KINDS = ("members", "renewed")
_LARGEST_MESSAGE = 512 * 1024
_LOOK_S = 1.0
# After a refusal or silence a renewal is tried again in an hour; there are weeks left.
_AGAIN_S = 3600.0


class Exit(Protocol):
    """The part of the gate that is used here."""

    async def send(self, outgoing: Outgoing) -> int | None:
        """Record and send a message."""

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Connect with this certificate from now on."""


@dataclass(frozen=True, slots=True)
class MembershipDesk:
    """What the service lends.

    adopt: makes peers count in the running node. defer: lets entries ride on the log's next commit. now: the time,
    aware, UTC.
    """

    config: NodeConfig
    keys: NodeKeys
    gate: Exit
    adopt: Callable[[Peers], Awaitable[None]]
    defer: Callable[[list[Entry]], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Membership:
    """All calls are made on one event loop."""

    def __init__(self, desk: MembershipDesk) -> None:
        self._desk = desk
        self._certificate = desk.keys.tls.certificate_pem
        uri = member_uri(self._certificate)
        self._uri, self._consortium = uri, uri.removeprefix("spiffe://").partition("/")[0]
        own = desk.config.member.id
        self._book = PinBook(desk.config.identity.peers, own, self._consortium)
        self._stamp = self._stat()
        self._alarmed: set[str] = set()
        self._inbox: asyncio.Queue[Envelope] = asyncio.Queue(maxsize=64)
        self._connected = asyncio.Event()
        self._new_key = b""
        self._asked_s: float | None = None
        self._confirmed: Callable[[], Awaitable[object]] = self._connected.wait

    def take(self, raw: bytes) -> bool:
        """Take a message if it is about members or certificates; False leaves it to others. A wrong one is told."""
        if len(raw) > _LARGEST_MESSAGE:
            return False
        try:
            signed = decode_packet(raw).signed
            if decode_signed(signed).kind not in KINDS:
                return False
        except PrivacyError:
            return False
        try:
            envelope = open_envelope(signed, self._coordinator_only)
            envelope.expect(Address(""), self._desk.config.member.id)
            self._inbox.put_nowait(envelope)
        except PrivacyError as error:
            say("membership_refused", code=error.code, reason=error.message)
        except asyncio.QueueFull:
            say("membership_refused", code="too-many", reason="the coordinator sends lists faster than they are read")
        return True

    @property
    def connected(self) -> bool:
        """Say whether the coordinator is connected."""
        return self._connected.is_set()

    def up(self) -> None:
        """Note that the coordinator is connected."""
        self._connected.set()

    def down(self) -> None:
        """Note that it is not, and that whatever was asked may be lost."""
        self._connected.clear()
        self._asked_s = None

    async def run(self, confirmed: Callable[[], Awaitable[object]]) -> None:
        """Work until cancelled; raises an `InputError` of the node's own disk.

        confirmed: waits until the coordinator said which head of the log it holds; nothing leaves before.
        """
        self._confirmed = confirmed
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._look_often())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def _read(self) -> None:
        while True:
            envelope = await self._inbox.get()
            try:
                if isinstance(envelope.message, Members):
                    await self._list(envelope.message)
                elif isinstance(envelope.message, Renewed):
                    self._renewed(envelope.message)
            except InputError:
                raise
            except PrivacyError as error:
                self._alarm(error.code, error.message)

    async def _look_often(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._follow()
            if self._connected.is_set():
                await self._renew_if_due()

    # -- members -----------------------------------------------------------------------------------------------------

    async def _list(self, message: Members) -> None:
        entries = decode_list(message.members, self._consortium)
        only = self._desk.config.permit.verified_peers_only
        taken = await asyncio.to_thread(self._book.take, entries, only)
        for code, text in taken.faults:
            self._alarm(code, text)
        for member in taken.waiting:
            say("peer_waits", members=member, reason="compare its fingerprint by telephone: creditmesh-node peers")
        for member in taken.pinned:
            say("peer_pinned", members=member, reason="at first sight; compare its fingerprint by telephone")
        if self._desk.config.member.id not in {each.entry.member for each in entries}:
            await self._introduce()
        await self._follow()

    async def _follow(self) -> None:
        """Take members.json into the running node when somebody changed it."""
        stamp = self._stat()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            peers = await asyncio.to_thread(read_peers, self._desk.config.identity.peers)
        except InputError as error:
            say("peers_unusable", code=error.code, reason=error.message)
            return
        own, before = self._desk.config.member.id, self._desk.keys.peers
        same = (peers.coordinator, peers.coordinator_log, peers.members.get(own), peers.logs.get(own))
        if same != (before.coordinator, before.coordinator_log, before.members[own], before.logs[own]):
            say("peers_unusable", code="restart", reason="keys of the coordinator or of this bank changed: restart")
            return
        await self._desk.adopt(peers)
        say("peers_changed", members=sorted(peers.members))

    async def _introduce(self) -> None:
        """Give the coordinator this bank's own signed entry: it was enrolled by hand, before there were entries."""
        peers, own, identity = self._desk.keys.peers, self._desk.config.member.id, self._desk.keys.identity
        keys = (identity.public.hex(), peers.logs[own].encode(), peers.witnesses[own].encode())
        signed = sign_entry(identity, MemberEntry(self._consortium, own, *keys))
        await self._send(Introduce(json.dumps(signed.document(), sort_keys=True).encode("ascii")))

    # -- certificate -------------------------------------------------------------------------------------------------

    async def _renew_if_due(self) -> None:
        loop, wish = asyncio.get_running_loop(), self._desk.config.state.dir / ROTATE_FILE
        wished = wish.exists()
        if self._asked_s is not None and (loop.time() - self._asked_s < _AGAIN_S) and not wished:
            return
        if not wished and not is_due(self._certificate, self._desk.now()):
            return
        wish.unlink(missing_ok=True)
        self._asked_s, self._new_key = loop.time(), new_tls_key()
        await self._send(Renew(make_request(self._new_key).encode("ascii")))

    def _renewed(self, message: Renewed) -> None:
        if message.code or not self._new_key:
            code = message.code or "unasked"
            say(
                "renewal_refused", code=code, reason="the certificate was not renewed; creditmesh-node doctor says more"
            )
            return
        keys, tls = self._desk.keys, self._desk.config.tls
        check_certificate(message.certificate, keys.tls.ca_pem, self._new_key, self._uri)
        keep_renewal(tls, self._new_key, message.certificate)
        self._certificate, key, self._new_key = message.certificate, self._new_key, b""
        self._asked_s = None
        self._desk.gate.renew(self._certificate, key)
        say("certificate_renewed")

    # -- small parts -------------------------------------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        await self._confirmed()
        own, number = self._desk.config.member.id, int.from_bytes(os.urandom(6), "big")
        at = Address("", position=number)
        envelope = sign_envelope(self._desk.keys.identity, own, COORDINATOR, at, message)
        outgoing = Outgoing(
            kind=f"membership.{kind_of(message)}",
            msg_id=envelope.msg_id,
            to=COORDINATOR,
            job="",
            round=None,
            purpose="operations",
            protection="signed",
            message=encode_packet(Packet(envelope.raw)),
            payload_sha256=envelope.payload_sha256,
        )
        await self._desk.gate.send(outgoing)

    def _alarm(self, code: str, text: str) -> None:
        """Record, once a process, what is wrong with a list or a certificate."""
        say("membership_alarm", code=code, reason=text)
        if text not in self._alarmed and len(self._alarmed) < 1024:
            self._alarmed.add(text)
            body = {"class": "mismatch", "severity": "critical", "evidence": f"{code}: {text}"[:512]}
            self._desk.defer([Entry("alarm.raised", body)])

    def _coordinator_only(self, sender: str) -> bytes:
        if sender != COORDINATOR:
            raise PeerError("membership-sender", "a list or certificate that the coordinator did not sign")
        return self._desk.keys.peers.coordinator

    def _stat(self) -> tuple[int, int]:
        try:
            found = self._desk.config.identity.peers.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino
