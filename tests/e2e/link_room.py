"""What the tests of the link share: a consortium's certificates, recorders of callbacks, and a line that can be cut."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from coordinator.authority import (
    Credential,
    create_authority,
    generate_key,
    issue_member_certificate,
    issue_server_certificate,
    public_key_of,
)
from coordinator.grpc_link import GrpcHub
from coordinator.link import HubSettings
from node.grpc_link import GrpcLink
from node.link import ControlBlock, LinkSettings

__all__ = ["PATIENCE_S", "CutLine", "HubDiary", "Journal", "LinkDiary", "Room", "run"]

# How long a test waits for what must happen before it calls it a failure; never a measure of speed.
PATIENCE_S = 30.0
CONSORTIUM = "cn-credit"
T = TypeVar("T")


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run one asynchronous test on a fresh loop, and never for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await test()

    asyncio.run(bounded())


@dataclass
class Room:
    """A consortium: an authority, the coordinator's certificate, and settings for hub and members."""

    name: str = CONSORTIUM
    authority: Credential = field(init=False)
    server: Credential = field(init=False)

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        self.authority = create_authority(self.name, now)
        self.server = issue_server_certificate(self.authority, ["127.0.0.1", "localhost"], now)

    def hub_settings(self, port: int = 0, **changes: Any) -> HubSettings:
        settings = HubSettings(
            listen=f"127.0.0.1:{port}",
            ca_pem=self.authority.certificate_pem,
            certificate_pem=self.server.certificate_pem,
            key_pem=self.server.key_pem,
            consortium=self.name,
            max_message_bytes=16 << 20,
        )
        return replace(settings, **changes)

    def member(self, member: str, age: timedelta = timedelta(0)) -> Credential:
        """Issue a member's certificate as it would have been issued `age` ago."""
        key = generate_key()
        now = datetime.now(UTC) - age
        return Credential(issue_member_certificate(self.authority, member, public_key_of(key), now), key)

    def link_settings(
        self, port: int, member: str = "bank-a", credential: Credential | None = None, **changes: Any
    ) -> LinkSettings:
        own = credential or self.member(member)
        settings = LinkSettings(
            endpoint=f"127.0.0.1:{port}",
            ca_pem=self.authority.certificate_pem,
            certificate_pem=own.certificate_pem,
            key_pem=own.key_pem,
            member_id=member,
            max_message_bytes=16 << 20,
            retry_min_s=0.01,
            retry_max_s=0.05,
        )
        return replace(settings, **changes)


class Journal:
    """Events in order of arrival; a test waits for one instead of sleeping."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._news = asyncio.Event()

    def add(self, *event: Any) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == kind]

    async def until(self, kind: str, count: int = 1) -> tuple[Any, ...]:
        """Wait until `count` events of a kind stand here; return the last of these."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(self.of(kind)) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"waited for {count} times {kind!r}, saw {summary(self.events)}") from None
        return self.of(kind)[count - 1]

    async def seen(self, *event: Any) -> None:
        """Wait until just this event stands here."""
        count = 1
        while event not in self.events:
            count = max(count, len(self.of(event[0])) + 1)
            await self.until(event[0], count)


def summary(events: list[tuple[Any, ...]]) -> str:
    return repr([tuple(part if not isinstance(part, bytes) else len(part) for part in event) for event in events[-40:]])


class HubDiary(Journal):
    """A hub whose callbacks are written down: join, message, leave. `expelled` holds refused serial numbers."""

    def __init__(self, settings: HubSettings, boot: bytes | None = None) -> None:
        super().__init__()
        self.expelled: set[int] = set()
        self.on_message: Callable[[str, bytes], None] = lambda member, message: None
        self.hub = GrpcHub(
            settings,
            boot=boot or os.urandom(16),
            is_member=lambda member, serial: serial not in self.expelled,
            on_join=lambda member, boot, fresh: self.add("join", member, fresh),
            on_message=self._message,
            on_leave=lambda member: self.add("leave", member),
        )
        self.hub.on_refused = lambda member, slug: self.add("refused", member, slug)

    def _message(self, member: str, message: bytes) -> None:
        self.add("message", member, message)
        self.on_message(member, message)

    async def __aenter__(self) -> "HubDiary":
        self.port = await self.hub.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hub.stop()


class LinkDiary(Journal):
    """A link that runs, and whose callbacks are written down: up, message, down, control."""

    def __init__(self, settings: LinkSettings, block: ControlBlock | None = None) -> None:
        super().__init__()
        self.block = block or ControlBlock(1000, 1 << 20)
        self.link = GrpcLink(
            settings,
            boot=os.urandom(16),
            authorise_control=self._authorise,
            on_message=lambda message: self.add("message", message),
            on_up=lambda boot, fresh: self.add("up", fresh),
            on_down=lambda reason: self.add("down", reason),
        )

    def _authorise(self) -> ControlBlock:
        self.add("control")
        return self.block

    async def __aenter__(self) -> "LinkDiary":
        self.task = asyncio.create_task(self.link.run())
        self.task.add_done_callback(self._ended)
        return self

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            self.add("ended", task.exception())

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class CutLine:
    """A TCP line to a port that breaks both ways once so many bytes have passed upward or downward.

    `cuts` holds (bytes upward, bytes downward) for one connection after the other; None never breaks. When the list is
    used up, connections last.
    """

    def __init__(self, target: int, cuts: list[tuple[int | None, int | None]]) -> None:
        self.target = target
        self.cuts = cuts
        self.made = 0
        self.closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "CutLine":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Break every connection and refuse new ones until `closed` is False again."""
        self.closed = True
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.closed:
            writer.transport.abort()
            return
        self._tasks.add(task)
        up, down = self.cuts[self.made] if self.made < len(self.cuts) else (None, None)
        self.made += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, up)),
            asyncio.create_task(self._pump(far_reader, writer, down)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # The test closes the line; asyncio's server would report it as a failure of ours.
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, far_writer):
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
        while left is None or left > 0:
            piece = await reader.read(65536 if left is None else min(65536, left))
            if not piece:
                return
            writer.write(piece)
            await writer.drain()
            left = None if left is None else left - len(piece)
