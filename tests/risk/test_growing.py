"""The best split: what a search over every place and both sides of missing finds, and when there is none."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.coding import Coding
from risk.forest import Column
from risk.growing import Growth, Rules, Sums, Tree, grow

PLACES = 4


def growth(rising: tuple[int, ...] = (0, 0), **rules: float) -> Growth:
    """Return a growth over columns of four places, two dimensions taking turns."""
    columns = tuple(
        Column(
            Coding(f"f{n}", "number", (1.0, 2.0, 3.0)), ((0,), (1,), (2,), (3,)), ("operating", "credit")[n % 2], way
        )
        for n, way in enumerate(rising)
    )
    chosen = {"depth": 3, "least_weight": 0.5, "penalty": 1.0, "rate": 0.1, "least_rows": 2, "least_child": 1, **rules}
    return Growth(columns, Rules(**chosen, confined=True))  # type: ignore[arg-type]


def sums_of(cells: np.ndarray) -> Sums:
    """Return one node's sums of rows: (n_rows, 4) of two columns' places, gradient and Hessian in steps of 1/64."""
    shape = (2, PLACES + 1)
    gradient, hessian, rows = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for first, second, slope, curve in cells.tolist():
        for column, place in enumerate((first, second)):
            gradient[column, place] += slope / 64
            hessian[column, place] += curve / 64
            rows[column, place] += 1
    return Sums(gradient[None], hessian[None], rows[None], (0, 1))


def exhaustive(grown: Growth, sums: Sums, bounds: tuple[float, float]) -> float:
    """Return the largest gain of any split that may be made, by plain loops; 0 for none."""
    rules, best, each = grown.rules, 0.0, [array[0] for array in sums.each]

    def value(gradient: float, hessian: float) -> tuple[float, float]:
        weight = min(max(-gradient / (hessian + rules.penalty), bounds[0]), bounds[1])
        return -(2 * gradient * weight + (hessian + rules.penalty) * weight**2), weight

    total = [float(array[0].sum()) for array in each]
    for column, cut, missing_left in product(range(2), range(-1, PLACES), (False, True)):
        left = [float(array[column, : cut + 1].sum() + (array[column, -1] if missing_left else 0)) for array in each]
        right = [whole - part for whole, part in zip(total, left, strict=True)]
        if min(left[1], right[1]) < rules.least_weight or min(left[2], right[2]) < 1:
            continue
        (low_gain, low), (high_gain, high) = value(left[0], left[1]), value(right[0], right[1])
        way = grown.columns[column].rising
        if (way > 0 and low > high) or (way < 0 and low < high):
            continue
        best = max(best, low_gain + high_gain - value(total[0], total[1])[0])
    return best


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-64, 64), st.integers(1, 16)), min_size=2, max_size=40
)


@settings(max_examples=200)
@given(rows, st.tuples(st.integers(-1, 1), st.integers(-1, 1)), st.sampled_from([(-np.inf, np.inf), (-0.2, 0.3)]))
def test_the_best_split_is_what_an_exhaustive_search_finds(
    drawn: list[tuple[int, int, int, int]], rising: tuple[int, int], bounds: tuple[float, float]
) -> None:
    grown, sums = growth(rising), sums_of(np.array(drawn))
    best, (split,) = exhaustive(grown, sums, bounds), grown.best(sums, np.array([bounds]))
    if split is None:
        assert best <= 2e-6
        return
    codes = np.array(drawn)[:, split.column]
    left = np.where(codes == PLACES, split.missing_left, codes <= split.cut)
    assert (int(left.sum()), int((~left).sum())) == (split.left[2], split.right[2])
    gains = []
    for side in (split.left, split.right):
        weight = grown.weight(side[0], side[1], *bounds)
        gains.append(-(2 * side[0] * weight + (side[1] + 1.0) * weight**2))
    parent = sums.gradient[0, 0].sum(), sums.hessian[0, 0].sum()
    weight = grown.weight(*parent, *bounds)
    gain = sum(gains) + 2 * parent[0] * weight + (parent[1] + 1.0) * weight**2
    assert abs(gain - best) <= 1e-6 * max(1.0, abs(best))


def test_a_sibling_is_the_parent_less_the_other_child() -> None:
    cells = np.array([(0, 3, -64, 8), (0, 2, -50, 8), (3, 1, 64, 8), (3, 0, 60, 8), (3, 4, 10, 8), (1, 1, -30, 8)] * 4)
    grown = growth()
    tree = Tree(grown)
    grow([(tree, sums_of(cells))])
    assert tree.scope == (0,) and len(tree.wanted) == 1
    array = tree.array(1.0)
    asked = cells[(cells[:, 0] <= array[0, 1]) == (tree.wanted[0] == array[0, 3])]
    other = cells[(cells[:, 0] <= array[0, 1]) != (tree.wanted[0] == array[0, 3])]
    assert len(asked) <= len(other)
    whole, part, rest = sums_of(cells), sums_of(asked), sums_of(other)
    derived = whole.picked([0], (0,)).minus(part.picked([0], (0,)))
    assert np.array_equal(derived.gradient, rest.gradient[:, :1]) and np.array_equal(derived.rows, rest.rows[:, :1])


def test_a_node_with_few_rows_or_no_gain_stays_a_leaf() -> None:
    cells = np.array([(0, 0, -60, 8), (3, 3, 60, 8)] * 5)
    for grown, drawn in ((growth(least_rows=11), cells), (growth(least_weight=9.0), cells), (growth(), cells[::2])):
        tree = Tree(grown)
        grow([(tree, sums_of(drawn))])
        assert tree.wanted == () and tree.array(1.0).shape == (1, 6)


def test_a_monotone_split_bounds_what_grows_below_it() -> None:
    grown = growth((1, 0), depth=2)
    cells = np.array([(0, 0, 40, 8), (1, 1, -40, 8), (2, 2, -60, 8), (3, 3, -64, 8)] * 8)
    tree = Tree(grown)
    while tree.wanted:
        codes = cells[:, 0] if tree.scope == (0,) else None
        node = np.zeros(len(cells), dtype=np.int64)
        array = tree.array(1.0)
        if codes is not None:
            node = np.where(codes <= array[0, 1], array[0, 3], array[0, 4])
        picked = [sums_of(cells[node == number]).picked([0], tree.scope) for number in tree.wanted]
        grow([(tree, picked[0].beside(*picked[1:]))])
    steps = tree.array(2.0**30)
    leaves = {}
    for code in range(4):
        place = 0
        while steps[place, 3]:
            place = steps[place, 3] if code <= steps[place, 1] else steps[place, 4]
        leaves[code] = steps[place, 5]
    assert [leaves[code] for code in range(4)] == sorted(leaves.values())


@settings(max_examples=100)
@given(st.lists(rows, min_size=2, max_size=6), st.tuples(st.integers(-1, 1), st.integers(-1, 1)))
def test_trees_that_are_searched_together_split_as_each_would_alone(
    drawn: list[list[tuple[int, int, int, int]]], rising: tuple[int, int]
) -> None:
    grown = growth(rising)
    sums = [sums_of(np.array(each)) for each in drawn]
    alone = [Tree(grown) for _ in sums]
    for pair in zip(alone, sums, strict=True):
        grow([pair])
    beside = [Tree(grown) for _ in sums]
    grow(list(zip(beside, sums, strict=True)))
    for one, other in zip(alone, beside, strict=True):
        assert np.array_equal(one.array(1.0), other.array(1.0)) and one.wanted == other.wanted
