"""Evidence from noisy counts: close to the truth where counts are clear, nothing where they are noise."""

from dataclasses import replace

import numpy as np
import pytest

from risk.binning import BinRules
from risk.private_bins import ask_cells, contribute_cells, noisy_counts, private_bins, public_codings, totals
from risk.scorecard import ScorecardRecipe
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.private_rooms import private_books
from tests.risk.rooms import category, flag, number, room_dictionary, spec_of

RULES = BinRules(min_chi2=100)


def room(rows: int = 20_000) -> tuple[JobSpec, Table]:
    """Return one member: risk rises with `late` and by trade, `noise` says nothing."""
    dictionary = room_dictionary(
        number("late", (0, 10), "up"), number("noise", (0, 1000), "free"), flag("f"), category("trade", 5)
    )
    spec = replace(spec_of(dictionary, 4, holdout_ppm=0), multiplier=1_000_000)
    rng = np.random.default_rng(2)
    trade = rng.integers(0, 5, rows).astype(np.int16)
    late = rng.integers(0, 10, rows).astype(np.float64)
    logit = -2.0 + 0.3 * (late - 4.5) + 0.5 * (trade == 2)
    columns: dict[str, np.ndarray] = {
        "late": late,
        "noise": rng.uniform(0, 1000, rows),
        "f": rng.integers(0, 2, rows).astype(np.float64),
        "trade": trade,
    }
    return spec, Table("b", columns, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8))


def sums_of(noise: float, seed: int = 0) -> tuple[JobSpec, Table, np.ndarray]:
    spec, table = room()
    ask = ask_cells(spec, public_codings(spec))
    part = contribute_cells(ask, private_books([table], spec)[0])
    return spec, table, part + np.rint(np.random.default_rng(seed).normal(0, noise, len(part))).astype(np.int64)


def test_counts_without_noise_are_the_rows() -> None:
    spec, table, sums = sums_of(0)
    codings = public_codings(spec)
    for coding, item in zip(codings, noisy_counts(codings, sums, 0.0), strict=True):
        codes = coding.codes(table.columns[coding.name])
        assert item.bads == tuple(np.bincount(codes[table.target == 1], minlength=coding.bins))
        assert item.goods == tuple(np.bincount(codes[table.target == 0], minlength=coding.bins))
    rows, rate = totals(noisy_counts(codings, sums, 0.0))
    assert (rows, rate) == pytest.approx((table.rows, table.target.mean()))


def test_a_field_with_more_cells_counts_louder() -> None:
    spec, _, sums = sums_of(0)
    noisy = {item.coding.name: item.variance for item in noisy_counts(public_codings(spec), sums, 1e6)}
    assert noisy["late"] < noisy["trade"] < noisy["f"]


@pytest.mark.parametrize(("noise", "error"), [(0.0, 0.2), (1000.0, 0.45)])
def test_evidence_is_near_the_truth_and_monotone(noise: float, error: float) -> None:
    spec, table, sums = sums_of(noise)
    binned, _, _ = private_bins(spec, public_codings(spec), sums, noise * noise, RULES)
    late = binned[0]
    woe = np.array(late.woe[: late.coding.ordinary]) / 1024.0
    assert late.reason is None and (np.diff(woe) < 0).all() and 3 <= len(woe) <= 8
    codes = late.coding.codes(table.columns["late"])
    for place, value in enumerate(woe):
        goods, bads = (np.count_nonzero(table.target[codes == place] == label) for label in (0, 1))
        odds = np.count_nonzero(table.target == 0) / np.count_nonzero(table.target)
        assert abs(value - np.log(goods / bads / odds)) < error


def test_noise_alone_is_no_evidence() -> None:
    """The same field under heavier noise keeps less and less of its evidence, and in the end none."""
    spread = []
    for noise in (0.0, 3_000.0, 30_000.0, 10_000_000.0):
        spec, _, sums = sums_of(noise, 4)
        binned, _, _ = private_bins(spec, public_codings(spec), sums, noise * noise, RULES)
        spread.append(max((max(map(abs, item.woe), default=0) for item in binned), default=0) / 1024.0)
    assert spread[0] > 1.0 and spread[3] < 0.7 and spread[3] < spread[0]


def test_the_exact_recipe_is_untouched_by_the_private_one() -> None:
    spec, table = room(2000)
    exact = replace(spec, multiplier=0)
    assert [ask for ask in [next(ScorecardRecipe().rounds(exact))] if ask.noise == 0 and ask.name == "sketch-1"]
    assert next(ScorecardRecipe().rounds(spec)).name == "bin-counts" and table.rows == 2000
