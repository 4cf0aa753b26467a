"""An event loop whose clock leaps: hours of waiting pass at once, in the same order every time.

Nothing in it waits for the real world: a wait ends when its time is next, threads run where they are called, and a loop
in which nothing can happen any more says so instead of sleeping for ever.
"""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["FakeLoop", "StuckError"]


class StuckError(Exception):
    """Report that every task waits for something that will never come."""


class _LeapingSelector(selectors.SelectSelector):
    """Move the clock instead of waiting; no socket is ever ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("no task can go on and no timer is set")
        self.now += max(0.0, timeout)
        return []


class _InPlace(ThreadPoolExecutor):
    """Run what is given at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class FakeLoop(asyncio.SelectorEventLoop):
    """Run coroutines on leaping time, from second 0 on."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)
        self.faults: list[Mapping[str, Any]] = []
        self.set_default_executor(_InPlace(1))
        self.set_exception_handler(lambda _loop, fault: self.faults.append(fault))

    def time(self) -> float:
        """Return the seconds that have passed in here."""
        return self._leaping.now
