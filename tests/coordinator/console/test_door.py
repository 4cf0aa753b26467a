"""Who gets in: every address for every role, forms that are not ours, look-ups that leave a trace or do not happen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from coordinator.account_store import ROLES, Role
from coordinator.console.app import PUBLIC
from coordinator.console.door import Entrance, cookie_name
from coordinator.console.guard import Guard
from coordinator.console.routes import ENTRANCES
from tests.coordinator.console.room import Browser, Room, open_room

PEOPLE: tuple[Role | None, ...] = (None, *ROLES)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("door")) as opened:
        yield opened


def filled(entrance: Entrance, room: Room) -> str:
    parts = {"member": "bank-0", "job": room.job, "sha256": room.model, "index:int": "1"}
    path = entrance.path
    for name, value in parts.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def knock(browser: Browser, entrance: Entrance, room: Room) -> int:
    path = filled(entrance, room)
    # An empty form is enough: whoever gets in is refused by the view with 400, 404 or 303, never with 403.
    return (browser.get(path) if entrance.method == "GET" else browser.post(path)).status_code


@pytest.mark.parametrize("entrance", ENTRANCES, ids=lambda each: f"{each.method} {each.path}")
def test_every_address_lets_in_its_roles_and_nobody_else(room: Room, entrance: Entrance) -> None:
    for who in PEOPLE:
        status = knock(room.browser(who), entrance, room)
        if who is None:
            assert status == (303 if entrance.method == "GET" else 403)
        elif who in entrance.roles:
            assert status in (200, 204, 303, 400, 404), (who, status)
        else:
            assert status == 403, (who, status)


def test_no_address_is_without_a_role(room: Room) -> None:
    app = room.app._app
    found = [route for route in app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    routes = {(method, route.path) for route in found for method in route.methods or ()}
    listed = {(each.method, each.path) for each in ENTRANCES}
    assert {path for _, path in routes - listed} == set(PUBLIC)
    assert listed <= routes
    assert all(each.roles for each in ENTRANCES)


def test_an_auditor_can_change_nothing() -> None:
    assert [each.path for each in ENTRANCES if each.method != "GET" and "auditor" in each.roles] == []


def test_the_risk_team_sees_no_enrolment() -> None:
    seen = {each.path for each in ENTRANCES if "risk" in each.roles}
    assert not [path for path in seen if path.startswith(("/enrolment", "/members", "/log", "/health"))]


@pytest.mark.parametrize("token", ["", "x", "ä"])
def test_a_form_without_its_token_changes_nothing(room: Room, token: str) -> None:
    browser = room.browser("operator")
    answer = browser.ask("POST", "/members/bank-1/readmit", data={"token": token})
    assert answer.status_code == 403
    assert "token" in answer.text


def test_a_token_of_another_session_is_none(room: Room) -> None:
    browser, other = room.browser("operator"), room.browser("operator")
    assert browser.ask("POST", "/members/bank-1/readmit", data={"token": other.token}).status_code == 403
    assert browser.post("/members/bank-1/readmit").status_code == 303


def test_the_token_may_come_in_a_header(room: Room) -> None:
    browser = room.browser("operator")
    answer = browser.ask("POST", "/members/bank-1/readmit", data={"a": "b"}, headers={"x-csrf-token": browser.token})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
    ],
)
def test_a_form_from_elsewhere_is_refused(room: Room, headers: dict[str, str]) -> None:
    answer = room.browser("operator").post("/members/bank-1/readmit", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--", "multipart/form-data"),
        (b"a=" + b"x" * (300 * 1024), "application/x-www-form-urlencoded"),
        (b"&".join(b"k%d=1" % number for number in range(100)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(room: Room, content: bytes, kind: str) -> None:
    answer = room.browser("operator").ask(
        "POST", "/members/bank-1/readmit", content=content, headers={"content-type": kind}
    )
    assert answer.status_code in (400, 403)


def test_a_stranger_is_led_to_the_login_and_back(room: Room) -> None:
    answer = room.browser(None).get("/members?x=1")
    assert answer.headers["location"] == "/login?next=%2Fmembers%3Fx%3D1"


def test_a_removed_account_is_out_at_once(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        browser = room.browser("risk")
        assert browser.get("/jobs").status_code == 200
        room.desk.accounts.remove("risk")
        assert browser.get("/jobs").status_code == 303


def test_a_new_password_ends_the_sessions(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        browser = room.browser("risk")
        room.desk.accounts.set_password("risk", "another long password")
        assert browser.get("/jobs").status_code == 303


def test_an_invented_cookie_opens_nothing(room: Room) -> None:
    browser = Browser(room.app, {cookie_name(False): "x" * 43})
    assert browser.get("/jobs").status_code == 303


def test_what_an_auditor_looks_up_is_noted_and_what_others_do_is_not(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        room.browser("risk").get("/jobs")
        room.browser("auditor").get("/log?kind=alarm.raised")
        (note,) = room.notes()
        assert note == {
            "subject": room.accounts["auditor"].pseudonym,
            "action": "console-view",
            "resource": "GET /log?kind=alarm.raised",
            "decision": "allowed",
        }


def test_a_refusal_is_noted(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        assert room.browser("risk").get("/members").status_code == 403
        (note,) = room.notes()
        assert (note["action"], note["decision"]) == ("console-refused", "denied")


def test_a_look_up_that_cannot_be_noted_does_not_happen(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        (room.folder / "access").write_text("in the way")
        answer = room.browser("auditor").get("/log")
        assert answer.status_code == 503
        assert "alarm" not in answer.text


def test_without_its_database_the_console_says_so(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        browser = room.browser("risk")
        with room.store.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE accounts RENAME TO elsewhere")
        answer = browser.get("/jobs")
        assert answer.status_code == 503 and "database cannot be used" in answer.text


def test_names_in_a_note_are_harmless(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        room.browser("auditor").get("/jobs?state=%0a%E2%80%AEx" + "y" * 400)
        (note,) = room.notes()
        assert note["resource"].isprintable() and len(note["resource"]) <= 256


def test_the_application_is_guarded(room: Room) -> None:
    assert isinstance(room.app, Guard)
