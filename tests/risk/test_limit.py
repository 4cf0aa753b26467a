"""The limit: the least term binds, the grade shrinks it, and what is not known is not zero."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.lending_policy import LimitRules
from risk.limit import Amounts, credit_limit

FACTORS = (1.0, 1.0, 0.95, 0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 0.0)
RULES = LimitRules("turnover", 0.25, 2.5, 5_000_000, 3_000_000, 10_000, 1000, FACTORS)
AMOUNTS = Amounts(revenue_12m=1_840_000.0, monthly_inflow=152_000.0, other_exposure=20_000.0)


@pytest.mark.parametrize(
    ("changes", "binding", "amount"),
    [
        ({}, "inflow", 380_000),
        ({"revenue_12m": 400_000.0}, "revenue", 100_000),
        ({"other_exposure": 4_900_000.0}, "exposure", 100_000),
        ({"other_exposure": 6_000_000.0}, "exposure", 0),
        ({"revenue_12m": 1e9, "monthly_inflow": 1e9}, "product", 3_000_000),
        ({"revenue_12m": 0.0}, "revenue", 0),
    ],
)
def test_the_least_term_binds(changes: dict[str, float], binding: str, amount: int) -> None:
    limit = credit_limit(RULES, replace(AMOUNTS, **changes), 0)
    assert (limit.binding, limit.amount, limit.missing) == (binding, amount, ())


def test_the_grade_shrinks_and_the_rest_is_rounded_down() -> None:
    assert [credit_limit(RULES, AMOUNTS, grade).amount for grade in (0, 2, 5, 9)] == [380_000, 361_000, 266_000, 0]
    assert credit_limit(RULES, replace(AMOUNTS, monthly_inflow=152_399.0), 0).amount == 380_000


@pytest.mark.parametrize("name", ["revenue_12m", "monthly_inflow", "other_exposure"])
def test_what_is_not_known_leaves_no_limit(name: str) -> None:
    limit = credit_limit(RULES, replace(AMOUNTS, **{name: None}), 0)
    assert limit.amount is None and limit.binding is None and len(limit.missing) == 1


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.floats(0, 1e12), st.integers(0, 9))
def test_no_limit_is_above_any_of_its_terms(revenue: float, inflow: float, other: float, grade: int) -> None:
    limit = credit_limit(RULES, Amounts(revenue, inflow, other), grade)
    assert limit.amount is not None and limit.binding is not None and limit.amount % 1000 == 0
    terms = [term for term in limit.terms.values() if term is not None]
    assert 0 <= limit.amount <= min(terms) == limit.terms[limit.binding]
