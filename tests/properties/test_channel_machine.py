"""Two ends of a link, streams that break at any frame, a peer that repeats, skips and forges.

The property: in every session, what arrives is a prefix of what was sent, each message once, and all of it once the
line is quiet; and neither end keeps more than its limits. Not shown here: sockets, time, and what the network does
below a frame.
"""

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from privacy.channel import Acceptor, Ack, ChannelLimits, Chunk, Dialler, Frame
from privacy.errors import PeerError

LIMITS = ChannelLimits(max_message_bytes=64, max_queued_bytes=200, chunk_bytes=8, least_chunk_bytes=2)


class Wire:
    """One direction of a stream: frames that were written and did not arrive yet, and what arrived."""

    def __init__(self) -> None:
        self.flying: deque[Frame] = deque()
        self.last: Frame | None = None
        self.sent: list[bytes] = []
        self.arrived: list[bytes] = []


SIZES = st.integers(1, 64)
RARELY = st.integers(0, 5).map(lambda n: n == 0)
TROUBLE = ["cut"] * 6 + ["repeat", "skip", "forge"] * 2 + ["node restarts", "hub restarts", "hub gives up"]


class LinkMachine(RuleBasedStateMachine):
    """Two processes and the stream between them; every rule is something that may happen to it."""

    @initialize()
    def start(self) -> None:
        self.restarts = self.count = 0
        self.node = Dialler("bank-a", self.new_boot(), LIMITS)
        self.hub = Acceptor(self.new_boot(), LIMITS)
        self.connected = False
        self.up, self.down = Wire(), Wire()
        self.connect(False, False)

    def new_boot(self) -> bytes:
        self.restarts += 1
        return self.restarts.to_bytes(16, "big")

    def ends(self, upward: bool) -> tuple[Any, Any, Wire]:
        """The sending channel, the receiving one, and the wire between them."""
        node, hub = self.node.channel, self.hub.channel
        return (node, hub, self.up) if upward else (hub, node, self.down)

    def break_stream(self) -> None:
        self.connected = False
        for wire in (self.up, self.down):
            wire.flying.clear()
            wire.last = None

    @precondition(lambda self: not self.connected)
    @rule(lose_hello=RARELY, lose_answer=RARELY)
    def connect(self, lose_hello: bool, lose_answer: bool) -> None:
        hello = self.node.hello()
        if lose_hello:
            return
        answer = self.hub.greet(hello)
        if answer.fresh:
            self.down = Wire()
        if lose_answer:
            return
        self.node.welcome(answer)
        if answer.fresh:
            self.up = Wire()
        self.connected = True

    @rule(upward=st.booleans(), sizes=st.lists(SIZES, max_size=6), frames=st.integers(0, 30), beat=st.booleans())
    def send(self, upward: bool, sizes: list[int], frames: int, beat: bool) -> None:
        source, _, wire = self.ends(upward)
        for size in sizes:
            self.count += 1
            message = bytes((self.count + i) % 251 for i in range(size))
            if source is not None and source.has_room(len(message)):
                source.send(message)
                wire.sent.append(message)
        if self.connected:
            self.write(upward, frames, beat)

    def write(self, upward: bool, frames: int, beat: bool) -> None:
        source, _, wire = self.ends(upward)
        if beat:
            source.beat()
        for _ in range(frames):
            frame = source.next_frame()
            if frame is None:
                return
            wire.flying.append(frame)

    @rule(upward=st.booleans(), frames=st.integers(1, 30))
    def read(self, upward: bool, frames: int) -> None:
        _, target, wire = self.ends(upward)
        for _ in range(min(frames, len(wire.flying))):
            wire.last = wire.flying.popleft()
            message = target.receive(wire.last)
            if message is not None:
                wire.arrived.append(message)

    @precondition(lambda self: self.connected)
    @rule(kind=st.sampled_from(TROUBLE), upward=st.booleans())
    def trouble(self, kind: str, upward: bool) -> None:
        _, target, wire = self.ends(upward)
        chunks = [frame for frame in wire.flying if isinstance(frame, Chunk)]
        before = (target.expected, target._acked) if target is not None else None
        if kind == "repeat" and isinstance(wire.last, Chunk | Ack):
            with pytest.raises(PeerError):
                target.receive(wire.last)
        if kind == "skip" and len(chunks) > 1:
            with pytest.raises(PeerError):
                target.receive(chunks[1])
        if kind == "forge":
            with pytest.raises(PeerError):
                target.receive(Ack(target._cut.number))
        assert target is None or before == (target.expected, target._acked)
        self.break_stream()
        if kind == "node restarts":
            self.node = Dialler("bank-a", self.new_boot(), LIMITS)
            self.up = Wire()
        if kind == "hub restarts":
            self.hub = Acceptor(self.new_boot(), LIMITS)
            self.down = Wire()
        if kind == "hub gives up":
            self.hub.drop()

    @invariant()
    def arrived_is_a_prefix(self) -> None:
        for wire in (self.up, self.down):
            assert wire.arrived == wire.sent[: len(wire.arrived)]

    @invariant()
    def memory_is_bounded(self) -> None:
        for channel in (self.node.channel, self.hub.channel):
            if channel is not None:
                assert channel._queued_bytes == sum(map(len, channel._queue)) <= LIMITS.max_queued_bytes
                assert len(channel._partial.getbuffer()) < LIMITS.max_message_bytes

    def teardown(self) -> None:
        if not self.connected:
            self.connect(lose_hello=False, lose_answer=False)
        self.settle()
        assert (self.up.arrived, self.down.arrived) == (self.up.sent, self.down.sent)
        for channel in (self.node.channel, self.hub.channel):
            assert channel is not None and not channel._queue

    def settle(self) -> None:
        """Carry everything there is, and twice a heartbeat, so that the last acknowledgements arrive."""
        for _ in range(3):
            for upward in (True, False):
                self.write(upward, 10_000, True)
                self.read(upward, 10_000)


TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
