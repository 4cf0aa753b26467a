"""The generator as every side runs it: one request at a time, and the next from the opened sum alone."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.secagg.replay import Replay
from tests.privacy.table import refused


@dataclass(frozen=True)
class Wish:
    name: str
    length: int = 2
    word_bits: int = 64
    bound: int = 10
    noise: int = 0

    def encode(self) -> bytes:
        return self.name.encode()


def rounds(bound: int = 10) -> Generator[Wish, np.ndarray, int]:
    first = yield Wish("one", bound=bound)
    second = yield Wish(f"two-{first.sum()}", bound=bound)
    return int(second.sum())


def words(*values: int) -> bytes:
    return np.array(values, "<i8").tobytes()


def test_the_next_request_follows_from_the_sum() -> None:
    replay = Replay(rounds(), 4)
    assert replay.request.encode() == b"one" and replay.plan.members == 4
    replay.feed(words(3, -1))
    assert replay.request.encode() == b"two-2" and not replay.done
    replay.feed(words(20, 20))
    assert replay.done and replay.outcome == 40
    for read in (lambda: replay.request, lambda: replay.plan):
        with refused("replay-over", MisuseError):
            read()
    with refused("replay-over", MisuseError):
        replay.feed(words(1, 1))


def test_a_sum_that_cannot_be_is_refused() -> None:
    replay = Replay(rounds(), 4)
    with refused("vector-size", PeerError):
        replay.feed(words(1))
    with refused("sum-bound", PeerError):
        replay.feed(words(41, 0))


def test_a_request_without_headroom_is_refused() -> None:
    with refused("plan-headroom", RefusalError):
        Replay(rounds(2**61), 4)


def test_a_closed_generator_is_over() -> None:
    closed: list[bool] = []

    def waiting() -> Generator[Wish, np.ndarray, None]:
        try:
            yield Wish("one")
        finally:
            closed.append(True)

    Replay(waiting(), 4).close()
    assert closed == [True]


class EnoughError(Exception):
    """No more sums will come."""


def test_a_generator_that_knows_an_early_end_says_what_it_learned_and_another_one_nothing() -> None:
    def knowing() -> Generator[Wish, np.ndarray, int]:
        try:
            first = yield Wish("one")
            yield Wish("two")
        except EnoughError:
            return int(first.sum())
        return 0

    for generator, learned in ((knowing(), 2), (rounds(), None)):
        replay = Replay(generator, 4)
        replay.feed(words(3, -1))
        replay.end_early(EnoughError())
        assert (replay.done, replay.outcome) == (True, learned)
        replay.end_early(EnoughError())  # once is enough
        assert replay.outcome == learned
