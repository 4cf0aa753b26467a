"""Cells of labels: no difference of what is asked isolates fewer than fifty rows."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.score_cells import cells_of, chosen_cuts, group_cuts, shown


def histogram(seed: int, rows: int, spread: float = 60.0, middle: float = 500.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.bincount(np.clip(rng.normal(middle, spread, rows).astype(int), 0, 999), minlength=1000).astype(np.int64)


@given(st.integers(0, 10**6), st.integers(0, 3000), st.lists(st.integers(-5, 1010), max_size=9))
@settings(max_examples=40)
def test_every_cell_has_fifty_rows(seed: int, size: int, wanted: list[int]) -> None:
    rows = histogram(seed, size)
    cuts = chosen_cuts(rows, wanted)
    counts = np.bincount(cells_of(cuts), weights=rows)
    assert len(counts) == len(cuts) + 1 and (counts.min() >= 50 or len(counts) == 1)
    assert chosen_cuts(rows, wanted) == cuts


def test_a_wanted_cut_comes_before_a_fine_one() -> None:
    rows = histogram(3, 2000)
    fine = chosen_cuts(rows, [])
    wanted = fine[len(fine) // 2] + 1
    assert wanted in chosen_cuts(rows, [wanted]) and len(fine) > 20
    assert chosen_cuts(rows, fine[::5]) == fine  # cuts of a partition refine to the same partition


@given(st.integers(0, 10**6), st.lists(st.integers(0, 900), min_size=1, max_size=5), st.integers(0, 400))
@settings(max_examples=40)
def test_groups_and_the_others_together_have_fifty_rows_or_none(seed: int, sizes: list[int], rest: int) -> None:
    groups = [histogram(seed + i, size, 60.0, 480.0 + 20 * i) for i, size in enumerate(sizes)]
    left = histogram(seed + 99, rest)
    whole = np.sum(groups, axis=0) + left
    cuts = chosen_cuts(whole, [])
    own = group_cuts(groups, left, cuts)
    common = set.intersection(*map(set, own))
    seen: set[int] = set()
    for rows, mine in zip(groups, own, strict=True):
        assert set(mine) <= set(cuts) and not (set(mine) - common) & seen
        seen |= set(mine) - common if len(own) > 1 else set()
        for part in (rows, whole - rows):
            counts = np.bincount(cells_of(mine), weights=part)
            assert len(counts) == 1 or all(count == 0 or count >= 50 for count in counts)


@pytest.mark.parametrize("seed", range(6))
def test_an_attacker_who_adds_and_subtracts_finds_no_small_cell(seed: int) -> None:
    groups = [histogram(10 * seed + i, size, 20.0, 470.0 + 30 * i) for i, size in enumerate((260, 330, 240))]
    left = histogram(99 + seed, 120, 25.0)
    whole = np.sum(groups, axis=0) + left
    cuts = chosen_cuts(whole, [])
    own = group_cuts(groups, left, cuts)
    assert any(len(mine) > 1 for mine in own)
    edges, parts = [0, *cuts, 1000], [*groups, left]
    atoms = [(part, place) for part in range(4) for place in range(len(edges) - 1)]
    sizes = np.array([parts[part][edges[place] : edges[place + 1]].sum() for part, place in atoms])
    known = [[float(place == each) for _, place in atoms] for each in range(len(edges) - 1)]
    for part, mine in enumerate(own):
        for low, high in pairwise([0, *mine, 1000]):
            known.append([float(p == part and low <= edges[place] < high) for p, place in atoms])
    span = np.linalg.svd(np.array(known))
    basis = span[2][: int(np.sum(span[1] > 1e-9))]
    found = 0
    for low, high in combinations(range(len(edges)), 2):
        for count in (1, 2, 3, 4):
            for chosen in combinations(range(4), count):
                target = np.array([float(p in chosen and low <= place < high) for p, place in atoms])
                if 0 < sizes @ target < 50:
                    rest = target - basis.T @ (basis @ target)
                    assert np.abs(rest).max() > 1e-6, (low, high, chosen)
                    found += 1
    assert found > 20  # there are small cells to be hidden


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(100, 200))
def test_what_is_withheld_cannot_be_subtracted(rows: list[int], least: int) -> None:
    visible = shown(rows, least)
    hidden = sum(count for count, seen in zip(rows, visible, strict=True) if not seen)
    assert all(count >= least for count, seen in zip(rows, visible, strict=True) if seen)
    assert not any(visible) or hidden == 0 or hidden >= least


def test_one_small_group_takes_the_smallest_with_it() -> None:
    assert shown([500, 30, 200], 100) == (True, False, False)
    assert shown([500, 200], 100) == (True, True) and shown([30], 100) == (False,) and shown([], 100) == ()
