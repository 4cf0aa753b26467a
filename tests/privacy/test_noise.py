"""Noise that is exactly Skellam: its masses, its tails, its variance in a sum, and no two shares alike."""

import math
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest

from privacy.errors import MisuseError
from privacy.noise import MAX_VARIANCE, _invert, _masses, _table, noise_bound, share_variance, skellam
from privacy.roster import Roster, fewest_honest
from tests.privacy.table import names_of
from tests.privacy.test_accountant import skellam_masses

KEY = bytes(range(32))
ONE = [-2, -1, 1, -3, 0, 0, -1, -1]
MILLION = [-1623, -1086, 1191, -2434, 76, 270, -761, -1369]
MANY = "64f2c2278d2d331e7eb6fe4d1cec7c6a90e085197b6a49514ad2c295dff0b640"


@pytest.mark.parametrize("variance", [1, 2, 7, 100, 900])
def test_masses_are_those_of_two_poisson_variables(variance: int) -> None:
    masses = _masses(variance)
    total = masses[0] + 2 * sum(masses[1:])
    reach = min(noise_bound(variance), 12 * math.isqrt(variance) + 12)
    expected = skellam_masses(variance, reach)[reach:]
    found = np.array([float(Fraction(mass, total)) for mass in masses[: reach + 1]])
    seen = expected > 1e-15  # what a convolution in floating point still gives to many digits
    assert np.allclose(found[seen], expected[seen], rtol=1e-9)


@pytest.mark.parametrize("variance", [1, 2, 3, 10, 99, 10**4, 10**6, MAX_VARIANCE])
def test_less_than_two_to_the_minus_128_lies_beyond_the_bound(variance: int) -> None:
    """By Chernoff: P(X >= k) <= exp(-(k asinh(k / v) - sqrt(k^2 + v^2) + v)), on both sides."""
    bound = noise_bound(variance)
    exponent = bound * math.asinh(bound / variance) - bound**2 / (math.sqrt(bound**2 + variance**2) + variance)
    assert exponent > math.log(2) * 129


@pytest.mark.parametrize("variance", [1, 30, 2500])
def test_draws_fit_their_distribution(variance: int) -> None:
    """Chi-square over cells of at least 50 expected draws; one fixed key, so the figure never changes."""
    draws = skellam(KEY, 200_000, variance)
    reach = noise_bound(variance)
    expected = skellam_masses(variance, reach) * len(draws)
    counted = np.bincount(draws + reach, minlength=2 * reach + 1)
    often = expected >= 50
    cells = np.append(expected[often], expected[~often].sum())
    found = np.append(counted[often], counted[~often].sum())
    statistic = float(((found - cells) ** 2 / np.maximum(cells, 1)).sum())
    freedom = len(cells) - 1
    # Five standard deviations of the chi-square distribution.
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)
    assert abs(draws).max() <= noise_bound(variance)


@pytest.mark.parametrize("variance", [1, 64, 10**6, 2**28, MAX_VARIANCE])
def test_mean_and_variance(variance: int) -> None:
    draws = skellam(KEY, 2**18 + 1000, variance).astype(np.float64)
    error = 5 / math.sqrt(len(draws))
    assert abs(draws.mean()) < error * math.sqrt(variance)
    assert abs(draws.var() / variance - 1) < error * math.sqrt(2 + 1 / variance)


def test_a_tie_of_the_first_words_is_decided_by_the_second() -> None:
    upper, lower = _table(400)
    spread = np.flatnonzero((upper > 0) & (upper < 2**64 - 1) & (lower > 0))[::7]
    at, below = _invert(upper[spread], lower[spread], 400), _invert(upper[spread], lower[spread] - np.uint64(1), 400)
    assert np.array_equal(at, spread + 1 - noise_bound(400))
    assert np.array_equal(below, spread - noise_bound(400))


def test_the_ends_of_the_table() -> None:
    words = np.array([0, 2**64 - 1], dtype=np.uint64)
    low, high = _invert(words, words, 400)
    assert -noise_bound(400) <= low < -200 < 200 < high <= noise_bound(400)


def test_one_key_one_share() -> None:
    other = bytes(reversed(KEY))
    long = skellam(KEY, 2**18 + 10, 100)
    assert np.array_equal(long, skellam(KEY, 2**18 + 10, 100))
    assert np.array_equal(long[:10], skellam(KEY, 10, 100))
    assert not np.array_equal(long[: 2**10], skellam(other, 2**10, 100))
    assert not np.array_equal(long[:10], long[2**18 :])
    assert abs(np.corrcoef(long[: 2**16], skellam(other, 2**16, 100))[0, 1]) < 0.02


def test_the_draws_of_one_key_never_change() -> None:
    """Written down once, so that a round can be replayed on any machine and by any later version."""
    assert skellam(KEY, 8, 1).tolist() == ONE
    assert skellam(KEY, 8, 10**6).tolist() == MILLION
    assert sha256(skellam(KEY, 2**18 + 5, 900).astype("<i8").tobytes()).hexdigest() == MANY


def test_no_noise_is_zeros() -> None:
    assert noise_bound(0) == 0 and not skellam(KEY, 5, 0).any()
    assert share_variance(0, 5) == 0


@pytest.mark.parametrize("count", range(4, 257))
def test_honest_members_of_the_smallest_cohort_reach_the_variance(count: int) -> None:
    roster = Roster(tuple(names_of(count)))
    assert fewest_honest(count) == roster.smallest_cohort - roster.colluders >= 3
    assert share_variance(1001, count) * fewest_honest(count) >= 1001
    assert (share_variance(1001, count) - 1) * fewest_honest(count) < 1001


def test_what_makes_no_noise_is_misuse() -> None:
    for key, variance in ((KEY[:31], 1), (KEY, -1), (KEY, MAX_VARIANCE + 1)):
        with pytest.raises(MisuseError, match="no noise"):
            skellam(key, 1, variance)
    for variance in (-1, 3 * MAX_VARIANCE + 1):
        with pytest.raises(MisuseError, match="variance"):
            share_variance(variance, 5)
