"""Waits grow with failures, hold for name and address alike, and are forgotten."""

from dataclasses import dataclass

from coordinator.console import throttle
from coordinator.console.throttle import Throttle


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def failed(times: int, *keys: str) -> tuple[Throttle, Clock]:
    clock = Clock()
    slow = Throttle(clock)
    for _ in range(times):
        slow.failed(*keys)
    return slow, clock


def test_a_few_mistakes_cost_nothing() -> None:
    slow, _ = failed(throttle.FREE_FAILURES - 1, "name a")
    assert slow.wait_s("name a") == 0


def test_waits_double_up_to_a_limit() -> None:
    waits = [failed(count, "name a")[0].wait_s("name a") for count in (5, 6, 7, 60)]
    assert waits == [5.0, 10.0, 20.0, throttle.LONGEST_WAIT_S]


def test_name_and_address_each_count() -> None:
    slow, _ = failed(5, "name a", "address x")
    assert slow.wait_s("name b", "address x") == slow.wait_s("name a", "address y") == 5.0
    assert slow.wait_s("name b", "address y") == 0


def test_a_success_forgets_a_name_and_time_forgets_the_rest() -> None:
    slow, clock = failed(5, "name a", "address x")
    slow.succeeded("name a")
    assert slow.wait_s("name a") == 0
    clock.now = throttle.FORGET_S + 1
    assert slow.wait_s("address x") == 0
    slow.failed("address x")
    assert slow.wait_s("address x") == 0


def test_memory_is_bounded() -> None:
    slow = Throttle(Clock())
    for number in range(throttle.MOST_KEYS + 100):
        slow.failed(f"name {number}")
    assert len(slow._tries) == throttle.MOST_KEYS
