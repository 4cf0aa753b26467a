"""A node's link must survive a coordinator that lies, send no control frame without a block, and stop when told."""

import asyncio
import os
from typing import Any

import grpc
import pytest
from creditmesh_wire.v1 import link_pb2

from node.link import ControlBlock
from node.link_frames import WIRE_VERSION
from privacy.errors import InputError, MisuseError
from tests.e2e.link_room import HubDiary, LinkDiary, Room, run
from tests.node.lying_hub import Frame, LyingHub, Script, answer, chunk


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


UNKNOWN_FIELD = b"\xf8\x07\x01"  # field 127, varint 1
LONG = bytes(1 << 17)
BAD_FRAMES = {
    "duplicate": ([chunk(1, b"one"), chunk(1, b"one")], "message 1 offset 0 came"),
    "reordered": ([chunk(2, b"two")], "message 2 offset 0 came"),
    "gap": ([chunk(1, LONG[: 1 << 16], total=1 << 18), chunk(1, b"x", offset=1 << 17, total=1 << 18)], "was expected"),
    "oversize message": ([chunk(1, LONG, total=1 << 40)], "announces"),
    "tiny chunks": ([chunk(1, b"x", total=1 << 18)], "were due"),
    "forged acknowledgement": ([Frame(ack=link_pb2.Ack(number=7))], "out of turn"),
    "forged in a chunk": ([chunk(1, b"x", delivered=1)], "out of turn"),
    "duplicate among several": (
        [Frame(chunks=link_pb2.Chunks(chunks=[chunk(1, b"one").chunk] * 2))],
        "message 1 offset 0 came",
    ),
    "several of one": ([Frame(chunks=link_pb2.Chunks(chunks=[chunk(1, b"x").chunk]))], "out of place"),
    "unknown field among several": ([b"\x2a\x0a\x0a\x03" + UNKNOWN_FIELD + b"\x0a\x03" + UNKNOWN_FIELD], "a chunk has"),
    "a second greeting": ([answer()], "out of place"),
    "empty": ([Frame()], "out of place"),
    "unknown frame": ([UNKNOWN_FIELD], "out of place"),
    "unknown field": ([chunk(1, b"x").SerializeToString() + UNKNOWN_FIELD], "out of place"),
    "garbage": ([b"\xff" * 40], "out of place"),
}


