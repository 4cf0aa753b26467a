"""Slow down whoever guesses passwords.

It knows no password. Theory: failures are counted by account name and by address, each with a wait that doubles from
the fifth failure on, to a quarter of an hour. A wait for a name also stops its owner from elsewhere; that is the price
of stopping a guesser who has many addresses, and it ends by itself. What is remembered is bounded.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Throttle"]

FREE_FAILURES = 5
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 900.0
FORGET_S = 3600.0
MOST_KEYS = 10_000


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    last: float = 0.0


class Throttle:
    """Count failed log-ins; safe to call from several threads."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: returns seconds of a monotonic clock."""
        self._now = now
        self._tries: dict[str, _Tries] = {}
        self._lock = threading.Lock()

    def wait_s(self, *keys: str) -> float:
        """Return for how many seconds a log-in with one of these names or addresses is refused; 0 for none."""
        now = self._now()
        with self._lock:
            return max((self._left(self._tries.get(key), now) for key in keys), default=0.0)

    def failed(self, *keys: str) -> None:
        """Count a failure for each name and address."""
        now = self._now()
        with self._lock:
            for key in keys:
                tries = self._tries.pop(key, _Tries())
                if now - tries.last > FORGET_S:
                    tries = _Tries()
                tries.failures, tries.last = tries.failures + 1, now
                self._tries[key] = tries  # at the end: the first ones are the oldest
            while len(self._tries) > MOST_KEYS:
                del self._tries[next(iter(self._tries))]

    def succeeded(self, *keys: str) -> None:
        """Forget the failures of these names and addresses."""
        with self._lock:
            for key in keys:
                self._tries.pop(key, None)

    def _left(self, tries: _Tries | None, now: float) -> float:
        if tries is None or tries.failures < FREE_FAILURES or now - tries.last > FORGET_S:
            return 0.0
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries.failures - FREE_FAILURES, 16))
        return max(0.0, tries.last + wait - now)
