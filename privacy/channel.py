"""One end of a link as a state machine: order, exactly-once delivery, resumption and bounded memory.

Frames and messages go in and come out; there is no network, clock or protobuf here, and no meaning of a message.
Both ends use the same `Channel`. `Dialler` (a node) and `Acceptor` (the coordinator, one for each member) add the
greeting that decides whether an old channel goes on or a fresh one begins.

Theory: sliding window over a reliable stream (RFC 9293, section 3.4, in messages and chunks instead of bytes). Each
end numbers its messages 1, 2, 3 ... and keeps them until the other says that they were delivered. Within one stream
the transport keeps order, so every chunk and every acknowledgement has exactly one permitted next value; anything
else is a `PeerError`, after which the state is as it was before and the caller closes the stream. On a new stream
each end says what it lacks (`Position`), the other rewinds to that byte. Nothing is delivered twice: the receiver
alone decides what it lacks, and nothing is lost because the sender forgets only what was acknowledged. An
acknowledgement costs a frame and only frees memory, so it rides on the next chunk of the other direction, or goes
alone once `ACK_BYTES` or `ACK_MESSAGES` have piled up, or with the next heartbeat.

A session is named by both processes' boot ids and a number, and is resumed only if both ends name the same one.
"""

import io
from collections import deque
from dataclasses import dataclass

from privacy.errors import MisuseError, PeerError

__all__ = [
    "BOOT_BYTES",
    "MAX_CHUNK_BYTES",
    "SMALL_BYTES",
    "Acceptor",
    "Ack",
    "Channel",
    "ChannelLimits",
    "Chunk",
    "Dialler",
    "Frame",
    "Heartbeat",
    "Hello",
    "HelloAck",
    "Position",
]

