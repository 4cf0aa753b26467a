"""The console in a real browser: its policy is never broken, axe finds nothing, and it works with a keyboard alone.

Run by `make accept`. Needs Chromium; the checker axe-core is fetched by `make accept`, and its tests are skipped
without it.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from coordinator.console.app import build
from coordinator.console.door import cookie_name
from coordinator.console.guard import allowed_hosts
from tests.browser.axe import axe_script
from tests.coordinator.console.room import PASSWORD, Room, open_room

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("BROWSER_TESTS"), reason="tests in a browser are run by `make accept`"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; see CHROMIUM"),
]
LANGUAGES = ("en", "zh")
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(room: Room) -> Iterator[str]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port = sock.getsockname()[1]
        hosts = allowed_hosts("127.0.0.1:0", (), port)
        settings = uvicorn.Config(
            build(room.desk, lambda: hosts), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page that collects what the browser complains about."""

    def __init__(self, chromium: Any, address: str, language: str, size: str) -> None:
        width, height = SIZES[size]
        self.address = address
        self.width = width
        self.context = chromium.new_context(viewport={"width": width, "height": height}, locale=language)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._complained)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
        )

    def _complained(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def enter(self, room: Room) -> None:
        """Log in as operator without typing."""
        cookies = room.browser("operator").cookies
        self.context.add_cookies(
            [{"name": name, "value": value, "url": self.address} for name, value in cookies.items()]
        )

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_load_state("load")

    def active(self) -> str:
        """Return what has the focus: the text of a button or link, the name of a field."""
        return str(self.page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))


@pytest.fixture
def tabs(chromium: Any, address: str) -> Iterator[Any]:
    opened: list[Tab] = []

    def open_tab(language: str = "en", size: str = "desktop") -> Tab:
        opened.append(Tab(chromium, address, language, size))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.context.close()


def paths(room: Room) -> list[str]:
    fixed = ["/", "/members", "/enrolment", "/live", "/jobs", "/jobs/new", "/measures", "/models", "/privacy", "/log"]
    return [*fixed, "/health", "/log/1", f"/jobs/{room.job}", f"/jobs/{room.failed}", f"/jobs/{room.queued}",
            f"/models/{room.model}", "/jobs/job-none"]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_no_page_breaks_the_policy_or_the_width(room: Room, tabs: Any, language: str, size: str) -> None:
    tab = tabs(language, size)
    tab.enter(room)
    for path in paths(room):
        tab.go(path)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= tab.width, path
    assert [text for text in tab.complaints if "404" not in text] == []


def test_the_policy_is_in_force(room: Room, tabs: Any) -> None:
    tab = tabs()
    tab.enter(room)
    tab.go("/")
    tab.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.leaked = 1';"
        "document.body.append(s); }"
    )
    assert tab.page.evaluate("window.leaked") is None
    assert any("policy: script-src" in text for text in tab.complaints)


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(room: Room, tabs: Any, language: str) -> None:
    script = axe_script()
    if script is None:
        pytest.skip("axe-core is not here; `make accept` fetches it, or set AXE_CORE")
    # Inside the page the policy would refuse a foreign script: it is given through the debugger, which stands outside.
    checker = script.read_text("utf-8")
    found: dict[str, list[str]] = {}
    for size in SIZES:
        tab = tabs(language, size)
        tab.go("/login")
        found |= _judged(tab, checker, "/login")
        tab.enter(room)
        for path in paths(room):
            tab.go(path)
            tab.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            found |= _judged(tab, checker, f"{path} {size}")
    assert found == {}


def _judged(tab: Tab, checker: str, name: str) -> dict[str, list[str]]:
    tab.page.evaluate(checker)
    result = tab.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [f"{each['id']}: {json.dumps(each['nodes'][0]['html'])[:200]}" for each in result["violations"]]
    return {name: found} if found else {}


def test_a_keyboard_alone_logs_in_and_submits_a_job(room: Room, tabs: Any) -> None:
    tab = tabs()
    page = tab.page
    tab.go("/jobs/new")
    assert tab.active() == "name"  # the log-in form, ready to be typed into
    page.keyboard.type("risk")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/new")
    page.keyboard.press("Tab")
    assert tab.active() == "Skip to content"
    page.keyboard.press("Enter")
    _press_until(tab, "Show the plan")
    page.keyboard.press("Enter")
    page.wait_for_selector("#plan h2")
    assert "about" in page.inner_text("#plan")
    assert page.url.endswith("/jobs/new#main")  # drawn in place
    _press_until(tab, "Submit the job")
    before = len(room.store.jobs())
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/job-*")
    assert len(room.store.jobs()) == before + 1
    assert tab.complaints == []


