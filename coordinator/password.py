"""Turn a password into what may be stored, and compare one with that.

This module stores nothing and counts no attempts. Theory: scrypt (RFC 7914) with 32 MiB and three passes makes every
guess of a thief of the database expensive; cost and salt stand beside the digest, so that they can be raised later.
"""

import base64
import os
import re
from collections.abc import Callable

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from privacy.errors import InputError

__all__ = [
    "DIGEST_BYTES",
    "LONGEST",
    "SALT_BYTES",
    "SHORTEST",
    "check_password",
    "stored_password",
    "stored_shape",
    "verify_password",
]

SHORTEST, LONGEST = 12, 256
SALT_BYTES, DIGEST_BYTES = 16, 32
_N, _R, _P = 2**15, 8, 3
_STORED = re.compile(r"scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]{4,128})\$([A-Za-z0-9+/=]{4,128})")


def check_password(password: str) -> str:
    """Return the password if it has 12 to 256 characters without control characters, else raise `InputError`."""
    if not SHORTEST <= len(password) <= LONGEST or any(ord(letter) < 32 for letter in password):
        found = f"found {len(password)} characters"
        raise InputError("password-form", f"password: {found}, expected {SHORTEST} to {LONGEST} printable ones")
    return password


def stored_password(password: str, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """Return `scrypt$N$r$p$salt$digest` for a password; takes about a tenth of a second."""
    salt = random_bytes(SALT_BYTES)
    digest = Scrypt(salt=salt, length=DIGEST_BYTES, n=_N, r=_R, p=_P).derive(password.encode("utf-8"))
    return stored_shape(salt, digest)


def stored_shape(salt: bytes, digest: bytes) -> str:
    """Return how salt and digest are stored, with the cost that is used now."""
    parts = (base64.b64encode(salt).decode("ascii"), base64.b64encode(digest).decode("ascii"))
    return f"scrypt${_N}${_R}${_P}${parts[0]}${parts[1]}"


def verify_password(password: str, stored: str) -> bool:
    """Say, in time that does not depend on where they differ, whether `stored` was made from this password."""
    match = _STORED.fullmatch(stored)
    if match is None:
        return False
    n, r, p = (int(part) for part in match.groups()[:3])
    salt, digest = (base64.b64decode(part) for part in match.groups()[3:])
    try:
        Scrypt(salt=salt, length=len(digest), n=n, r=r, p=p).verify(password.encode("utf-8"), digest)
    except InvalidKey:
        return False
    return True
