"""What a job with differential privacy will release, and how much noise each sum carries.

It adds no noise and counts no epsilon: members add Skellam shares before they send, and an accountant of its own reads
the `Release`s. Theory: a release whose noise has standard deviation z * weight * L2 costs what the Gaussian mechanism
of multiplier z * weight costs, up to Skellam's correction for small noise (Agarwal, Kairouz and Liu, 2021); releases on
the same rows cost about 1 / weight**2 each, so weights whose inverse squares add to one share the budget of one z.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Literal

from risk.recipe import Ask
from risk.spec import JobSpec

__all__ = ["Release", "noise_variance", "opened_variance", "word_bits"]

WHOLE = 1_000
"""The weight of a release that has the whole budget of its rows."""


@dataclass(frozen=True, slots=True)
class Release:
    """Announce one kind of noisy sum.

    name: of the `Ask`. rows: those it counts. row_l1, row_l2_squared: what one record can change, in grid units; where
    that depends on sums to come, the worst that can: the largest L1 and the smallest L2. count: how often it is asked.
    weight: standard deviation of the noise over z * L2, in thousandths. sampling_ppm: as in `Ask`.
    """

    name: str
    rows: str
    row_l1: int
    row_l2_squared: int
    count: int
    weight: int
    sampling_ppm: int = 1_000_000

    def variance(self, multiplier: int) -> int:
        """Return the variance of its noise under a multiplier in millionths, in squared grid units."""
        return noise_variance(multiplier, self.weight, self.row_l2_squared)


def noise_variance(multiplier: int, weight: int, row_l2_squared: int) -> int:
    """Return the variance of a release's noise in squared grid units, rounded up.

    multiplier: z in millionths. weight: in thousandths. row_l2_squared: squared grid units.
    """
    unit = (10**6 * 10**3) ** 2
    return -(-(multiplier * multiplier * weight * weight * row_l2_squared) // unit)


def opened_variance(spec: JobSpec, ask: Ask) -> float:
    """Return the variance of the noise in an opened sum to which every member contributed.

    Shares are sized so that the fewest honest members that a sum may hold reach `ask.noise` alone, hence more is there
    when all take part. Estimators weigh evidence by it; no promise rests on it.
    """
    members = spec.members
    threshold = 2 * members // 3 + 1
    colluders = members - threshold
    honest = max(threshold, colluders + 3) - colluders
    return ask.noise * max(members / honest, 1.0)


def word_bits(spec: JobSpec, bound: int, noise: int) -> Literal[32, 64]:
    """Return 32 where the sum of all parts and their noise fits such words, else 64."""
    room = spec.members * (bound + 14 * (isqrt(noise) + 1) + 64)
    return 32 if room < 2**31 else 64
