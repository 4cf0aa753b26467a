"""When a model should be trained again: four stated rules, each with its figure, its limit and whether it fires.

It proposes and decides nothing: a proposal goes to people, and each bank's permit decides about a job. Theory: drift of
the score above 0.25 calls for action by convention (`risk.drift`); an AUC that lies more than two standard errors of
the difference below the one at release is no chance of the samples (its error by Hanley and McNeil, 1982); Hosmer and
Lemeshow's test says whether PDs still hold; and enough new outcomes make another model worth its cost even where
nothing is wrong. A rule with too few rows is told as such and does not fire.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from risk.drift import ACT

__all__ = ["Benchmark", "Limits", "Rule", "judge"]

ERRORS = 2.0
P_VALUE = 0.01


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Hold the AUC that a model was released with, and the hold-out rows and bads that it was measured on."""

    auc: float
    rows: int
    bads: int

    @property
    def error(self) -> float:
        """Return its standard error by Hanley and McNeil's formula."""
        area, bads, goods = self.auc, self.bads, self.rows - self.bads
        if min(bads, goods) < 1:
            return 0.0
        first, second = area / (2.0 - area), 2.0 * area * area / (1.0 + area)
        spread = (bads - 1) * (first - area * area) + (goods - 1) * (second - area * area)
        return math.sqrt(max(0.0, area * (1.0 - area) + spread) / (bads * goods))


@dataclass(frozen=True, slots=True)
class Limits:
    """Hold what a bank may set: outcomes that make a training worth it, and rows below which no rule fires."""

    new_outcomes: int = 500
    least_rows: int = 100
    least_bads: int = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold one rule's finding.

    value: the figure, None where too few rows support it. limit: what it is held against.
    """

    name: str
    value: float | None
    limit: float
    fired: bool
    text: str
    text_zh: str

    def to_document(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return {name: getattr(self, name) for name in ("name", "value", "limit", "fired", "text", "text_zh")}


def judge(
    report: Mapping[str, Any], benchmark: Benchmark | None, new_outcomes: int, limits: Limits | None = None
) -> tuple[Rule, ...]:
    """Return the four rules' findings on a report of `risk.monitoring`.

    benchmark: what the model was released with, None where it is not known. new_outcomes: matured decisions
    that no training table held yet.
    """
    limits = Limits() if limits is None else limits
    return (
        _score_drift(report, limits),
        _ranking(report, benchmark, limits),
        _calibration(report, limits),
        Rule(
            "new-outcomes",
            float(new_outcomes),
            float(limits.new_outcomes),
            new_outcomes >= limits.new_outcomes,
            "matured outcomes that no model was trained on",
            "尚未用于训练的到期结果数",
        ),
    )


def _score_drift(report: Mapping[str, Any], limits: Limits) -> Rule:
    found = report["drift"]
    value = found["score"]["psi"] if found is not None and found["rows"] >= limits.least_rows else None
    fired = value is not None and value > ACT
    return Rule("score-drift", value, ACT, fired, "PSI of the score, last three months", "近三个月评分的PSI")


def _ranking(report: Mapping[str, Any], benchmark: Benchmark | None, limits: Limits) -> Rule:
    found = _supported(report, limits)
    value = None
    if found is not None and benchmark is not None and found["auc"] is not None and found["auc_error"] > 0:
        value = (benchmark.auc - found["auc"]) / math.hypot(found["auc_error"], benchmark.error)
    fired = value is not None and value > ERRORS
    text = "AUC below that of the release, in standard errors"
    return Rule("ranking", value, ERRORS, fired, text, "AUC低于发布时的幅度（以标准误计）")


def _calibration(report: Mapping[str, Any], limits: Limits) -> Rule:
    found = _supported(report, limits)
    value = None if found is None else found["p_value"]
    fired = value is not None and value < P_VALUE
    text = "p-value of the calibration test (Hosmer and Lemeshow)"
    return Rule("calibration", value, P_VALUE, fired, text, "校准检验的p值（Hosmer-Lemeshow）")


def _supported(report: Mapping[str, Any], limits: Limits) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = report["performance"]
    if found is None or found["rows"] < limits.least_rows:
        return None
    if min(found["bads"], found["rows"] - found["bads"]) < limits.least_bads:
        return None
    return found
