"""Canonical JSON: one spelling for every value, and no second spelling gets in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import MisuseError, VerificationError
from privacy.log.canonical import INTEGER_LIMIT, decode_object, encode

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_LIMIT + 1, INTEGER_LIMIT - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=126), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(st.characters(max_codepoint=126), max_size=6), PLAIN, max_size=5)


@given(OBJECTS)
def test_decode_undoes_encode(value: dict[str, object]) -> None:
    assert decode_object(encode(value), 1 << 20, "value") == value


@given(OBJECTS, st.integers(1, 4))
def test_any_added_space_is_refused(value: dict[str, object], indent: int) -> None:
    other = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent).encode()
    if other != encode(value):
        with pytest.raises(VerificationError):
            decode_object(other, 1 << 20, "value")


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    try:
        value = decode_object(raw, 1 << 20, "value")
    except VerificationError:
        return
    assert encode(value) == raw


# RFC 8785 section 3.2.2.2 (string escapes) and the order of keys, on the subset without floats and non-ASCII keys.
def test_known_spelling() -> None:
    value = {"b": [1, True, None], "A": '€$\x0f\nA\'B"\\\\"/', "a": {"z": -1, "y": ""}}
    assert encode(value) == ('{"A":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","a":{"y":"","z":-1},"b":[1,true,null]}'.encode())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\u00e4"}',
        b'{"a":"\\ud800"}',
        '{"ä":1}'.encode(),
        '{"a":{"b":[0,[{"ä":1}]]}}'.encode(),
        b"[]",
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"\xff"}',
        b"",
    ],
)
def test_other_spellings_are_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        decode_object(raw, 1 << 20, "value")
    assert caught.value.code == "not-canonical"


def test_length_is_bounded() -> None:
    raw = encode({"a": "x" * 100})
    assert decode_object(raw, len(raw), "value")
    with pytest.raises(VerificationError, match="at most 10"):
        decode_object(raw, 10, "value")


@pytest.mark.parametrize(
    "value", [1.5, {"a": 2.0}, INTEGER_LIMIT, -INTEGER_LIMIT, {1: 2}, {"ä": 1}, b"x", "\ud800", {1}]
)
def test_values_without_a_spelling_are_a_misuse(value: object) -> None:
    with pytest.raises(MisuseError):
        encode(value)
