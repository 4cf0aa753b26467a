"""Fingerprints that people read out on the telephone: 8 groups of 5 from A-Z and 2-7.

It hashes nothing itself: a digest comes in. Theory: base32 (RFC 4648) of the first 200 bits of a SHA-256, far beyond
what anyone can search for a second key; what is typed is compared whole, without regard to case, spaces and hyphens,
and a digit that base32 does not have counts as the letter it looks like.
"""

import re
from base64 import b32encode

from privacy.errors import InputError, MisuseError
from privacy.keys import same_bytes

__all__ = ["GROUPS", "check_whole", "matches", "spoken"]

GROUPS = 8
_GROUP = 5
_BYTES = GROUPS * _GROUP * 5 // 8
_LOOKALIKES = str.maketrans("018", "OIB", " \t\r\n-.,:'\"")


def spoken(digest: bytes) -> str:
    """Return a digest of at least 25 bytes as it is read out, 8 groups of 5."""
    if len(digest) < _BYTES:
        raise MisuseError("fingerprint-size", f"a fingerprint needs {_BYTES} bytes, found {len(digest)}")
    text = b32encode(digest[:_BYTES]).decode("ascii")
    return " ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def check_whole(typed: str) -> None:
    """Raise `InputError` unless this can be a fingerprint at all; what cannot is a slip of the hand, not an attack."""
    plain = _plain(typed).decode("utf-8", "replace")
    if not re.fullmatch(f"[A-Z2-7]{{{GROUPS * _GROUP}}}", plain):
        raise InputError(
            "fingerprint-shape",
            f"found {len(plain)} characters, expected {GROUPS} groups of {_GROUP} from A-Z and 2-7: type the whole "
            "fingerprint that was read out; this did not count as a try",
        )


def matches(typed: str, fingerprint: str) -> bool:
    """Say whether what a person typed is this fingerprint, all eight groups of it."""
    return same_bytes(_plain(typed), _plain(fingerprint))


def _plain(text: str) -> bytes:
    return text.upper().translate(_LOOKALIKES).encode("utf-8", "replace")
