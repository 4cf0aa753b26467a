"""The split: its published rule, spelled out a second time, and a known answer."""

import hashlib
import hmac
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import MisuseError
from risk.split import Split, dated, keyed_split, split
from risk.table import Table

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


def rows_of(seed: int, count: int) -> Table:
    """Return rows of which many are equal."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {
        "x": rng.integers(0, 3, count).astype(np.float64),
        "c": rng.integers(-1, 2, count).astype(np.int16),
    }
    columns["x"][columns["x"] == 2] = np.nan
    return Table("b", columns, rng.integers(0, 2, count).astype(np.int8))


def prf(message: bytes) -> bytes:
    return hmac.digest(b"key", message, "sha256")


@given(st.integers(0, 2**31), st.integers(1, 80), st.sampled_from([0, 100_000, 300_000, 900_000]))
def test_a_keyed_split_parts_the_rows(seed: int, count: int, holdout_ppm: int) -> None:
    parts = keyed_split(rows_of(seed, count), 5, holdout_ppm, prf)
    assert sorted([*parts.holdout, *parts.train]) == list(range(count))
    assert sorted([*parts.half_a, *parts.half_b]) == parts.train.tolist()
    assert holdout_ppm or not len(parts.holdout)


@given(st.integers(0, 2**31), st.integers(2, 60), st.data())
def test_a_row_taken_away_moves_no_other_row(seed: int, count: int, data: st.DataObject) -> None:
    """Else parallel composition would not hold: as many rows of each kind stand in each part, but for the one."""
    table = rows_of(seed, count)
    gone = data.draw(st.integers(0, count - 1))
    fewer = table.select(np.delete(np.arange(count), gone))
    before, after = (kinds(rows, keyed_split(rows, 1, 300_000, prf)) for rows in (table, fewer))
    changed = [name for name in before if before[name] != after[name]]
    lost = [before[name] - after[name] for name in changed]
    assert all(not after[name] - before[name] for name in before)
    assert changed in (["holdout"], ["train", "half_a"], ["train", "half_b"])
    assert all(sum(difference.values()) == 1 for difference in lost)


def borrowers_of(seed: int, count: int) -> Table:
    """Return rows of which many are one borrower's, many equal, and some say not whose they are."""
    table = rows_of(seed, count)
    digests = np.random.default_rng([seed, 1]).integers(0, 9, count).astype(np.uint8)
    borrower = np.zeros((count, 16), dtype=np.uint8)
    borrower[:, 15] = digests
    return replace(table, borrower=borrower)


@given(st.integers(0, 2**31), st.integers(2, 60), st.data())
def test_a_borrower_taken_away_takes_one_row_and_moves_nobody(seed: int, count: int, data: st.DataObject) -> None:
    table = borrowers_of(seed, count)
    assert table.borrower is not None
    whose = table.borrower[:, 15]
    gone = data.draw(st.sampled_from(sorted({int(each) for each in whose if each} or {1})))
    left = np.flatnonzero(whose != gone)
    fewer = table.select(left)
    before, after = (keyed_split(rows, 1, 300_000, prf) for rows in (table, fewer))
    lost = {}
    for name in ("holdout", "train", "half_a", "half_b"):
        stayed = set(left[getattr(after, name)].tolist())
        was = set(getattr(before, name).tolist())
        assert stayed <= was
        lost[name] = was - stayed
        assert all(whose[row] == gone for row in lost[name])
    assert sum(map(len, (lost["holdout"], lost["train"]))) == int(gone in whose)
    assert lost["half_a"] | lost["half_b"] == lost["train"]


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(0, 2**31))
def test_one_row_a_borrower_counts_whatever_the_order(seed: int, count: int, order: int) -> None:
    table = borrowers_of(seed, count)
    shuffled = table.select(np.random.default_rng(order).permutation(count))
    found = []
    for rows in (table, shuffled):
        assert rows.borrower is not None
        parts = keyed_split(rows, 1, 300_000, prf)
        counted = rows.borrower[np.concatenate([parts.train, parts.holdout]), 15]
        whose = rows.borrower[:, 15].tolist()
        assert sorted(counted) == [0] * whose.count(0) + sorted(set(whose) - {0})
        found.append(kinds(rows, parts))
    assert found[0] == found[1]


def test_where_no_row_says_whose_it_is_the_split_is_that_of_rows() -> None:
    table = rows_of(3, 50)
    silent = replace(table, borrower=np.zeros((50, 16), dtype=np.uint8))
    first, second = keyed_split(table, 0, 300_000, prf), keyed_split(silent, 0, 300_000, prf)
    for name in ("train", "holdout", "half_a", "half_b"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_which_row_counts_differs_between_jobs_and_keys() -> None:
    count = 64
    table = Table("b", {"x": np.arange(float(count))}, np.zeros(count, dtype=np.int8))
    one = replace(table, borrower=np.full((count, 16), 1, dtype=np.uint8))

    def kept(seed: int, key: bytes) -> int:
        parts = keyed_split(one, seed, 300_000, lambda message: hmac.digest(key, message, "sha256"))
        (row,) = [*parts.train, *parts.holdout]
        return int(row)

    assert len({kept(seed, b"key") for seed in range(8)}) > 3
    assert len({kept(0, bytes([key])) for key in range(8)}) > 3


def kinds(table: Table, parts: Split) -> dict[str, Counter[str]]:
    """Return how many rows of each kind stand in each part."""
    text = [f"{x}|{c}|{y}" for x, c, y in zip(table.columns["x"], table.columns["c"], table.target, strict=True)]
    return {
        name: Counter(text[row] for row in getattr(parts, name)) for name in ("holdout", "train", "half_a", "half_b")
    }


def test_the_share_held_out_is_the_one_asked_and_key_and_seed_matter() -> None:
    rng = np.random.default_rng(0)
    table = Table("b", {"x": rng.random(20_000)}, rng.integers(0, 2, 20_000).astype(np.int8))
    first = keyed_split(table, 0, 300_000, prf)
    assert abs(len(first.holdout) / 20_000 - 0.3) < 0.015
    assert abs(len(first.half_a) / len(first.train) - 0.5) < 0.02
    assert first.holdout.tolist() != keyed_split(table, 1, 300_000, prf).holdout.tolist()
    other = keyed_split(table, 0, 300_000, lambda message: hmac.digest(b"other", message, "sha256"))
    assert first.holdout.tolist() != other.holdout.tolist()


def test_later_rows_are_a_part_of_their_own_and_move_nobody() -> None:
    rng = np.random.default_rng(4)
    target = (rng.random(500) < 0.3).astype(np.int8)
    month = rng.integers(100, 120, 500).astype(np.int32)
    month[:20] = -1
    whole = split(target, "bank", 0, 0.3)
    parts = dated(whole, month, 110)
    assert parts.later.tolist() == np.flatnonzero(month > 110).tolist() == parts.rows("later").tolist()
    for name in ("train", "holdout", "half-a", "half-b"):
        kept = parts.rows(name)
        assert kept.tolist() == [row for row in whole.rows(name).tolist() if 100 <= month[row] <= 110]
    nobody = dated(whole, None, 110)
    assert not any(len(nobody.rows(name)) for name in ("train", "holdout", "half-a", "half-b", "later"))
