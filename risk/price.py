"""The price: a yearly rate as a sum of components, capped by law.

Theory: funding + PD x LGD + operating cost + margin of the grade. Every component is a whole number of basis points and
the expected loss is rounded up, so the components add to the rate exactly; what the legal cap takes away is a component
of its own.
"""

import math
from dataclasses import dataclass

from risk.lending_policy import PriceRules

__all__ = ["Price", "yearly_rate"]


@dataclass(frozen=True, slots=True)
class Price:
    """Hold a yearly rate and its components, in basis points; `cap` is at most 0 and the five add up to the rate."""

    rate: int
    funding: int
    expected_loss: int
    opex: int
    margin: int
    cap: int


def yearly_rate(rules: PriceRules, pd: float, grade: int) -> Price:
    """Return the price of a loan; pd: probability of bad in twelve months, 0 to 1; grade: place, 0 the best."""
    loss = math.ceil(pd * rules.lgd * 10_000)
    margin = rules.margin[grade]
    full = rules.funding + loss + rules.opex + margin
    rate = min(full, rules.legal_cap)
    return Price(rate, rules.funding, loss, rules.opex, margin, rate - full)
