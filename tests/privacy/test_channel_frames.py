"""What goes on the wire together, and when an end owes an acknowledgement."""

from privacy.channel import ACK_BYTES, ACK_MESSAGES, SMALL_BYTES, Ack, ChannelLimits, Chunk
from tests.privacy.test_channel import carry, frames_of, fresh_pair


def test_small_messages_that_wait_go_together_and_large_ones_alone() -> None:
    sender, receiver = fresh_pair(ChannelLimits(1 << 20, 1 << 22))
    small, large = [bytes([number]) * 100 for number in range(5)], bytes(SMALL_BYTES)
    sent = [small[0], small[1], large, small[2], bytes(1 << 18), small[3], small[4]]
    for message in sent:
        sender.send(message)
    writes = []
    while frames := sender.next_frames():
        writes.append(frames)
    assert [[frame.number for frame in frames if isinstance(frame, Chunk)] for frames in writes] == [
        [1, 2], [3], [4], [5], [6, 7],
    ]  # fmt: skip
    assert [receiver.receive(frame) for frames in writes for frame in frames] == sent


def test_an_end_owes_an_acknowledgement_after_many_messages_or_bytes() -> None:
    sender, receiver = fresh_pair(ChannelLimits(1 << 21, 1 << 22))
    for _ in range(ACK_MESSAGES - 1):
        sender.send(b"x")
    carry(sender, receiver)
    assert not receiver.owes_ack
    sender.send(b"x")
    carry(sender, receiver)
    assert receiver.owes_ack
    assert frames_of(receiver) == [Ack(ACK_MESSAGES)]
    assert not receiver.owes_ack
    sender.receive(Ack(ACK_MESSAGES))
    sender.send(bytes(ACK_BYTES))
    carry(sender, receiver)
    assert receiver.owes_ack
