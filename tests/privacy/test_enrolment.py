"""An application is for one connection, one bank and one set of keys; every part of it is under both signatures."""

from dataclasses import replace

import pytest

from privacy.enrolment import (
    Answer,
    Application,
    Greeting,
    decode_answer,
    decode_application,
    decode_greeting,
)
from privacy.errors import PeerError
from privacy.join_code import invite_key
from tests.privacy.table import refused
from tests.privacy.test_member_entry import entry_for, identity_for

NONCE, OTHER = bytes(32), bytes(31) + b"\1"
INVITE = invite_key(bytes(16), "cn", "alpha")
MADE = Application.make(NONCE, "request", entry_for("alpha"), (INVITE, identity_for("alpha")), True)


def test_messages_come_back() -> None:
    greeting = Greeting(NONCE, 5, "cn", "pem")
    answer = Answer("approved", "", "c", "a", "i", "l", "h:1", "[]")
    assert decode_greeting(greeting.encode()) == greeting
    assert decode_application(MADE.encode()) == MADE
    assert decode_answer(answer.encode()) == answer


def test_an_application_holds_for_its_own_connection_alone() -> None:
    MADE.check_identity(NONCE)
    assert MADE.proves(NONCE, INVITE.public)
    with refused("application-signature", PeerError):
        MADE.check_identity(OTHER)
    assert not MADE.proves(OTHER, INVITE.public)


@pytest.mark.parametrize(
    "forged",
    [
        replace(MADE, request_pem="another request"),
        replace(MADE, entry=entry_for("alpha", salt=b"2")),
        replace(MADE, entry=entry_for("beta")),
        replace(MADE, entry=entry_for("alpha", "other")),
    ],
)
def test_a_proof_does_not_hold_for_other_keys(forged: Application) -> None:
    assert not forged.proves(NONCE, INVITE.public)
    with refused("application-signature", PeerError):
        forged.check_identity(NONCE)


def test_a_secret_for_another_bank_or_consortium_proves_nothing() -> None:
    for consortium, member in (("cn", "beta"), ("other", "alpha")):
        assert not MADE.proves(NONCE, invite_key(bytes(16), consortium, member).public)


def test_stated_keys_must_sign_themselves() -> None:
    thief = Application.make(NONCE, "request", entry_for("alpha"), (INVITE, identity_for("beta")), True)
    with refused("application-signature", PeerError):
        thief.check_identity(NONCE)


@pytest.mark.parametrize("read", [decode_greeting, decode_application, decode_answer])
@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b'{"v":1}', b'{"v":true}', b"\xff", b'{"v": 1}', b"x" * 400_000])
def test_malformed_messages_are_refused(read: object, raw: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        read(raw)  # type: ignore[operator]
    assert caught.value.code in ("enrolment-malformed", "enrolment-version")


def test_an_application_with_a_part_too_many_or_of_another_kind_is_refused() -> None:
    raw = MADE.encode()
    for old, new in ((b'"hold":true', b'"hold":1'), (b'"hold":true', b'"hold":true,"more":1'), (b'"v":1', b'"v":2')):
        assert old in raw
        with pytest.raises(PeerError):
            decode_application(raw.replace(old, new))
    with refused("enrolment-malformed", PeerError):
        decode_answer(Answer("maybe").encode().replace(b'"v":1', b'"v":1,"w":1'))
    with refused("desk-answer", PeerError):
        decode_answer(Answer("maybe").encode())
