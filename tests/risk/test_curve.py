"""A bank's own calibration: it keeps every ranking, says what happened, and is refused where it would not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.curve import STRAIGHT, Curve, curve_from_document, curve_of, fit_of
from risk.errors import InputError


def scores(rows: int, seed: int, shift: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and log-odds that are off by a line."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.0, 1.3, rows)
    target = (rng.random(rows) < 1.0 / (1.0 + np.exp(-truth))).astype(np.int8)
    return target, (truth - shift) / slope


def test_a_line_takes_shift_and_slope_back() -> None:
    target, logit = scores(1500, 1, shift=1.0, slope=0.5)
    curve = curve_of(target, logit)
    assert curve.method == "platt" and (curve.rows, curve.bads) == (1500, int(target.sum()))
    assert abs(curve.slope - 0.5) < 0.1 and abs(curve.intercept - 1.0) < 0.2
    fresh, raw = scores(20_000, 2, shift=1.0, slope=0.5)
    before, after = fit_of(fresh, STRAIGHT.pd(raw)), fit_of(fresh, curve.pd(raw))
    assert before is not None and after is not None
    assert after.ece < 0.03 < 0.1 < before.ece and after.brier < before.brier


def test_many_rows_of_either_class_are_joined_blocks() -> None:
    rng = np.random.default_rng(3)
    logit = rng.normal(-1.0, 1.5, 20_000)
    # Flat in the middle, steep outside: no line can say that.
    truth = np.where(np.abs(logit + 1.0) < 1.0, -1.0, 2.0 * logit + np.where(logit > -1.0, -1.0, 3.0))
    target = (rng.random(20_000) < 1.0 / (1.0 + np.exp(-truth))).astype(np.int8)
    curve = curve_of(target[::2], logit[::2])
    assert curve.method == "isotonic" and len(curve.bends) > 3
    line = Curve("platt", 0.0, 1.5)
    ours, theirs = fit_of(target[1::2], curve.pd(logit[1::2])), fit_of(target[1::2], line.pd(logit[1::2]))
    isotonic = pytest.importorskip("sklearn.isotonic", reason="scikit-learn is the second opinion on isotonic curves")
    other = isotonic.IsotonicRegression(out_of_bounds="clip").fit(logit[::2], target[::2]).predict(logit[1::2])
    library = fit_of(target[1::2], other)
    assert ours is not None and theirs is not None and library is not None
    assert ours.brier < theirs.brier and ours.brier < library.brier + 0.0005 and ours.ece < 0.02


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000), st.integers(0, 10**6), st.floats(-3, 3), st.floats(-2, 3), st.integers(0, 4), st.booleans()
)
def test_every_curve_rises_and_comes_back(
    rows: int, seed: int, shift: float, tilt: float, digits: int, line: bool
) -> None:
    """Ties, models that mislead, one class, no row: a curve never changes who is riskier."""
    target, logit = scores(rows, seed, shift)
    curve = curve_of(target, np.round(tilt * logit, digits), line)
    grid = np.linspace(-30.0, 30.0, 2001)
    mapped = curve.logit(grid)
    assert np.isfinite(mapped).all() and (np.diff(mapped) > 0).all()
    assert curve_from_document(json.loads(json.dumps(curve.to_document()))) == curve


def test_one_class_changes_nothing() -> None:
    for target in (np.zeros(900, dtype=np.int8), np.ones(900, dtype=np.int8), np.zeros(0, dtype=np.int8)):
        curve = curve_of(target, np.linspace(-3, 3, len(target)))
        assert curve.method == "none" and np.array_equal(curve.logit(np.array([0.7])), [0.7])
    assert fit_of(np.zeros(0, dtype=np.int8), np.zeros(0)) is None


def test_a_logit_of_one_value_ends() -> None:
    target = np.tile(np.array([0, 1], dtype=np.int8), 900)
    curve = curve_of(target, np.full(1800, -2.0))
    assert abs(curve.pd(np.array([-2.0]))[0] - 0.5) < 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 0.0},
        {"slope": -1.0},
        {"slope": True},
        {"slope": None},
        {"intercept": 1e300},
        {"method": "magic"},
        {"rows": -1},
        {"rows": 1.5},
        {"bends": [[0.0, -1.0]]},
        {"bends": [[0.0, -2.0], [1.0, 5.0]]},
        {"bends": [[1.0, 0.1], [0.0, 0.1]]},
        {"bends": [[0.0, 0.1], [0.0, 0.1]]},
        {"bends": [[0.0]]},
        {"bends": [[0.0, "1"]]},
        {"bends": "none"},
        {"more": 1},
    ],
)
def test_a_calibration_that_falls_or_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="head file"):
        curve_from_document({**Curve("isotonic", 0.1, 1.0, ((0.0, 0.5),), 9, 3).to_document(), **change})


def test_a_model_that_misleads_keeps_its_ranking_and_the_mean_of_what_happened() -> None:
    target, logit = scores(1200, 5)
    curve = curve_of(target, -2.0 * logit)
    assert curve.slope == 0.05
    assert abs(float(np.mean(curve.pd(-2.0 * logit))) - float(target.mean())) < 0.02
