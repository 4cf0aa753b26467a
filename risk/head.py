"""A bank's private head: how much of the network's score and how much of its own.

It never leaves the bank and asks the network for nothing. Theory: stacked generalisation (Wolpert, 1992) of two
logits with weights >= 0 (Breiman, 1996), fitted on out-of-fold scores so that neither model is judged on rows it
was trained on, with a Gaussian prior at (network 1, own 0): a bank with few rows keeps the network's score, one with
many lets its rows decide. Without prior and sign an unconstrained stack collapses at a few hundred rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from risk.elementary import sigmoid, solve_positive
from risk.errors import InputError
from risk.ranking import auc, auc_deviation

__all__ = ["PRIOR_ROWS", "Choice", "Head", "OutOfFold", "choose", "fit_head", "head_from_document"]

Choice = Literal["own", "network", "mixed"]
PRIOR_ROWS = 3.0
"""Weight of the prior: it counts like this many units of curvature of the log-likelihood."""
_INTERCEPT_ROWS = 1.0
_PRIOR = np.array([0.0, 1.0, 0.0])
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Head:
    """Mix two logits: intercept + network * network logit + own * own logit, both weights at least 0."""

    intercept: float
    network: float
    own: float

    def logit(self, network: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the mixed log-odds of bad, (n_rows,) float64."""
        return np.asarray(self.intercept + self.network * network + self.own * own)

    def pd(self, network: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the mixed probability of bad, (n_rows,) float64."""
        return sigmoid(self.logit(network, own))

    def to_document(self) -> dict[str, Any]:
        """Return the head as plain JSON values."""
        return {"intercept": self.intercept, "network": self.network, "own": self.own}


@dataclass(frozen=True, eq=False, slots=True)
class OutOfFold:
    """Hold one half's rows as the other half's models score them: target, network logit, own logit, all (n_rows,)."""

    target: np.ndarray
    network: np.ndarray
    own: np.ndarray


def head_from_document(document: Mapping[str, Any]) -> Head:
    """Return the head of a document that `Head.to_document` made; raise `InputError` for any other."""
    keys = ("intercept", "network", "own")
    if sorted(document) != sorted(keys) or not all(type(document[key]) in (int, float) for key in keys):
        raise InputError("head-keys", f"head file: expected the numbers {', '.join(keys)}")
    head = Head(*(float(document[key]) for key in keys))
    if min(head.network, head.own) < 0.0:
        raise InputError("head-weights", "head file: weights must be at least 0")
    return head


def fit_head(folds: tuple[OutOfFold, ...], prior_rows: float = PRIOR_ROWS) -> Head:
    """Return the head that the out-of-fold rows and the prior support.

    folds: one or both halves. Every set of weights held at 0 is tried, and the feasible minimum is taken.
    """
    target = np.concatenate([fold.target for fold in folds]).astype(np.float64)
    scores = [np.concatenate([getattr(fold, name) for fold in folds]) for name in ("network", "own")]
    features = np.stack([np.ones(len(target)), *scores], axis=1)
    penalty = np.array([_INTERCEPT_ROWS, prior_rows, prior_rows])
    best, least = _PRIOR, np.inf
    for keep in product((True, False), repeat=2):
        free = np.array([True, *keep])
        weights = _minimum(features, target, penalty, free)
        loss = _loss(features, target, penalty, weights)
        if weights[1:].min() >= 0.0 and loss < least:
            best, least = weights, loss
    return Head(float(best[0]), float(best[1]), float(best[2]))


def choose(first: OutOfFold, second: OutOfFold) -> Choice:
    """Return which score to use by out-of-fold AUC: the mixed one unless another is better by a standard error.

    The mixed score of each half comes from a head that was fitted on the other half's rows.
    """
    views = []
    for fold, other in ((first, second), (second, first)):
        mixed = fit_head((other,)).logit(fold.network, fold.own)
        views.append((fold.target, {"own": fold.own, "network": fold.network, "mixed": mixed}))
    areas: dict[Choice, list[float | None]] = {
        name: [auc(target, scores[name]) for target, scores in views] for name in ("mixed", "network", "own")
    }
    if any(area is None for values in areas.values() for area in values):
        return "mixed"
    mean = {name: sum(area or 0.0 for area in values) / len(values) for name, values in areas.items()}
    best = max(mean, key=lambda name: mean[name])
    spread = [auc_deviation(target, scores[best], scores["mixed"]) for target, scores in views]
    error = float(np.sqrt(sum(value * value for value in spread))) / len(spread)
    return "mixed" if mean["mixed"] >= mean[best] - error else best


def _loss(features: np.ndarray, target: np.ndarray, penalty: np.ndarray, weights: np.ndarray) -> float:
    logit = features @ weights
    misfit = np.maximum(logit, 0.0) - logit * target + np.log1p(np.exp(-np.abs(logit)))
    return float(np.sum(misfit) + 0.5 * np.sum(penalty * (weights - _PRIOR) ** 2))


def _minimum(features: np.ndarray, target: np.ndarray, penalty: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the weights of least loss, (3,) float64, with those that are not free at 0 (damped Newton)."""
    weights = np.where(free, _PRIOR, 0.0)
    for _ in range(_STEPS):
        chance = sigmoid(features @ weights)
        gradient = features.T @ (chance - target) + penalty * (weights - _PRIOR)
        curved = (features * (chance * (1.0 - chance))[:, None]).T @ features + np.diag(penalty)
        step = np.zeros(len(weights))
        step[free] = -solve_positive(curved[np.ix_(free, free)], gradient[free])
        start, share = _loss(features, target, penalty, weights), 1.0
        while share > 2.0**-20 and _loss(features, target, penalty, weights + share * step) > start:
            share /= 2.0
        weights = weights + share * step
        if float(np.max(np.abs(step))) < 1e-9:
            break
    return weights
