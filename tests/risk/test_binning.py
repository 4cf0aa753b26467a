"""Binning: the cell rule, monotone evidence, and its definition computed a second way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.binning import BinRules, Counted, bin_field, label_cells, merge_rare, split_counts
from risk.coding import Coding, unmerged
from tests.risk.rooms import category, number, room_dictionary

RULES = BinRules(min_chi2=0, min_iv=0)
ROOM = room_dictionary(number("x", special=[-9]), category("c", 6))


def coding_of(bins: int, kind: str = "number", special: bool = False) -> Coding:
    """Return a coding of that many ordinary bins."""
    if kind == "category":
        return Coding("c", "category", groups=tuple((place,) for place in range(bins)))
    cuts = tuple(float(i) for i in range(1, bins))
    return Coding("x", "number", cuts, special=(-9.0,) if special else ())


counts = st.lists(st.integers(0, 200), min_size=1, max_size=12)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=12), st.booleans())
def test_no_merged_part_is_below_the_limit_in_any_count(pairs: list[tuple[int, int]], levels: bool) -> None:
    coding = coding_of(len(pairs), "category" if levels else "number")
    first, second = ([*(pair[i] for pair in pairs), 0] for i in (0, 1))
    parts = merge_rare(coding, [first, second], 50)
    assert sorted(place for part in parts for place in part) == list(range(len(pairs)))
    if not levels:
        assert [place for part in parts for place in part] == list(range(len(pairs)))
    if len(parts) > 1:
        for count in (first, second):
            assert min(sum(count[place] for place in part) for part in parts) >= 50


def test_a_rare_missing_bin_is_counted_with_the_largest() -> None:
    coding = coding_of(3, special=True)
    cells = label_cells([coding, coding], [[(60, 90, 70, 49, 50)], [(60, 90, 70, 0, 0)]], 50)
    assert cells.tolist() == [0, 1, 2, 1, 3, 4, 5, 6, 5, 5]
    both = label_cells([coding], [[(60, 90, 70, 80, 50), (60, 90, 70, 80, 49)]], 50)
    assert both.tolist() == [0, 1, 2, 3, 1]


def test_counts_are_split_field_by_field() -> None:
    codings = [coding_of(2), coding_of(3, special=True)]
    assert split_counts(codings, np.arange(8), 1) == [[(0, 1, 2), (3, 4, 5, 6, 7)]]
    first, second = split_counts(codings, np.arange(16), 2)
    assert first == [(0, 1, 2), (3, 4, 5, 6, 7)] and second == [(8, 9, 10), (11, 12, 13, 14, 15)]


tables = st.lists(st.tuples(st.integers(50, 400), st.floats(0, 1)), min_size=1, max_size=20)


@given(tables, st.sampled_from(["up", "down", "free"]), st.sampled_from(["number", "category"]))
def test_final_bins_keep_every_rule(pairs: list[tuple[int, float]], direction: str, kind: str) -> None:
    direction = "free" if kind == "category" else direction
    rows = (*(pair[0] for pair in pairs), 70)
    bads = (*(int(pair[0] * pair[1]) for pair in pairs), 20)
    result = bin_field(Counted(coding_of(len(pairs), kind), rows, bads), direction, RULES)
    assert sum(result.rows) == sum(rows) and sum(b or 0 for b in result.bads) == sum(bads)
    assert result.rows[-1] == 70 and result.coding.ordinary <= 8
    if result.reason is not None:
        assert result.reason == "its bins merge to one" and result.coding.ordinary == 1
        return
    ordinary = list(zip(result.rows, result.bads, strict=True))[:-1]
    for row, bad in ordinary:
        assert row >= 0.05 * sum(r for r, _ in ordinary) - 1e-9
        assert bad is not None and min(bad, row - bad) >= 5
    rates = [bad / row for row, bad in ordinary if bad is not None]
    if direction == "up" or kind == "category":
        assert rates == sorted(rates)
    if direction == "down":
        assert rates == sorted(rates, reverse=True)


def test_woe_and_iv_by_their_definition() -> None:
    rows, bads = (200, 300, 500, 60), (80, 60, 40, 6)
    result = bin_field(Counted(coding_of(3), rows, bads), "down", RULES)
    goods = [r - b for r, b in zip(rows, bads, strict=True)]
    expected = [math.log((g / sum(goods)) / (b / sum(bads))) for g, b in zip(goods, bads, strict=True)]
    assert result.coding.cuts == (1.0, 2.0)
    assert [steps / 1024 for steps in result.woe] == pytest.approx(expected, abs=0.5 / 1024)
    iv = sum((g / sum(goods) - b / sum(bads)) * w for g, b, w in zip(goods, bads, expected, strict=True))
    assert result.iv == pytest.approx(iv, abs=1e-3)


def test_data_against_the_declared_direction_merge_to_one() -> None:
    counted = Counted(coding_of(3), (200, 300, 500, 0), (80, 60, 40, None))
    assert bin_field(counted, "up", RULES).reason == "its bins merge to one"
    assert bin_field(counted, "down", RULES).reason is None


@pytest.mark.parametrize(("missing", "bads"), [(60, 4), (60, 57), (30, None)])
def test_a_missing_bin_without_enough_evidence_weighs_nothing(missing: int, bads: int | None) -> None:
    result = bin_field(Counted(coding_of(2), (400, 400, missing), (40, 120, bads)), "up", RULES)
    assert result.woe[-1] == 0 and result.woe[0] > 0 > result.woe[1]


def test_weak_and_alike_bins() -> None:
    counted = Counted(coding_of(3), (1000, 1000, 1000, 0), (100, 102, 200, None))
    assert bin_field(counted, "up", BinRules(min_chi2=100, min_iv=0)).coding.cuts == (2.0,)
    assert bin_field(counted, "up", BinRules(min_chi2=0, min_iv=9_999)).reason is not None


def test_levels_are_ordered_by_evidence() -> None:
    field = ROOM.field("c")
    counted = Counted(unmerged(field), (100,) * 6 + (0,), (50, 10, 30, 11, 51, 29, None))
    result = bin_field(counted, "free", BinRules(min_chi2=100, min_iv=0))
    assert result.coding.groups == ((1, 3), (2, 5), (0, 4))
    assert list(result.woe[:3]) == sorted(result.woe[:3], reverse=True)
