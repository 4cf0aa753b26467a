"""Frames of the link between protobuf and `privacy.channel`, on the coordinator's side.

It opens no stream. Theory: a frame that is empty, unknown or has a field that this version does not know breaks the
rules of the link; it is told from the others here, before any of it is used.
"""

from creditmesh_wire.v1 import link_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

from privacy.channel import Ack, Chunk, Frame, Heartbeat, Hello, HelloAck, Position
from privacy.errors import PeerError

__all__ = ["WIRE_VERSION", "decode_frame", "decode_hello", "encode_answer", "encode_frame", "kind_of"]

WIRE_VERSION = 1


def kind_of(frame: link_pb2.NodeFrame) -> str | None:
    """Return which frame this is; None for an empty one and for one with fields that this version does not know."""
    kind: str | None = frame.WhichOneof("frame")
    if kind is None or len(UnknownFieldSet(frame)) or len(UnknownFieldSet(getattr(frame, kind))):
        return None
    return kind


def decode_frame(frame: link_pb2.NodeFrame) -> Frame:
    """Return what a frame says; raises `PeerError`."""
    match kind_of(frame):
        case "heartbeat":
            return Heartbeat()
        case "ack":
            return Ack(frame.ack.number)
        case "chunk":
            chunk = frame.chunk
            return Chunk(chunk.number, chunk.offset, chunk.total, chunk.data, chunk.delivered)
        case _:
            raise PeerError("frame-unknown", "a frame is empty, unknown or out of place")


def decode_hello(hello: link_pb2.Hello) -> Hello:
    """Return a greeting."""
    position = Position(hello.expected.number, hello.expected.offset)
    return Hello(hello.member, hello.boot, hello.coordinator_boot, hello.session, position)


def encode_answer(answer: HelloAck) -> link_pb2.CoordinatorFrame:
    """Return the frame of an answer to a greeting."""
    position = link_pb2.Position(number=answer.expected.number, offset=answer.expected.offset)
    return link_pb2.CoordinatorFrame(
        hello_ack=link_pb2.HelloAck(
            version=WIRE_VERSION, boot=answer.boot, session=answer.session, fresh=answer.fresh, expected=position
        )
    )


def encode_frame(frame: Frame) -> link_pb2.CoordinatorFrame:
    """Return a frame for the wire."""
    match frame:
        case Heartbeat():
            return link_pb2.CoordinatorFrame(heartbeat=link_pb2.Heartbeat())
        case Ack(number):
            return link_pb2.CoordinatorFrame(ack=link_pb2.Ack(number=number))
        case Chunk(number, offset, total, data, delivered):
            chunk = link_pb2.Chunk(number=number, offset=offset, total=total, data=bytes(data), delivered=delivered)
            return link_pb2.CoordinatorFrame(chunk=chunk)
