"""Logistic regression with a Gaussian prior and weights that may not fall below 0, on a bank's own rows.

It fits a handful of weights and nothing else. Theory: maximum a posteriori estimation; the objective is convex, so
the constrained minimum is found by trying every set of weights held at 0 (Karush, Kuhn and Tucker), each by damped
Newton steps.
"""

from itertools import product

import numpy as np

from risk.elementary import sigmoid, solve_positive

__all__ = ["shrunk_weights"]

_STEPS = 30


def shrunk_weights(features: np.ndarray, target: np.ndarray, prior: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return the intercept, which is free, and the weights, which are at least 0, (1 + n_features,) float64.

    features: (n_rows, n_features) float64. target: (n_rows,) of 0 and 1. prior: (1 + n_features,) where the weights are
    without a row; strength: as many, in units of curvature of the log-likelihood.
    """
    rows = np.column_stack([np.ones(len(features)), features])
    label = target.astype(np.float64)
    best, least = prior, np.inf
    for keep in product((True, False), repeat=features.shape[1]):
        weights = _minimum((rows, label), prior, strength, np.array([True, *keep]))
        loss = _loss((rows, label), prior, strength, weights)
        if weights[1:].min() >= 0.0 and loss < least:
            best, least = weights, loss
    return best


def _loss(rows: tuple[np.ndarray, np.ndarray], prior: np.ndarray, strength: np.ndarray, weights: np.ndarray) -> float:
    features, target = rows
    logit = features @ weights
    misfit = np.maximum(logit, 0.0) - logit * target + np.log1p(np.exp(-np.abs(logit)))
    return float(np.sum(misfit) + 0.5 * np.sum(strength * (weights - prior) ** 2))


def _minimum(
    rows: tuple[np.ndarray, np.ndarray], prior: np.ndarray, strength: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Return the weights of least loss with those that are not free at 0 (damped Newton)."""
    features, target = rows
    weights = np.where(free, prior, 0.0)
    for _ in range(_STEPS):
        chance = sigmoid(features @ weights)
        gradient = features.T @ (chance - target) + strength * (weights - prior)
        curved = (features * (chance * (1.0 - chance))[:, None]).T @ features + np.diag(strength)
        step = np.zeros(len(weights))
        step[free] = -solve_positive(curved[np.ix_(free, free)], gradient[free])
        start, share = _loss(rows, prior, strength, weights), 1.0
        while share > 2.0**-20 and _loss(rows, prior, strength, weights + share * step) > start:
            share /= 2.0
        weights = weights + share * step
        if float(np.max(np.abs(step))) < 1e-9:
            break
    return weights
