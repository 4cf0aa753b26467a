"""A bank's private head: how much of the network's score and how much of its own, and what both mean for its customers.

It never leaves the bank and asks the network for nothing. Theory: stacked generalisation (Wolpert, 1992) of two
logits with weights >= 0 (Breiman, 1996), fitted on out-of-fold scores so that neither model is judged on rows it
was trained on, with a Gaussian prior at (network 1, own 0): a bank with few rows keeps the network's score, one with
many lets its rows decide. Without prior and sign an unconstrained stack collapses at a few hundred rows. What was tried
besides, and what it gave, is in ADR 0068.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from risk.curve import STRAIGHT, Curve, curve_from_document, curve_of
from risk.errors import InputError
from risk.ranking import auc, auc_deviation
from risk.shrunk import shrunk_weights

__all__ = ["PRIOR_ROWS", "Choice", "Curves", "Head", "OutOfFold", "choose", "fit_head", "head_from_document"]

Choice = Literal["own", "network", "mixed"]
PRIOR_ROWS = 5.0
"""Weight of the prior: it counts like this many units of curvature of the log-likelihood."""
_INTERCEPT_ROWS = 1.0
_PRIOR = np.array([0.0, 1.0, 0.0])
_ERRORS = 2.0
"""Standard errors by which another score has to beat the mixed one."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Hold the bank's own calibration of each score that it may use."""

    network: Curve = STRAIGHT
    own: Curve = STRAIGHT
    mixed: Curve = STRAIGHT

    def of(self, choice: Choice) -> Curve:
        """Return the calibration of that score."""
        return {"network": self.network, "own": self.own, "mixed": self.mixed}[choice]


@dataclass(frozen=True, slots=True)
class Head:
    """Mix two logits: intercept + network * network logit + own * own logit, both weights at least 0.

    own: the weight of the partner, the bank's own model that the mix takes (`risk.bank`). curves: calibration of each
    score; a ranking and a score in points come from the logit, a PD from the calibrated one.
    """

    intercept: float
    network: float
    own: float
    curves: Curves = field(default_factory=Curves)

    def logit(self, network: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the mixed log-odds of bad, (n_rows,) float64."""
        return np.asarray(self.intercept + self.network * network + self.own * own)

    def pd(self, network: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the mixed and calibrated probability of bad, (n_rows,) float64."""
        return self.curves.mixed.pd(self.logit(network, own))

    def to_document(self) -> dict[str, Any]:
        """Return the head as plain JSON values."""
        curves = {name: getattr(self.curves, name).to_document() for name in ("mixed", "network", "own")}
        return {"calibration": curves, "intercept": self.intercept, "network": self.network, "own": self.own}


@dataclass(frozen=True, eq=False, slots=True)
class OutOfFold:
    """Hold one half's rows as models score them that were trained without them.

    target, network logit, own logit (of the job's recipe), and the logit of the partner, all (n_rows,).
    """

    target: np.ndarray
    network: np.ndarray
    own: np.ndarray
    partner: np.ndarray


def head_from_document(document: Mapping[str, Any]) -> Head:
    """Return the head of a document that `Head.to_document` made; raise `InputError` for any other."""
    keys = ("intercept", "network", "own")
    if sorted(document) != sorted([*keys, "calibration"]):
        raise InputError("head-keys", f"head file: expected the keys {', '.join(keys)} and calibration")
    if not all(type(document[key]) in (int, float) and abs(document[key]) < 1e6 for key in keys):
        raise InputError("head-keys", f"head file: {', '.join(keys)} must be numbers of ordinary size")
    calibration = document["calibration"]
    if not isinstance(calibration, Mapping) or sorted(calibration) != ["mixed", "network", "own"]:
        raise InputError("head-calibration", "head file: 'calibration' must have mixed, network and own")
    curves = Curves(**{name: curve_from_document(calibration[name]) for name in calibration})
    intercept, network, own = (float(document[key]) for key in keys)
    head = Head(intercept, network, own, curves)
    if min(head.network, head.own) < 0.0:
        raise InputError("head-weights", "head file: weights must be at least 0")
    return head


def fit_head(folds: tuple[OutOfFold, OutOfFold]) -> Head:
    """Return the head that the out-of-fold rows and the prior support, with each score's calibration."""
    weights = _weights(folds)
    target = np.concatenate([fold.target for fold in folds])
    network, own, mixed = (
        np.concatenate(parts)
        for parts in ([fold.network for fold in folds], [fold.own for fold in folds], _cross_fitted(folds))
    )
    # A stack is a line already: another one on top of it was measured to add nothing.
    curves = Curves(curve_of(target, network), curve_of(target, own), curve_of(target, mixed, line=False))
    return Head(*weights, curves)


def choose(folds: tuple[OutOfFold, OutOfFold]) -> Choice:
    """Return which score to use by out-of-fold AUC: the mixed one unless another is better by two standard errors."""
    areas: dict[Choice, list[float | None]] = {"mixed": [], "network": [], "own": []}
    views = []
    for fold, mixed in zip(folds, _cross_fitted(folds), strict=True):
        views.append((fold.target, {"own": fold.own, "network": fold.network, "mixed": mixed}))
        for name, found in areas.items():
            found.append(auc(fold.target, views[-1][1][name]))
    if any(area is None for values in areas.values() for area in values):
        return "mixed"
    mean = {name: sum(area or 0.0 for area in values) / len(values) for name, values in areas.items()}
    best = max(mean, key=lambda name: mean[name])
    spread = [auc_deviation(target, scores[best], scores["mixed"]) for target, scores in views]
    error = float(np.sqrt(sum(value * value for value in spread))) / len(spread)
    return "mixed" if mean["mixed"] >= mean[best] - _ERRORS * error else best


def _weights(folds: tuple[OutOfFold, ...]) -> tuple[float, float, float]:
    """Return intercept, the network's weight and the partner's."""
    target = np.concatenate([fold.target for fold in folds])
    features = np.stack([np.concatenate([getattr(fold, name) for fold in folds]) for name in ("network", "partner")], 1)
    strength = np.array([_INTERCEPT_ROWS, PRIOR_ROWS, PRIOR_ROWS])
    intercept, network, partner = shrunk_weights(features, target, _PRIOR, strength).tolist()
    return intercept, network, partner


def _cross_fitted(folds: tuple[OutOfFold, OutOfFold]) -> list[np.ndarray]:
    """Return the mixed logit of each half's rows with weights that were fitted on the other half's."""
    first, second = folds
    return [
        Head(*_weights((other,))).logit(fold.network, fold.partner)
        for fold, other in ((first, second), (second, first))
    ]
