"""Logging in and out: cookies, tokens, guesses, and what is written down of them."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from coordinator.console.door import cookie_name
from tests.coordinator.console.room import PASSWORD, Browser, Room, open_room, token_of


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


def log_in(browser: Browser, name: str = "risk", password: str = PASSWORD, after: str = "/") -> httpx.Response:
    page = browser.get(f"/login?next={quote(after)}")
    form = {"token": token_of(page.text), "name": name, "password": password, "next": after}
    return browser.ask("POST", "/login", data=form)


def test_the_right_password_opens_a_session(room: Room) -> None:
    browser = room.browser(None)
    answer = log_in(browser, after="/jobs?state=done")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=done")
    assert browser.get("/jobs").status_code == 200


def test_cookies_are_for_us_alone(room: Room) -> None:
    answer = log_in(room.browser(None))
    cookies = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
    assert len(cookies) == 2
    for cookie in cookies:
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "samesite=strict", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)


def test_over_tls_cookies_are_bound_to_the_host(tmp_path: Path) -> None:
    with open_room(tmp_path, secure=True) as room:
        answer = log_in(room.browser(None))
        cookies = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
        assert all(cookie.startswith("__Host-") and "secure" in cookie.lower() for cookie in cookies)


def test_a_wrong_password_and_an_unknown_name_look_alike(room: Room) -> None:
    wrong = log_in(room.browser(None), password="not the password")
    unknown = log_in(room.browser(None), name="nobody")
    assert wrong.status_code == unknown.status_code == 403
    assert len(wrong.text) == len(unknown.text)
    assert cookie_name(False) not in wrong.cookies


def test_a_planted_session_name_is_not_taken_over(room: Room) -> None:
    browser = room.browser(None)
    browser.cookies[cookie_name(False)] = "planted"
    log_in(browser)
    assert browser.cookies[cookie_name(False)] != "planted"
    assert Browser(room.app, {cookie_name(False): "planted"}).get("/jobs").status_code == 303


def test_a_session_of_before_ends_with_the_new_one(room: Room) -> None:
    browser = room.browser(None)
    log_in(browser)
    first = browser.cookies[cookie_name(False)]
    log_in(browser)
    assert Browser(room.app, {cookie_name(False): first}).get("/jobs").status_code == 303


def test_a_login_form_of_another_browser_is_refused(room: Room) -> None:
    token = token_of(room.browser(None).get("/login").text)
    browser = room.browser(None)
    browser.get("/login")
    answer = browser.ask("POST", "/login", data={"token": token, "name": "risk", "password": PASSWORD})
    assert answer.status_code == 403
    assert browser.get("/jobs").status_code == 303


def test_a_login_from_a_foreign_page_is_refused(room: Room) -> None:
    browser = room.browser(None)
    token = token_of(browser.get("/login").text)
    form = {"token": token, "name": "risk", "password": PASSWORD}
    assert browser.ask("POST", "/login", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "after", ["//evil.test", "/\\evil.test", "https://evil.test", "javascript:x", "", "/a\nb", "/ü"]
)
def test_nobody_is_led_elsewhere(room: Room, after: str) -> None:
    assert log_in(room.browser(None), after=after).headers["location"] == "/"


@pytest.mark.slow
def test_guessing_is_slowed_down_even_with_the_right_password(room: Room) -> None:
    for _ in range(5):
        assert log_in(room.browser(None), password="a wrong guess").status_code == 403
    answer = log_in(room.browser(None))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    room.clock.now += 6
    assert log_in(room.browser(None)).status_code == 303


def test_attempts_are_noted_without_unknown_names(room: Room) -> None:
    log_in(room.browser(None), name="my-password-by-mistake")
    log_in(room.browser(None))
    found = [(note["subject"], note["decision"]) for note in room.notes()]
    assert found == [("account-unknown", "denied"), (room.accounts["risk"].pseudonym, "allowed")]


def test_logging_out_ends_the_session(room: Room) -> None:
    browser = room.browser("risk")
    stolen = Browser(room.app, dict(browser.cookies))
    assert browser.post("/logout").status_code == 303
    assert stolen.get("/jobs").status_code == 303


def test_a_foreign_page_cannot_log_anybody_out(room: Room) -> None:
    browser = room.browser("risk")
    assert browser.ask("POST", "/logout", data={"token": "x"}).status_code == 403
    assert browser.get("/jobs").status_code == 200


def test_the_login_page_speaks_the_browsers_language(room: Room) -> None:
    page = room.browser(None).get("/login", **{"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert 'lang="zh-Hans"' in page.text and "登录" in page.text


def test_a_language_asked_for_is_remembered(room: Room) -> None:
    browser = room.browser("risk")
    browser.get("/jobs?lang=zh")
    assert "任务" in browser.get("/jobs").text
