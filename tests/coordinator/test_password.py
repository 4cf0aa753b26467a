"""Passwords: what is stored, what fits it, and what is refused."""

import pytest

from coordinator.password import check_password, stored_password, stored_shape, verify_password
from privacy.errors import InputError


# RFC 7914, section 12: the first 32 of its 64 bytes, which do not depend on how many are asked for.
def test_the_vector_of_the_rfc() -> None:
    known = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    from base64 import b64encode

    stored = f"scrypt$16384$8$1${b64encode(b'SodiumChloride').decode()}${b64encode(bytes.fromhex(known)).decode()}"
    assert verify_password("pleaseletmein", stored)
    assert not verify_password("pleaseletmeim", stored)


def test_two_people_with_one_password_share_nothing() -> None:
    first, second = stored_password("a long enough password"), stored_password("a long enough password")
    assert first != second
    assert "password" not in first
    assert first.startswith("scrypt$32768$8$3$")


@pytest.mark.parametrize("stored", ["", "x", "scrypt$$$$$", "plain$1$1$1$AAAA$AAAA", "scrypt$2$1$1$AAAA$AAAA\n"])
def test_what_is_no_digest_fits_nothing(stored: str) -> None:
    assert not verify_password("", stored)


def test_what_stands_for_nobody_fits_nobody() -> None:
    assert not verify_password("", stored_shape(bytes(16), bytes(32)))


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "line\nbreaks are out"])
def test_a_bad_password_is_refused_without_being_repeated(password: str) -> None:
    with pytest.raises(InputError, match="expected 12 to 256") as told:
        check_password(password)
    assert not password or password not in told.value.message
