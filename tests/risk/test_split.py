"""The split: its published rule, spelled out a second time, and a known answer."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import MisuseError
from risk.split import split

KNOWN = {"holdout": [1, 2, 6, 8], "half-a": [3, 4, 7, 9, 11], "half-b": [0, 5, 10]}
"""Worked out once from the rule, without this project's code."""


def test_known_answer() -> None:
    target = np.array([0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1], dtype=np.int8)
    parts = split(target, "wells_fargo_bank", 0, 0.3)
    assert parts.holdout.tolist() == KNOWN["holdout"]
    assert parts.half_a.tolist() == KNOWN["half-a"]
    assert parts.half_b.tolist() == KNOWN["half-b"]


@given(
    st.lists(st.integers(0, 1), max_size=60),
    st.text("abcdefgh-_0123", min_size=1, max_size=12),
    st.integers(0, 2**31 - 1),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]),
)
def test_the_rule_word_by_word(labels: list[int], member: str, seed: int, holdout: float) -> None:
    target = np.array(labels, dtype=np.int8)
    parts = split(target, member, seed, holdout)
    rng = np.random.default_rng([seed, int(hashlib.sha256(member.encode()).hexdigest()[:8], 16)])
    held: list[int] = []
    rest: list[int] = []
    halves: dict[int, list[int]] = {0: [], 1: []}
    for label in (0, 1):
        order = rng.permutation([row for row, value in enumerate(labels) if value == label]).astype(int).tolist()
        count = int(holdout * len(order) + 0.5)
        held += order[:count]
        rest += order[count:]
        for place, row in enumerate(order[count:]):
            halves[place % 2].append(row)
    assert parts.holdout.tolist() == sorted(held)
    assert parts.train.tolist() == sorted(rest)
    assert parts.half_a.tolist() == sorted(halves[0])
    assert parts.half_b.tolist() == sorted(halves[1])


def test_rows_by_name_and_refusals() -> None:
    parts = split(np.array([0, 1, 0], dtype=np.int8), "amber", 1, 0.0)
    assert parts.rows("train").tolist() == [0, 1, 2]
    assert len(parts.rows("holdout")) == 0
    with pytest.raises(MisuseError, match="half-c"):
        parts.rows("half-c")
    with pytest.raises(MisuseError, match="out of range"):
        split(np.zeros(3, dtype=np.int8), "amber", -1, 0.3)
    with pytest.raises(MisuseError, match="out of range"):
        split(np.zeros(3, dtype=np.int8), "amber", 0, 1.0)
