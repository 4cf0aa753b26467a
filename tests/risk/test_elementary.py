"""Elementary functions against decimal arithmetic, and bits that may never change."""

import hashlib
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.elementary import exp, ln, ln_steps, sigmoid, sigmoid_of, solve_positive
from risk.errors import MisuseError


@given(st.floats(-700, 700))
def test_exp_is_right_to_two_units_in_the_last_place(value: float) -> None:
    getcontext().prec = 40
    exact = Decimal(value).exp()
    found = float(exp(np.array([value]))[0])
    assert abs(Decimal(found) - exact) <= 2 * Decimal(float(np.spacing(found)))


@given(st.floats(-750, 750))
def test_sigmoid_is_right_and_symmetric(value: float) -> None:
    getcontext().prec = 60
    found = float(sigmoid(np.array([value]))[0])
    clipped = Decimal(max(min(value, 700.0), -700.0))
    exact = 1 / (1 + (-clipped).exp())
    assert abs(Decimal(found) - exact) <= 4 * Decimal(float(np.spacing(found)))
    assert 0.0 <= found <= 1.0
    assert found + float(sigmoid(np.array([-value]))[0]) == pytest.approx(1.0, abs=1e-15)


def test_one_sigmoid_has_the_bits_of_many() -> None:
    values = np.concatenate(
        [np.random.default_rng(3).normal(0.0, 9.0, 5000), [0.0, -0.0, 700.0, -800.0, 1e300, -1e300]]
    )
    assert [sigmoid_of(value) for value in values.tolist()] == sigmoid(values).tolist()


def test_sigmoid_rises() -> None:
    steps = sigmoid(np.arange(-40_000, 40_001) / 1000.0)
    assert (np.diff(steps) >= 0.0).all()
    assert sigmoid(np.zeros(1))[0] == 0.5


def test_the_bits_never_change() -> None:
    """A known answer over 100 001 arguments: another processor or library version must give the same bytes."""
    raw = sigmoid(np.arange(-50_000, 50_001) / 1024.0).astype("<f8").tobytes()
    assert hashlib.sha256(raw).hexdigest() == "dd1c1d12150f92343144fa219baf7e801230b3052cab5b3884940fdcae47c08c"


def test_logarithms_on_a_grid() -> None:
    assert ln(1) == 0.0
    assert ln(30) == pytest.approx(3.4011973816621555, abs=0)
    assert ln_steps(2, 1, 10) == 710
    assert ln_steps(1, 2, 10) == -710
    assert ln_steps(10**30, 10**30 - 1, 10) == 0
    for top, bottom in [(0, 1), (1, 0), (-1, 1)]:
        with pytest.raises(MisuseError):
            ln(top, bottom)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(0, 30))
def test_logarithm_steps_agree_with_numpy(top: int, bottom: int, bits: int) -> None:
    assert abs(ln_steps(top, bottom, bits) / 2.0**bits - float(np.log(top / bottom))) <= 0.5 / 2.0**bits + 1e-8


@given(st.integers(1, 12), st.integers(0, 2**31), st.floats(0.0, 30.0))
def test_solving_against_numpy(size: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(size + 3, size)) * np.exp2(rng.uniform(-spread, spread, size))
    matrix, right = half.T @ half, rng.normal(size=size)
    scale = 1.0 / np.sqrt(np.diag(matrix))
    matrix += np.diag(0.01 / scale**2)
    found = solve_positive(matrix, right)
    expected = scale * np.linalg.solve(matrix * np.outer(scale, scale), scale * right)
    assert np.allclose(found / scale, expected / scale, rtol=1e-7, atol=1e-9 * np.abs(expected / scale).max())


def test_a_matrix_that_is_not_positive_is_refused() -> None:
    with pytest.raises(MisuseError, match="pivot 1 of 2"):
        solve_positive(np.array([[1.0, 1.0], [1.0, 1.0]]), np.ones(2))
    with pytest.raises(MisuseError, match="pivot 0 of 1"):
        solve_positive(np.zeros((1, 1)), np.ones(1))
