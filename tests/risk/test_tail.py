"""Tail probabilities against SciPy's."""

import numpy as np
import pytest

from risk.errors import MisuseError
from risk.tail import beta_share, chi_square_tail, normal_tail

stats = pytest.importorskip("scipy.stats", reason="SciPy is the second opinion on tails")


def test_chi_square_tails_are_scipys() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        degrees, value = int(rng.integers(1, 60)), float(rng.exponential(20.0))
        assert chi_square_tail(value, degrees) == pytest.approx(float(stats.chi2.sf(value, degrees)), abs=1e-12)
    assert chi_square_tail(0.0, 3) == 1.0 and chi_square_tail(1e4, 3) == 0.0


def test_beta_shares_are_scipys() -> None:
    rng = np.random.default_rng(2)
    for _ in range(500):
        rows = int(10 ** rng.uniform(0, 6))
        bads = int(rng.integers(0, rows + 1))
        value = float(np.clip((bads + 0.5) / (rows + 1) * rng.normal(1.0, 0.1), 0.0, 1.0))
        expected = float(stats.beta.cdf(value, bads + 0.5, rows - bads + 0.5))
        assert beta_share(value, bads + 0.5, rows - bads + 0.5) == pytest.approx(expected, abs=1e-8)
    assert beta_share(0.0, 1.0, 1.0) == 0.0 and beta_share(1.0, 1.0, 1.0) == 1.0


def test_normal_tails_are_scipys() -> None:
    for value in (-3.0, 0.0, 1.645, 8.0):
        assert normal_tail(value) == pytest.approx(float(stats.norm.sf(value)), rel=1e-12)


def test_impossible_arguments_are_ours() -> None:
    for broken in (
        lambda: chi_square_tail(1.0, 0),
        lambda: chi_square_tail(-1.0, 2),
        lambda: beta_share(0.5, 0.0, 1.0),
    ):
        with pytest.raises(MisuseError):
            broken()
