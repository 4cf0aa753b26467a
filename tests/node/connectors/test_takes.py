"""Every take is what a slow reading of its definition says, and nothing after the decision can change it."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.connectors.cells import MOMENT
from node.connectors.index import compute_fields
from node.connectors.settings import Connectors
from tests.node.connectors.small_bank import dictionary_of


class Record(NamedTuple):
    when: date
    lag: int
    amount: float | None
    group: str


FIELD = """
name = "t"
version = 1
title = "t"
source = "t"
[target]
field = "bad"
meaning = "bad"
[[field]]
name = "x"
dimension = "operating"
type = "number"
unit = "1"
bounds = [-1e12, 1e12]
risk_when_rising = "up"
text = "x"
"""
FIRST = date(2022, 1, 1)

records = st.lists(
    st.builds(
        Record,
        st.integers(0, 900).map(lambda days: FIRST + timedelta(days=days)),
        st.integers(0, 40),
        st.none() | st.integers(-50, 50).map(float),
        st.sampled_from("abcd"),
    ),
    max_size=30,
)
decisions = st.integers(300, 900).map(lambda days: FIRST + timedelta(days=days))


def minus(day: date, months: int) -> date:
    """Return the same day of an earlier month, or that month's last."""
    place = day.year * 12 + day.month - 1 - months
    for last in range(day.day, 0, -1):
        try:
            return date(place // 12, place % 12 + 1, last)
        except ValueError:
            continue
    raise AssertionError


def back(day: date, when: date) -> int:
    """Return how many calendar months lie between."""
    return (day.year - when.year) * 12 + day.month - when.month


def computed(take: dict[str, Any], decided: date, found: list[Record]) -> float | None:
    """Return what the index computes for one application."""
    connectors = Connectors.model_validate(
        {
            "applications": {"file": "a.csv", "application": "id", "applicant": "firm", "decided": "d"},
            "source": {"s": {"file": "s.csv", "key": "k", "as_of": "w", "known": "p", "consent_required": False}},
            "field": {"x": take if take["take"] == "ratio" else {"source": "s", **take}},
        }
    )
    late = timedelta(days=1, microseconds=-1)
    day = datetime.combine(decided, datetime.min.time())
    rows = [
        {
            "key": "f",
            "when": datetime.combine(each.when, datetime.min.time()) + late,
            "known": datetime.combine(each.when + timedelta(days=each.lag), datetime.min.time()) + late,
            "c.amount": each.amount,
            "c.group": each.group,
            "c.on": datetime.combine(each.when - timedelta(days=each.lag), datetime.min.time()),
        }
        for each in found
    ]
    schema: dict[str, Any] = {
        "key": pl.String,
        "when": MOMENT,
        "known": MOMENT,
        "c.amount": pl.Float64,
        "c.group": pl.String,
    }
    copies = {
        "applications": pl.LazyFrame({"application": ["a"], "key": ["f"], "decided": [day]}).cast({"decided": MOMENT}),
        "s": pl.LazyFrame(rows, schema={**schema, "c.on": MOMENT}),
    }
    value = compute_fields(connectors, dictionary_of(FIELD), copies).row(0, named=True)["f.x"]
    assert value is None or isinstance(value, float)
    return value


def known(decided: date, found: list[Record]) -> list[Record]:
    """Return the records whose two days both lie before the decision."""
    return [each for each in found if each.when + timedelta(days=each.lag) < decided]


def sums(decided: date, found: list[Record], months: int) -> dict[int, float]:
    """Return the sum of each calendar month back that has an amount."""
    result: dict[int, float] = defaultdict(float)
    for each in found:
        if 1 <= back(decided, each.when) <= months and each.amount is not None:
            result[back(decided, each.when)] += each.amount
    return result


def inside(decided: date, found: list[Record], months: int, value: bool = True) -> list[Record]:
    """Return the records of a window, with an amount where `value` says so."""
    start = minus(decided, months)
    return [each for each in found if each.when >= start and (each.amount is not None or not value)]


def slow_sum(decided: date, found: list[Record]) -> float | None:
    return filled_sum(inside(decided, found, 6, value=False))


def filled_sum(found: list[Record]) -> float | None:
    """Return the sum of the amounts: 0 without records, nothing where no record has an amount."""
    amounts = [each.amount for each in found if each.amount is not None]
    return sum(amounts) if amounts or not found else None


def slow_mean(decided: date, found: list[Record]) -> float | None:
    amounts = [each.amount or 0.0 for each in inside(decided, found, 6)]
    return sum(amounts) / len(amounts) if amounts else None


def slow_max(decided: date, found: list[Record]) -> float | None:
    return max((each.amount or 0.0 for each in inside(decided, found, 6)), default=None)


def slow_count(decided: date, found: list[Record]) -> float | None:
    return float(sum(each.amount is not None and each.amount > 10 for each in inside(decided, found, 6)))


def slow_days(decided: date, found: list[Record]) -> float | None:
    return float(sum(each.when >= decided - timedelta(days=90) for each in found))


def slow_distinct(decided: date, found: list[Record]) -> float | None:
    return float(len({each.group for each in inside(decided, found, 6, value=False)}))


def slow_latest(decided: date, found: list[Record]) -> float | None:
    there = [(each.when, each.amount) for each in found if each.amount is not None]
    return max(there)[1] if there else None


def slow_active(decided: date, found: list[Record]) -> float | None:
    return float(len({back(decided, each.when) for each in found if 1 <= back(decided, each.when) <= 6}))


def slow_cv(decided: date, found: list[Record]) -> float | None:
    months = [sums(decided, found, 6).get(number, 0.0) for number in range(1, 7)]
    mean = sum(months) / 6
    if mean == 0 or not sums(decided, found, 6):
        return None
    return (sum((month - mean) ** 2 for month in months) / 6) ** 0.5 / mean


def slow_growth(decided: date, found: list[Record]) -> float | None:
    middle, start = minus(decided, 6), minus(decided, 12)
    if not found or min(each.when for each in found) >= minus(decided, 11):
        return None
    after = filled_sum([each for each in found if each.when >= middle])
    before = filled_sum([each for each in found if start <= each.when < middle])
    return after / before - 1 if before and after is not None else None


def slow_months_since(decided: date, found: list[Record]) -> float | None:
    if not found:
        return None
    on = max((each.when, each.when - timedelta(days=each.lag)) for each in found)[1]
    return float(back(decided, on) - (decided.day < on.day))


def slow_top_share(decided: date, found: list[Record]) -> float | None:
    groups: dict[str, float] = defaultdict(float)
    for each in inside(decided, found, 6):
        groups[each.group] += each.amount or 0.0
    total = sum(groups.values())
    return sum(sorted(groups.values())[-2:]) / total if total else None


def slow_ratio(decided: date, found: list[Record]) -> float | None:
    under, over = slow_count(decided, found), slow_sum(decided, found)
    return over / under if under and over is not None else None


WINDOW = {"column": "amount", "months": 6}
BIG = {"column": "amount", "above": 10}
CASES: dict[str, tuple[dict[str, Any], Callable[[date, list[Record]], float | None]]] = {
    "sum": ({"take": "sum", **WINDOW}, slow_sum),
    "mean": ({"take": "mean", **WINDOW}, slow_mean),
    "max": ({"take": "max", **WINDOW}, slow_max),
    "count": ({"take": "count", "months": 6, "where": BIG}, slow_count),
    "days": ({"take": "count", "days": 90}, slow_days),
    "distinct": ({"take": "distinct", "column": "group", "months": 6}, slow_distinct),
    "latest": ({"take": "latest", "column": "amount"}, slow_latest),
    "active_months": ({"take": "active_months", "months": 6}, slow_active),
    "cv_monthly": ({"take": "cv_monthly", **WINDOW}, slow_cv),
    "growth": ({"take": "growth", **WINDOW}, slow_growth),
    "months_since": ({"take": "months_since", "column": "on"}, slow_months_since),
    "top_share": ({"take": "top_share", **WINDOW, "group": "group", "top": 2}, slow_top_share),
}


@pytest.mark.parametrize("name", list(CASES))
@settings(max_examples=25, deadline=None)
@given(decided=decisions, found=records)
def test_a_take_is_what_a_slow_reading_says(name: str, decided: date, found: list[Record]) -> None:
    take, slow = CASES[name]

    value = computed(take, decided, found)

    usable = known(decided, found)
    expected = slow(decided, usable) if usable else None
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-8) if expected is not None else value is None


@pytest.mark.parametrize("name", list(CASES))
@settings(max_examples=15, deadline=None)
@given(decided=decisions, found=records, planted=records)
def test_records_of_the_decisions_day_and_later_change_nothing(
    name: str, decided: date, found: list[Record], planted: list[Record]
) -> None:
    take, _ = CASES[name]
    moved = [each._replace(when=decided + timedelta(days=each.lag), lag=0, amount=1e6) for each in planted]
    published_late = [each._replace(when=decided - timedelta(days=9), lag=9, amount=1e6) for each in planted]

    assert computed(take, decided, found + moved + published_late) == computed(take, decided, found)


@settings(max_examples=25, deadline=None)
@given(decided=decisions, found=records)
def test_a_ratio_is_one_take_over_another(decided: date, found: list[Record]) -> None:
    of = {"source": "s", "take": "sum", **WINDOW}
    over = {"source": "s", "take": "count", "months": 6, "where": BIG}

    value = computed({"take": "ratio", "of": of, "over": over}, decided, found)

    usable = known(decided, found)
    expected = slow_ratio(decided, usable) if usable else None
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-8) if expected is not None else value is None
