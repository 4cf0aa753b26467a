"""An event loop whose clock moves by itself: a test waits for hours in no time, and a hang is an error at once.

Nothing real may be awaited in it: no sockets, no processes. What goes to a thread runs in the loop instead. Theory:
when no callback is ready, the loop would sleep until the next timer; here the clock jumps to that timer. If there is
none, nothing can ever happen again, which is the definition of a hang.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["Stuck", "VirtualLoop", "run_virtual"]

_T = TypeVar("_T")
_LONGEST_S = 10 * 86_400.0


class Stuck(Exception):
    """Nothing is due and nothing will come."""


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if timeout is None or self.now > _LONGEST_S:
            raise Stuck
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, in seconds from 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time."""
        return self._jumping.now

    def run_in_executor(self, _executor: object, func: Callable[..., _T], *args: Any) -> "asyncio.Future[_T]":  # type: ignore[override]
        """Run the function here and now."""
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on virtual time; whatever can never end raises `Stuck`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
