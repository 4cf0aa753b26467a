"""The limit: the least of four amounts, times the grade's factor, and which of them binds.

It grants nothing. Theory: min(k1 x twelve months' VAT revenue, k2 x mean monthly inflow, exposure cap - other lenders'
exposure, product cap) x factor of the grade, rounded down. An amount that is not known is not zero and not infinite:
then there is no limit, and a person decides.
"""

import math
from dataclasses import dataclass

from risk.lending_policy import LimitRules

__all__ = ["Amounts", "Limit", "credit_limit"]

TERMS = ("revenue", "inflow", "exposure", "product")


@dataclass(frozen=True, slots=True)
class Amounts:
    """Hold what a limit is made of, in the policy's currency, at least 0; None for what is not known."""

    revenue_12m: float | None
    monthly_inflow: float | None
    other_exposure: float | None


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold a limit: whole units of currency, None where a term is unknown; the terms stand before the grade's factor.

    missing: names of the terms that are not known.
    """

    amount: int | None
    binding: str | None
    factor: float
    terms: dict[str, float | None]
    missing: tuple[str, ...]


def credit_limit(rules: LimitRules, amounts: Amounts, grade: int) -> Limit:
    """Return the limit of an applicant; grade: place in the master scale, 0 the best."""
    terms: dict[str, float | None] = {
        "revenue": None if amounts.revenue_12m is None else rules.revenue_factor * amounts.revenue_12m,
        "inflow": None if amounts.monthly_inflow is None else rules.inflow_factor * amounts.monthly_inflow,
        "exposure": None if amounts.other_exposure is None else max(0.0, rules.exposure_cap - amounts.other_exposure),
        "product": float(rules.product_cap),
    }
    factor = rules.grade_factors[grade]
    missing = tuple(name for name in TERMS if terms[name] is None)
    if missing:
        return Limit(None, None, factor, terms, missing)
    binding = min(TERMS, key=lambda name: (terms[name], TERMS.index(name)))
    least = terms[binding]
    assert least is not None  # nothing is missing
    return Limit(math.floor(least * factor / rules.round_to) * rules.round_to, binding, factor, terms, ())
