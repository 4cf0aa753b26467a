"""Each reason why a coordinator cannot be reached is told from every other, in one line, by a real link."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordinator.authority import Credential, generate_key, issue_server_certificate, read_member_certificate
from node.link import LinkSettings
from node.reach import REFUSALS, check_credentials, explain_refusal, explain_unreachable, is_loopback, split_endpoint
from privacy.errors import InputError
from tests.e2e.link_room import HubDiary, LinkDiary, Room, run

ROOM = Room()
OTHER = Room()


@dataclass(frozen=True)
class Case:
    """A hub and a link that do not fit together, and what the link says about it."""

    says: str
    server: Callable[[], Credential] = lambda: ROOM.server
    own: Callable[[], Credential] = lambda: ROOM.member("bank-a")
    link: dict[str, Any] = field(default_factory=dict)
    member: str = "bank-a"
    expelled: bool = False


def serving(names: list[str], days_ago: int = 0) -> Callable[[], Credential]:
    return lambda: issue_server_certificate(ROOM.authority, names, datetime.now(UTC) - timedelta(days=days_ago))


def issued(days_ago: int) -> Callable[[], Credential]:
    return lambda: ROOM.member("bank-a", age=timedelta(days=days_ago))


CASES = {
    "authority of another consortium": Case(
        r"coordinator's certificate is of another authority", link={"ca_pem": OTHER.authority.certificate_pem}
    ),
    "server's certificate of another authority": Case(
        r"coordinator's certificate is of another authority", server=lambda: OTHER.server
    ),
    "wrong server name": Case(r"certificate is not for '127\.0\.0\.1'", server=serving(["coord.example", "10.0.0.1"])),
    "expired server": Case(r"the coordinator's certificate has expired", server=serving(["127.0.0.1"], 31)),
    "server of tomorrow": Case(r"not valid yet; check this machine's clock", server=serving(["127.0.0.1"], -1)),
    "a member poses as coordinator": Case(r"no server's|is not for", server=lambda: ROOM.member("bank-b")),
    "our certificate expired": Case(r"our certificate has expired", own=issued(31)),
    "our certificate of tomorrow": Case(r"our certificate is not valid yet", own=issued(-1)),
    "our certificate of another authority": Case(
        r"our certificate is of another authority", own=lambda: OTHER.member("bank-a")
    ),
    "a server's certificate as ours": Case(r"did not complete the connection", own=lambda: ROOM.server),
    "not a member": Case(r"does not know this certificate as a member's", expelled=True),
    "another member's name": Case(r"names another member than \[member\] id", member="bank-b"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_link_that_cannot_come_up_says_why(case: Case) -> None:
    async def test() -> None:
        server, own = case.server(), case.own()
        settings = ROOM.hub_settings(certificate_pem=server.certificate_pem, key_pem=server.key_pem)
        async with HubDiary(settings) as hub:
            if case.expelled:
                hub.expelled.add(read_member_certificate(own.certificate_pem).serial)
            async with LinkDiary(ROOM.link_settings(hub.port, case.member, own, **case.link)) as link:
                (said,) = await link.until("down")

                assert link.of("up") == [] and hub.of("join") == []
        assert re.search(case.says, said) and "\n" not in said

    run(test)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def plain_server(speech: bytes) -> Iterator[int]:
    """Accept connections, say something that is no TLS, and hang up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1)
                connection.sendall(speech)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def said_by_a_link(settings: LinkSettings) -> str:
    said: list[str] = []

    async def test() -> None:
        async with LinkDiary(settings) as link:
            said.extend(await link.until("down"))

    run(test)
    return said[0]


def test_a_port_where_nobody_listens() -> None:
    assert re.search(r"nothing listens at 127\.0\.0\.1:\d+", said_by_a_link(ROOM.link_settings(closed_port())))


def test_a_port_that_speaks_something_else() -> None:
    with plain_server(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert "does not speak TLS" in said_by_a_link(ROOM.link_settings(port))


def test_a_port_that_hangs_up() -> None:
    with plain_server(b"") as port:
        assert "broke off the TLS handshake" in said_by_a_link(ROOM.link_settings(port))


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("node.reach.socket.getaddrinfo", unknown)
    settings = replace(ROOM.link_settings(1), endpoint="no-such-host.invalid:8443")

    assert "'no-such-host.invalid' cannot be resolved" in explain_unreachable(settings, datetime.now(UTC))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TimeoutError(), "does not answer; a firewall"),
        (OSError(101, "Network is unreachable"), "cannot be reached: Network is unreachable"),
        (OSError("odd"), "cannot be reached: odd"),
    ],
)
def test_a_connection_that_is_not_made(monkeypatch: pytest.MonkeyPatch, error: OSError, says: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("node.reach.socket.create_connection", fail)

    assert says in explain_unreachable(ROOM.link_settings(1), datetime.now(UTC))


def test_a_proxy_is_named_unless_the_coordinator_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    far = replace(ROOM.link_settings(1), endpoint="coord.example:8443")

    assert "through the proxy" in explain_unreachable(far, datetime.now(UTC))
    assert "nothing listens" in explain_unreachable(ROOM.link_settings(closed_port()), datetime.now(UTC))


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [("coord.example:8443", ("coord.example", 8443)), ("[::1]:1", ("::1", 1)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_an_endpoint_is_host_and_port(endpoint: str, parts: tuple[str, int]) -> None:
    assert split_endpoint(endpoint) == parts


@pytest.mark.parametrize(
    "endpoint", ["", "coord", "coord:", ":8443", "coord:0", "coord:65536", "coord:x", "coord:-1", "a:٣"]
)
def test_anything_else_is_refused(endpoint: str) -> None:
    with pytest.raises(InputError, match="expected host:port"):
        split_endpoint(endpoint)


def test_loopback_is_recognised() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "coord.example", "localhost.example"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ca_pem": b"no certificate"}, r"\[tls\] ca is not a certificate"),
        ({"certificate_pem": b""}, r"\[tls\] certificate is not a certificate"),
        ({"key_pem": b"no key"}, r"\[tls\] key is not an unencrypted private key"),
        ({"key_pem": generate_key()}, r"\[tls\] key does not belong to"),
        ({"endpoint": "nowhere"}, r"expected host:port"),
    ],
)
def test_settings_that_can_never_work_are_refused_at_once(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        LinkDiary(replace(ROOM.link_settings(1), **change))


def test_good_settings_pass_and_do_not_print_the_key() -> None:
    settings = ROOM.link_settings(1)

    check_credentials(settings)

    assert "PRIVATE" not in repr(settings)


def test_every_refusal_is_one_sentence_and_others_are_not_repeated() -> None:
    assert all(explain_refusal(slug) and "\n" not in text for slug, text in REFUSALS.items())
    assert explain_refusal("whatever the peer wrote") is None
