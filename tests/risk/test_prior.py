"""PDs of a sample moved to a population."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import InputError
from risk.prior import class_weights, corrected_pd, prior_shift

rates = st.floats(0.001, 0.999)


@given(rates, rates)
def test_there_and_back(sample: float, population: float) -> None:
    assert prior_shift(sample, population) == pytest.approx(-prior_shift(population, sample), abs=1e-9)
    assert prior_shift(sample, sample) == pytest.approx(0.0, abs=1e-12)
    good, bad = class_weights(sample, population)
    assert bad * sample / (bad * sample + good * (1 - sample)) == pytest.approx(population)


def test_a_sample_rich_in_bads_is_corrected() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=400_000)
    bad = rng.random(len(x)) < 1 / (1 + np.exp(3.0 - x))
    kept = bad | (rng.random(len(x)) < 0.1)
    rate, sampled = bad.mean(), bad[kept].mean()
    # The true model of the sample differs from the population's by one constant.
    logit = x - 3.0 + np.log(10.0)
    assert corrected_pd(logit, float(sampled), float(rate)).mean() == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("pair", [(0.0, 0.1), (0.1, 1.0), (1.2, 0.1), (float("nan"), 0.1)])
def test_a_rate_of_one_class_is_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="bad rate is"):
        prior_shift(*pair)
