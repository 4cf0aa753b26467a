"""A lending policy and a desk for the awkward room of `tests.risk.scorers`."""

import copy
from functools import lru_cache
from typing import Any

from risk.decision import Desk, Installed
from risk.lending_policy import LendingPolicy, parse_policy
from risk.portrait import Reference, build_reference
from risk.row_scorer import row_scorer
from tests.risk.rooms import room_tables
from tests.risk.scorers import DICTIONARY, HEAD, models

__all__ = ["DOCUMENT", "desk", "policy", "reference"]

DOCUMENT: dict[str, Any] = {
    "name": "test-bank",
    "version": 3,
    "product": "working-capital",
    "currency": "CNY",
    "grades": {
        "names": ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "C3", "D"],
        "upper_pd": [0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6],
    },
    "cutoff": {"approve": 560, "decline": 545, "near": 2},
    "limit": {
        "revenue_field": "turnover",
        "revenue_factor": 0.25,
        "inflow_factor": 2.0,
        "exposure_cap": 5_000_000,
        "product_cap": 3_000_000,
        "minimum": 1000,
        "round_to": 100,
        "grade_factors": [1, 1, 0.9, 0.9, 0.8, 0.8, 0.7, 0.5, 0.3, 0],
    },
    "price": {
        "funding": 0.0245,
        "opex": 0.01,
        "margin": [0.01] * 10,
        "lgd": 0.45,
        "legal_cap": 0.24,
        "term_months": 12,
    },
    "evidence": {"most_missing": 0.4, "need_as_of": False, "need_consent": False, "screening": ["blacklist"]},
    "soft": {
        "bound_grades": 1,
        "code": [
            {"name": "visit", "text": "v", "text_zh": "走访", "levels": ["bad", "good"], "effects": [-2.0, 2.0]},
            {"name": "stock", "text": "s", "text_zh": "存货", "levels": ["slow", "fast"], "effects": [-0.5, 0.5]},
        ],
    },
    "portrait": {
        "vitality": ["turnover"],
        "ability_to_repay": ["balance", "late_days"],
        "growth_potential": ["arrears"],
    },
    "reasons": {
        "actionable": ["late_days", "balance", "arrears", "share"],
        "text": [{"field": "balance", "code": "MY-1", "text": "money in the bank", "text_zh": "账户余额"}],
    },
    "review": {"channel": "any branch", "channel_zh": "任一网点"},
}


def policy(**changes: Any) -> LendingPolicy:
    """Return the policy with some sections' keys replaced."""
    document = copy.deepcopy(DOCUMENT)
    for section, keys in changes.items():
        document[section].update(keys)
    return parse_policy(document, "policy.toml")


@lru_cache
def reference() -> Reference:
    """Return the reference of one bank's rows."""
    made = policy()
    return build_reference(room_tables(DICTIONARY, (1500,), 6)[0], DICTIONARY, made.portrait)


def desk(kind: str = "scorecard", challenger: str | None = None, chosen: LendingPolicy | None = None) -> Desk:
    """Return a desk with this champion (`mixed` is a head over trees and an own card) and challenger."""
    fields = DICTIONARY.model_fields
    if kind == "mixed":
        champion = Installed(
            "mixed", "trees/1", "ab" * 32, row_scorer(fields, models()["trees"], (HEAD, models()["own"]))
        )
    else:
        champion = Installed("network", models()[kind].recipe, "cd" * 32, row_scorer(fields, models()[kind]))
    other = None
    if challenger is not None:
        other = Installed("network", "c/1", "ef" * 32, row_scorer(fields, models()[challenger]))
    return Desk(DICTIONARY, chosen or policy(), champion, other, reference())
