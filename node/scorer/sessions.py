"""Sessions of people who signed in with their token: a random id in a cookie stands for the token's name and role.

It reads no request. Theory: the id is 256 random bits; id and token are kept as digests in memory only, so a restart
signs everybody out; a session ends when it is idle, when it is old, when its token is revoked, and when it is closed. A
form carries a second value that follows from the id, so another site's page cannot send it.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from node.tokens import Caller, TokenFile, token_digest

__all__ = ["COOKIE", "Sessions"]

COOKIE = "creditmesh_session"
IDLE_S = 30 * 60
LONGEST_S = 10 * 3600
_MOST = 10_000


@dataclass(slots=True)
class _Session:
    token_sha256: str
    began: float
    used: float


class Sessions:
    """Open, find and close sessions; for one event loop."""

    def __init__(self, tokens: TokenFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the tokens that people sign in with; clock: seconds that never go back."""
        self._tokens, self._clock = tokens, clock
        self._open: dict[str, _Session] = {}

    def sign_in(self, token: str) -> tuple[str, Caller] | None:
        """Return the id of a new session and whose it is; None for a token that is nobody's."""
        caller = self._tokens.caller(token)
        if caller is None:
            return None
        now = self._clock()
        for key in [key for key, each in self._open.items() if self._ended(each, now)]:
            del self._open[key]
        if len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        name = secrets.token_urlsafe(32)
        self._open[_digest(name)] = _Session(token_digest(token), now, now)
        return name, caller

    def caller(self, name: str) -> Caller | None:
        """Return whose session this is, None for one that ended or never was; using it keeps it from being idle."""
        found, now = self._open.get(_digest(name)), self._clock()
        if found is None or self._ended(found, now):
            self.sign_out(name)
            return None
        # The token is asked each time, so that revoking it ends the session too.
        caller = self._tokens.by_digest(found.token_sha256)
        if caller is None:
            self.sign_out(name)
            return None
        found.used = now
        return caller

    def sign_out(self, name: str) -> None:
        """End a session, if it is open."""
        self._open.pop(_digest(name), None)

    @staticmethod
    def form_value(name: str) -> str:
        """Return what a form of this session has to carry."""
        return hashlib.sha256(b"creditmesh/form/v1\0" + name.encode("utf-8", "replace")).hexdigest()

    @staticmethod
    def is_form_value(name: str, value: str) -> bool:
        """Say whether a form came from a page of this session."""
        return hmac.compare_digest(Sessions.form_value(name).encode(), value.encode("utf-8", "replace"))

    @staticmethod
    def _ended(session: _Session, now: float) -> bool:
        return now - session.used > IDLE_S or now - session.began > LONGEST_S


def _digest(name: str) -> str:
    return hashlib.sha256(b"creditmesh/session/v1\0" + name.encode("utf-8", "replace")).hexdigest()
