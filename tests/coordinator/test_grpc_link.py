"""A hub must know who speaks, take no frame but the next, and let one bad stream end alone and unexplained."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from creditmesh_wire.v1 import link_pb2

from coordinator.authority import Credential, read_member_certificate
from coordinator.grpc_link import WIRE_VERSION
from tests.coordinator.raw_peer import Frame, Peer, chunk, dial, dial_two, hello, together
from tests.e2e.link_room import HubDiary, Room, run


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


def stranger(room: Room) -> Credential:
    return Room().member("bank-a")


def a_server(room: Room) -> Credential:
    return room.server


def expired(room: Room) -> Credential:
    return room.member("bank-a", age=timedelta(days=31))


def not_yet_valid(room: Room) -> Credential:
    return room.member("bank-a", age=timedelta(days=-1))


@pytest.mark.parametrize("credential", [stranger, a_server, expired, not_yet_valid])
def test_the_handshake_refuses_a_certificate_that_proves_no_member(
    room: Room, credential: Callable[[Room], Credential]
) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port, credential(room)) as peer:
            code, _ = await peer.end()

            assert code == grpc.StatusCode.UNAVAILABLE
            assert hub.events == []

    run(test)


def test_the_handshake_refuses_a_client_without_a_certificate(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub:
            credentials = grpc.ssl_channel_credentials(room.authority.certificate_pem)
            async with grpc.aio.secure_channel(f"127.0.0.1:{hub.port}", credentials) as channel:
                peer = Peer(channel.stream_stream("/creditmesh_wire.v1.LinkService/Connect")())
                code, _ = await peer.end()

            assert code == grpc.StatusCode.UNAVAILABLE
            assert hub.events == []

    run(test)


def test_a_certificate_of_a_same_named_authority_in_another_consortium_is_refused(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings(consortium="eu-credit")) as hub, dial(room, hub.port) as peer:
            assert await peer.end() == (grpc.StatusCode.UNAUTHENTICATED, "other-consortium")
            assert hub.events == [("refused", "", "other-consortium")]

    run(test)


class AbortedError(Exception):
    """What the fake context raises where gRPC would end the call."""


class FakeContext:
    """A call whose TLS layer would have let any certificate of the authority pass."""

    def __init__(self, certificate_pem: bytes) -> None:
        self.certificate_pem = certificate_pem

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self.certificate_pem]}

    async def abort(self, code: grpc.StatusCode, slug: str) -> None:
        raise AbortedError(slug)


async def refuses(room: Room, certificate_pem: bytes, slug: str) -> None:
    diary = HubDiary(room.hub_settings())
    with pytest.raises(AbortedError, match=slug):
        await diary.hub.Connect(None, FakeContext(certificate_pem))
    ((who, said),) = diary.of("refused")
    assert len(diary.events) == 1 and (who in ("", "bank-a"), said) == (True, slug)


def test_a_certificate_of_the_authority_that_names_no_member_is_refused(room: Room) -> None:
    run(lambda: refuses(room, room.server.certificate_pem, "certificate-without-member"))


def test_a_certificate_that_ran_out_after_the_handshake_is_refused(room: Room) -> None:
    run(lambda: refuses(room, expired(room).certificate_pem, "certificate-expired"))


def test_a_call_without_any_certificate_is_refused(room: Room) -> None:
    run(lambda: refuses(room, b"", "certificate-without-member"))


def test_a_member_cannot_greet_in_the_name_of_another(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port, member="bank-b") as peer:
            await peer.write(hello(member="bank-a"))

            assert await peer.end() == (grpc.StatusCode.PERMISSION_DENIED, "identity-mismatch")
            assert hub.events == [("refused", "bank-b", "identity-mismatch")]

    run(test)


def test_a_serial_number_that_is_no_member_is_refused_before_its_first_frame(room: Room) -> None:
    async def test() -> None:
        own = room.member("bank-a")
        async with HubDiary(room.hub_settings()) as hub:
            hub.expelled.add(read_member_certificate(own.certificate_pem).serial)
            async with dial(room, hub.port, own) as peer:
                assert await peer.end() == (grpc.StatusCode.PERMISSION_DENIED, "not-a-member")
            assert hub.events == [("refused", "bank-a", "not-a-member")]

    run(test)


@pytest.mark.parametrize("frame", [chunk(1, b"secret"), Frame(heartbeat=link_pb2.Heartbeat())], ids=["message", "beat"])
def test_a_revoked_member_is_cut_off_at_its_next_message_or_heartbeat(room: Room, frame: link_pb2.NodeFrame) -> None:
    async def test() -> None:
        own = room.member("bank-a")
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port, own) as peer:
            await peer.greet()
            hub.expelled.add(read_member_certificate(own.certificate_pem).serial)
            await peer.write(frame)

            assert await peer.end() == (grpc.StatusCode.PERMISSION_DENIED, "not-a-member")
            await hub.until("leave")
            assert hub.of("message") == []

    run(test)


def test_a_removed_member_that_only_listens_is_cut_off_with_our_next_heartbeat(room: Room) -> None:
    async def test() -> None:
        own = room.member("bank-a")
        settings = room.hub_settings(heartbeat_s=0.02, lost_after_s=600.0)
        async with HubDiary(settings) as hub, dial(room, hub.port, own) as peer:
            await peer.greet()
            hub.expelled.add(read_member_certificate(own.certificate_pem).serial)

            assert await peer.end() == (grpc.StatusCode.PERMISSION_DENIED, "not-a-member")
            await hub.until("leave")
            assert hub.of("refused") == [("bank-a", "not-a-member")]

    run(test)


UNKNOWN_FIELD = b"\xf8\x07\x01"  # field 127, varint 1

BAD_GREETINGS = {
    "not a greeting": (Frame(heartbeat=link_pb2.Heartbeat()), "no-greeting"),
    "a chunk": (chunk(1, b"x"), "no-greeting"),
    "empty": (Frame(), "no-greeting"),
    "other version": (hello(version=WIRE_VERSION + 1), "wire-version"),
    "no boot": (hello(boot=b""), "greeting-invalid"),
    "long boot": (hello(boot=b"b" * 17), "greeting-invalid"),
    "unknown field": (hello().SerializeToString() + UNKNOWN_FIELD, "no-greeting"),
    "not protobuf": (b"\xff\xff\xff", "stream-broken"),
    "not UTF-8": (hello().SerializeToString().replace(b"bank-a", b"bank-\xff"), "stream-broken"),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "slug"), BAD_GREETINGS.values(), ids=BAD_GREETINGS.keys())
def test_a_bad_greeting_ends_the_stream_and_nobody_joins(room: Room, frame: Any, slug: str) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port) as peer:
            await peer.write(frame)

            assert (await peer.end())[1] == slug
            assert hub.of("join") == []

    run(test)


def test_a_stream_that_never_greets_is_ended(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings(lost_after_s=0.05)) as hub, dial(room, hub.port) as peer:
            assert await peer.end() == (grpc.StatusCode.DEADLINE_EXCEEDED, "no-greeting")

    run(test)


LONG = bytes(1 << 17)
BAD_FRAMES = {
    "duplicate": ([chunk(1, b"one"), chunk(1, b"one")], "chunk-out-of-order"),
    "reordered": ([chunk(2, b"two")], "chunk-out-of-order"),
    "gap": ([chunk(1, LONG[: 1 << 16], total=1 << 18), chunk(1, b"x", offset=1 << 17)], "chunk-out-of-order"),
    "oversize message": ([chunk(1, LONG, total=1 << 40)], "message-too-large"),
    "tiny chunks": ([chunk(1, b"x", total=1 << 18)], "chunk-size"),
    "data beyond the end": ([chunk(1, b"xyz", total=2)], "chunk-size"),
    "empty message": ([chunk(1, b"")], "message-too-large"),
    "forged acknowledgement": ([Frame(ack=link_pb2.Ack(number=1))], "ack-unexpected"),
    "forged in a chunk": ([chunk(1, b"x", delivered=1)], "ack-unexpected"),
    "duplicate among several": ([together(chunk(1, b"one"), chunk(1, b"one"))], "chunk-out-of-order"),
    "several of none": ([together()], "frame-unknown"),
    "several of one": ([together(chunk(1, b"one"))], "frame-unknown"),
    "unknown field among several": (
        [b"\x2a\x0a\x0a\x03" + UNKNOWN_FIELD + b"\x0a\x03" + UNKNOWN_FIELD],
        "frame-unknown",
    ),
    "a second greeting": ([hello()], "frame-unknown"),
    "empty frame": ([Frame()], "frame-unknown"),
    "unknown frame": ([UNKNOWN_FIELD], "frame-unknown"),
    "unknown field": ([chunk(1, b"x").SerializeToString() + UNKNOWN_FIELD], "frame-unknown"),
    "garbage": ([os.urandom(64) + b"\xff"], "stream-broken"),
}


@pytest.mark.parametrize(("frames", "slug"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_bad_frame_ends_that_stream_only_and_is_not_reflected(room: Room, frames: list[Any], slug: str) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial_two(room, hub.port) as (bad, good):
            await bad.greet()
            await good.greet(member="bank-b")
            for frame in frames:
                await bad.write(frame)

            assert await bad.end() == (grpc.StatusCode.INVALID_ARGUMENT, slug)
            assert await hub.until("leave") == ("bank-a",)
            await good.write(chunk(1, b"still here"))
            await hub.seen("message", "bank-b", b"still here")

    run(test)


def test_an_oversize_frame_ends_the_stream(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port) as peer:
            await peer.greet()
            await peer.write(chunk(1, bytes((1 << 20) + 5000)))

            assert (await peer.end())[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            await hub.until("leave")
            assert hub.of("message") == []

    run(test)


def test_bytes_that_are_no_http_hurt_nobody_else(room: Room) -> None:
    async def test() -> None:
        async with HubDiary(room.hub_settings()) as hub, dial(room, hub.port) as peer:
            await peer.greet()
            for garbage in (b"\x16\x03\x01" + os.urandom(500), os.urandom(500)):
                with socket.create_connection(("127.0.0.1", hub.port)) as raw:
                    raw.sendall(garbage)
            await asyncio.to_thread(send_garbage_over_tls, room, hub.port)
            await peer.write(chunk(1, b"still here"))

            assert await hub.until("message") == ("bank-a", b"still here")

    run(test)


def send_garbage_over_tls(room: Room, port: int) -> None:
    context = ssl.create_default_context(cadata=room.authority.certificate_pem.decode())
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(os.urandom(500))
