"""Who is logged in, and the tokens that show that a form is ours.

It checks no password. Theory: a session lives in this process alone and ends with it; the cookie holds a random name
of which only the digest is kept, so that a dump of the memory opens no session. A session gets a new name at log-in,
so that a name planted before is worth nothing. Every form carries the session's token; the log-in form, which has no
session yet, one that belongs to a cookie set with it.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from coordinator.account_store import Account

__all__ = ["Session", "SessionBook"]

IDLE_S = 30 * 60
LONGEST_S = 12 * 3600
MOST = 512


@dataclass(slots=True, eq=False)
class Session:
    """One browser's log-in; since and seen are seconds of a monotonic clock.

    changed: when the account's password was set last, as at log-in. streams: live streams that are open.
    """

    account: int
    changed: int
    token: str
    since: float
    seen: float
    streams: int = 0


class SessionBook:
    """Open, find and end sessions; safe to call from several threads."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: returns seconds of a monotonic clock."""
        self._now = now
        self._sessions: dict[bytes, Session] = {}
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def open(self, account: Account) -> str:
        """Open a session for an account and return its name for the cookie; the oldest of too many ends."""
        name, now = secrets.token_urlsafe(32), self._now()
        session = Session(account.number, account.changed, secrets.token_urlsafe(32), now, now)
        with self._lock:
            self._sweep()
            if len(self._sessions) >= MOST:
                del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
            self._sessions[_digest(name)] = session
        return name

    def find(self, name: str, *, touch: bool = True) -> Session | None:
        """Return the session of that name if it is neither idle nor old; touch: its visitor did something just now."""
        now = self._now()
        with self._lock:
            session = self._sessions.get(_digest(name))
            if session is None or self._is_over(session, now):
                self._sessions.pop(_digest(name), None)
                return None
            if touch:
                session.seen = now
            return session

    def holds(self, session: Session) -> bool:
        """Say whether a session that was found before is still open; looking does not keep it open."""
        with self._lock:
            return session in self._sessions.values() and not self._is_over(session, self._now())

    def close(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(name), None)

    def form_token(self, nonce: str) -> str:
        """Return the token of a form for a visitor without a session, whose cookie holds `nonce`."""
        return hmac.new(self._secret, nonce.encode("utf-8"), hashlib.sha256).hexdigest()

    def _sweep(self) -> None:
        now = self._now()
        for key in [key for key, session in self._sessions.items() if self._is_over(session, now)]:
            del self._sessions[key]

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.seen > IDLE_S or now - session.since > LONGEST_S


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
