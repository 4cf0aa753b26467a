"""The ring, and the proof that no sum wraps: at the exact bounds and one beyond."""

import numpy as np
import pytest

from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.field import MAX_LENGTH, Plan
from tests.privacy.table import refused


@pytest.mark.parametrize("words", [32, 64])
def test_the_largest_bound_fits_and_one_more_is_refused(words: int) -> None:
    members = 5
    bound = (2 ** (words - 1) - 1) // members
    plan = Plan(2, words, bound, members)
    for sign in (1, -1):
        part = np.full(2, sign * bound, np.int64)
        total = plan.encode(part)
        for _ in range(members - 1):
            total = total + plan.encode(part)
        assert (plan.decode(total) == sign * members * bound).all()
    with refused("plan-headroom", RefusalError):
        Plan(2, words, bound + 1, members)


def test_headroom_one_bit_short_is_refused() -> None:
    Plan(1, 32, 2**31 - 1, 1)
    with refused("plan-headroom", RefusalError):
        Plan(1, 32, 2**31, 1)
    with refused("plan-headroom", RefusalError):
        Plan(1, 32, 2**29, 4)
    Plan(1, 64, 2**61 - 1, 4)
    with refused("plan-headroom", RefusalError):
        Plan(1, 64, 2**61, 4)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((1, 16, 1, 4), "plan-word-size"), ((0, 32, 1, 4), "plan-length"), ((MAX_LENGTH + 1, 32, 1, 4), "plan-length"),
     ((1, 32, 0, 4), "plan-bound"), ((1, 32, 1, 0), "plan-bound"), ((1, 32, 1, 257), "plan-bound")],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused(arguments: tuple[int, int, int, int], code: str) -> None:
    with refused(code, RefusalError):
        Plan(*arguments)


@pytest.mark.parametrize(
    ("part", "code"),
    [(np.zeros(3), "part-shape"), (np.zeros(3, np.int32), "part-shape"), (np.zeros(4, np.int64), "part-shape"),
     (np.zeros((3, 1), np.int64), "part-shape"), (np.array([0, 0, 11]), "part-bound"),
     (np.array([0, 0, -11]), "part-bound"), (np.array([-(2**63), 0, 0]), "part-bound")],
)  # fmt: skip
def test_a_part_out_of_plan_is_refused(part: np.ndarray, code: str) -> None:
    with refused(code, MisuseError):
        Plan(3, 32, 10, 4).encode(part)


def test_encoding_keeps_the_part_and_a_slice() -> None:
    plan = Plan(3, 64, 10, 4)
    part = np.array([1, -2, 3], np.int64)
    words = plan.encode(part)
    words += np.uint64(1)
    assert part.tolist() == [1, -2, 3]
    assert plan.decode(plan.encode(np.arange(6, dtype=np.int64)[::2])).tolist() == [0, 2, 4]


def test_bytes_are_little_endian_and_of_one_size() -> None:
    plan = Plan(2, 32, 10, 4)
    raw = plan.to_bytes(plan.encode(np.array([1, -1], np.int64)))
    assert raw == b"\x01\0\0\0\xff\xff\xff\xff" and plan.size_bytes == 8
    assert plan.decode(plan.from_bytes(raw)).tolist() == [1, -1]
    for wrong in (b"", raw[:-1], raw + b"\0"):
        with refused("vector-size", PeerError):
            plan.from_bytes(wrong)


def test_a_sum_beyond_what_members_can_reach_is_refused() -> None:
    plan = Plan(2, 32, 10, 4)
    assert plan.decode(np.array([40, 0], np.uint32)).tolist() == [40, 0]
    for value in (41, 2**32 - 41):
        with refused("sum-bound", PeerError):
            plan.decode(np.array([value, 0], np.uint32))