def _press_until(tab: Tab, name: str) -> None:
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if tab.active() == name:
            return
    raise AssertionError(f"the keyboard never reached {name!r}")


def test_a_watched_job_tells_what_happens_and_goes_on_after_a_break(room: Room, tabs: Any) -> None:
    job = room.store.add_job("scorecard", room.store.job(room.job).spec)
    room.store.set_job_state(job, "joining")
    room.store.set_live(job, {"job": job, "round": 3, "name": "newton-3", "phase": "uploading",
                              "waiting_for": ["bank-2"], "deadline_us": None, "since_us": 1})  # fmt: skip
    tab = tabs()
    tab.enter(room)
    tab.go(f"/jobs/{job}")
    assert "bank-2" in tab.page.inner_text("#live-panel")
    assert tab.page.get_attribute("#live-panel [aria-current]", "class") == "now"
    room.store.add_event(job, "member-left-out", {"member": "bank-4", "code": "no-answer"})
    tab.page.wait_for_selector("#line li.fresh")
    assert "bank-4" in tab.page.inner_text("#line li.fresh")
    tab.context.set_offline(True)
    room.store.add_event(job, "job-paused", {"lost": ["bank-3"]})
    tab.context.set_offline(False)
    tab.page.wait_for_selector("#line li.fresh:nth-of-type(2)", timeout=60_000)
    rows = tab.page.inner_text("#line")
    assert rows.count("bank-4") == 1, "told once, although the line broke"
    room.store.set_job_state(job, "failed", "the coordinator was stopped")
    tab.page.wait_for_selector(".note.alarm", timeout=60_000)  # the page of a job that is over


def test_a_live_stream_ends_with_its_session(room: Room, tabs: Any, address: str) -> None:
    tab = tabs()
    tab.enter(room)
    tab.go("/live")
    name = next(each["value"] for each in tab.context.cookies() if each["name"] == cookie_name(False))
    room.desk.sessions.close(name)
    tab.go("/live")
    assert tab.page.url.startswith(f"{address}/login")


def test_figures_are_drawn_beside_their_tables(room: Room, tabs: Any) -> None:
    tab = tabs()
    tab.enter(room)
    tab.go("/measures")
    tab.page.wait_for_selector("figure canvas")
    assert tab.page.locator("figure canvas").count() == tab.page.locator("figure table").count() == 2
    # A canvas that nothing was drawn on holds one colour.
    colours = tab.page.evaluate(
        "() => { const c = document.querySelector('figure canvas'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; const s = new Set();"
        "for (let i = 0; i < d.length; i += 4) s.add(d.slice(i, i + 4).join()); return s.size; }"
    )
    assert colours > 10


def test_fifty_watchers_all_hear_it(room: Room, address: str) -> None:
    job = room.store.add_job("scorecard", room.store.job(room.job).spec)
    room.store.set_job_state(job, "joining")
    host = address.removeprefix("http://")
    held: list[socket.socket] = []
    try:
        for _ in range(50):
            name = room.browser("risk").cookies[cookie_name(False)]
            held.append(_ask(host, f"/jobs/{job}/stream?after=0", name))
        for sock in held:
            assert b"event: live" in _until(sock, b"event: live")
        room.store.add_event(job, "job-paused", {"by": "operator"})
        for sock in held:
            assert b"The job is paused" in _until(sock, b"The job is paused")
    finally:
        for sock in held:
            sock.close()


def _ask(host: str, path: str, session: str) -> socket.socket:
    name, _, port = host.partition(":")
    sock = socket.create_connection((name, int(port)), timeout=60)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie_name(False)}={session}\r\n\r\n".encode())
    return sock


def _until(sock: socket.socket, needle: bytes) -> bytes:
    got = b""
    until = time.monotonic() + 60
    while needle not in got and time.monotonic() < until:
        got += sock.recv(65536)
    return got
