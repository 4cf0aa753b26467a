"""Newton's sums: exact whole numbers in any order, and the same weights as an independent fit."""

import numpy as np
import pytest

from risk.binning import Binned
from risk.coding import Coding
from risk.elementary import sigmoid
from risk.errors import InputError
from risk.newton import contribute_newton, newton_rounds
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.rooms import books_of, number, room_dictionary, spec_of

FIELDS = ("a", "b", "c")


def room(rows: int = 3000, seed: int = 1) -> tuple[JobSpec, list[Table], list[Binned]]:
    """Return three members and three fields of four bins; risk falls with `a` and `b`, `c` only echoes `a`."""
    spec = spec_of(room_dictionary(*(number(name, (0, 4)) for name in FIELDS)), 3, holdout_ppm=0)
    tables = []
    for place in range(3):
        rng = np.random.default_rng([seed, place])
        columns = {name: rng.integers(0, 4, rows).astype(np.float64) for name in FIELDS}
        columns["c"] = np.clip(columns["a"] + rng.integers(-1, 2, rows), 0, 3).astype(np.float64)
        logit = -1.0 - 0.7 * (columns["a"] - 1.5) - 0.4 * (columns["b"] - 1.5) + 0.5 * (columns["c"] - 1.5)
        target = (rng.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
        tables.append(Table(f"m{place}", columns, target))
    woe = {"a": (-500, -100, 200, 700, 0), "b": (-400, -150, 100, 450, 0), "c": (-450, -120, 150, 500, 0)}
    binned = [Binned(Coding(name, "number", (1.0, 2.0, 3.0)), (1,) * 5, (1,) * 5, woe[name]) for name in FIELDS]
    return spec, tables, binned


def features_of(tables: list[Table], binned: list[Binned]) -> tuple[np.ndarray, np.ndarray]:
    """Return features and target by a second way: one column a field, minus WOE."""
    columns = []
    for item in binned:
        codes = np.concatenate([table.columns[item.coding.name] for table in tables]).astype(int)
        columns.append(-np.array(item.woe)[codes] / 1024.0)
    features = np.stack([np.ones(len(columns[0])), *columns], axis=1)
    return features, np.concatenate([table.target for table in tables])


def fit(ridge: int = 0) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    spec, tables, binned = room()
    books = books_of(tables, spec)
    fitted = run_plain(
        newton_rounds(spec, "full", binned, 0, ridge),
        lambda ask: np.sum([contribute_newton(ask, book) for book in books], axis=0),
    )
    assert fitted.settled and fitted.rounds <= 10
    return np.array([fitted.intercept, *fitted.weights]) / 2.0**20, fitted.dropped, features_of(tables, binned)[0]


@pytest.mark.parametrize("ridge", [0, 1000])
def test_weights_stand_where_the_slope_is_zero(ridge: int) -> None:
    """The loss is convex, so the weights are right if and only if its gradient, computed by libm, vanishes there."""
    _, tables, binned = room()
    features, target = features_of(tables, binned)
    found, dropped, _ = fit(ridge)
    assert dropped == (2,), "the echo's weight is negative beside the others"
    assert found[3] == 0.0 and found[1:3].min() > 0.1
    kept = features[:, :3]
    chance = 1.0 / (1.0 + np.exp(-kept @ found[:3]))
    slope = kept.T @ (chance - target) + 0.01 * ridge * np.array([0.0, 1.0, 1.0]) * found[:3]
    curved = (kept * (chance * (1.0 - chance))[:, None]).T @ kept
    assert np.abs(np.linalg.solve(curved, slope)).max() < 2e-6
    assert ridge == 0 or np.abs(found[1:3]).max() < np.abs(fit(0)[0][1:3]).max()


def test_a_part_is_what_python_integers_add_up_to() -> None:
    spec, tables, binned = room(rows=60)
    small = [table.select(np.arange(60)) for table in tables]
    books = books_of(small, spec)
    rounds = newton_rounds(spec, "full", binned, 0, 0)
    next(rounds)
    ask = rounds.send(np.sum([contribute_newton(_first(spec, binned), book) for book in books], axis=0))
    for table, book in zip(small, books, strict=True):
        features, target = features_of([table], binned)
        steps = np.rint(features * 1024).astype(int)
        logit = (steps.astype(object) @ ask.arrays["weights"].astype(object)).astype(np.float64) * 2.0**-30
        chance = sigmoid(logit)
        bits_r, bits_c = int(ask.parameters["residual_bits"]), int(ask.parameters["curvature_bits"])  # type: ignore[arg-type]
        residual = [int(v) for v in np.rint((chance - target) * 2.0**bits_r)]
        curvature = [int(v) for v in np.rint(chance * (1.0 - chance) * 2.0**bits_c)]
        gradient = [sum(r * int(x) for r, x in zip(residual, steps[:, j], strict=True)) for j in range(4)]
        pairs = [(j, k) for j in range(4) for k in range(j, 4)]
        hessian = [sum(h * int(x[j]) * int(x[k]) for h, x in zip(curvature, steps, strict=True)) for j, k in pairs]
        assert contribute_newton(ask, book).tolist() == gradient + hessian


def _first(spec: JobSpec, binned: list[Binned]) -> Ask:
    return next(newton_rounds(spec, "full", binned, 0, 0))


def test_rows_in_any_order_and_any_members_add_to_the_same() -> None:
    spec, tables, binned = room(rows=20_000)
    ask = _first(spec, binned)
    whole = np.sum([contribute_newton(ask, book) for book in books_of(tables, spec)], axis=0)
    order = np.random.default_rng(3).permutation(20_000)
    shuffled = [piece for table in tables for piece in (table.select(order[:7]), table.select(order[7:]))]
    assert np.array_equal(whole, np.sum([contribute_newton(ask, book) for book in books_of(shuffled, spec)], axis=0))


def test_headroom_is_proved_before_anything_is_asked() -> None:
    spec, _, binned = room()
    dictionary = spec.dictionary
    for members, max_rows, largest in [
        (256, 1 << 22, 8192),
        (10, 1 << 20, 8192),
        (1, 1000, 1024),
        (128, 1 << 23, 2000),
    ]:
        wide = [Binned(binned[0].coding, (1,) * 5, (1,) * 5, (largest, 0, 0, 0, 0))]
        ask = _first(spec_of(dictionary, members, max_rows=max_rows), wide)
        assert members * ask.bound < 2**63
        assert ask.bound == max_rows * ask.row_linf
    wide = [Binned(binned[0].coding, (1,) * 5, (1,) * 5, (8192, 0, 0, 0, 0))]
    tight = spec_of(dictionary, 127, max_rows=1 << 24)
    with pytest.raises(InputError, match="lower max_rows"):
        _first(tight, wide)


def test_the_bound_holds_for_the_worst_row() -> None:
    spec, tables, _ = room(rows=50)
    coding = Coding("a", "number", (1.0, 2.0, 3.0))
    binned = [Binned(coding, (1,) * 5, (1,) * 5, (8192, 8192, 8192, 8192, 8192))]
    spec = spec_of(spec.dictionary, 3, max_rows=50, holdout_ppm=0)
    ask = _first(spec, binned)
    for weights in ([0, 0], [2**23, 2**24], [-(2**23), 2**24]):
        arrays = {**ask.arrays, "weights": np.array(weights, dtype=np.int64)}
        worst = Ask(**{name: getattr(ask, name) for name in ASK_FIELDS} | {"arrays": arrays})
        part = contribute_newton(worst, books_of(tables, spec)[0])
        assert np.abs(part).max() <= ask.bound


ASK_FIELDS = (
    "recipe",
    "part",
    "name",
    "rows",
    "length",
    "word_bits",
    "bound",
    "row_linf",
    "row_l1",
    "parameters",
    "arrays",
)
