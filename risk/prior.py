"""PDs for a population whose bad rate differs from the sample's.

It trains nothing. Theory: where good and bad rows were sampled at different rates, each row as likely as any other of
its class, the odds of bad are off by one factor: true odds = model odds x (population odds / sample odds) (King and
Zeng, 2001, prior correction). In log-odds that is one constant; ranking, AUC and KS stay as they are.
"""

import numpy as np

from risk.elementary import sigmoid
from risk.errors import InputError

__all__ = ["class_weights", "corrected_pd", "prior_shift"]


def prior_shift(sample_rate: float, population_rate: float) -> float:
    """Return what to add to every log-odds of bad; raise `InputError` unless both rates lie between 0 and 1."""
    for name, rate in (("sample", sample_rate), ("population", population_rate)):
        if not 0.0 < rate < 1.0:
            raise InputError("prior-rate", f"the {name}'s bad rate is {rate:g}, expected more than 0 and less than 1")
    odds = population_rate * (1.0 - sample_rate) / (sample_rate * (1.0 - population_rate))
    return float(np.log(odds))


def corrected_pd(logit: np.ndarray, sample_rate: float, population_rate: float) -> np.ndarray:
    """Return PDs that fit the population, (n_rows,) float64; logit: log-odds of bad by a model of the sample."""
    return sigmoid(np.asarray(logit, dtype=np.float64) + prior_shift(sample_rate, population_rate))


def class_weights(sample_rate: float, population_rate: float) -> tuple[float, float]:
    """Return how many rows of the population a good and a bad row of the sample stand for, (good, bad)."""
    prior_shift(sample_rate, population_rate)
    return (1.0 - population_rate) / (1.0 - sample_rate), population_rate / sample_rate
