"""Real processes: a node that is killed or frozen is noticed, a thawed one goes on, a stopped hub leaves no port."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.link_room import HubDiary, Room, run

ROOT = Path(__file__).resolve().parents[2]
LOST_AFTER_S = 0.5


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


@asynccontextmanager
async def echo_node(room: Room, port: int, member: str, folder: Path) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """Start a node process that echoes; kill it at the end, whatever state it is in."""
    settings = dataclasses.asdict(room.link_settings(port, member, heartbeat_s=0.1, lost_after_s=LOST_AFTER_S))
    document = {name: value.decode() if isinstance(value, bytes) else value for name, value in settings.items()}
    path = folder / f"{member}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    search = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.link_node", str(path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": search}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_node_leaves_at_once_and_its_successor_is_fresh(room: Room, tmp_path: Path) -> None:
    async def test() -> None:
        # A patience that the test cannot outlast: what is noticed here is the broken stream.
        async with HubDiary(room.hub_settings(lost_after_s=600.0)) as hub:
            async with echo_node(room, hub.port, "bank-a", tmp_path) as node:
                await hub.until("join")
                node.send_signal(signal.SIGKILL)
                await hub.until("leave")
            async with echo_node(room, hub.port, "bank-a", tmp_path):
                assert await hub.until("join", 2) == ("bank-a", True)
                hub.hub.send("bank-a", b"to the successor")
                await hub.seen("message", "bank-a", b"to the successor")

    run(test)


def test_a_frozen_node_is_noticed_and_resumes_when_it_thaws(room: Room, tmp_path: Path) -> None:
    async def test() -> None:
        settings = room.hub_settings(heartbeat_s=0.1, lost_after_s=LOST_AFTER_S)
        async with HubDiary(settings) as hub, echo_node(room, hub.port, "bank-a", tmp_path) as node:
            await hub.until("join")
            hub.hub.send("bank-a", b"before")
            await hub.seen("message", "bank-a", b"before")
            node.send_signal(signal.SIGSTOP)
            await hub.until("leave")
            for number in range(3):
                hub.hub.send("bank-a", os.urandom(1 << 20) + bytes([number]))
            assert len(hub.of("message")) == 1

            node.send_signal(signal.SIGCONT)
            await hub.until("message", 4)
            assert all(fresh is False for _, fresh in hub.of("join")[1:])
            assert [message[-1] for _, message in hub.of("message")[1:]] == [0, 1, 2]

    run(test)


def test_a_hub_stops_although_a_node_is_frozen(room: Room, tmp_path: Path) -> None:
    async def test() -> None:
        hub = HubDiary(room.hub_settings(lost_after_s=600.0))
        async with hub, echo_node(room, hub.port, "bank-a", tmp_path) as node:
            await hub.until("join")
            node.send_signal(signal.SIGSTOP)
            # More than every buffer between us, so that a write is under way while we stop.
            for _ in range(2):
                hub.hub.send("bank-a", bytes(16 << 20))
            await hub.hub.stop()

            assert hub.of("leave") == [("bank-a",)]
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", hub.port))

    run(test)


def test_five_processes_answer_every_message_once(room: Room, tmp_path: Path) -> None:
    async def test() -> None:
        names = [f"bank-{letter}" for letter in "abcde"]
        async with HubDiary(room.hub_settings()) as hub:
            nodes = [echo_node(room, hub.port, name, tmp_path) for name in names]
            for node in nodes:
                await node.__aenter__()
            await hub.until("join", 5)
            messages = [
                number.to_bytes(2, "big") + os.urandom(size) for number, size in enumerate((1, 800_000, 60_000))
            ]
            for message in messages:
                for name in names:
                    hub.hub.send(name, message)

            await hub.until("message", 15)
            for name in names:
                assert [message for sender, message in hub.of("message") if sender == name] == messages
            for node in nodes:
                await node.__aexit__(None, None, None)

    run(test)
