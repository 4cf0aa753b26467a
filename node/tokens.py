"""Who may call the decision API: tokens by name and role, of which only digests are kept.

A token is 256 random bits, so its plain SHA-256 cannot be searched, and no slow hash is needed; the token itself is
shown once, when it is made. Theory: what a thief reads in `tokens.json` (0600) opens nothing; a caller has one role,
and the role decides what it may do.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privacy.errors import InputError, RefusalError

__all__ = ["ROLES", "Caller", "TokenFile", "allowed", "token_digest"]

ROLES = ("scorer", "account-manager", "risk", "auditor", "approver")
_RIGHTS: dict[str, tuple[str, ...]] = {
    "decide": ("scorer", "account-manager"),
    "soft": ("account-manager",),
    "score": ("scorer", "risk"),
    "read": ("scorer", "account-manager", "risk", "auditor"),
    "override": ("account-manager", "risk"),
    "metrics": ("risk", "auditor", "scorer"),
    "bank": ("risk", "auditor", "approver"),
    "approve": ("approver",),
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PREFIX = "cmt_"
_MOST = 10_000
_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the token's name, which is the pseudonym in logs, and its role."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class _Token:
    name: str
    role: str
    sha256: str
    created: str


def allowed(caller: Caller, action: str) -> bool:
    """Say whether the caller's role may do `action`: a key of the rights above."""
    return caller.role in _RIGHTS[action]


class TokenFile:
    """Read, add and revoke tokens; a running scorer sees a change within a second."""

    def __init__(self, state: Path) -> None:
        """Read the tokens of a node's state folder; none yet is fine.

        Raises `InputError` for a file that others can read, or that is not what this class wrote.
        """
        self.path = state / "tokens.json"
        self._stamp: tuple[int, int] | None = None
        self._tokens: dict[str, _Token] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._tokens = None, {}
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return
        if found.st_mode & 0o077:
            mode = found.st_mode & 0o777
            raise InputError("secret-mode", f"{self.path}: found mode {mode:04o}, expected 0600; run: chmod 600")
        if found.st_size > _LIMIT_BYTES:
            raise InputError("tokens-form", f"{self.path}: larger than 16 MiB; move it away")
        tokens = [_token(self.path, entry) for entry in _entries(self.path)]
        self._tokens, self._stamp = {token.sha256: token for token in tokens}, stamp

    def caller(self, token: str) -> Caller | None:
        """Return whose token this is, None for nobody's."""
        return None if len(token) > 128 else self.by_digest(token_digest(token))

    def by_digest(self, sha256: str) -> Caller | None:
        """Return whose token has this digest (`token_digest`), None for nobody's."""
        found = self._tokens.get(sha256)
        # The look-up goes by a digest that a caller cannot steer; the comparison takes the same time anyhow.
        if found is None or not hmac.compare_digest(found.sha256, sha256):
            return None
        return Caller(found.name, found.role)

    def add(self, name: str, role: str, now: str) -> str:
        """Make a token and return it; it is nowhere else. now: UTC, for the file.

        Raises `InputError` for a name or role that cannot be, `RefusalError` for a name that has a token.
        """
        if not _NAME.fullmatch(name):
            raise InputError("token-name", f"a token's name is 1 to 63 of a-z, 0-9, ., _ and -, found {name[:64]!r}")
        if role not in ROLES:
            raise InputError("token-role", f"a role is one of {', '.join(ROLES)}, found {role[:64]!r}")
        if any(token.name == name for token in self._tokens.values()):
            raise RefusalError("token-exists", f"'{name}' has a token; revoke it first: token revoke {name}")
        if len(self._tokens) >= _MOST:
            raise RefusalError("token-many", f"there are {_MOST} tokens; revoke some first")
        token = _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii").rstrip("=")
        self._write([*self._tokens.values(), _Token(name, role, token_digest(token), now)])
        return token

    def revoke(self, name: str) -> None:
        """Forget a token; raise `InputError` where there is none of that name."""
        kept = [token for token in self._tokens.values() if token.name != name]
        if len(kept) == len(self._tokens):
            raise InputError("token-unknown", f"there is no token named {name[:64]!r}; see: token list")
        self._write(kept)

    def listed(self) -> list[dict[str, str]]:
        """Return name, role and day of every token, by name, without digests."""
        found = sorted(self._tokens.values(), key=lambda token: token.name)
        return [{"name": token.name, "role": token.role, "created": token.created} for token in found]

    def _write(self, tokens: list[_Token]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1).encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.path)
        self._stamp = None
        self.refresh()


def token_digest(token: str) -> str:
    """Return what is kept of a token, 64 hex digits."""
    return hashlib.sha256(b"creditmesh/token/v1\0" + token.encode("utf-8", "surrogatepass")).hexdigest()


def _entries(path: Path) -> list[Any]:
    try:
        document = json.loads(path.read_bytes())
        entries = document["tokens"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(entries, list):
        raise _damaged(path)
    return entries


def _token(path: Path, entry: Any) -> _Token:
    keys = ("name", "role", "sha256", "created")
    if not isinstance(entry, dict) or sorted(entry) != sorted(keys):
        raise _damaged(path)
    if not all(isinstance(value, str) for value in entry.values()) or entry["role"] not in ROLES:
        raise _damaged(path)
    return _Token(**entry)


def _damaged(path: Path) -> InputError:
    return InputError("tokens-form", f"{path}: not the file that `creditmesh-node token` writes; move it away")
