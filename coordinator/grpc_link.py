"""The coordinator's end of the link, on grpc.aio: one mutual-TLS stream for each member that dials in.

It checks who speaks and moves opaque messages; what they mean, and whether they are signed, is decided by its
caller. It never tells a peer anything that the peer sent.

Theory: order, acknowledgement and resumption are `privacy.channel`; this module gives it streams and a clock. For
each stream three tasks run, one reads, one writes, one listens for silence, and the first to end ends the stream.
The certificate names the member (SPIFFE URI), and gRPC in Python has no revocation hook, so the member table is asked
again on every message, and with every heartbeat of ours.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime

# The core library writes its own lines to stderr for every refused handshake; ours say the same once and clearly.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.aio
from creditmesh_wire.v1 import link_pb2
from google.protobuf.message import DecodeError

from coordinator.authority import MemberCertificate, read_member_certificate
from coordinator.link import HubSettings
from coordinator.link_frames import WIRE_VERSION, decode_frames, decode_hello, encode_answer, encode_frames, kind_of
from privacy.channel import (
    MAX_CHUNK_BYTES,
    Acceptor,
    Channel,
    ChannelLimits,
    Frame,
    Heartbeat,
    Hello,
    HelloAck,
)
from privacy.errors import InputError, PeerError, VerificationError

__all__ = ["WIRE_VERSION", "GrpcHub"]

# A chunk with its numbers and field headers; nothing larger is read from the network.
MAX_FRAME_BYTES = MAX_CHUNK_BYTES + 4096
SOON_S = 0.02
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
    ("grpc.max_send_message_length", MAX_FRAME_BYTES),
    ("grpc.max_metadata_size", 8192),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Two coordinators on one port would share its members between them.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
)


# What breaks the rules of the link, and no silence or farewell.
_REFUSALS = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
)


class _Ended(Exception):
    """A stream has to end; `code` and the fixed `slug` are all that the peer is told."""

    def __init__(self, code: grpc.StatusCode, slug: str) -> None:
        super().__init__(slug)
        self.code = code
        self.slug = slug


class _Stream:
    """One live stream of a member: its channel, the wake-up of its writer, and how it was told to end."""

    def __init__(self, certificate: MemberCertificate, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        self.certificate = certificate
        self.channel = channel
        self.wake = asyncio.Event()
        self.over = asyncio.Event()
        self.ended: _Ended | None = None
        self.heard = loop.time()

    def end(self, code: grpc.StatusCode, slug: str) -> None:
        """Let the stream's tasks stop at their next step; no further frame of it is looked at."""
        if self.ended is None:
            self.ended = _Ended(code, slug)
            self.over.set()

    async def told_to_end(self) -> None:
        """Wait for `end`, then raise what it was told."""
        await self.over.wait()
        assert self.ended is not None
        raise self.ended


