"""Windows that may both be asked are equal or apart in every room: no subtraction leaves rows that nobody asked for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.book import Book
from risk.model import Model
from risk.spec import JobSpec
from risk.table import Table
from risk.validation_plan import plan_of, selected_rows
from risk.validation_windows import clash, windows_of
from tests.risk.validation_rooms import dated_dictionary, dated_tables, train_model, validation_spec

DICTIONARY = dated_dictionary()
MONTHS = [f"{year}{month:02d}" for year in (2004, 2005) for month in range(1, 13)]


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return dated_tables(DICTIONARY, (900, 700, 600, 400), 3)


@pytest.fixture(scope="module")
def models(tables: list[Table]) -> list[Model]:
    """Return models that saw all months, those until June 2005, and those until July 2005."""
    seen: list[dict[str, int]] = [{}, {"train_until": 200506}, {"train_until": 200507}]
    return [train_model("scorecard", tables, DICTIONARY, **each) for each in seen]


def spec(models: list[Model], tables: list[Table], **more: Any) -> JobSpec:
    return validation_spec(models, tables, DICTIONARY, more)


ROWS = st.one_of(
    st.sampled_from([{"rows": "all"}, {"rows": "holdout"}, {"rows": "out-of-time"}]),
    st.lists(st.sampled_from(MONTHS), min_size=2, max_size=2).map(
        lambda pair: {"rows": "months", "month_from": int(min(pair)), "month_to": int(max(pair))}
    ),
)


@settings(max_examples=150)
@given(ROWS, ROWS, st.integers(0, 2), st.integers(0, 2))
def test_rows_that_do_not_clash_are_the_same_apart_or_differ_by_a_draw(
    tables: list[Table], models: list[Model], one: dict[str, Any], two: dict[str, Any], first: int, second: int
) -> None:
    if ("out-of-time" in one.values() and not first) or ("out-of-time" in two.values() and not second):
        return  # such a job is refused before
    specs = spec([models[first]], tables, **one), spec([models[second]], tables, **two)
    windows = [windows_of(each) for each in specs]
    assert clash(*windows) == clash(*windows[::-1])
    if clash(*windows):
        return
    masks = [selected_rows(plan_of(each), Book(table, each)) for table in tables for each in specs]
    for place in range(0, len(masks), 2):
        mine, theirs = (mask[: len(window)] for mask, window in zip(masks[place : place + 2], windows, strict=True))
        for rows, window in zip(mine, windows[0], strict=True):
            for others, other in zip(theirs, windows[1], strict=True):
                if window.draws == other.draws:
                    assert np.array_equal(rows, others) or not (rows & others).any()


@pytest.mark.parametrize(
    ("one", "two", "clashes"),
    [
        ({"rows": "all"}, {"rows": "all"}, False),
        ({"rows": "all"}, {"rows": "all", "cutoff_pd_ppm": 100_000}, False),
        ({"rows": "all"}, {"rows": "all", "least_rows": 150}, True),
        ({"rows": "holdout"}, {"rows": "holdout", "period_rows": 400}, True),
        ({"rows": "all"}, {"rows": "months", "month_from": 200401, "month_to": 200512}, True),
        ({"rows": "holdout"}, {"rows": "all"}, False),
        ({"rows": "months", "month_from": 200401, "month_to": 200406},
         {"rows": "months", "month_from": 200407, "month_to": 200412}, False),
        ({"rows": "months", "month_from": 200401, "month_to": 200406},
         {"rows": "months", "month_from": 200406, "month_to": 200412}, True),
        ({"rows": "months", "month_from": 200401, "month_to": 200406},
         {"rows": "months", "month_from": 200407, "month_to": 200412, "period_rows": 400}, False),
    ],
)  # fmt: skip
def test_what_may_be_asked_beside_what(
    tables: list[Table], models: list[Model], one: dict[str, Any], two: dict[str, Any], clashes: bool
) -> None:
    """Of one model, and of two that hold out the same rows, alike."""
    other = train_model("scorecard", tables, DICTIONARY, max_bins=3)
    for second in (models[0], other):
        assert clash(windows_of(spec([models[0]], tables, **one)), windows_of(spec([second], tables, **two))) == clashes


def test_rows_after_another_last_training_month_clash(tables: list[Table], models: list[Model]) -> None:
    june, july = (spec([model], tables, rows="out-of-time") for model in models[1:])
    assert clash(windows_of(june), windows_of(july)) and not clash(windows_of(june), windows_of(june))
    # The hold-out beside has no groups of its own, so it stands beside a hold-out of any limits.
    held = spec([models[1]], tables, rows="holdout", period_rows=400)
    assert not clash(windows_of(june), windows_of(held)) and clash(windows_of(july), windows_of(held))
