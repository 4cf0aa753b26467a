"""Announced noise: never below what was promised, and the same count of honest members as the protocol's."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.roster import fewest_honest
from risk.recipe import Ask
from risk.release import Release, noise_variance, opened_variance, word_bits
from tests.risk.rooms import room_dictionary, spec_of


@given(st.integers(1, 10**9), st.integers(1, 10**5), st.integers(1, 2**40))
def test_the_variance_is_never_below_the_promise_nor_a_unit_above(z: int, weight: int, squared: int) -> None:
    promised = Fraction(z, 10**6) ** 2 * Fraction(weight, 1000) ** 2 * squared
    assert promised <= noise_variance(z, weight, squared) < promised + 1


def test_known_answer() -> None:
    assert noise_variance(3_000_000, 2_000, 100) == 3600
    assert Release("n", "train", 10, 100, 1, 2_000).variance(3_000_000) == 3600


@pytest.mark.parametrize("members", range(4, 257))
def test_an_opened_sum_holds_the_noise_of_all_members(members: int) -> None:
    spec = replace(spec_of(room_dictionary(), members, max_rows=100), multiplier=1)
    ask = Ask("r/1", "full", "n", "train", 1, 64, 1, 1, 1, noise=10**6)
    assert opened_variance(spec, ask) == pytest.approx(10**6 * members / fewest_honest(members))


def test_a_word_is_wide_enough_for_the_noise() -> None:
    spec = spec_of(room_dictionary(), 10)
    assert word_bits(spec, 1000, 10**6) == 32
    assert word_bits(spec, 2**28, 10**6) == 64
    assert word_bits(spec, 1000, 2**50) == 64


def test_an_exact_request_keeps_its_bytes() -> None:
    """Digests of exact jobs stand in logs and vectors; noise must not move them."""
    plain = Ask("r/1", "full", "n", "train", 1, 32, 1, 1, 1).encode()
    assert b"noise" not in plain and b"sampling" not in plain and b"row_l2" not in plain
    noisy = Ask("r/1", "full", "n", "train", 1, 32, 1, 1, 1, row_l2_squared=1, noise=4)
    assert noisy.encode() != plain
    for other in (replace(noisy, noise=5), replace(noisy, row_l2_squared=2), replace(noisy, sampling_ppm=10)):
        assert other.encode() != noisy.encode()
