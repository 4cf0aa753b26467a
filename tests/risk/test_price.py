"""The price: components in whole basis points that add to the rate, also under the cap."""

from hypothesis import given
from hypothesis import strategies as st

from risk.lending_policy import PriceRules
from risk.price import yearly_rate

RULES = PriceRules(funding=245, opex=120, margin=tuple(range(80, 180, 10)), lgd=0.45, legal_cap=2400, term_months=12)


def test_a_known_price() -> None:
    price = yearly_rate(RULES, 0.0312, 4)
    # 0.0312 x 0.45 = 140.4 basis points, rounded up.
    assert (price.rate, price.funding, price.expected_loss, price.opex, price.margin, price.cap) == (
        626, 245, 141, 120, 120, 0)  # fmt: skip


@given(st.floats(0.0, 1.0), st.integers(0, 9))
def test_components_add_and_the_law_caps(pd: float, grade: int) -> None:
    price = yearly_rate(RULES, pd, grade)
    assert price.rate == price.funding + price.expected_loss + price.opex + price.margin + price.cap
    assert price.rate <= RULES.legal_cap and price.cap <= 0
    assert price.expected_loss >= pd * RULES.lgd * 10_000 > price.expected_loss - 1 or pd == 0.0
    assert (price.cap < 0) == (245 + price.expected_loss + 120 + RULES.margin[grade] > 2400)
