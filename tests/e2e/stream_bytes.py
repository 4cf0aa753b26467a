"""What a node wrote to its stream, put together again from the frames themselves: whole messages, and control frames.

It reads the file `frames` of `tests.e2e.watched`, and nothing of the node's log. Theory: a message crosses the stream
in chunks of one number; a connection that broke sends some again; what is whole twice under
one number is one message, under two numbers it was sent twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from creditmesh_wire.v1 import link_pb2

from privacy.digest import sha256
from privacy.wire import SignedFields, decode_packet, decode_signed

__all__ = ["Crossed", "Message", "read_stream"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that crossed: its signed fields, the digest of its payload in hexadecimal digits, and all its bytes."""

    signed: SignedFields
    payload_sha256: str
    size: int


@dataclass(slots=True)
class Crossed:
    """messages: by number and bytes. control: sizes of the other frames, in bytes."""

    messages: dict[tuple[int, bytes], Message] = field(default_factory=dict)
    control: list[int] = field(default_factory=list)


def read_stream(path: Path) -> Crossed:
    """Return what crossed the stream, by the node's own frames."""
    crossed, number, held = Crossed(), -1, bytearray()
    for raw in _frames(path.read_bytes()):
        frame = link_pb2.NodeFrame.FromString(raw)
        kind = frame.WhichOneof("frame")
        if kind not in ("chunk", "chunks"):
            crossed.control.append(len(raw))
            continue
        for chunk in [frame.chunk] if kind == "chunk" else frame.chunks.chunks:
            if chunk.number != number:
                number, held = chunk.number, bytearray()
            assert chunk.offset <= len(held)
            held[chunk.offset :] = chunk.data
            if len(held) == chunk.total:
                whole = bytes(held)
                signed = decode_signed(decode_packet(whole).signed)
                crossed.messages[number, whole] = Message(signed, sha256(signed.payload).hex(), len(whole))
    return crossed


def _frames(raw: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(raw):
        size = int.from_bytes(raw[place : place + 4], "big")
        yield raw[place + 4 : place + 4 + size]
        place += 4 + size
