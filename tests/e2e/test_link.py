"""Messages between a real node's link and a real hub arrive in order, each once, whatever happens to the line."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from coordinator.authority import Credential
from tests.e2e.link_room import CutLine, HubDiary, LinkDiary, Room, run

MIB = 1 << 20


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


@asynccontextmanager
async def connected(
    room: Room, cuts: list[tuple[int | None, int | None]], own: Credential | None = None, **changes: Any
) -> AsyncIterator[tuple[HubDiary, CutLine, LinkDiary]]:
    """Start a hub, a line to it that breaks as told, and a link over that line; wait until the link is up."""
    sizes = {name: value for name, value in changes.items() if name == "max_message_bytes"}
    hub = HubDiary(room.hub_settings(**sizes))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(hub)
        line = await stack.enter_async_context(CutLine(hub.port, cuts))
        link = await stack.enter_async_context(LinkDiary(room.link_settings(line.port, "bank-a", own, **changes)))
        await link.until("up")
        yield hub, line, link


def numbered(count: int, size: int) -> list[bytes]:
    return [number.to_bytes(4, "big") + os.urandom(size - 4) for number in range(count)]


def test_messages_go_both_ways_and_a_cancelled_link_leaves(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            async with LinkDiary(room.link_settings(hub.port)) as link:
                assert await link.until("up") == (True,)
                assert await hub.until("join") == ("bank-a", True)

                large = os.urandom(3 * MIB + 17)
                await link.link.send(b"hello")
                await link.link.send(large)
                hub.hub.send("bank-a", large)
                hub.hub.send("bank-a", b"goodbye")

                await link.until("message", 2)
                await hub.until("message", 2)
                assert hub.of("message") == [("bank-a", b"hello"), ("bank-a", large)]
                assert link.of("message") == [(large,), (b"goodbye",)]
                assert hub.hub.last_heard("bank-a") is not None
                assert hub.hub.last_heard("bank-b") is None
            assert await hub.until("leave") == ("bank-a",)

    run(test)


# The first bytes are the TLS handshake and the greetings; the later cuts fall into messages, in either direction.
CUTS = [(100, None), (None, 100), (4_000, None), (None, 3_000), (MIB // 2, None), (None, MIB // 2)]
CUTS += [(2 * MIB, None), (None, 2 * MIB + 333), (3 * MIB, 3 * MIB), (5_000, 5_000)]


def test_every_message_arrives_once_over_a_line_that_breaks_mid_message(room: Room) -> None:
    async def test() -> None:
        up, down = numbered(12, 600_000), numbered(12, 700_001)
        async with connected(room, list(CUTS)) as (hub, line, link):
            for message in up:
                await link.link.send(message)
            await hub.until("join")
            for message in down:
                hub.hub.send("bank-a", message)

            await hub.until("message", len(up))
            await link.until("message", len(down))
            # One more each way, so that a late second copy of an earlier one would be seen.
            await link.link.send(b"last up")
            hub.hub.send("bank-a", b"last down")
            await hub.until("message", len(up) + 1)
            await link.until("message", len(down) + 1)

            assert [message for _, message in hub.of("message")] == [*up, b"last up"]
            assert [message for (message,) in link.of("message")] == [*down, b"last down"]
            assert line.made > len(CUTS)
            assert [fresh for _, fresh in hub.of("join")].count(True) == 1
            assert len(hub.of("leave")) == len(hub.of("join")) - 1

    run(test)


def test_a_restarted_coordinator_on_the_same_port_begins_a_fresh_session(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as first:
            link = LinkDiary(room.link_settings(first.port))
            async with link:
                await link.until("up")
                await link.link.send(b"to the first")
                await first.until("message")
                await first.hub.stop()
                assert await link.until("down") == ("the coordinator is shutting down",)
                await link.link.send(b"lost with the first")

                async with HubDiary(room.hub_settings(first.port)) as second:
                    assert second.port == first.port
                    assert await second.until("join") == ("bank-a", True)
                    await link.until("up", 2)
                    await link.link.send(b"to the second")
                    await second.until("message")

                    assert second.of("message") == [("bank-a", b"to the second")]
                    assert link.of("up") == [(True,), (True,)]

    run(test)


def test_a_hub_that_comes_back_with_its_memory_resumes(room: Room) -> None:
    """The line is closed to everybody for a while; the coordinator's process lives on."""

    async def test() -> None:
        async with connected(room, []) as (hub, line, link):
            line.close()
            await hub.until("leave")
            for number in range(3):
                hub.hub.send("bank-a", bytes([number]))
            await link.until("down")
            line.closed = False

            await link.until("message", 3)
            assert link.of("message") == [(b"\x00",), (b"\x01",), (b"\x02",)]
            assert hub.of("join") == [("bank-a", True), ("bank-a", False)]

    run(test)


def test_a_newer_stream_of_the_same_member_replaces_the_older(room: Room) -> None:
    async def test() -> None:
        own = room.member("bank-a")
        async with connected(room, [], own, retry_min_s=600.0) as (hub, _, older):
            newer = LinkDiary(room.link_settings(hub.port, credential=own))
            await newer.__aenter__()
            await newer.until("up")

            (reason,) = await older.until("down")
            assert "another process took over" in reason
            hub.hub.send("bank-a", b"for the newer")
            await newer.until("message")
            assert older.of("message") == []
            assert [event[0] for event in hub.events[:3]] == ["join", "leave", "join"]
            await newer.__aexit__()

    run(test)


def test_one_message_object_goes_to_many_members_and_is_kept_once(room: Room) -> None:
    async def test() -> None:
        names = ["bank-a", "bank-b", "bank-c"]
        async with HubDiary(room.hub_settings()) as hub:
            links = [LinkDiary(room.link_settings(hub.port, name)) for name in names]
            for link in links:
                await link.__aenter__()
                await link.until("up")
            message = os.urandom(2 * MIB)
            for name in names:
                hub.hub.send(name, message)
            kept = [hub.hub._seats[name].acceptor.channel for name in names]
            assert all(channel is not None and channel._queue[0] is message for channel in kept)

            for link in links:
                assert await link.until("message") == (message,)
                await link.__aexit__()

    run(test)


def test_a_node_waits_while_too_much_is_queued_and_goes_on_when_it_was_taken(room: Room) -> None:
    async def test() -> None:
        async with connected(room, [], max_message_bytes=MIB) as (hub, _, link):
            message = os.urandom(MIB)
            sending = asyncio.create_task(_send_many(link, message, 40))
            await hub.until("message", 40)
            await sending

            channel = link.link._dialler.channel
            assert channel is not None and channel._queued_bytes <= 2 * MIB

    run(test)


async def _send_many(link: LinkDiary, message: bytes, count: int) -> None:
    for _ in range(count):
        await link.link.send(message)
        channel = link.link._dialler.channel
        assert channel is not None and channel._queued_bytes <= 2 * MIB
