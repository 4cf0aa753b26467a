"""One end of a link must refuse every frame but the next, keep its state when it does, and bound what it keeps."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from privacy.channel import (
    ACK_BYTES,
    ACK_MESSAGES,
    Acceptor,
    Ack,
    Channel,
    ChannelLimits,
    Chunk,
    Dialler,
    Heartbeat,
    HelloAck,
    Position,
)
from privacy.errors import MisuseError, PeerError

LIMITS = ChannelLimits(max_message_bytes=64, max_queued_bytes=200, chunk_bytes=8, least_chunk_bytes=2)
NODE, HUB = b"n" * 16, b"h" * 16


def fresh_pair(limits: ChannelLimits = LIMITS) -> tuple[Channel, Channel]:
    return Channel(limits), Channel(limits)


def frames_of(channel: Channel) -> list[Any]:
    frames = []
    while (frame := channel.next_frame()) is not None:
        frames.append(frame)
    return frames


def carry(source: Channel, target: Channel) -> list[bytes]:
    received = (target.receive(frame) for frame in frames_of(source))
    return [message for message in received if message is not None]


def test_a_message_is_cut_lazily_and_arrives_whole() -> None:
    sender, receiver = fresh_pair()
    message = bytes(range(20))

    sender.send(message)
    first, second, third = frames_of(sender)

    assert [len(chunk.data) for chunk in (first, second, third)] == [8, 8, 4]
    assert isinstance(second.data, memoryview) and second.data.obj is message
    assert receiver.receive(first) is None
    assert receiver.receive(second) is None
    assert receiver.receive(third) == message


def test_a_message_of_one_chunk_is_not_copied() -> None:
    sender, _ = fresh_pair()
    message = b"12345678"

    sender.send(message)

    (chunk,) = frames_of(sender)
    assert chunk.data is message


def test_acknowledgement_rides_on_the_next_chunk_and_frees_the_message() -> None:
    sender, receiver = fresh_pair()
    sender.send(b"question" * 2)
    carry(sender, receiver)
    assert frames_of(receiver) == []

    receiver.send(b"answer")
    (chunk,) = frames_of(receiver)
    sender.receive(chunk)

    assert chunk.delivered == 1
    assert sender._queue == deque() and sender._queued_bytes == 0


def test_acknowledgement_goes_alone_with_a_heartbeat() -> None:
    sender, receiver = fresh_pair()
    sender.send(b"question")
    carry(sender, receiver)

    receiver.beat()

    assert frames_of(receiver) == [Ack(1), Heartbeat()]
    assert frames_of(receiver) == []


def test_acknowledgement_goes_alone_when_much_has_piled_up() -> None:
    limits = ChannelLimits(2 * ACK_BYTES, 4 * ACK_BYTES)
    sender, receiver = fresh_pair(limits)
    sender.send(bytes(ACK_BYTES))
    carry(sender, receiver)
    assert frames_of(receiver) == [Ack(1)]

    for _ in range(ACK_MESSAGES - 1):
        sender.send(b"x")
    carry(sender, receiver)
    assert frames_of(receiver) == []
    sender.send(b"x")
    carry(sender, receiver)
    assert frames_of(receiver) == [Ack(1 + ACK_MESSAGES)]


def halfway() -> tuple[Channel, Channel, Chunk]:
    """A receiver that has one message and the first chunk of the second, and the chunk that is due next."""
    sender, receiver = fresh_pair()
    sender.send(b"first")
    sender.send(bytes(range(20)))
    one, two, three, _ = frames_of(sender)
    receiver.receive(one)
    receiver.receive(two)
    return sender, receiver, three


FORGED = {
    "duplicate": {"offset": 0},
    "gap": {"offset": 16, "data": b"1234"},
    "other message": {"number": 3, "offset": 0},
    "another number": {"number": 3},
    "an old number": {"number": 1},
    "old message": {"number": 1, "offset": 0, "total": 5, "data": b"first"},
    "number zero": {"number": 0, "offset": 0},
    "larger total": {"total": 60},
    "smaller total": {"total": 16},
    "total over the limit": {"total": 65},
    "total zero": {"total": 0},
    "no data": {"data": b""},
    "too little data": {"data": b"1"},
    "data beyond the end": {"data": bytes(13)},
    "acknowledges what was never sent": {"delivered": 1},
    "largest numbers": {"number": 2**64 - 1, "offset": 2**64 - 1, "total": 2**64 - 1},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED.keys())
def test_any_chunk_but_the_next_is_refused_and_changes_nothing(change: dict[str, Any]) -> None:
    _, receiver, due = halfway()
    before = receiver.expected

    with pytest.raises(PeerError):
        receiver.receive(replace(due, **change))

    assert receiver.expected == before == Position(2, 8)
    receiver.receive(due)
    assert receiver.receive(Chunk(2, 16, 20, bytes(range(16, 20)), 0)) == bytes(range(20))


def test_a_first_chunk_cannot_announce_an_oversize_message() -> None:
    _, receiver = fresh_pair()

    with pytest.raises(PeerError, match="64 bytes"):
        receiver.receive(Chunk(1, 0, 65, bytes(8), 0))


def test_memory_grows_with_what_arrived_and_not_with_what_was_announced() -> None:
    _, receiver = fresh_pair(ChannelLimits(600 << 20, 600 << 20))

    receiver.receive(Chunk(1, 0, 600 << 20, bytes(1 << 16), 0))

    assert len(receiver._partial.getbuffer()) == 1 << 16


@pytest.mark.parametrize("number", [0, 1, 3, 4, 2**64 - 1])
def test_an_acknowledgement_out_of_turn_is_refused(number: int) -> None:
    sender, _ = fresh_pair()
    sender.send(b"one")
    sender.send(b"two")
    sender.send(b"three, which is only half sent")
    for _ in range(3):
        sender.next_frame()
    sender.receive(Ack(1))

    with pytest.raises(PeerError, match="out of turn"):
        sender.receive(Ack(number))

    sender.receive(Ack(2))
    assert list(sender._queue) == [b"three, which is only half sent"]


def test_resume_goes_on_at_the_byte_that_is_lacking() -> None:
    sender, receiver, _ = halfway()

    sender.resume(receiver.expected)
    receiver.resume(sender.expected)
    rest = frames_of(sender)

    assert [(chunk.number, chunk.offset) for chunk in rest] == [(2, 8), (2, 12), (2, 16)]
    assert [receiver.receive(chunk) for chunk in rest] == [None, None, bytes(range(20))]


def test_resume_forgets_what_the_peer_has_and_acknowledges_nothing_twice() -> None:
    sender, receiver, due = halfway()

    sender.resume(receiver.expected)
    receiver.resume(sender.expected)
    receiver.beat()

    assert list(sender._queue) == [bytes(range(20))] and sender._queued_bytes == 20
    assert frames_of(receiver) == [Heartbeat()]
    assert due.offset == 8


def test_after_a_break_with_nothing_on_its_way_chunks_stay_as_large() -> None:
    sender, receiver = fresh_pair()
    sender.send(b"one")
    carry(sender, receiver)

    sender.resume(receiver.expected)
    sender.send(bytes(8))

    assert len(frames_of(sender)) == 1


def test_two_long_messages_do_not_run_into_each_other() -> None:
    sender, receiver = fresh_pair()
    sender.send(b"a" * 20)
    sender.send(b"b" * 30)

    assert carry(sender, receiver) == [b"a" * 20, b"b" * 30]


def test_after_a_break_with_chunks_on_their_way_smaller_chunks_are_cut_down_to_the_least() -> None:
    sender, _ = fresh_pair()
    sender.send(bytes(40))
    sizes = []
    for _ in range(4):
        sizes.append(len(frames_of(sender)[0].data))
        sender.resume(Position(1, 0))

    assert sizes == [8, 4, 2, 2]


@pytest.mark.parametrize(
    "position", [Position(0, 0), Position(1, 0), Position(2, 9), Position(2, 20), Position(3, 0), Position(3, 1)]
)
def test_a_forged_position_is_refused(position: Position) -> None:
    sender, receiver, _ = halfway()
    sender = Channel(LIMITS)
    sender.send(b"first")
    sender.send(bytes(range(20)))
    sender.next_frame()
    sender.next_frame()
    sender.receive(Ack(1))

    with pytest.raises(PeerError, match=r"lack|whole"):
        sender.resume(position)

    sender.resume(receiver.expected)


@pytest.mark.parametrize("size", [0, 65])
def test_a_message_of_no_or_too_many_bytes_is_our_own_bug(size: int) -> None:
    sender, _ = fresh_pair()

    with pytest.raises(MisuseError, match="1 to 64 bytes"):
        sender.send(bytes(size))


def test_the_queue_is_bounded_in_bytes_and_in_messages() -> None:
    sender, _ = fresh_pair(replace(LIMITS, max_queued_messages=3))
    for _ in range(3):
        sender.send(b"x")
    assert not sender.has_room(1)
    with pytest.raises(MisuseError, match="already wait"):
        sender.send(b"x")

    sender, _ = fresh_pair(replace(LIMITS, max_queued_bytes=70))
    sender.send(bytes(60))
    assert sender.has_room(10) and not sender.has_room(11)


def test_one_message_fits_an_empty_queue_whatever_the_bound() -> None:
    sender, _ = fresh_pair(replace(LIMITS, max_queued_bytes=10))

    sender.send(bytes(60))

    assert not sender.has_room(1)


def test_a_position_at_the_end_of_a_message_is_refused() -> None:
    sender, _ = fresh_pair()
    sender.send(bytes(20))
    frames_of(sender)

    with pytest.raises(PeerError, match="whole"):
        sender.resume(Position(1, 20))


def greet(dialler: Dialler, acceptor: Acceptor) -> HelloAck:
    answer = acceptor.greet(dialler.hello())
    dialler.welcome(answer)
    return answer


def test_greetings_begin_fresh_then_resume_then_begin_fresh_after_a_restart_or_a_drop() -> None:
    node, hub = Dialler("bank-a", NODE, LIMITS), Acceptor(HUB, LIMITS)

    assert greet(node, hub).fresh
    assert not greet(node, hub).fresh
    assert greet(Dialler("bank-a", b"m" * 16, LIMITS), hub).fresh
    assert greet(node, hub).fresh
    hub.drop()
    assert greet(node, hub).fresh
    assert greet(node, Acceptor(b"g" * 16, LIMITS)).fresh


def test_a_session_whose_answer_was_lost_is_not_resumed() -> None:
    node, hub = Dialler("bank-a", NODE, LIMITS), Acceptor(HUB, LIMITS)
    greet(node, hub)
    hub.drop()

    hub.greet(node.hello())  # The answer, which begins a second session, never arrives.

    assert greet(node, hub).fresh


def test_a_restarted_node_does_not_inherit_the_session_that_it_names() -> None:
    node, hub = Dialler("bank-a", NODE, LIMITS), Acceptor(HUB, LIMITS)
    greet(node, hub)

    assert hub.greet(replace(node.hello(), boot=b"m" * 16)).fresh


def test_a_node_refuses_to_resume_with_another_process_or_session() -> None:
    node, hub = Dialler("bank-a", NODE, LIMITS), Acceptor(HUB, LIMITS)
    answer = replace(greet(node, hub), fresh=False)

    for other in (replace(answer, boot=b"g" * 16), replace(answer, session=2)):
        with pytest.raises(PeerError):
            node.welcome(other)

    node.welcome(answer)


@pytest.mark.parametrize(
    "answer",
    [
        HelloAck(HUB, 1, False, Position(1, 0)),
        HelloAck(HUB[:-1], 1, True, Position(1, 0)),
        HelloAck(HUB, 0, True, Position(1, 0)),
        HelloAck(HUB, 1, True, Position(2, 0)),
    ],
)
def test_a_node_refuses_an_answer_that_fits_no_session(answer: HelloAck) -> None:
    node = Dialler("bank-a", NODE, LIMITS)

    with pytest.raises(PeerError):
        node.welcome(answer)

    assert node.channel is None


def test_a_hub_refuses_a_greeting_without_a_boot_id_and_a_forged_position() -> None:
    node, hub = Dialler("bank-a", NODE, LIMITS), Acceptor(HUB, LIMITS)
    greet(node, hub)

    with pytest.raises(PeerError):
        hub.greet(replace(node.hello(), boot=b""))
    with pytest.raises(PeerError):
        hub.greet(replace(node.hello(), expected=Position(7, 0)))

    assert not greet(node, hub).fresh


def test_boot_ids_of_our_own_have_sixteen_bytes() -> None:
    with pytest.raises(MisuseError):
        Dialler("bank-a", b"short", LIMITS)
    with pytest.raises(MisuseError):
        Acceptor(b"", LIMITS)
