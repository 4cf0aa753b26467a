"""Frames of the link between protobuf and `privacy.channel`, on the coordinator's side.

It opens no stream. Theory: a frame that is empty, unknown or has a field that this version does not know breaks the
rules of the link; it is told from the others here, before any of it is used.
"""

from collections.abc import Sequence

from creditmesh_wire.v1 import link_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

from privacy.channel import Ack, Chunk, Frame, Heartbeat, Hello, HelloAck, Position
from privacy.chunk_frame import spell_chunks
from privacy.errors import PeerError

__all__ = ["WIRE_VERSION", "decode_frames", "decode_hello", "encode_answer", "encode_frames", "kind_of"]

WIRE_VERSION = 1


def kind_of(frame: link_pb2.NodeFrame) -> str | None:
    """Return which frame this is; None for an empty one and for one with fields that this version does not know."""
    kind: str | None = frame.WhichOneof("frame")
    if kind is None or len(UnknownFieldSet(frame)) or len(UnknownFieldSet(getattr(frame, kind))):
        return None
    return kind


def decode_frames(frame: link_pb2.NodeFrame) -> list[Frame]:
    """Return what a frame says, of several chunks each; raises `PeerError`."""
    match kind_of(frame):
        case "heartbeat":
            return [Heartbeat()]
        case "ack":
            return [Ack(frame.ack.number)]
        case "chunk":
            return [_chunk(frame.chunk)]
        case "chunks" if len(frame.chunks.chunks) > 1:
            return [_chunk(each) for each in frame.chunks.chunks]
        case _:
            raise PeerError("frame-unknown", "a frame is empty, unknown or out of place")


def _chunk(chunk: link_pb2.Chunk) -> Chunk:
    if len(UnknownFieldSet(chunk)):
        raise PeerError("frame-unknown", "a chunk has fields that this version does not know")
    return Chunk(chunk.number, chunk.offset, chunk.total, chunk.data, chunk.delivered)


def decode_hello(hello: link_pb2.Hello) -> Hello:
    """Return a greeting."""
    position = Position(hello.expected.number, hello.expected.offset)
    return Hello(hello.member, hello.boot, hello.coordinator_boot, hello.session, position)


def encode_answer(answer: HelloAck) -> bytes:
    """Return the frame of an answer to a greeting."""
    position = link_pb2.Position(number=answer.expected.number, offset=answer.expected.offset)
    hello_ack = link_pb2.HelloAck(
        version=WIRE_VERSION, boot=answer.boot, session=answer.session, fresh=answer.fresh, expected=position
    )
    return link_pb2.CoordinatorFrame(hello_ack=hello_ack).SerializeToString()


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Return what `Channel.next_frames` gave for the wire, as one frame."""
    match frames[0]:
        case Heartbeat():
            return link_pb2.CoordinatorFrame(heartbeat=link_pb2.Heartbeat()).SerializeToString()
        case Ack(number):
            return link_pb2.CoordinatorFrame(ack=link_pb2.Ack(number=number)).SerializeToString()
        case Chunk():
            return spell_chunks([frame for frame in frames if isinstance(frame, Chunk)])
