"""Checks of bodies: nothing slips in beside what a schema names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.log.kinds import Schema, fault_of, is_count, is_hex, is_text, one_of

SCHEMA: Schema = {"size": is_count, "name": is_text(5), "root?": is_hex(2), "mode?": one_of("a", "b")}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"size": 1, "name": "x"}, None),
        ({"size": 1, "name": "x", "root": "00ff", "mode": "b"}, None),
        ({"size": 1, "name": "x", "free": 1}, "unknown key 'free'"),
        ({"size": 1, "name": "x", "root?": "anything at all"}, "unknown key 'root?'"),
        ({"size": 1, "name": "x", "root": "00ff", "root?": "00ff"}, "unknown key 'root?'"),
        ({"size": 1}, "missing key 'name'"),
        ({"size": 1, "name": "x", "root": "00f"}, "key 'root' has a wrong form"),
        ({"size": True, "name": "x"}, "key 'size' has a wrong form"),
        ({"size": -1, "name": "x"}, "key 'size' has a wrong form"),
        ({"size": 1, "name": "x", "mode": "c"}, "key 'mode' has a wrong form"),
    ],
)
def test_faults_are_named(body: dict[str, object], fault: str | None) -> None:
    assert fault_of(body, SCHEMA) == fault


@pytest.mark.parametrize("text", ["", "toolong", "a\x1bb", "a\x7fb", "a\nb", "\u202e", "a\u0085", "\ud800", 5, None])
def test_texts_that_hide_something_are_refused(text: object) -> None:
    assert not is_text(5)(text)


@given(st.text(max_size=8))
def test_ascii_and_other_text_follow_one_rule(text: str) -> None:
    hides = any(each < " " or "\x7f" <= each <= "\x9f" or each in "\u200e\u200f" for each in text)
    hides = hides or any("\u2028" <= each <= "\u202e" or "\u2066" <= each <= "\u2069" for each in text)
    assert is_text(8)(text) is (bool(text) and not hides)


@pytest.mark.parametrize("text", ["", "0", "00", "00ff0", "00FF", "0x12", "00 ff", "00ff\n", "٠٠٠٠", 5])
def test_other_digits_are_refused(text: object) -> None:
    assert not is_hex(2)(text)
    assert is_hex(2)("00ff") and is_hex(1, 2)("0f") and is_hex(1, 2)("0f0f") and not is_hex(1, 2)("0f0f0f")
