"""How the model in service does on a bank's own decisions: performance, drift, overrides and approvals.

It sees one bank's decisions and stays there; the network's figures come from the recipe `validation`, by secure sums.
Theory: performance is told of matured decisions alone, whose outcome window has passed and whose outcome is known,
because bad outcomes come early and would make every young book look poor. Declined applications have no outcome, so AUC
and KS are those of the approved, a narrower range than the applicants, which is said where they are shown. Drift is
told of all decisions, against the bins that were frozen with the model (`risk.reference`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.discrimination import calibration_error, calibration_groups, hosmer_lemeshow
from risk.drift import csi, drift
from risk.errors import MisuseError
from risk.grades import grade_figures
from risk.months import month_text
from risk.ranking import auc, auc_deviation, ks
from risk.reference import Reference

__all__ = ["UNKNOWN", "Watched", "monitoring_report"]

UNKNOWN = -1
_DRIFT_MONTHS = 3


@dataclass(frozen=True, eq=False, slots=True)
class Watched:
    """Hold one model's decisions, arrays of (n,), oldest first.

    logit: float64 log-odds of bad by the model that the reference belongs to. pd: float64 as answered. grade: texts.
    month: int32, 12 * year + month - 1. answer, final: `approve`, `refer` or `decline`, by the model and after
    overrides. result: int8, 1 bad, 0 repaid, -1 unknown or not matured.
    """

    logit: np.ndarray
    pd: np.ndarray
    grade: np.ndarray
    month: np.ndarray
    answer: np.ndarray
    final: np.ndarray
    result: np.ndarray

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in self.__slots__}) != 1:
            raise MisuseError("watched-rows", "columns of different length")

    @property
    def rows(self) -> int:
        """Return how many decisions there are."""
        return len(self.logit)

    @property
    def recent(self) -> np.ndarray:
        """Return which decisions are of the last three months that have any, (n,) bool."""
        months = np.unique(self.month)[-_DRIFT_MONTHS:]
        return np.isin(self.month, months)


def monitoring_report(
    watched: Watched, reference: Reference | None, recent_fields: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Return the figures as plain JSON values.

    recent_fields: rows per frozen bin of every field, of `watched.recent`. Without a reference drift is None.
    """
    return {
        "decisions": watched.rows,
        "matured": int(np.count_nonzero(watched.result != UNKNOWN)),
        "performance": _performance(watched),
        "grades": _grades(watched),
        "drift": None if reference is None or not watched.rows else _drift(watched, reference, recent_fields),
        "months": [_month(watched, int(month)) for month in np.unique(watched.month)],
        "overrides": _overrides(watched),
    }


def _performance(watched: Watched) -> dict[str, Any] | None:
    known = watched.result != UNKNOWN
    target, pd = watched.result[known], watched.pd[known]
    if not len(target):
        return None
    order = np.argsort(pd, kind="stable")
    groups = calibration_groups(np.ones(len(target), dtype=np.int64), target[order].astype(np.int64), pd[order])
    test = hosmer_lemeshow(groups)
    area = auc(target, pd)
    return {
        "rows": len(target),
        "bads": int(target.sum()),
        "bad_rate": float(target.mean()),
        "mean_pd": float(pd.mean()),
        "auc": area,
        "auc_error": None if area is None else auc_deviation(target, pd, np.zeros(len(target))),
        "gini": None if area is None else 2.0 * area - 1.0,
        "ks": ks(target, pd),
        "brier": float(np.mean((pd - target) ** 2)),
        "ece": calibration_error(groups),
        "p_value": None if test is None else test.p_value,
        "calibration": [{"rows": rows, "bads": bads, "mean_pd": mean} for rows, bads, mean in groups],
    }


def _grades(watched: Watched) -> list[dict[str, Any]]:
    """Return each grade's matured rows, bads and mean PD, the safest first, with Jeffreys' test."""
    known = watched.result != UNKNOWN
    names = sorted(set(watched.grade[known].tolist()), key=lambda name: (_mean_pd(watched, known, name), name))
    chosen = [known & (watched.grade == name) for name in names]
    figures = grade_figures(
        [int(rows.sum()) for rows in chosen],
        [int((watched.result[rows] == 1).sum()) for rows in chosen],
        [float(watched.pd[rows].mean()) for rows in chosen],
    )
    return [{**each.to_document(), "grade": name} for name, each in zip(names, figures, strict=True)]


def _mean_pd(watched: Watched, known: np.ndarray, name: str) -> float:
    return float(watched.pd[known & (watched.grade == name)].mean())


def _drift(watched: Watched, reference: Reference, recent_fields: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    score = drift("score", reference.score_rows, reference.score_counts(watched.logit[watched.recent]))
    months = []
    for month in np.unique(watched.month):
        counts = reference.score_counts(watched.logit[watched.month == month])
        months.append(
            {
                "month": month_text(int(month)),
                "rows": sum(counts),
                "psi": drift("score", reference.score_rows, counts).psi,
            }
        )
    return {
        "rows": int(watched.recent.sum()),
        "score": score.to_document(),
        "fields": [each.to_document() for each in csi(reference.field_rows(), recent_fields)],
        "months": months,
    }


def _month(watched: Watched, month: int) -> dict[str, Any]:
    chosen = watched.month == month
    final, result = watched.final[chosen], watched.result[chosen]
    known = result != UNKNOWN
    return {
        "month": month_text(month),
        "decisions": int(chosen.sum()),
        **{name: int((final == name).sum()) for name in ("approve", "refer", "decline")},
        "approval_rate": float((final == "approve").mean()),
        "overridden": int((final != watched.answer[chosen]).sum()),
        "matured": int(known.sum()),
        "bads": int((result == 1).sum()),
        "mean_pd": float(watched.pd[chosen].mean()),
    }


def _overrides(watched: Watched) -> dict[str, Any]:
    changed = watched.answer != watched.final
    directions: dict[str, int] = {}
    for before, after in zip(watched.answer[changed].tolist(), watched.final[changed].tolist(), strict=True):
        directions[f"{before}->{after}"] = directions.get(f"{before}->{after}", 0) + 1
    approved = watched.final == "approve"
    return {
        "decisions": int(changed.sum()),
        "rate": float(changed.mean()) if watched.rows else None,
        "directions": dict(sorted(directions.items())),
        "approved_by_people": _outcome(watched, changed & approved),
        "approved_by_model": _outcome(watched, ~changed & approved),
    }


def _outcome(watched: Watched, chosen: np.ndarray) -> dict[str, Any]:
    rows = chosen & (watched.result != UNKNOWN)
    count, bads = int(rows.sum()), int((watched.result[rows] == 1).sum())
    return {
        "matured": count,
        "bads": bads,
        "bad_rate": bads / count if count else None,
        "mean_pd": float(watched.pd[rows].mean()) if count else None,
    }
