"""Frames of the link between protobuf and `privacy.channel`, on the node's side.

It opens no stream. Theory: a frame that is empty, unknown or has a field that this version does not know breaks the
rules of the link; it is told from the others here, before any of it is used.
"""

from collections.abc import Sequence

from creditmesh_wire.v1 import link_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

from privacy.channel import Ack, Chunk, Frame, Heartbeat, Hello, HelloAck, Position
from privacy.chunk_frame import spell_chunks
from privacy.errors import PeerError

__all__ = ["WIRE_VERSION", "connect_path", "decode_answer", "decode_frames", "encode_frames", "encode_hello", "kind_of"]

WIRE_VERSION = 1


def connect_path() -> str:
    """Return the path of the link's one method."""
    (service,) = link_pb2.DESCRIPTOR.services_by_name.values()
    return f"/{service.full_name}/{service.methods[0].name}"


def kind_of(frame: link_pb2.CoordinatorFrame) -> str | None:
    """Return which frame this is; None for an empty one and for one with fields that this version does not know."""
    kind: str | None = frame.WhichOneof("frame")
    if kind is None or len(UnknownFieldSet(frame)) or len(UnknownFieldSet(getattr(frame, kind))):
        return None
    return kind


def decode_frames(frame: link_pb2.CoordinatorFrame) -> list[Frame]:
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


def decode_answer(answer: link_pb2.HelloAck) -> HelloAck:
    """Return an answer to a greeting."""
    position = Position(answer.expected.number, answer.expected.offset)
    return HelloAck(answer.boot, answer.session, answer.fresh, position)


def encode_hello(hello: Hello) -> bytes:
    """Return the frame of a greeting."""
    greeting = link_pb2.Hello(
        version=WIRE_VERSION,
        member=hello.member,
        boot=hello.boot,
        coordinator_boot=hello.peer_boot,
        session=hello.session,
        expected=link_pb2.Position(number=hello.expected.number, offset=hello.expected.offset),
    )
    return link_pb2.NodeFrame(hello=greeting).SerializeToString()


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Return what `Channel.next_frames` gave for the wire, as one frame."""
    match frames[0]:
        case Heartbeat():
            return link_pb2.NodeFrame(heartbeat=link_pb2.Heartbeat()).SerializeToString()
        case Ack(number):
            return link_pb2.NodeFrame(ack=link_pb2.Ack(number=number)).SerializeToString()
        case Chunk():
            return spell_chunks([frame for frame in frames if isinstance(frame, Chunk)])
