"""Sessions end: by time, by signing out, by revoking the token; and an id is no token."""

from pathlib import Path

from node.scorer.sessions import IDLE_S, LONGEST_S, Sessions
from node.tokens import Caller, TokenFile


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(folder: Path) -> tuple[Sessions, TokenFile, Clock, str]:
    tokens, clock = TokenFile(folder), Clock()
    secret = tokens.add("li", "account-manager", "2026-11-24")
    return Sessions(tokens, clock), tokens, clock, secret


def test_a_session_stands_for_its_token(tmp_path: Path) -> None:
    sessions, _, _, secret = opened(tmp_path)
    made = sessions.sign_in(secret)
    assert made is not None and made[1] == Caller("li", "account-manager")
    assert sessions.caller(made[0]) == made[1] and sessions.caller(secret) is None and sessions.caller("") is None
    assert sessions.sign_in("cmt_nobody") is None
    assert secret not in made[0]


def test_a_session_ends(tmp_path: Path) -> None:
    sessions, tokens, clock, secret = opened(tmp_path)

    def fresh() -> str:
        made = sessions.sign_in(secret)
        assert made is not None
        return made[0]

    name = fresh()
    clock.now += IDLE_S - 1
    assert sessions.caller(name)
    clock.now += IDLE_S + 1
    assert sessions.caller(name) is None
    name, began = fresh(), clock.now
    while clock.now + IDLE_S / 2 <= began + LONGEST_S:
        clock.now += IDLE_S / 2
        assert sessions.caller(name)
    clock.now = began + LONGEST_S + 1
    assert sessions.caller(name) is None
    name = fresh()
    sessions.sign_out(name)
    assert sessions.caller(name) is None
    name = fresh()
    tokens.revoke("li")
    assert sessions.caller(name) is None


def test_a_form_belongs_to_its_session(tmp_path: Path) -> None:
    sessions, _, _, secret = opened(tmp_path)
    one, two = sessions.sign_in(secret), sessions.sign_in(secret)
    assert one is not None and two is not None
    assert Sessions.is_form_value(one[0], Sessions.form_value(one[0]))
    assert not Sessions.is_form_value(one[0], Sessions.form_value(two[0]))
    assert not Sessions.is_form_value(one[0], "") and not Sessions.is_form_value(one[0], "ü")