BOOT_BYTES = 16
MAX_CHUNK_BYTES = 1 << 20
ACK_BYTES = 1 << 20
ACK_MESSAGES = 64
# Messages that share a frame have no more bytes together.
SMALL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """Bound what one end keeps in memory.

    max_message_bytes: the largest message either way; at most one is half received at any time.
    max_queued_bytes, max_queued_messages: what may wait for the peer's acknowledgement.
    chunk_bytes: size of the chunks that this end cuts, at most 1 MiB.
    least_chunk_bytes: no chunk is smaller, either way, except a message's last.
    """

    max_message_bytes: int
    max_queued_bytes: int
    max_queued_messages: int = 4096
    chunk_bytes: int = MAX_CHUNK_BYTES
    least_chunk_bytes: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Position:
    """Name the first byte that a receiver lacks: `offset` bytes of message `number` have arrived."""

    number: int
    offset: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Carry bytes `offset` to `offset + len(data)` of message `number`, which has `total` bytes.

    delivered: every message of the other direction up to and with this number was delivered.
    """

    number: int
    offset: int
    total: int
    data: bytes | memoryview
    delivered: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Say that every message up to and with `number` was delivered."""

    number: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Say that the process lives."""


Frame = Chunk | Ack | Heartbeat

START = Position(1, 0)


class Channel:
    """Send and receive messages of one session; call `resume` once for every new stream before any frame moves.

    The caller writes what `next_frame` returns until it returns None, and feeds each frame it reads to `receive`.
    """

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._chunk_bytes = limits.chunk_bytes
        self._queue: deque[bytes] = deque()  # messages acked + 1, acked + 2, ...
        self._queued_bytes = 0
        self._acked = 0
        self._cut = START  # the next byte to send
        self._expected = START
        self._partial = io.BytesIO()
        self._partial_total = 0
        self._ack_sent = 0
        self._unacked_bytes = 0  # delivered here since the last acknowledgement left
        self._beat_due = False

    @property
    def expected(self) -> Position:
        """Return what this end lacks, to be told to the peer on a new stream."""
        return self._expected

    @property
    def queued_bytes(self) -> int:
        """Return the bytes of messages that wait for the peer's acknowledgement; at most ACK_BYTES wait for long."""
        return self._queued_bytes

    def has_room(self, size: int) -> bool:
        """Tell whether a message of `size` bytes may be queued now; an empty queue has room for any one message."""
        limits = self._limits
        fits = self._queued_bytes + size <= limits.max_queued_bytes and len(self._queue) < limits.max_queued_messages
        return fits or not self._queue

    def send(self, message: bytes) -> None:
        """Queue a message of 1 to max_message_bytes bytes; it is kept by reference until acknowledged."""
        if not 1 <= len(message) <= self._limits.max_message_bytes:
            raise MisuseError(
                "message-size", f"a message has 1 to {self._limits.max_message_bytes} bytes, this one {len(message)}"
            )
        if not self.has_room(len(message)):
            raise MisuseError("queue-full", f"{self._queued_bytes} bytes already wait for the peer")
        self._queue.append(message)
        self._queued_bytes += len(message)

    def beat(self) -> None:
        """Ask for one heartbeat to be among the next frames, and for an acknowledgement if one is due."""
        self._beat_due = True

    @property
    def owes_ack(self) -> bool:
        """Tell whether so much was delivered here that the peer should hear of it even if nothing else leaves."""
        return self._unacked_bytes >= ACK_BYTES or self._delivered - self._ack_sent >= ACK_MESSAGES

    def next_frames(self) -> list[Frame]:
        """Return what goes on the wire together: nothing, one frame, or several small messages in their order."""
        first = self.next_frame()
        if first is None:
            return []
        frames: list[Frame] = [first]
        if isinstance(first, Chunk) and first.total <= SMALL_BYTES:
            room = SMALL_BYTES - first.total
            while 0 < self._next_size() <= room and (more := self._next_chunk()) is not None:
                frames.append(more)
                room -= more.total
        return frames

    def _next_size(self) -> int:
        """Return the size of the message to send next, 0 if there is none or it has begun."""
        index = self._cut.number - self._acked - 1
        return 0 if index == len(self._queue) or self._cut.offset else len(self._queue[index])

    def next_frame(self) -> Frame | None:
        """Return the next frame to write, None if there is nothing; chunks are cut only here, without copying."""
        waiting = self._delivered - self._ack_sent
        if waiting and (self._beat_due or self.owes_ack):
            return Ack(self._mark_acked())
        if self._beat_due:
            self._beat_due = False
            return Heartbeat()
        return self._next_chunk()

    @property
    def _delivered(self) -> int:
        return self._expected.number - 1

    def _mark_acked(self) -> int:
        self._ack_sent = self._delivered
        self._unacked_bytes = 0
        return self._ack_sent

    def _next_chunk(self) -> Chunk | None:
        number, offset = self._cut.number, self._cut.offset
        index = number - self._acked - 1
        if index == len(self._queue):
            return None
        message = self._queue[index]
        end = min(offset + self._chunk_bytes, len(message))
        data = message if end - offset == len(message) else memoryview(message)[offset:end]
        self._cut = Position(number + 1, 0) if end == len(message) else Position(number, end)
        return Chunk(number, offset, len(message), data, self._mark_acked())

    def receive(self, frame: Frame) -> bytes | None:
        """Take one frame of the peer's; return a message once it is whole. Raise PeerError on any other than the next.

        Whoever calls delivers the message before asking for `next_frame`, which acknowledges it.
        """
        match frame:
            case Heartbeat():
                return None
            case Ack(number):
                if not self._acked < number < self._cut.number:
                    raise PeerError("ack-unexpected", f"message {number} was acknowledged out of turn")
                self._forget(number)
                return None
            case Chunk():
                self._check(frame)
                self._forget(frame.delivered)
                return self._append(frame)

    def _check(self, chunk: Chunk) -> None:
        expected = self._expected
        if (chunk.number, chunk.offset) != (expected.number, expected.offset):
            raise PeerError(
                "chunk-out-of-order",
                f"message {chunk.number} offset {chunk.offset} came where message {expected.number} offset"
                f" {expected.offset} was expected",
            )
        if not 1 <= chunk.total <= self._limits.max_message_bytes:
            raise PeerError(
                "message-too-large",
                f"a message has 1 to {self._limits.max_message_bytes} bytes, this one announces {chunk.total}",
            )
        if expected.offset and chunk.total != self._partial_total:
            raise PeerError("message-resized", "a message changed its size between two chunks")
        left = chunk.total - chunk.offset
        least, most = min(self._limits.least_chunk_bytes, left), min(MAX_CHUNK_BYTES, left)
        if not least <= len(chunk.data) <= most:
            raise PeerError("chunk-size", f"a chunk has {len(chunk.data)} bytes where {least} to {most} were due")
        if not self._acked <= chunk.delivered < self._cut.number:
            raise PeerError("ack-unexpected", f"message {chunk.delivered} was acknowledged out of turn")

    def _append(self, chunk: Chunk) -> bytes | None:
        end = chunk.offset + len(chunk.data)
        if end < chunk.total:
            self._partial.write(chunk.data)
            self._partial_total = chunk.total
            self._expected = Position(chunk.number, end)
            return None
        self._expected = Position(chunk.number + 1, 0)
        self._unacked_bytes += chunk.total
        if chunk.offset == 0:
            return bytes(chunk.data)
        self._partial.write(chunk.data)
        # CPython hands out the buffer itself here, so a large message is never in memory twice.
        whole = self._partial.getvalue()
        self._partial = io.BytesIO()
        self._partial_total = 0
        return whole

    def resume(self, peer: Position) -> None:
        """Begin a new stream: forget what the peer has, rewind to what it lacks. Raise PeerError if it lies."""
        number, offset = peer.number, peer.offset
        sent = self._cut
        if not self._acked < number or (number, offset) > (sent.number, sent.offset) or offset < 0:
            raise PeerError("position-forged", f"the peer cannot lack just message {number} offset {offset}")
        index = number - self._acked - 1
        size = len(self._queue[index]) if index < len(self._queue) else 0
        if offset and offset >= size:
            raise PeerError("position-forged", f"message {number} would be whole at offset {offset}")
        self._forget(number - 1)
        if self._cut != peer:
            # The last stream broke with chunks on their way. If the line is so slow that a chunk takes longer than
            # the peer's patience, smaller ones get through.
            self._chunk_bytes = max(self._limits.least_chunk_bytes, self._chunk_bytes // 2)
        self._cut = peer
        # The greeting told the peer what was delivered; only later messages need acknowledging.
        self._mark_acked()
        self._beat_due = False

    def _forget(self, number: int) -> None:
        while self._acked < number:
            self._queued_bytes -= len(self._queue.popleft())
            self._acked += 1


@dataclass(frozen=True, slots=True)
class Hello:
    """Open a stream: who speaks, from which process, and the session it would resume (empty and 0 if none)."""

    member: str
    boot: bytes
    peer_boot: bytes
    session: int
    expected: Position


@dataclass(frozen=True, slots=True)
class HelloAck:
    """Answer a Hello: from which process, in which session, whether it is fresh, and what is lacking."""

    boot: bytes
    session: int
    fresh: bool
    expected: Position


class Dialler:
    """Hold a node's end of a session. `channel` is None until the first answer."""

    def __init__(self, member: str, boot: bytes, limits: ChannelLimits) -> None:
        _check_boot(boot)
        self._member = member
        self._boot = boot
        self._limits = limits
        self._peer_boot = b""
        self._session = 0
        self.channel: Channel | None = None

    def hello(self) -> Hello:
        """Return the first frame of a new stream."""
        expected = self.channel.expected if self.channel else START
        return Hello(self._member, self._boot, self._peer_boot, self._session, expected)

    def welcome(self, answer: HelloAck) -> None:
        """Take the coordinator's answer: resume the channel or begin a fresh one; PeerError if neither fits."""
        _check_peer_boot(answer.boot)
        if answer.fresh:
            if answer.expected != START or answer.session == 0:
                raise PeerError("greeting-invalid", "a fresh session must have a number and begin with message 1")
            self._peer_boot, self._session = answer.boot, answer.session
            self.channel = Channel(self._limits)
            return
        if self.channel is None or (answer.boot, answer.session) != (self._peer_boot, self._session):
            raise PeerError("greeting-invalid", "the coordinator resumes a session that this process does not have")
        self.channel.resume(answer.expected)


class Acceptor:
    """Hold the coordinator's end of one member's sessions. `channel` is None before the first and after `drop`."""

    def __init__(self, boot: bytes, limits: ChannelLimits) -> None:
        _check_boot(boot)
        self._boot = boot
        self._limits = limits
        self._peer_boot = b""
        self._session = 0
        self.channel: Channel | None = None

    def greet(self, hello: Hello) -> HelloAck:
        """Resume the session that the member names if it is the current one, else begin a fresh one."""
        _check_peer_boot(hello.boot)
        named = (hello.boot, hello.peer_boot, hello.session)
        if self.channel is not None and named == (self._peer_boot, self._boot, self._session):
            self.channel.resume(hello.expected)
            return HelloAck(self._boot, self._session, False, self.channel.expected)
        self._session += 1
        self._peer_boot = hello.boot
        self.channel = Channel(self._limits)
        return HelloAck(self._boot, self._session, True, START)

    def drop(self) -> None:
        """Give the session up: nothing of it is kept, and the member's next greeting begins a fresh one."""
        self.channel = None


def _check_boot(boot: bytes) -> None:
    if len(boot) != BOOT_BYTES:
        raise MisuseError("boot-size", f"a boot id has {BOOT_BYTES} bytes")


def _check_peer_boot(boot: bytes) -> None:
    if len(boot) != BOOT_BYTES:
        raise PeerError("greeting-invalid", f"a boot id has {BOOT_BYTES} bytes, this one {len(boot)}")