@pytest.mark.parametrize(("frames", "reason"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_bad_frame_ends_the_stream_and_delivers_nothing_twice(room: Room, frames: list[Any], reason: str) -> None:
    async def lie(script: Script) -> None:
        await script.read()
        await script.write(answer())
        for frame in frames:
            await script.write(frame)
        await script.hold()

    async def behave(script: Script) -> None:
        await script.read()
        await script.write(answer(session=2))
        await script.write(chunk(1, b"after the lie"))
        await script.hold()

    async def test() -> None:
        async with LyingHub(room, lie, behave) as hub, LinkDiary(room.link_settings(hub.port)) as link:
            (said,) = await link.until("down")
            await link.seen("message", b"after the lie")

            assert "broke the rules of the link" in said and reason in said
            assert link.of("up") == [(True,), (True,)]
            assert [message for message in link.of("message") if message != (b"one",)] == [(b"after the lie",)]
            assert link.of("message").count((b"one",)) <= 1

    run(test)


def test_an_oversize_frame_ends_the_stream(room: Room) -> None:
    async def lie(script: Script) -> None:
        await script.read()
        await script.write(answer())
        await script.write(chunk(1, bytes((1 << 20) + 5000)))
        await script.hold()

    async def test() -> None:
        async with LyingHub(room, lie) as hub, LinkDiary(room.link_settings(hub.port)) as link:
            assert await link.until("down") == ("the connection to the coordinator broke",)
            assert link.of("message") == []

    run(test)


BAD_ANSWERS = {
    "not an answer": Frame(heartbeat=link_pb2.Heartbeat()),
    "empty": Frame(),
    "garbage": b"\xff\xff",
    "other version": answer(version=WIRE_VERSION + 1),
    "unknown field": answer().SerializeToString() + UNKNOWN_FIELD,
    "resumes what never was": answer(fresh=False),
    "short boot": answer(boot=b"h"),
    "no session number": answer(session=0),
    "starts in the middle": answer(expected=link_pb2.Position(number=5)),
}


@pytest.mark.parametrize("frame", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_answer_to_the_greeting_is_no_connection(room: Room, frame: Any) -> None:
    async def lie(script: Script) -> None:
        await script.read()
        await script.write(frame)
        await script.hold()

    async def test() -> None:
        async with LyingHub(room, lie) as hub, LinkDiary(room.link_settings(hub.port)) as link:
            (said,) = await link.until("down")

            assert "greeting" in said or "rules of the link" in said
            assert link.of("up") == []

    run(test)


def test_a_silent_coordinator_is_gone_after_the_patience_of_the_settings(room: Room) -> None:
    async def fall_silent(script: Script) -> None:
        await script.read()
        await script.write(answer())
        await script.hold()

    async def test() -> None:
        hub = LyingHub(room, fall_silent)
        settings = room.link_settings(hub.port, heartbeat_s=0.02, lost_after_s=0.2)
        async with hub, LinkDiary(settings) as link:
            assert await link.until("down") == ("nothing was heard from the coordinator for 0.2 s",)
            await link.until("up", 2)
            assert any(frame.WhichOneof("frame") == "heartbeat" for frame in hub.streams[0].frames)

    run(test)


def test_a_coordinator_that_never_answers_the_greeting_is_given_up(room: Room) -> None:
    async def test() -> None:
        hub = LyingHub(room, Script.hold)
        async with hub, LinkDiary(room.link_settings(hub.port, lost_after_s=0.1)) as link:
            (said,) = await link.until("down")

        assert "did not complete the connection" in said and link.of("up") == []

    run(test)


def test_what_the_coordinator_writes_into_a_status_never_reaches_the_operator(room: Room) -> None:
    async def shout(script: Script) -> None:
        await script.read()
        await script.write(answer())
        await script.context.abort(grpc.StatusCode.INTERNAL, "\x1b[31mcall this number")

    async def test() -> None:
        async with LyingHub(room, shout) as hub, LinkDiary(room.link_settings(hub.port)) as link:
            assert await link.until("down") == ("the connection to the coordinator broke",)

    run(test)


def test_the_same_reason_is_said_once(room: Room) -> None:
    async def refuse(script: Script) -> None:
        await script.context.abort(grpc.StatusCode.PERMISSION_DENIED, "not-a-member")

    async def stop(script: Script) -> None:
        await script.context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    async def test() -> None:
        hub = LyingHub(room, refuse, refuse, refuse, stop)
        async with hub, LinkDiary(room.link_settings(hub.port)) as link:
            await link.until("down", 2)

        (first,), (second,) = link.of("down")
        assert "as a member" in first and "shutting down" in second
        assert len(hub.streams) == 4

    run(test)


def test_control_frames_leave_within_blocks_and_are_counted_to_the_byte(room: Room) -> None:
    async def beat(script: Script) -> None:
        await script.read()
        await script.write(answer())
        await script.hold()

    async def test() -> None:
        block = ControlBlock(frames=3, size=1000)
        hub = LyingHub(room, beat)
        async with hub, LinkDiary(room.link_settings(hub.port, heartbeat_s=0.005), block) as link:
            await link.until("control", 4)
            used = link.link._control

        sent = hub.streams[0].frames
        beat_bytes = link_pb2.NodeFrame(heartbeat=link_pb2.Heartbeat()).ByteSize()
        assert 1 < len(sent) <= 3 * len(link.of("control"))
        assert all(frame.WhichOneof("frame") in {"hello", "heartbeat", "ack"} for frame in sent)
        assert used.frames < 3 and used.size == 1000 - (3 - used.frames) * beat_bytes

    run(test)


def test_without_a_block_nothing_leaves_and_the_link_ends(room: Room) -> None:
    async def test() -> None:
        async with LyingHub(room, Script.hold) as hub, LinkDiary(room.link_settings(hub.port)) as link:
            link.block = ControlBlock(0, 0)
            (error,) = await link.until("ended")
            assert isinstance(error, MisuseError)
        assert all(script.frames == [] for script in hub.streams)

    run(test)


def test_a_record_that_cannot_be_written_ends_the_link_with_its_error(room: Room) -> None:
    async def test() -> None:
        async with LyingHub(room, Script.hold) as hub:
            diary = LinkDiary(room.link_settings(hub.port))
            diary.link._authorise_control = disk_full
            async with diary as link:
                (error,) = await link.until("ended")
                assert isinstance(error, InputError) and error.code == "disk-full"
        assert all(script.frames == [] for script in hub.streams)

    run(test)


def disk_full() -> ControlBlock:
    raise InputError("disk-full", "no space is left for the log")


def fail(message: bytes) -> None:
    raise ZeroDivisionError


def test_a_callback_that_fails_ends_the_link_with_its_error(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            diary = LinkDiary(room.link_settings(hub.port))
            diary.link._on_message = fail
            async with diary as link:
                await link.until("up")
                hub.hub.send("bank-a", b"x")
                (error,) = await link.until("ended")
                assert isinstance(error, ZeroDivisionError)

    run(test)


def test_cancelling_ends_the_link_in_every_phase(room: Room) -> None:
    """A cancellation that meets the end of a stream must not be lost."""

    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            for steps in range(60):
                link = LinkDiary(room.link_settings(hub.port))
                task = asyncio.create_task(link.link.run())
                for _ in range(steps * 2):
                    await asyncio.sleep(0)
                if steps % 3 == 0 and (stream := getattr(hub.hub._seats.get("bank-a"), "stream", None)) is not None:
                    stream.end(grpc.StatusCode.ABORTED, "replaced")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(test)


def test_a_message_before_the_first_session_is_dropped(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            link = LinkDiary(room.link_settings(hub.port))
            await link.link.send(b"too early")
            async with link:
                await link.until("up")
                await link.link.send(b"in time")
                assert await hub.until("message") == ("bank-a", b"in time")

    run(test)


def test_a_message_does_not_wait_for_the_next_heartbeat(room: Room) -> None:
    async def test() -> None:
        async with (
            HubDiary(room.hub_settings(heartbeat_s=600.0)) as hub,
            LinkDiary(room.link_settings(hub.port, heartbeat_s=600.0)) as link,
        ):
            await link.until("up")
            for number in range(3):
                # The writer sleeps by now: it has written all there was.
                await link.link.send(bytes([number]))
                await hub.until("message", number + 1)

    run(test)


def test_a_message_that_waits_for_room_is_dropped_with_its_session(room: Room) -> None:
    async def take_nothing(script: Script) -> None:
        await script.read()
        await script.write(answer())
        await script.read()

    async def begin_anew(script: Script) -> None:
        await script.read()
        await script.write(answer(session=2))
        await script.hold()

    async def test() -> None:
        hub = LyingHub(room, take_nothing, begin_anew)
        async with hub, LinkDiary(room.link_settings(hub.port, max_message_bytes=1 << 20)) as link:
            await link.until("up")
            for _ in range(3):
                await link.link.send(os.urandom(1 << 20))
            await link.until("up", 2)

            channel = link.link._dialler.channel
            assert channel is not None and channel._queued_bytes == 0

    run(test)
