"""Headers on every answer, and the hosts and bodies that are refused before anything else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.account_store import Role
from coordinator.console.guard import CSP, allowed_hosts
from coordinator.console.routes import ENTRANCES
from tests.coordinator.console.room import Room, open_room


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("guard")) as opened:
        yield opened


PATHS = ["/login", "/healthz", "/static/console.css", "/static/nothing", "/nowhere", "/log/export"]
PATHS += [each.path for each in ENTRANCES if each.method == "GET" and "{" not in each.path]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_the_page_to_itself(room: Room, path: str) -> None:
    people: tuple[Role | None, ...] = (None, "operator")
    for who in people:
        headers = room.browser(who).get(path).headers
        assert headers["content-security-policy"] == CSP
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"].startswith("public" if path == "/static/console.css" else "no-store")
        assert "server" not in headers


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in CSP.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in CSP and "http" not in CSP


@pytest.mark.parametrize("host", ["evil.test", "console.test.evil.test", "console.test:9", "127.0.0.1", ""])
def test_another_host_is_refused(room: Room, host: str) -> None:
    answer = room.browser("operator").ask("GET", "/", headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-security-policy"] == CSP


def test_a_large_body_is_refused_unread(room: Room) -> None:
    answer = room.browser("operator").ask("POST", "/jobs", headers={"content-length": str(3 * 2**20)})
    assert answer.status_code == 413


def test_a_body_without_length_is_refused(room: Room) -> None:
    answer = room.browser("operator").ask("POST", "/jobs", headers={"transfer-encoding": "chunked"})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["../app.py", "..%2fapp.py", "vendor/SHA256SUMS", "console.css/", "%2e%2e/app.py"])
def test_only_our_static_files_are_given(room: Room, path: str) -> None:
    assert room.browser(None).get(f"/static/{path}").status_code == 404


def test_tls_asks_for_tls_next_time(tmp_path: Path) -> None:
    with open_room(tmp_path, secure=True) as room:
        assert room.browser(None).get("/login").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("listen", "hosts", "port", "good", "bad"),
    [
        ("127.0.0.1:8080", (), 8080, {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}, {"127.0.0.1", "a:8080"}),
        ("0.0.0.0:443", ("console.bank.test",), 443, {"console.bank.test", "console.bank.test:443"}, {"localhost"}),
        (
            "10.0.0.5:8443",
            ("gate.test:443",),
            8443,
            {"10.0.0.5:8443", "gate.test:443"},
            {"gate.test:8443", "localhost:8443"},
        ),
        ("[::1]:9000", (), 9000, {"[::1]:9000", "localhost:9000"}, {"[::1]"}),
    ],
)
def test_which_hosts_are_ours(listen: str, hosts: tuple[str, ...], port: int, good: set[str], bad: set[str]) -> None:
    found = allowed_hosts(listen, hosts, port)
    assert good <= found
    assert not bad & found
