"""The console over a coordinator that was moved to PostgreSQL, database and log: every view, and what its forms do."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from coordinator import config
from coordinator.account_store import ROLES
from coordinator.backup import back_up, restore
from coordinator.console.app import build
from coordinator.console.server import make_desk
from coordinator.console.session_book import SessionBook
from coordinator.console.throttle import Throttle
from coordinator.service import open_log
from coordinator.store import Store
from tests.coordinator.console.room import HOST, Clock, Room, open_room
from tests.coordinator.console.test_views import words
from tests.postgres_server import PostgresServer, Unavailable

pytestmark = pytest.mark.slow

PAGES = (
    "/",
    "/members",
    "/enrolment",
    "/live",
    "/jobs",
    "/jobs/new",
    "/measures",
    "/models",
    "/privacy",
    "/log",
    "/health",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    try:
        server = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture(scope="module")
def rooms(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, Room]]:
    """Return the consoles of a coordinator before and after it moved."""
    folder = tmp_path_factory.mktemp("moved")
    with open_room(tmp_path_factory.mktemp("files")) as before:
        back_up(before.folder / "coordinator.toml", folder / "b")
        urls = [server.url(server.database()) for _ in range(2)]
        restore(folder / "b", folder / "new", *urls)
        settings = config.load(folder / "new" / "coordinator.toml")
        assert settings.log is not None and [settings.storage.url, settings.log.url] == urls
        clock = Clock()
        with contextlib.closing(Store(settings.storage.url)) as store:
            made = make_desk(settings, store, secure=False)
            desk = replace(made, sessions=SessionBook(clock), throttle=Throttle(clock))
            accounts = {role: desk.accounts.named(role) for role in ROLES}
            app = build(desk, lambda: frozenset({HOST}))
            names = (before.job, before.failed, before.queued, before.model)
            yield before, Room(settings.state.dir, desk, app, clock, accounts, *names)


@pytest.mark.parametrize("path", [*PAGES, "/jobs?state=failed", "/log?kind=peer.checkpoint", "/log/3"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_says_what_it_said_over_files(rooms: tuple[Room, Room], path: str, language: str) -> None:
    pages = [room.browser("operator").get(path, **{"accept-language": language}) for room in rooms]
    assert [page.status_code for page in pages] == [200, 200]
    if path != "/health":  # it names the engine
        assert words(pages[1].text) == words(pages[0].text)


def test_details_of_jobs_and_models_are_there(rooms: tuple[Room, Room]) -> None:
    before, moved = rooms
    for path in (f"/jobs/{moved.job}", f"/jobs/{moved.failed}", f"/jobs/{moved.queued}", f"/models/{moved.model}"):
        pages = [room.browser("auditor").get(path) for room in (before, moved)]
        assert pages[1].status_code == 200, path
        assert words(pages[1].text) == words(pages[0].text)


def test_a_proof_is_the_same(rooms: tuple[Room, Room]) -> None:
    proofs = [json.loads(room.browser("auditor").get("/log/1/proof").text) for room in rooms]
    assert proofs[0] == proofs[1] and proofs[0]["path"]


def test_forms_work(rooms: tuple[Room, Room]) -> None:
    room = rooms[1]
    browser = room.browser("operator")
    assert browser.post(f"/jobs/{room.queued}/wish", {"wish": "pause"}).status_code == 303
    assert room.store.job(room.queued).wish == "pause"
    assert browser.post("/members/bank-0/suspend", {"typed": "bank-0"}).status_code == 303
    assert {each.id: each.status for each in room.store.members()}["bank-0"] == "suspended"
    assert room.notes()


def test_the_moved_log_goes_on_and_is_the_same_history(rooms: tuple[Room, Room]) -> None:
    before, moved = rooms
    settings = config.load(moved.folder.parent / "coordinator.toml")
    old = open_log(config.load(before.folder / "coordinator.toml"), bytes(32))
    size = old.size - 1  # it was opened now
    events, root = old.events(0, size), old.root(size)
    old.close()
    log = open_log(settings, bytes(32))
    assert log.size == size + 1
    assert log.events(0, size) == events
    assert log.root(size) == root
    log.close()
    assert json.loads((moved.folder / "restored.json").read_text())["size"] == size
