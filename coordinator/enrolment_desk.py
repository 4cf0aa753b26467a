"""The enrolment desk: the one port that a bank without a certificate may talk to.

It decides nothing (`coordinator.enrolment`). Theory: strangers reach this port, so everything is bounded before it is
looked at: connections in all and from one address, the time for the handshake and for the one message, that message's
size, and how often one address may show what proves nothing. TLS shows the coordinator's certificate; the bank's side
is authenticated by what it signs. A connection says the greeting, reads one application, answers, and is closed; an
application that has to wait for a person is held for some seconds, so that the answer comes soon after the decision.
"""

import asyncio
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from coordinator.enrolment import Finding
from coordinator.keys_file import TlsFiles
from privacy.enrolment import LARGEST_APPLICATION, NONCE_BYTES, Answer, Application, Greeting, decode_application
from privacy.errors import InputError, PeerError, PrivacyError

__all__ = ["Desk", "DeskRules", "Limits"]

_LENGTH_BYTES = 4
_REMEMBERED = 1024
# Codes that cost an address one of its tries.
_SUSPECT = ("invite-unknown", "invite-used", "application-signature", "enrolment-malformed")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the desk: connections, from one address, seconds, and wrong tries of an address in a window."""

    connections: int = 64
    from_one: int = 16
    handshake_s: float = 5.0
    read_s: float = 10.0
    hold_s: float = 20.0
    look_s: float = 0.25
    tries: int = 10
    window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DeskRules:
    """What the service lends.

    consider: decides on an application with its nonce and source; may block, runs in a thread. answer: makes the answer
    of a finding. refused: is told the member that an application named ("" for none) and the code of its refusal.
    now_us: UTC microseconds.
    """

    consortium: str
    consider: Callable[[Application, bytes, str], Finding]
    answer: Callable[[Finding], Answer]
    refused: Callable[[str, str], None]
    now_us: Callable[[], int]


class Desk:
    """Serve applications. All calls are made on one event loop."""

    def __init__(self, listen: str, tls: TlsFiles, rules: DeskRules, limits: Limits | None = None) -> None:
        """listen: "host:port"; port 0 takes a free one. Raises `InputError` for TLS files that do not fit."""
        self._listen = listen
        self._rules = rules
        self._limits = limits or Limits()
        self._authority_pem = tls.ca_pem.decode("ascii")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.renew(tls)
        self._from: dict[str, int] = {}
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def renew(self, tls: TlsFiles) -> None:
        """Show this certificate from the next handshake on."""
        # The standard library reads keys from files alone; this one is ours only and gone at once.
        with tempfile.NamedTemporaryFile(prefix="creditmesh-desk-") as pair:
            pair.write(tls.key_pem + tls.certificate_pem)
            pair.flush()
            try:
                self._context.load_cert_chain(pair.name)
            except ssl.SSLError as error:
                raise InputError(
                    "tls-key-mismatch", "the server's key and certificate do not belong together"
                ) from error

    async def start(self) -> int:
        """Listen and return the port; raises `InputError` if the address cannot be bound."""
        host, _, port = self._listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._enter, host.strip("[]"), int(port), limit=LARGEST_APPLICATION + 4096, backlog=128
            )
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise InputError("listen-failed", f"[enrolment] cannot listen on {self._listen} ({reason})") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._server = None

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection, or close it unseen: nothing is spent on what is too much."""
        peer = writer.get_extra_info("peername")
        source = str(peer[0]) if peer else ""
        mine = self._from.get(source, 0)
        if len(self._tasks) >= self._limits.connections or mine >= self._limits.from_one:
            writer.transport.abort()
            return
        self._from[source] = mine + 1
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer, source))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._leave(done, source))

    def _leave(self, task: "asyncio.Task[None]", source: str) -> None:
        self._tasks.discard(task)
        self._from[source] -= 1
        if not self._from[source]:
            del self._from[source]

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str) -> None:
        try:
            await writer.start_tls(self._context, ssl_handshake_timeout=self._limits.handshake_s)
            await self._converse(reader, writer, source)
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), self._limits.handshake_s)
        except (OSError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError):
            pass  # A stranger who breaks off is not worth a line.
        finally:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str) -> None:
        rules, nonce = self._rules, os.urandom(NONCE_BYTES)
        greeting = Greeting(nonce, rules.now_us(), rules.consortium, self._authority_pem)
        async with asyncio.timeout(self._limits.read_s):
            await _write(writer, greeting.encode())
            raw = await _read(reader)
        member = ""
        try:
            if self._is_tired_of(source):
                raise PeerError("too-many-tries", "an address that showed too much that proves nothing")
            application = decode_application(raw)
            member = application.entry.entry.member
            finding = await self._decide(application, nonce, source)
        except PrivacyError as error:
            # What is wrong with our own files is for our own log.
            finding = Finding("refused", error.code if isinstance(error, PeerError) else "desk-fault")
        if finding.state == "refused":
            self._note(source, finding.code)
            rules.refused(member, finding.code)
        answer = await asyncio.to_thread(rules.answer, finding)
        async with asyncio.timeout(self._limits.read_s):
            await _write(writer, answer.encode())

    async def _decide(self, application: Application, nonce: bytes, source: str) -> Finding:
        """Return the finding; one that waits for a person is looked at again until its time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.hold_s
        while True:
            finding = await asyncio.to_thread(self._rules.consider, application, nonce, source)
            if finding.state != "pending" or not application.hold or loop.time() >= until:
                return finding
            await asyncio.sleep(self._limits.look_s)

    def _is_tired_of(self, source: str) -> bool:
        began, count = self._wrong.get(source, (0.0, 0))
        fresh = asyncio.get_running_loop().time() - began < self._limits.window_s
        return fresh and count >= self._limits.tries

    def _note(self, source: str, code: str) -> None:
        if code not in _SUSPECT:
            return
        now = asyncio.get_running_loop().time()
        began, count = self._wrong.pop(source, (now, 0))
        if now - began >= self._limits.window_s:
            began, count = now, 0
        self._wrong[source] = (began, count + 1)
        while len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)


async def _write(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    if size > LARGEST_APPLICATION:
        raise ConnectionAbortedError("a message larger than any application")
    return await reader.readexactly(size)
