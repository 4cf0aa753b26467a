"""Periods that hold enough rows, months as text, and what is told of a period."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import InputError
from risk.months import month_of, month_text
from risk.stability import Period, periods, stability


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 400))
def test_periods_cover_all_rows_once(rows: list[int], least: int) -> None:
    found = periods(rows, 24000, least)
    covered = [month for period in found for month in range(period.first, period.last + 1)]
    assert covered == sorted(set(covered)) and sum(rows[month - 24000] for month in covered) == sum(rows)
    sizes = [sum(rows[p.first - 24000 : p.last - 24000 + 1]) for p in found]
    assert all(size >= least for size in sizes) or len(found) == 1
    for one, two in pairwise(found):
        assert two.first == one.last + 1


def test_an_empty_month_is_in_a_period_and_empty_ends_are_in_none() -> None:
    assert periods([0, 5, 0, 5, 0], 24000, 5) == (Period(24001, 24001), Period(24002, 24003))
    assert periods([0, 0], 24000, 5) == () and periods([], 0, 1) == ()


def test_months_are_whole_numbers() -> None:
    assert month_text(month_of(200412, "x")) == "2004-12" and month_of(200501, "x") == month_of(200412, "x") + 1
    assert Period(24059, 24059).name == "2004-12" and Period(24059, 24060).name == "2004-12..2005-01"
    for wrong in (0, 200400, 200413, 190012 - 100, 210112, -5):
        with pytest.raises(InputError, match="expected a month YYYYMM"):
            month_of(wrong, "x")


def test_a_withheld_period_says_so_and_nothing_else() -> None:
    assert stability(["2004-12"], [None], [None])[0].to_document() == {"period": "2004-12", "withheld": True}
