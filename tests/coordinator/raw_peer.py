"""A member without a link of its own: it writes whatever frames a test wants, well formed or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from creditmesh_wire.v1 import link_pb2

from coordinator.authority import Credential
from coordinator.grpc_link import WIRE_VERSION
from tests.e2e.link_room import PATIENCE_S, Room

__all__ = ["Frame", "Peer", "chunk", "dial", "dial_two", "hello", "together"]

Frame = link_pb2.NodeFrame
BOOT = b"b" * 16


class Peer:
    """A client that writes whatever frames a test wants, well formed or not."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def write(self, frame: Any) -> None:
        await self.call.write(frame if isinstance(frame, bytes) else frame.SerializeToString())

    async def read(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.call.read()
        return link_pb2.CoordinatorFrame.FromString(raw)

    async def greet(self, **changes: Any) -> Any:
        await self.write(hello(**changes))
        return (await self.read()).hello_ack

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Read until the hub ends the stream; return all that it says about it."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError:
                pass  # The status is asked for just below.
            return await self.call.code(), await self.call.details()


def hello(**changes: Any) -> link_pb2.NodeFrame:
    fields = {"version": WIRE_VERSION, "member": "bank-a", "boot": BOOT, "expected": link_pb2.Position(number=1)}
    return Frame(hello=link_pb2.Hello(**{**fields, **changes}))


def chunk(number: int, data: bytes, **changes: Any) -> link_pb2.NodeFrame:
    fields = {"number": number, "offset": 0, "total": len(data), "data": data}
    return Frame(chunk=link_pb2.Chunk(**{**fields, **changes}))


def together(*frames: link_pb2.NodeFrame) -> link_pb2.NodeFrame:
    """Return the frame that carries the chunks of these."""
    return Frame(chunks=link_pb2.Chunks(chunks=[frame.chunk for frame in frames]))


@asynccontextmanager
async def dial(room: Room, port: int, own: Credential | None = None, member: str = "bank-a") -> AsyncIterator[Peer]:
    """Open a stream with a certificate; frames are bytes, so that a test can send anything."""
    credential = own or room.member(member)
    credentials = grpc.ssl_channel_credentials(
        room.authority.certificate_pem, credential.key_pem, credential.certificate_pem
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield Peer(channel.stream_stream("/creditmesh_wire.v1.LinkService/Connect")())


@asynccontextmanager
async def dial_two(room: Room, port: int) -> AsyncIterator[tuple[Peer, Peer]]:
    """Open one stream for bank-a and one for bank-b."""
    async with dial(room, port) as first, dial(room, port, member="bank-b") as second:
        yield first, second
