"""A join code says what it says, names a slip of the hand as such, and gives the coordinator no secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InputError
from privacy.join_code import JoinCode, decode_join_code, invite_key
from tests.privacy.table import refused

CODE = JoinCode("coord.example:8444", bytes(range(32)), "cn-credit", "bank-a", bytes(range(16)))
TEXT = CODE.encode()
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True).filter(lambda name: name != "coordinator")
codes = st.builds(
    JoinCode,
    st.sampled_from(["127.0.0.1:8444", "a.b-c.example:1", "[::1]:65535", "localhost:443"]),
    st.binary(min_size=32, max_size=32),
    names,
    names,
    st.binary(min_size=16, max_size=16),
)


@given(codes)
def test_a_code_comes_back(code: JoinCode) -> None:
    assert decode_join_code(code.encode()) == code


def test_a_code_is_plain_letters_that_no_mail_and_no_shell_breaks() -> None:
    assert TEXT.startswith("CMJ") and TEXT.isalnum() and TEXT.isupper() and TEXT.isascii()
    known = "CMJAEJGG33POJSC4ZLYMFWXA3DFHI4DINBUBFRW4LLDOJSWI2LUAZRGC3TLFVQQAAICAMCAKBQHBAEQUCYMBUHA6EA"
    assert TEXT.startswith(known[:60])


def test_a_code_may_be_typed_from_paper() -> None:
    paper = " ".join(TEXT[start : start + 5] for start in range(0, len(TEXT), 5))
    assert decode_join_code(paper.lower()) == CODE
    assert decode_join_code(TEXT.replace("O", "0").replace("I", "1") + "\n") == CODE


@given(st.integers(0, len(TEXT) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_letter_is_called_a_slip(place: int, letter: str) -> None:
    if TEXT[place] != letter:
        with refused("join-code-mistyped", InputError):
            decode_join_code(TEXT[:place] + letter + TEXT[place + 1 :])


@given(st.text(max_size=300))
def test_anything_else_is_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_join_code(text)
    assert caught.value.code == "join-code-mistyped"


@pytest.mark.parametrize("cut", [TEXT[:-1], TEXT[: len(TEXT) // 2], TEXT + "A", "CMJ", "", "CMJ" * 400])
def test_a_code_that_was_cut_off_is_refused(cut: str) -> None:
    with refused("join-code-mistyped", InputError):
        decode_join_code(cut)


def test_a_later_version_asks_for_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.join_code._VERSION", 2)
    later = CODE.encode()
    monkeypatch.undo()
    with refused("join-code-version", InputError):
        decode_join_code(later)


def test_the_secret_is_bound_to_consortium_and_bank_and_never_printed() -> None:
    keys = {
        invite_key(CODE.secret, consortium, member).public
        for consortium in ("cn-credit", "other")
        for member in ("bank-a", "bank-b")
    }
    assert len(keys) == 4
    assert repr(CODE.secret) not in repr(CODE)