class _Seat:
    """A member's place at the hub: its sessions outlive the stream that now carries them."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.stream: _Stream | None = None
        self.heard: float | None = None


class GrpcHub:
    """Implement `coordinator.link.Hub` on grpc.aio; the callbacks are described there.

    boot: 16 random bytes of this process. All calls are made on one event loop.
    """

    def __init__(
        self,
        settings: HubSettings,
        *,
        boot: bytes,
        is_member: Callable[[str, int], bool],
        on_join: Callable[[str, bytes, bool], None],
        on_message: Callable[[str, bytes], None],
        on_leave: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._boot = boot
        self._is_member = is_member
        self._on_join = on_join
        self._on_message = on_message
        self._on_leave = on_leave
        self.on_refused: Callable[[str, str], None] = lambda _member, _slug: None
        self.why_refused: Callable[[str, int], str] = lambda _member, _serial: "not-a-member"
        self._shown = (settings.key_pem, settings.certificate_pem)
        self._limits = ChannelLimits(settings.max_message_bytes, 2 * settings.max_message_bytes)
        self._seats: dict[str, _Seat] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Bind and serve; return the port. Raise InputError if the address cannot be bound."""
        settings = self._settings
        credentials = grpc.dynamic_ssl_server_credentials(
            self._certificates(), self._certificates, require_client_authentication=True
        )
        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers((_service(self),))
        try:
            port: int = server.add_secure_port(settings.listen, credentials)
        except RuntimeError as error:
            raise InputError(
                "listen-failed",
                f"cannot listen on {settings.listen}: the port is taken, the address is not this machine's, or the"
                " files under [tls] do not belong together",
            ) from error
        await server.start()
        self._server = server
        return port

    async def stop(self) -> None:
        """Close every stream and the port; return when nothing listens any more."""
        if self._server is None:
            return
        for seat in self._seats.values():
            if seat.stream is not None:
                seat.stream.end(grpc.StatusCode.UNAVAILABLE, "stopping")
        server, self._server = self._server, None
        await server.stop(0.2)

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Show this certificate from the next handshake on; streams that stand go on."""
        self._shown = (key_pem, certificate_pem)

    def cut(self, member: str) -> None:
        """End a member's stream now if its certificate no longer counts."""
        seat = self._seats.get(member)
        if seat is not None and seat.stream is not None:
            certificate = seat.stream.certificate
            if not self._is_member(member, certificate.serial):
                seat.stream.end(grpc.StatusCode.PERMISSION_DENIED, self.why_refused(member, certificate.serial))

    def send_soon(self, member: str, message: bytes) -> None:
        """Do what `send` does, but let the message wait a moment for others to share its frame."""
        self.send(member, message, wait_s=SOON_S)

    def send(self, member: str, message: bytes, wait_s: float = 0.0) -> None:
        """Queue one message by reference. A member that lets too much pile up loses its stream and its session."""
        seat = self._seats.get(member)
        channel = seat.acceptor.channel if seat else None
        if seat is None or channel is None:
            return
        if not channel.has_room(len(message)):
            seat.acceptor.drop()
            if seat.stream is not None:
                seat.stream.end(grpc.StatusCode.RESOURCE_EXHAUSTED, "too-slow")
            return
        channel.send(message)
        if seat.stream is not None and wait_s:
            asyncio.get_running_loop().call_later(wait_s, seat.stream.wake.set)
        elif seat.stream is not None:
            seat.stream.wake.set()

    def backlog(self, member: str) -> int:
        """Return how many queued bytes the member has not acknowledged; 0 without a session."""
        seat = self._seats.get(member)
        channel = seat.acceptor.channel if seat else None
        return channel.queued_bytes if channel else 0

    def last_heard(self, member: str) -> float | None:
        """Return the event loop's time of the member's last frame, None if it never spoke to this process."""
        seat = self._seats.get(member)
        return seat.heard if seat else None

    async def Connect(self, _frames: object, context: grpc.aio.ServicerContext) -> None:
        """Serve one stream from its greeting to its end (`LinkService.Connect`)."""
        member = ""
        try:
            certificate = self._identify(context)
            member = certificate.member
            self._admit(certificate)
            hello = await self._greeting(context, certificate)
            await self._serve(context, certificate, hello)
        except _Ended as end:
            code, slug = end.code, end.slug
            if code in _REFUSALS:
                self.on_refused(member, slug)
        except (grpc.aio.BaseError, DecodeError):
            code, slug = grpc.StatusCode.INVALID_ARGUMENT, "stream-broken"
        except Exception as error:  # A fault of our own: said here in full, to the peer as one word.
            code, slug = grpc.StatusCode.INTERNAL, "internal"
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a member's stream failed", "exception": error}
            )
        await context.abort(code, slug)

    def _certificates(self) -> grpc.ServerCertificateConfiguration:
        """Return what to show in a handshake; called by gRPC's own threads."""
        return grpc.ssl_server_certificate_configuration([self._shown], root_certificates=self._settings.ca_pem)

    def _identify(self, context: grpc.aio.ServicerContext) -> MemberCertificate:
        """Read the member from the certificate that the TLS handshake has verified."""
        pem = context.auth_context().get("x509_pem_cert", [b""])[0]
        try:
            certificate = read_member_certificate(pem)
        except VerificationError as error:
            raise _Ended(grpc.StatusCode.UNAUTHENTICATED, "certificate-without-member") from error
        if certificate.consortium != self._settings.consortium:
            raise _Ended(grpc.StatusCode.UNAUTHENTICATED, "other-consortium")
        return certificate

    def _admit(self, certificate: MemberCertificate) -> None:
        """Refuse a certificate that has run out, or that the member table does not know (any more)."""
        if certificate.not_after <= datetime.now(UTC):
            raise _Ended(grpc.StatusCode.PERMISSION_DENIED, "certificate-expired")
        if not self._is_member(certificate.member, certificate.serial):
            raise _Ended(grpc.StatusCode.PERMISSION_DENIED, self.why_refused(certificate.member, certificate.serial))

    async def _greeting(self, context: grpc.aio.ServicerContext, certificate: MemberCertificate) -> Hello:
        """Read the first frame; it must be a greeting in the name that the certificate proves."""
        try:
            async with asyncio.timeout(self._settings.lost_after_s):
                frame = await context.read()
        except TimeoutError as error:
            raise _Ended(grpc.StatusCode.DEADLINE_EXCEEDED, "no-greeting") from error
        if frame is grpc.aio.EOF:
            # Whoever says nothing only wanted to know whether it would be let in, as `creditmesh-node doctor` does.
            raise _Ended(grpc.StatusCode.CANCELLED, "no-greeting")
        if kind_of(frame) != "hello":
            raise _Ended(grpc.StatusCode.INVALID_ARGUMENT, "no-greeting")
        if frame.hello.version != WIRE_VERSION:
            raise _Ended(grpc.StatusCode.FAILED_PRECONDITION, "wire-version")
        if frame.hello.member != certificate.member:
            raise _Ended(grpc.StatusCode.PERMISSION_DENIED, "identity-mismatch")
        return decode_hello(frame.hello)

    async def _serve(self, context: grpc.aio.ServicerContext, certificate: MemberCertificate, hello: Hello) -> None:
        """Take the member's seat and keep it until the stream ends, whatever ends it."""
        member = certificate.member
        seat = self._seats.setdefault(member, _Seat(Acceptor(self._boot, self._limits)))
        try:
            answer = seat.acceptor.greet(hello)
        except PeerError as error:
            raise _Ended(grpc.StatusCode.INVALID_ARGUMENT, error.code) from error
        assert seat.acceptor.channel is not None
        stream = _Stream(certificate, seat.acceptor.channel)
        self._leave(member, seat.stream)
        seat.stream, seat.heard = stream, stream.heard
        try:
            self._on_join(member, hello.boot, answer.fresh)
            await self._exchange(context, seat, stream, answer)
        except (_Ended, grpc.aio.BaseError, DecodeError):
            raise
        except Exception:
            # A callback failed on a message that will not come again, so the session must not go on.
            seat.acceptor.drop()
            raise
        finally:
            self._leave(member, stream)

    async def _exchange(
        self, context: grpc.aio.ServicerContext, seat: _Seat, stream: _Stream, answer: HelloAck
    ) -> None:
        """Run the stream's tasks until the first of them ends it."""
        tasks = [
            asyncio.create_task(self._read(context, seat, stream)),
            asyncio.create_task(self._write(context, stream, answer)),
            asyncio.create_task(self._watch(stream)),
            asyncio.create_task(stream.told_to_end()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _leave(self, member: str, stream: _Stream | None) -> None:
        """Empty the seat if this stream still holds it, and say so once."""
        seat = self._seats[member]
        if stream is None or seat.stream is not stream:
            return
        seat.stream = None
        stream.end(grpc.StatusCode.ABORTED, "replaced")
        self._on_leave(member)

    async def _read(self, context: grpc.aio.ServicerContext, seat: _Seat, stream: _Stream) -> None:
        """Feed the member's frames to its channel and hand on whole messages."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await context.read()
            if stream.ended is not None:
                raise stream.ended
            if frame is grpc.aio.EOF:
                raise _Ended(grpc.StatusCode.CANCELLED, "closed")
            seat.heard = stream.heard = loop.time()
            try:
                for each in decode_frames(frame):
                    self._take(stream, each)
            except PeerError as error:
                raise _Ended(grpc.StatusCode.INVALID_ARGUMENT, error.code) from error
            if stream.channel.owes_ack:
                stream.wake.set()

    def _take(self, stream: _Stream, frame: Frame) -> None:
        message = stream.channel.receive(frame)
        if message is not None or isinstance(frame, Heartbeat):
            self._admit(stream.certificate)
        if message is not None:
            self._on_message(stream.certificate.member, message)

    async def _write(self, context: grpc.aio.ServicerContext, stream: _Stream, answer: HelloAck) -> None:
        """Write the answer to the greeting, then whatever the channel has; the one writer of this stream."""
        await context.write(encode_answer(answer))
        while True:
            frames = stream.channel.next_frames()
            if frames:
                await context.write(encode_frames(frames))
            else:
                stream.wake.clear()
                await stream.wake.wait()

    async def _watch(self, stream: _Stream) -> None:
        """Ask for heartbeats, and end the stream of a silent member and of one that is no member any more."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        while True:
            due = loop.time() + settings.heartbeat_s
            await asyncio.sleep(settings.heartbeat_s)
            # While our own loop stood still nobody could be heard; that is not the member's silence.
            stream.heard += max(0.0, loop.time() - due)
            if loop.time() - stream.heard > settings.lost_after_s:
                raise _Ended(grpc.StatusCode.DEADLINE_EXCEEDED, "silent")
            self._admit(stream.certificate)
            stream.channel.beat()
            stream.wake.set()


def _service(hub: GrpcHub) -> grpc.GenericRpcHandler:
    """Return the service of `link.proto` with frames that are already bytes where they leave."""
    (service,) = link_pb2.DESCRIPTOR.services_by_name.values()
    connect = grpc.stream_stream_rpc_method_handler(hub.Connect, link_pb2.NodeFrame.FromString)
    return grpc.method_handlers_generic_handler(service.full_name, {service.methods[0].name: connect})
