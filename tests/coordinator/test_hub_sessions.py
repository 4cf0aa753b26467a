"""What outlives a stream at the hub: sessions, memory, silence, its own faults, and the port."""

import asyncio
import os
import socket
from typing import Any

import grpc
import grpc.aio
import pytest
from creditmesh_wire.v1 import link_pb2

from privacy.errors import InputError
from tests.coordinator.raw_peer import Frame, chunk, dial, dial_two, hello
from tests.e2e.link_room import HubDiary, Room, run


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


def test_a_taken_port_is_one_clear_line(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as first:
            with pytest.raises(InputError, match=rf"127\.0\.0\.1:{first.port}.*taken"):
                await HubDiary(room.hub_settings(first.port)).hub.start()

    run(test)


def test_a_key_of_another_certificate_is_one_clear_line(room: Room) -> None:
    async def test() -> None:
        with pytest.raises(InputError, match=r"\[tls\]"):
            await HubDiary(room.hub_settings(key_pem=room.authority.key_pem)).hub.start()

    run(test)


def test_stopping_tells_the_members_and_frees_the_port(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port) as peer:
            await peer.greet()
            await hub.hub.stop()

            assert await peer.end() == (grpc.StatusCode.UNAVAILABLE, "stopping")
            assert hub.events == [("join", "bank-a", True), ("leave", "bank-a")]
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", hub.port))

    run(test)


def test_a_silent_member_is_gone_and_one_with_heartbeats_is_not(room: Room) -> None:
    async def test() -> None:
        settings = room.hub_settings(heartbeat_s=0.02, lost_after_s=0.4)
        async with HubDiary(settings) as hub, dial_two(room, hub.port) as (silent, living):
            await living.greet(member="bank-b")
            await silent.greet()
            while not hub.of("leave"):
                # The hub's heartbeats set the pace of ours.
                assert (await living.read()).WhichOneof("frame") == "heartbeat"
                await living.write(Frame(heartbeat=link_pb2.Heartbeat()))

            assert await silent.end() == (grpc.StatusCode.DEADLINE_EXCEEDED, "silent")
            assert hub.of("leave") == [("bank-a",)]
            heard_a, heard_b = hub.hub.last_heard("bank-a"), hub.hub.last_heard("bank-b")
            assert heard_a is not None and heard_b is not None and heard_a < heard_b

    run(test)


def test_a_member_that_takes_nothing_loses_its_session_and_the_hub_its_memory(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings(max_message_bytes=1 << 20)) as hub, dial(room, hub.port) as peer:
            first = await peer.greet()
            for _ in range(3):
                hub.hub.send("bank-a", bytes(1 << 20))

            assert await peer.end() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too-slow")
            await hub.until("leave")
            hub.hub.send("bank-a", b"dropped, for there is no session")
            async with dial(room, hub.port) as again:
                named = {"coordinator_boot": first.boot, "session": first.session}
                assert (await again.greet(**named)).fresh

    run(test)


def test_a_message_does_not_wait_for_the_next_heartbeat(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings(heartbeat_s=600.0)) as hub, dial(room, hub.port) as peer:
            await peer.greet()
            hub.hub.send("bank-a", b"first")
            assert (await peer.read()).chunk.data == b"first"
            # The writer sleeps by now: it has written all there was.
            hub.hub.send("bank-a", b"second")
            assert (await peer.read()).chunk.data == b"second"

    run(test)


def test_sending_to_a_member_that_never_came_drops_the_message(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            hub.hub.send("bank-z", b"x")

            assert hub.hub.last_heard("bank-z") is None

    run(test)


def test_a_failing_callback_ends_the_stream_with_one_word_and_drops_the_session(room: Room) -> None:
    async def test() -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        async with HubDiary(room.hub_settings()) as hub:
            hub.on_message = fail
            async with dial(room, hub.port) as peer:
                first = await peer.greet()
                await peer.write(chunk(1, b"secret of the bank"))

                assert await peer.end() == (grpc.StatusCode.INTERNAL, "internal")
            assert [str(error) for error in reported] == ["a fault of ours"]
            async with dial(room, hub.port) as again:
                assert (await again.greet(coordinator_boot=first.boot, session=first.session)).fresh

    run(test)


def fail(member: str, message: bytes) -> None:
    raise ZeroDivisionError("a fault of ours")


def test_a_resumed_session_goes_on_at_the_byte(room: Room) -> None:
    async def test() -> None:
        message = os.urandom(3 << 16)
        third = 1 << 16
        async with HubDiary(room.hub_settings()) as hub:
            async with dial(room, hub.port) as peer:
                first = await peer.greet()
                await peer.write(chunk(1, message[:third], total=len(message)))
                await peer.write(Frame(heartbeat=link_pb2.Heartbeat()))
            await hub.until("leave")
            hub.hub.send("bank-a", b"while away")
            async with dial(room, hub.port) as peer:
                answer = await peer.greet(coordinator_boot=first.boot, session=first.session)
                assert not answer.fresh
                offset = answer.expected.offset
                assert (answer.expected.number, offset) in {(1, 0), (1, third)}
                assert (await peer.read()).chunk.data == b"while away"
                for start in range(offset, len(message), third):
                    await peer.write(chunk(1, message[start : start + third], offset=start, total=len(message)))

                assert await hub.until("message") == ("bank-a", message)
                assert hub.of("join") == [("bank-a", True), ("bank-a", False)]

    run(test)


def test_a_forged_position_is_refused_and_the_living_stream_stays(room: Room) -> None:
    async def test() -> None:
        own = room.member("bank-a")
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port, own) as peer:
            first = await peer.greet()
            async with dial(room, hub.port, own) as forger:
                named = {"coordinator_boot": first.boot, "session": first.session}
                await forger.write(hello(expected=link_pb2.Position(number=9), **named))
                assert (await forger.end())[1] == "position-forged"
            await peer.write(chunk(1, b"still here"))

            assert await hub.until("message") == ("bank-a", b"still here")
            assert hub.of("leave") == []

    run(test)


def test_settings_do_not_print_the_key(room: Room) -> None:
    assert "PRIVATE" not in repr(room.hub_settings())
