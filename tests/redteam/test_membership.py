"""The membership audit holds under honest noise, and would notice noise that is too small."""

import math

import pytest

from tests.redteam.membership import audit, bound, exact


def test_the_bound_is_the_known_one() -> None:
    assert bound(1.0) == pytest.approx(math.tanh(0.5), abs=1e-6)
    assert 0.0 < bound(0.1) < bound(1.0) < bound(8.0) < 1.0


def test_an_exact_model_tells_everything() -> None:
    assert exact().model == exact().sums == 1.0


def test_honest_noise_hides_the_canary() -> None:
    found = audit("1", runs=40)
    assert found.held and found.bound == pytest.approx(0.4621, abs=1e-3)


def test_noise_that_is_too_small_is_noticed() -> None:
    found = audit("1", too_little_noise=20, runs=30)
    assert not found.held and found.sums > 0.8
