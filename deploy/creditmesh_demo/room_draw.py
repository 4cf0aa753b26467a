"""How each field of the synthetic room follows a firm's hidden traits.

This module declares and draws nothing; names, units, bounds and texts are in `room_schema.toml`. Theory: every observed
value is a monotone transform of one standard-normal signal, the loadings' sum of traits and enough noise to make its
variance 1, so the transform alone sets a field's marginal distribution and the loadings alone its link to risk.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["DRAWS", "Draw"]


@dataclass(frozen=True, slots=True)
class Draw:
    """Say how one number is drawn.

    centre, spread: mean and standard deviation (normal), median and log standard deviation (lognormal), median share
    and logit standard deviation (share), mean count and its log sensitivity (count), median days and the share of
    firms that were ever late (arrears).
    decimals: digits after the point in the file; negative: zeros before it.
    loadings: weights on the traits of `room.TRAITS`; their sum of traits has a variance below 1.
    """

    shape: Literal["normal", "lognormal", "share", "count", "arrears"]
    centre: float
    spread: float
    decimals: int
    loadings: dict[str, float]


DRAWS: dict[str, Draw] = {
    "vat_revenue_12m": Draw("lognormal", 1.5e6, 1.1, 0, {"size": 0.75, "operating": 0.45}),
    "revenue_growth_yoy": Draw("normal", 0.06, 0.25, 4, {"operating": 0.55, "scenario": 0.2}),
    "revenue_volatility": Draw("lognormal", 0.3, 0.5, 4, {"operating": -0.55, "size": -0.15}),
    "invoice_active_months": Draw("normal", 10.6, 1.7, 0, {"operating": 0.5, "age": 0.15}),
    "invoice_void_rate": Draw("share", 0.04, 0.8, 4, {"operating": -0.45, "quality": -0.2}),
    "gross_margin": Draw("normal", 0.22, 0.09, 4, {"operating": 0.5, "quality": 0.15}),
    "electricity_kwh_trend": Draw("normal", 0.03, 0.25, 4, {"operating": 0.5, "scenario": 0.15}),
    "employees_insured": Draw("lognormal", 7, 0.8, 0, {"size": 0.7, "operating": 0.3}),
    "months_since_registration": Draw("lognormal", 55, 0.75, 0, {"age": 0.9, "quality": 0.1}),
    "tax_credit_rating": Draw("normal", 3.4, 1, 0, {"credit": 0.5, "quality": 0.3}),
    "tax_arrears_count_24m": Draw("count", 0.25, 0.9, 0, {"credit": -0.65}),
    "bureau_max_dpd_24m": Draw("arrears", 11, 0.15, 0, {"credit": -0.7, "quality": -0.1}),
    "bureau_utilisation": Draw("share", 0.45, 0.9, 4, {"credit": -0.35, "leverage": 0.5}),
    "bureau_inquiries_6m": Draw("count", 1.8, 0.5, 0, {"credit": -0.5, "leverage": 0.25}),
    "active_lenders": Draw("count", 1.7, 0.45, 0, {"leverage": 0.5, "credit": -0.3}),
    "debt_to_revenue": Draw("lognormal", 0.33, 0.8, 4, {"leverage": 0.75, "credit": -0.2}),
    "enforcement_cases_36m": Draw("count", 0.06, 1.4, 0, {"credit": -0.65, "quality": -0.15}),
    "utility_late_payments_12m": Draw("count", 0.5, 0.75, 0, {"credit": -0.55}),
    "settle_inflow_outflow": Draw("normal", 1.02, 0.1, 4, {"behaviour": 0.5, "operating": 0.15}),
    "cash_buffer_days": Draw("lognormal", 16, 0.8, 1, {"behaviour": 0.6, "leverage": -0.15}),
    "balance_low_days_90d": Draw("normal", 18, 12, 0, {"behaviour": -0.6}),
    "returned_payment_rate": Draw("share", 0.015, 0.9, 5, {"behaviour": -0.55, "quality": -0.1}),
    "pos_night_share": Draw("share", 0.1, 0.8, 4, {"behaviour": -0.35}),
    "owner_card_utilisation": Draw("share", 0.38, 1, 4, {"behaviour": -0.5, "leverage": 0.2}),
    "related_party_transfer_share": Draw("share", 0.12, 0.9, 4, {"behaviour": -0.4, "quality": -0.25}),
    "account_tenure_months": Draw("lognormal", 27, 0.8, 0, {"age": 0.6, "behaviour": 0.3}),
    "top3_buyer_share": Draw("share", 0.4, 0.8, 4, {"scenario": -0.5, "size": -0.15}),
    "buyer_payment_delay_days": Draw("lognormal", 27, 0.6, 1, {"scenario": -0.55}),
    "anchor_buyer_years": Draw("lognormal", 2, 0.8, 1, {"scenario": 0.45, "age": 0.3}),
    "platform_order_growth": Draw("normal", 0.08, 0.3, 4, {"scenario": 0.5, "operating": 0.15}),
    "loan_amount": Draw("lognormal", 300_000, 0.9, -4, {"size": 0.7, "leverage": 0.2}),
    "site_visit_grade": Draw("normal", 3.2, 1, 0, {"operating": 0.45, "quality": 0.25}),
    "stock_turnover_seen": Draw("normal", 3, 1, 0, {"operating": 0.35, "scenario": 0.3}),
    "neighbours_word": Draw("normal", 3.5, 1, 0, {"quality": 0.4, "behaviour": 0.3}),
}
