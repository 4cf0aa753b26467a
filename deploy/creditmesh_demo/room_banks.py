"""The five institutions of the synthetic room: how many rows, whom they serve, and what they are not connected to.

It draws nothing. Theory: a consortium is worth something where its members differ, so they differ as real ones do: by
size, by the trades and the quality of their borrowers, by their bad rate, by how many applications they turn away, and
by which sources of evidence they have.
"""

from dataclasses import dataclass, replace

__all__ = ["INSTITUTIONS", "Institution", "scaled"]


@dataclass(frozen=True, slots=True)
class Institution:
    """Describe one synthetic lender.

    rows: accepted applications. bad_rate: share of bad loans among them, 0 to 1. turned_away: share of all applications
    that were rejected, 0 to 1. traits: shift of the mean of a trait, in standard deviations.
    industries: weights of the levels of `industry`, any scale. missing: probability that a source is absent for a firm.
    """

    name: str
    rows: int
    bad_rate: float
    turned_away: float
    traits: dict[str, float]
    industries: tuple[int, ...]
    missing: dict[str, float]


INSTITUTIONS = (
    Institution(
        "national_bank",
        12_000,
        0.035,
        0.2,
        {"size": 0.8, "age": 0.6, "quality": 0.2},
        (4, 8, 36, 8, 14, 8, 2, 3, 7, 10),
        {"platform_orders": 0.45, "pos_flow": 0.3, "supply_chain": 0.1, "owner_accounts": 0.1},
    ),
    Institution(
        "city_bank",
        7_000,
        0.068,
        0.22,
        {"size": 0.0, "age": 0.1},
        (2, 6, 10, 8, 12, 26, 4, 12, 4, 16),
        {"supply_chain": 0.3, "platform_orders": 0.35, "utility_bills": 0.1, "tax_invoices": 0.08},
    ),
    Institution(
        "rural_bank",
        4_000,
        0.096,
        0.18,
        {"size": -0.7, "operating": -0.1, "age": 0.2},
        (42, 12, 4, 8, 8, 10, 1, 5, 5, 5),
        {
            "platform_orders": 1.0,
            "supply_chain": 0.75,
            "tax_invoices": 0.35,
            "vat_declarations": 0.3,
            "pos_flow": 0.45,
            "social_security": 0.4,
            "bureau": 0.12,
        },
    ),
    Institution(
        "internet_bank",
        5_000,
        0.133,
        0.35,
        {"size": -1.0, "age": -0.9, "leverage": 0.3, "scenario": 0.2},
        (2, 4, 4, 2, 8, 16, 46, 8, 4, 6),
        {
            "utility_bills": 0.75,
            "vat_declarations": 0.5,
            "tax_invoices": 0.4,
            "social_security": 0.6,
            "supply_chain": 0.4,
            "bureau_and_vat": 0.5,
        },
    ),
    Institution(
        "leasing_company",
        1_500,
        0.09,
        0.15,
        {"size": 0.3, "leverage": 0.6},
        (2, 10, 48, 16, 4, 2, 0, 2, 12, 4),
        {"pos_flow": 0.6, "platform_orders": 0.6, "owner_accounts": 0.25},
    ),
)


def scaled(scale: float) -> tuple[Institution, ...]:
    """Return the institutions with so many times their rows, at least 200 each; scale above 0."""
    return tuple(replace(bank, rows=max(round(bank.rows * scale), 200)) for bank in INSTITUTIONS)
