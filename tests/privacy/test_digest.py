"""One way to hash: no two lists of parts and no two labels share an input."""

import hashlib

import pytest

from privacy.digest import digest, number, sha256


def test_a_digest_covers_label_and_lengths() -> None:
    seen = {
        digest("a", b"bc"),
        digest("ab", b"c"),
        digest("a", b"b", b"c"),
        digest("a", b"", b"bc"),
        digest("a", b"bc", b""),
    }
    assert len(seen) == 5


def test_a_digest_is_sha256_over_the_written_layout() -> None:
    raw = b"creditmesh/ask/v1\x00" + (3).to_bytes(8, "big") + b"abc"
    assert digest("ask", b"abc") == hashlib.sha256(raw).digest()
    assert sha256(memoryview(b"abc")) == hashlib.sha256(b"abc").digest()


def test_a_number_is_eight_bytes() -> None:
    assert number(258) == bytes(6) + b"\x01\x02"
    with pytest.raises(OverflowError):
        number(2**64)
    with pytest.raises(OverflowError):
        number(-1)
