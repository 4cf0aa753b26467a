"""Canonical JSON: the one spelling of a value that is hashed, signed or compared.

The subset of RFC 8785 (JSON Canonicalization Scheme) that needs no number formatting: objects with ASCII keys in
sorted order, no floats, integers below 2^53 in magnitude, no insignificant space, UTF-8. On this subset Python's
`json.dumps` gives the RFC's bytes. The module knows nothing of what the values mean.

Example: `encode({"b": 1, "a": "x"}) == b'{"a":"x","b":1}'`.
"""

import json
from typing import NoReturn

from privacy.errors import MisuseError, VerificationError

__all__ = ["INTEGER_LIMIT", "decode_object", "encode"]

INTEGER_LIMIT = 2**53


def encode(value: object) -> bytes:
    """Encode a value in its one canonical spelling.

    Raises:
        MisuseError: `not-canonical` when the value holds a float, a large integer, a key that is not an ASCII
            string, a lone surrogate or a type that JSON does not have.
    """
    _require_plain(value)
    try:
        return _dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError("not-canonical", f"value cannot be written as canonical JSON: {error}") from None


def decode_object(encoded: bytes, limit_bytes: int, what: str) -> dict[str, object]:
    """Decode an object that must be in canonical spelling already.

    Args:
        encoded: the bytes to read.
        limit_bytes: largest accepted length.
        what: name of the thing, for the error text.

    Raises:
        VerificationError: `not-canonical` when the bytes are too long, are no JSON object, or are spelt otherwise.
    """
    if len(encoded) > limit_bytes:
        raise VerificationError("not-canonical", f"{what} has {len(encoded)} bytes, at most {limit_bytes} are accepted")
    try:
        text = encoded.decode("utf-8")
        value = _DECODER.decode(text)
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
        if not text.isascii():
            _require_ascii_keys(value)
        same = _dump(value) == encoded
    except (ValueError, RecursionError) as error:
        raise VerificationError("not-canonical", f"{what} is not canonical JSON: {type(error).__name__}") from None
    if not same:
        raise VerificationError("not-canonical", f"{what} is JSON, but not in its canonical spelling")
    return value


def _dump(value: object) -> bytes:
    return _ENCODER.encode(value).encode("utf-8")


def _refuse_number(_: str) -> NoReturn:
    raise ValueError("a float")


def _bounded(digits: str) -> int:
    # Seventeen characters hold every integer below 2^53 with its sign; the length check keeps int() cheap.
    number = int(digits) if len(digits) <= 17 else INTEGER_LIMIT
    if abs(number) >= INTEGER_LIMIT:
        raise ValueError("an integer of 2^53 or more")
    return number


def _require_ascii_keys(value: dict[str, object] | list[object]) -> None:
    if isinstance(value, dict) and not "".join(value).isascii():
        raise ValueError("a key that is not ASCII")
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            _require_ascii_keys(item)


def _require_plain(value: object) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) >= INTEGER_LIMIT:
            raise MisuseError("not-canonical", "integer of 2^53 or more; write it as a string")
    elif isinstance(value, list | tuple):
        for item in value:
            _require_plain(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise MisuseError("not-canonical", "object key that is not an ASCII string")
            _require_plain(item)
    else:
        raise MisuseError("not-canonical", f"{type(value).__name__} has no canonical spelling; write it as a string")


# Made once: an auditor reads a million records.
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number, parse_int=_bounded)
