"""How well scores rank a bank's own rows, exactly and row by row.

It sees scores and targets, never a model. Theory: the area under the ROC curve is the chance that a bad row is
scored riskier than a good one (Mann and Whitney, 1947); its spread comes from each row's placement among the other
class (DeLong et al., 1988).
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["auc", "auc_deviation", "ks"]


def auc(target: np.ndarray, risk: np.ndarray) -> float | None:
    """Return the area under the ROC curve, ties counting half; None where only one class is there.

    target: (n_rows,) of 0 and 1; risk: (n_rows,) float64, larger for riskier.
    """
    parts = _placements(target, risk)
    return None if parts is None else float(np.mean(parts[0]))


def auc_deviation(target: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the standard error of the difference of two AUCs on the same rows (DeLong et al., 1988)."""
    one, two = _placements(target, first), _placements(target, second)
    if one is None or two is None:
        return 0.0
    spread = [float(np.var(a - b, ddof=1)) / len(a) if len(a) > 1 else 0.0 for a, b in zip(one, two, strict=True)]
    return float(np.sqrt(sum(spread)))


def ks(target: np.ndarray, risk: np.ndarray) -> float | None:
    """Return the largest gap of the two classes' cumulative shares; None where only one class is there."""
    bads = int(np.count_nonzero(target))
    if bads in (0, len(target)):
        return None
    order = np.argsort(risk, kind="stable")
    label, value = np.asarray(target)[order] == 1, risk[order]
    last = np.append(value[1:] != value[:-1], True)
    gap = np.cumsum(label) / bads - np.cumsum(~label) / (len(target) - bads)
    return float(np.max(np.abs(gap[last])))


def _placements(target: np.ndarray, risk: np.ndarray) -> Sequence[np.ndarray] | None:
    """Return, of each bad, the share of goods below it, and of each good, the share of bads above it."""
    bad, good = np.sort(risk[target == 1]), np.sort(risk[target == 0])
    if not len(bad) or not len(good):
        return None
    risk_bad, risk_good = risk[target == 1], risk[target == 0]
    below = np.searchsorted(good, risk_bad, "left") + np.searchsorted(good, risk_bad, "right")
    above = 2 * len(bad) - np.searchsorted(bad, risk_good, "left") - np.searchsorted(bad, risk_good, "right")
    return below / (2 * len(good)), above / (2 * len(bad))
