"""The node's end of the link, on grpc.aio: one mutual-TLS stream that the node opens outward and keeps.

It moves opaque messages and never decides whether one may leave; only `node/gate.py` holds a link. It listens on no
port.

Theory: order, acknowledgement and resumption are `privacy.channel`; this module gives it streams, a clock and
back-off. For each stream three tasks run, one reads, one writes, one listens for silence, and the first to end ends
the stream. Attempts are spaced by exponential back-off with jitter, so that a consortium does not
return to a restarted coordinator in step.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import SystemRandom

# The core library writes its own lines to stderr for every failed handshake; ours say the same once and clearly.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.aio
from creditmesh_wire.v1 import link_pb2

from node.link import ControlBlock, LinkSettings
from node.link_frames import (
    WIRE_VERSION,
    connect_path,
    decode_answer,
    decode_frames,
    encode_frames,
    encode_hello,
    kind_of,
)
from node.reach import check_credentials, explain_refusal, explain_unreachable, is_loopback, split_endpoint
from privacy.channel import MAX_CHUNK_BYTES, Channel, ChannelLimits, Chunk, Dialler
from privacy.errors import InputError, MisuseError, PeerError

__all__ = ["GrpcLink", "probe"]

# A chunk with its numbers and field headers; nothing larger is read from the network.
MAX_FRAME_BYTES = MAX_CHUNK_BYTES + 4096
LINE_BROKE = "the connection to the coordinator broke"
RENEWED = "connecting anew with the renewed certificate"
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
    ("grpc.max_send_message_length", MAX_FRAME_BYTES),
    ("grpc.max_metadata_size", 8192),
    # Back-off is ours: a connection attempt of an earlier channel must not delay the next one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class _Broken(Exception):
    """The stream ended or could not be made; the message is the operator's line."""


