"""A recipe's generator, driven by opened sums: how every side derives each request for itself.

It knows no recipe: a request is anything with a length, a word size, a bound and canonical bytes. Theory: the
generator is a pure function of the sums it received, so whoever feeds it the same sums derives the same requests byte
for byte; nobody has to be told what to add, and nobody can tell another.
"""

from collections.abc import Generator
from typing import Any, Protocol

import numpy as np

from privacy.errors import MisuseError
from privacy.field import Plan
from privacy.noise import share_variance

__all__ = ["Replay", "Request"]


class Request(Protocol):
    """What a recipe asks for, as far as adding it up is concerned."""

    @property
    def length(self) -> int:
        """Return the entries of the vector."""

    @property
    def word_bits(self) -> int:
        """Return 32 or 64."""

    @property
    def bound(self) -> int:
        """Return the largest absolute value of an entry of one part before noise."""

    @property
    def noise(self) -> int:
        """Return the variance of the noise that is guaranteed in the sum, grid units squared, 0 for none."""

    def encode(self) -> bytes:
        """Return the canonical bytes that members compare."""


class Replay:
    """Hold the current request of a job and step to the next with each sum."""

    def __init__(self, rounds: Generator[Any, np.ndarray, Any], members: int) -> None:
        """Start the generator and derive the first request.

        rounds: the recipe's generator, not started. members: seats of the manifest; headroom and noise follow.
        """
        self._rounds = rounds
        self._members = members
        self._request: Any = None
        self._plan: Plan | None = None
        self.outcome: Any = None
        self.done = False
        self._advance(None)

    @property
    def request(self) -> Any:
        """Return the request that the next round is for."""
        if self.done:
            raise MisuseError("replay-over", "the recipe has learned all it asked for")
        return self._request

    @property
    def plan(self) -> Plan:
        """Return the plan of the next round's sum, its headroom proved."""
        if self._plan is None:
            raise MisuseError("replay-over", "the recipe has learned all it asked for")
        return self._plan

    def feed(self, vector: bytes | memoryview) -> None:
        """Give the generator the opened sum of the current request, as little-endian words."""
        plan = self.plan
        self._advance(plan.decode(plan.from_bytes(vector)))

    def end_early(self, notice: Exception) -> None:
        """Tell the generator that no more sums will come; what it returns on that is the outcome.

        notice: raised in the generator. One that does not know it has learned nothing yet, and the outcome stays None.
        """
        if self.done:
            return
        try:
            self._rounds.throw(notice)
        except StopIteration as stop:
            self.outcome = stop.value
        except type(notice):
            pass  # it has learned nothing, and the outcome stays None
        self.done, self._request, self._plan = True, None, None

    def close(self) -> None:
        """Stop the generator."""
        self._rounds.close()

    def _advance(self, total: np.ndarray | None) -> None:
        try:
            request = next(self._rounds) if total is None else self._rounds.send(total)
        except StopIteration as stop:
            self.outcome, self.done, self._request, self._plan = stop.value, True, None, None
            return
        self._request = request
        share = share_variance(request.noise, self._members)
        self._plan = Plan(request.length, request.word_bits, request.bound, self._members, share)
