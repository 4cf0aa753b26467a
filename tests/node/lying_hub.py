"""A coordinator that says whatever a test wants it to say, to a node's real link."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from creditmesh_wire.v1 import link_pb2

from node.link_frames import WIRE_VERSION
from tests.e2e.link_room import PATIENCE_S, Room

__all__ = ["Frame", "LyingHub", "Script", "answer", "chunk"]

Frame = link_pb2.CoordinatorFrame
HUB_BOOT = b"h" * 16


def answer(**changes: Any) -> link_pb2.CoordinatorFrame:
    position = link_pb2.Position(number=1)
    fields = {"version": WIRE_VERSION, "boot": HUB_BOOT, "session": 1, "fresh": True, "expected": position}
    return Frame(hello_ack=link_pb2.HelloAck(**{**fields, **changes}))


def chunk(number: int, data: bytes, **changes: Any) -> link_pb2.CoordinatorFrame:
    fields = {"number": number, "offset": 0, "total": len(data), "data": data}
    return Frame(chunk=link_pb2.Chunk(**{**fields, **changes}))


class Script:
    """One stream as the lying hub sees it."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.frames: list[link_pb2.NodeFrame] = []

    async def read(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.context.read()
        if raw is grpc.aio.EOF:
            return None
        self.frames.append(link_pb2.NodeFrame.FromString(raw))
        return self.frames[-1]

    async def write(self, frame: Any) -> None:
        await self.context.write(frame if isinstance(frame, bytes) else frame.SerializeToString())

    async def hold(self) -> None:
        """Read until the node goes."""
        while await self.read() is not None:
            pass


class LyingHub:
    """Serve each stream with the next of `acts`, the last one again and again."""

    def __init__(self, room: Room, *acts: Callable[[Script], Awaitable[None]]) -> None:
        self.acts = acts
        self.streams: list[Script] = []
        self._server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(self._connect)
        service = grpc.method_handlers_generic_handler("creditmesh_wire.v1.LinkService", {"Connect": handler})
        self._server.add_generic_rpc_handlers((service,))
        credentials = grpc.ssl_server_credentials(
            [(room.server.key_pem, room.server.certificate_pem)], room.authority.certificate_pem, True
        )
        self.port: int = self._server.add_secure_port("127.0.0.1:0", credentials)

    async def _connect(self, _frames: object, context: Any) -> None:
        script = Script(context)
        self.streams.append(script)
        await self.acts[min(len(self.streams), len(self.acts)) - 1](script)

    async def __aenter__(self) -> "LyingHub":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)
