"""The sketch: keys keep the order, cuts fall near the quantiles of awkward columns, and stay readable."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from risk.recipe import Ask, run_plain
from risk.sketch import Axis, contribute_sketch, shortest_decimal, sketch_rounds
from risk.table import Table
from tests.risk.rooms import books_of, number, room_dictionary, spec_of

ROWS = 4000


def cuts_of(values: np.ndarray, bounds: tuple[float, float], special: tuple[float, ...] = ()) -> tuple[float, ...]:
    dictionary = room_dictionary(number("x", bounds, "free", special=list(special)))
    halves = np.array_split(values.astype(np.float64), 2)
    tables = [Table(f"m{i}", {"x": half}, np.zeros(len(half), dtype=np.int8)) for i, half in enumerate(halves)]
    spec = spec_of(dictionary, 2, holdout_ppm=0)
    books = books_of(tables, spec)
    asks: list[Ask] = []

    def total(ask: Ask) -> np.ndarray:
        asks.append(ask)
        return np.sum([contribute_sketch(ask, book) for book in books], axis=0)

    cuts: dict[str, tuple[float, ...]] = run_plain(sketch_rounds(spec, "full", "train"), total)
    assert 1 <= len(asks) <= 4 and sum(4 * ask.length for ask in asks) <= 8192
    return cuts["x"]


COLUMNS = {
    "wide bounds, median a million": (lambda g: np.exp(13.8 + 1.5 * g.normal(size=ROWS)), (0.0, 1e12)),
    "heavy tail": (lambda g: np.minimum(g.pareto(0.7, ROWS) * 10, 1e12), (0.0, 1e12)),
    "both signs": (lambda g: np.clip(g.normal(0, 60_000, ROWS), -400_000, 2_000_000), (-400_000.0, 2_000_000.0)),
    "shares": (lambda g: g.random(ROWS), (0.0, 1.0)),
    "narrow in wide bounds": (lambda g: 1e6 + g.random(ROWS), (0.0, 1e12)),
    "years": (lambda g: g.uniform(1990, 2020, ROWS), (1900.0, 2100.0)),
    "all negative": (lambda g: -np.exp(g.normal(size=ROWS)), (-1e9, -1e-9)),
    "tiny": (lambda g: 1e-7 * g.random(ROWS), (0.0, 1.0)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_cuts_fall_near_the_twentieths(name: str) -> None:
    make, bounds = COLUMNS[name]
    values = make(np.random.default_rng(5))
    cuts = cuts_of(values, bounds)
    shares = np.diff(np.searchsorted(np.sort(values), [-np.inf, *cuts, np.inf])) / ROWS
    assert 17 <= len(cuts) <= 20
    assert shares.max() <= 0.085
    assert shares[:-1].min() >= 0.03


def test_repeated_values_stay_whole() -> None:
    generator = np.random.default_rng(6)
    values = np.where(generator.random(ROWS) < 0.85, 0.0, np.rint(np.exp(generator.normal(2.4, 1.0, ROWS))))
    cuts = cuts_of(values, (0.0, 3650.0))
    assert 0.0 < cuts[0] <= 1.0
    assert 2 <= len(cuts) <= 5


def test_integers_are_told_apart() -> None:
    values = np.random.default_rng(7).integers(-2, 9, ROWS).astype(np.float64)
    cuts = cuts_of(values, (-2.0, 9.0))
    assert np.array_equal(np.searchsorted(cuts, np.arange(-2, 9), side="right"), np.arange(11))


@pytest.mark.parametrize(
    ("low", "high"), [(0.95, float(np.nextafter(1.0, 0.0))), (1.0, 1.0001), (-0.5, -1e-12), (0.0, 1e-9)]
)
def test_a_cut_never_moves_across_a_heavy_value(low: float, high: float) -> None:
    (cut,) = cuts_of(np.tile([low, high], ROWS // 2), (-2.0, 2.0))
    assert low < cut <= high


def test_special_and_missing_values_are_not_on_the_axis() -> None:
    values = np.random.default_rng(8).random(ROWS)
    values[::2] = np.tile([-999.0, np.nan], ROWS // 4)
    cuts = cuts_of(values, (-1000.0, 1.0), special=(-999.0,))
    shares = np.diff(np.searchsorted(np.sort(values[1::2]), [-np.inf, *cuts, np.inf])) / (ROWS // 2)
    assert shares.max() <= 0.085 and min(cuts) > 0.0


def test_nothing_to_cut() -> None:
    assert cuts_of(np.full(ROWS, np.nan), (0.0, 1.0)) == ()
    assert cuts_of(np.full(ROWS, 3.0), (0.0, 10.0)) == ()
    assert len(cuts_of(np.tile([0.0, 10.0], ROWS // 2), (0.0, 10.0))) == 1


def test_cuts_read_well() -> None:
    cuts = cuts_of(np.exp(13.8 + 1.5 * np.random.default_rng(9).normal(size=ROWS)), (0.0, 1e12))
    assert all(len(f"{cut:.0f}".rstrip("0")) <= 4 for cut in cuts)


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15), st.floats(-1e15, 1e15))
def test_keys_keep_the_order(low: float, high: float, value: float) -> None:
    assume(low < high)
    axis = Axis(low, high)
    inside = min(max(value, low), high)
    other = np.nextafter(inside, high)
    assert axis.key(low) <= axis.key(inside) <= axis.key(float(other)) <= axis.key(high)
    back = axis.value(axis.key(inside))
    assert abs(back - inside) <= max(abs(low), abs(high)) * 2.0**-63
    cells = axis.cells()
    assert cells[0][0] == axis.key(low) and cells[-1][1] == axis.key(high) + 1
    assert all(left[1] == right[0] for left, right in pairwise(cells))


@given(st.floats(-1e12, 1e12), st.floats(0, 1e9), st.floats(0, 1))
def test_the_shortest_decimal_is_inside(low: float, width: float, share: float) -> None:
    high = low + width
    found = shortest_decimal(low, high, low + share * width)
    assert low <= found <= high


@pytest.mark.parametrize(
    ("low", "high", "near", "expected"),
    [
        (0.3, 0.7, 0.5, 0.5),
        (12_345.0, 12_512.0, 12_480.0, 12_500.0),
        (-3.0, 4.0, 2.0, 0.0),
        (1.0001, 1.9999, 1.5, 1.5),
        (-0.0078, -0.0071, -0.0075, -0.0075),
        (99.7, 101.2, 101.0, 100.0),
        (5.0, 5.0, 5.0, 5.0),
    ],
)
def test_shortest_decimals(low: float, high: float, near: float, expected: float) -> None:
    assert shortest_decimal(low, high, near) == expected
