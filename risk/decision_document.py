"""How a decision's parts stand in the answer.

Words and figures only; nothing is decided here. Theory: every figure that is a sum stands beside its terms, in units in
which they add exactly: points for the score, basis points for the rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.checks import Check
from risk.lending_policy import LendingPolicy
from risk.limit import Limit
from risk.portrait import AxisFigure
from risk.price import Price
from risk.reasons import Hint, Reason
from risk.row_scorer import Scored
from risk.soft import SoftEffect

__all__ = ["Parts", "parts_document"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Hold what was found about one applicant; portrait: None where the bank has no reference."""

    scored: Scored
    pd: float
    grade: str
    model_grade: str
    soft: SoftEffect
    limit: Limit
    price: Price
    portrait: Mapping[str, AxisFigure] | None
    reasons: Sequence[Reason]
    hints: Sequence[Hint]
    checks: Sequence[Check]


def parts_document(policy: LendingPolicy, parts: Parts, requested: int | None) -> dict[str, Any]:
    """Return the parts as plain JSON values; requested: the amount that was asked for."""
    scored = parts.scored
    return {
        "score": scored.score,
        "pd_12m": parts.pd,
        "grade": parts.grade,
        "model_grade": parts.model_grade,
        "dimensions": scored.dimensions(),
        "cutoff": {"approve": policy.cutoff.approve, "decline": policy.cutoff.decline, "near": policy.cutoff.near},
        "limit": _limit(policy, parts.limit, requested),
        "price": _price(parts.price),
        "term_months": policy.price.term_months,
        "portrait": _portrait(parts.portrait),
        "reasons": [_reason(each) for each in parts.reasons],
        "improve": [_hint(each) for each in parts.hints],
        "checks": [each.to_document() for each in parts.checks],
        "soft": {
            "grades": parts.soft.grades,
            "bound": policy.soft_bound,
            "codes": dict(parts.soft.codes),
            "unknown": list(parts.soft.unknown),
        },
    }


def _limit(policy: LendingPolicy, limit: Limit, requested: int | None) -> dict[str, Any]:
    offered = limit.amount if requested is None or limit.amount is None else min(limit.amount, requested)
    return {
        "amount": limit.amount,
        "offered": offered,
        "currency": policy.currency,
        "binding": limit.binding,
        "grade_factor": limit.factor,
        "terms": limit.terms,
        "missing": list(limit.missing),
    }


def _price(price: Price) -> dict[str, Any]:
    return {
        "apr": price.rate / 10_000,
        "basis_points": price.rate,
        "components": {
            "funding": price.funding,
            "expected_loss": price.expected_loss,
            "opex": price.opex,
            "margin": price.margin,
            "cap": price.cap,
        },
    }


def _portrait(portrait: Mapping[str, AxisFigure] | None) -> dict[str, Any] | None:
    if portrait is None:
        return None
    return {
        name: {"percentile": each.percentile, "fields_known": each.known, "fed_by": list(each.fields)}
        for name, each in portrait.items()
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "field": reason.field,
        "dimension": reason.dimension,
        "points_lost": reason.points,
        "text_en": reason.text,
        "text_zh": reason.text_zh,
    }


def _hint(hint: Hint) -> dict[str, Any]:
    return {
        "field": hint.field,
        "points": hint.points,
        "reaches_approval": hint.enough,
        "text_en": hint.text,
        "text_zh": hint.text_zh,
    }