class GrpcLink:
    """Implement `node.link.Link` on grpc.aio; the callbacks are described there.

    boot: 16 random bytes of this process. All calls are made on one event loop. Raises InputError if the endpoint
    or one of the PEM texts cannot be used at all.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        boot: bytes,
        authorise_control: Callable[[], ControlBlock],
        on_message: Callable[[bytes], None],
        on_up: Callable[[bytes, bool], None],
        on_down: Callable[[str], None],
    ) -> None:
        host, _ = split_endpoint(settings.endpoint)
        check_credentials(settings)
        self._settings = settings
        self._authorise_control = authorise_control
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._options = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0 if is_loopback(host) else 1))
        limits = ChannelLimits(settings.max_message_bytes, 2 * settings.max_message_bytes)
        self._dialler = Dialler(settings.member_id, boot, limits)
        self._wake = asyncio.Event()
        self._renewed = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._heard = 0.0
        self._up_since: float | None = None
        self._control = ControlBlock(0, 0)

    async def run(self) -> None:
        """Connect and stay connected, reconnecting with back-off, until cancelled or a callback raises."""
        random = SystemRandom()
        settings = self._settings
        loop = asyncio.get_running_loop()
        failures, said = 0, ""
        while True:
            self._up_since = None
            try:
                reason = await self._keep_stream()
            finally:
                self._wake.clear()
            if self._up_since is not None:
                said = ""
                if loop.time() - self._up_since > settings.lost_after_s:
                    failures = 0
            if reason != said:
                self._on_down(reason)
                said = reason
            pause = min(settings.retry_max_s, settings.retry_min_s * 2 ** min(failures, 30))
            failures += 1
            await asyncio.sleep(max(settings.retry_min_s, pause * random.uniform(0.5, 1.0)))

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Connect with this certificate from now on, and at once; the session and what is queued in it live on."""
        self._settings = replace(self._settings, certificate_pem=certificate_pem, key_pem=key_pem)
        self._renewed.set()

    async def send(self, message: bytes) -> None:
        """Queue one message in the order of calls; wait only while too much is queued already."""
        async with self._turn:
            channel = self._dialler.channel
            while channel is not None and channel is self._dialler.channel and not channel.has_room(len(message)):
                self._room.clear()
                await self._room.wait()
            if channel is None or channel is not self._dialler.channel:
                return
            channel.send(message)
            self._wake.set()

    async def _keep_stream(self) -> str:
        """Make one stream and keep it until it ends; return why it ended."""
        settings = self._settings
        self._renewed.clear()
        credentials = grpc.ssl_channel_credentials(settings.ca_pem, settings.key_pem, settings.certificate_pem)
        async with grpc.aio.secure_channel(settings.endpoint, credentials, self._options) as transport:
            call = transport.stream_stream(connect_path(), response_deserializer=link_pb2.CoordinatorFrame.FromString)()
            try:
                await self._greet(call)
                await self._exchange(call)
            except _Broken as end:
                return str(end)
            except grpc.aio.AioRpcError as error:
                return await self._explain(error)
            finally:
                call.cancel()
        raise MisuseError("stream-ended-silently", "a stream ended without a reason")

    async def _explain(self, error: grpc.aio.AioRpcError) -> str:
        """Put a failed call in one sentence; only slugs that we know are taken from the peer, never its text."""
        refusal = explain_refusal(error.details() or "")
        if refusal is not None:
            return refusal
        if self._up_since is not None:
            return LINE_BROKE
        return await asyncio.to_thread(explain_unreachable, self._settings, datetime.now(UTC))

    async def _greet(self, call: grpc.aio.StreamStreamCall) -> None:
        """Send the greeting, take the answer, and say that we are up."""
        try:
            async with asyncio.timeout(self._settings.lost_after_s):
                await self._put(call, encode_hello(self._dialler.hello()), is_control=True)
                frame = await self._next(call)
        except TimeoutError:
            raise _Broken(await asyncio.to_thread(explain_unreachable, self._settings, datetime.now(UTC))) from None
        if kind_of(frame) != "hello_ack" or frame.hello_ack.version != WIRE_VERSION:
            raise _Broken("the coordinator's answer is not a greeting of this version of the link")
        answer = decode_answer(frame.hello_ack)
        try:
            self._dialler.welcome(answer)
        except PeerError as error:
            raise _Broken(f"the coordinator broke the rules of the link: {error.message}") from error
        self._heard = self._up_since = asyncio.get_running_loop().time()
        self._room.set()
        self._on_up(answer.boot, answer.fresh)

    async def _exchange(self, call: grpc.aio.StreamStreamCall) -> None:
        """Run the stream's three tasks until the first of them ends it."""
        channel = self._dialler.channel
        assert channel is not None
        tasks = [
            asyncio.create_task(self._read(call, channel)),
            asyncio.create_task(self._write(call, channel)),
            asyncio.create_task(self._watch(channel)),
            asyncio.create_task(self._until_renewed()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not a TaskGroup: in Python 3.11 it can lose a cancellation of ours that comes as the stream ends.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if task.cancelled():
                raise _Broken(LINE_BROKE)
            task.result()

    async def _read(self, call: grpc.aio.StreamStreamCall, channel: Channel) -> None:
        """Feed the coordinator's frames to the channel and hand on whole messages."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await self._next(call)
            self._heard = loop.time()
            try:
                for each in decode_frames(frame):
                    message = channel.receive(each)
                    if message is not None:
                        self._on_message(message)
            except PeerError as error:
                raise _Broken(f"the coordinator broke the rules of the link: {error.message}") from error
            self._room.set()
            if channel.owes_ack:
                self._wake.set()

    async def _next(self, call: grpc.aio.StreamStreamCall) -> link_pb2.CoordinatorFrame:
        """Read one frame; one that is not protobuf counts as empty, which no rule allows."""
        frame = await call.read()
        if frame is grpc.aio.EOF:
            raise _Broken("the coordinator closed the connection")
        return link_pb2.CoordinatorFrame() if frame is None else frame

    async def _write(self, call: grpc.aio.StreamStreamCall, channel: Channel) -> None:
        """Write whatever the channel has; the one writer of this stream."""
        while True:
            frames = channel.next_frames()
            if not frames:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._put(call, encode_frames(frames), is_control=not isinstance(frames[0], Chunk))
            except asyncio.InvalidStateError:
                # The call is over. The reader learns why, and ends the stream.
                await asyncio.get_running_loop().create_future()

    async def _put(self, call: grpc.aio.StreamStreamCall, frame: bytes, *, is_control: bool) -> None:
        """Write one frame; a control frame only within an authorised block."""
        if is_control:
            size = len(frame)
            if self._control.frames < 1 or self._control.size < size:
                self._control = self._authorise_control()
            if self._control.frames < 1 or self._control.size < size:
                raise MisuseError("control-block-small", f"a control block has no room for one frame of {size} bytes")
            self._control = ControlBlock(self._control.frames - 1, self._control.size - size)
        await call.write(frame)

    async def _until_renewed(self) -> None:
        """End the stream when there is a new certificate to connect with."""
        await self._renewed.wait()
        raise _Broken(RENEWED)

    async def _watch(self, channel: Channel) -> None:
        """Ask for heartbeats and end the stream of a silent coordinator."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        while True:
            due = loop.time() + settings.heartbeat_s
            await asyncio.sleep(settings.heartbeat_s)
            # While our own loop stood still nobody could be heard; that is not the coordinator's silence.
            self._heard += max(0.0, loop.time() - due)
            if loop.time() - self._heard > settings.lost_after_s:
                raise _Broken(f"nothing was heard from the coordinator for {settings.lost_after_s:g} s")
            channel.beat()
            self._wake.set()


def probe(settings: LinkSettings) -> str:
    """Return the slug with which the coordinator refuses our certificate, empty if it lets us in.

    Nothing is said on the stream, so a node that runs keeps its place. Blocking; raises InputError if no answer comes.
    """
    host, _ = split_endpoint(settings.endpoint)
    credentials = grpc.ssl_channel_credentials(settings.ca_pem, settings.key_pem, settings.certificate_pem)
    options = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0 if is_loopback(host) else 1))
    with grpc.secure_channel(settings.endpoint, credentials, options) as transport:
        try:
            for _ in transport.stream_stream(connect_path())(iter(()), timeout=settings.lost_after_s):
                break
        except grpc.RpcError as error:
            slug = error.details() or ""
            if slug == "no-greeting" or explain_refusal(slug) is not None:
                return "" if slug == "no-greeting" else slug
    raise InputError("link-silent", explain_unreachable(settings, datetime.now(UTC)))
