"""Rating grades: rising rates, enough rows, at most ten; and what is told of each."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import InputError, MisuseError
from risk.grades import MasterScale, fit_scale, grade_figures, is_monotone, migration, scale_from_document

cells = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=40)


@given(cells)
def test_rates_rise_and_no_row_is_lost(drawn: list[tuple[int, int]]) -> None:
    rows, bads = [good + bad for good, bad in drawn], [bad for _, bad in drawn]
    scale = fit_scale(rows, bads, list(range(-20, len(rows) - 20)))
    assert 1 <= scale.size <= 10 and sum(scale.rows) == sum(rows) and sum(scale.bads) == sum(bads)
    assert list(scale.cuts) == sorted(set(scale.cuts)) and all(-20 < cut < len(rows) - 20 for cut in scale.cuts)
    if scale.size > 1:
        assert min(scale.rows) >= 100 and is_monotone(scale.rows, scale.bads)
        rates = [bad / row for row, bad in zip(scale.rows, scale.bads, strict=True)]
        assert rates == sorted(rates) and len(set(rates)) == len(rates)
    # Each grade is made of whole cells.
    edges = [-20, *scale.cuts, len(rows) - 20]
    for place, (low, high) in enumerate(pairwise(edges)):
        assert sum(rows[low + 20 : high + 20]) == scale.rows[place]
    assert scale_from_document(scale.to_document()) == scale


def test_ten_clear_steps_become_ten_grades() -> None:
    rates = [0.001, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.99]
    scale = fit_scale([10_000] * 12, [round(10_000 * rate) for rate in rates], list(range(12)))
    assert scale.size == 10 and scale.pds[0] < 0.01 < scale.pds[-1]


def test_steps_that_chance_makes_are_no_grades() -> None:
    assert fit_scale([500] * 6, [100, 101, 102, 100, 103, 104], list(range(6))).size == 1


@pytest.mark.parametrize("bads", [[0, 0, 0], [200, 200, 200]])
def test_one_class_makes_one_grade(bads: list[int]) -> None:
    assert fit_scale([200, 200, 200], bads, [0, 1, 2]).size == 1


def test_a_row_on_a_cut_is_in_the_riskier_grade() -> None:
    scale = MasterScale((-64, 64), (100, 100, 100), (1, 20, 60))
    logit = np.array([-1.0 - 1e-9, -1.0, 0.0, 1.0 - 1e-9, 1.0, 50.0, -50.0])
    assert scale.grade(logit).tolist() == [1, 2, 2, 2, 3, 3, 1]


def test_the_test_of_a_grade_says_which_way_it_fails() -> None:
    found = grade_figures([1000, 1000, 1000, 0], [100, 150, 50, 0], [0.1, 0.1, 0.1, 0.1])
    assert [item.finding for item in found] == ["as expected", "PD too low", "PD too high", None]
    assert found[3].rate is None and found[3].p_value is None and found[0].to_document()["grade"] == 1


def test_a_falling_rate_is_seen_and_an_empty_grade_is_none() -> None:
    assert is_monotone([10, 0, 10], [1, 0, 2]) and is_monotone([], [])
    assert not is_monotone([10, 0, 10], [2, 0, 1])


def test_migration_counts_every_pair() -> None:
    before, after = np.array([1, 1, 2, 3]), np.array([1, 2, 2, 1])
    matrix = migration(before, after, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert migration(before[:0], after[:0], 2).tolist() == [[0, 0], [0, 0]]
    for broken in (lambda: migration(before, after[:2], 3), lambda: migration(before, after, 2)):
        with pytest.raises(MisuseError):
            broken()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"cuts": [], "rows": [1]},
        {"cuts": [], "rows": [1], "bads": [2]},
        {"cuts": [2, 1], "rows": [1, 1, 1], "bads": [0, 0, 0]},
        {"cuts": list(range(10)), "rows": [1] * 11, "bads": [0] * 11},
        {"cuts": [True], "rows": [1, 1], "bads": [0, 0]},
        {"cuts": [1], "rows": [1], "bads": [0]},
    ],
)
def test_a_broken_scale_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="model file"):
        scale_from_document(document)


def test_no_cell_is_ours() -> None:
    with pytest.raises(MisuseError):
        fit_scale([], [], [])
