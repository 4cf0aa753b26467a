"""Shrunk weights: the prior without rows, the maximum-likelihood fit with many, and no weight below 0."""

import numpy as np
import pytest

from risk.shrunk import shrunk_weights


def rows(count: int, weights: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features and a target that follows them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, len(weights)))
    chance = 1.0 / (1.0 + np.exp(-(features @ np.array(weights) - 0.5)))
    return features, (rng.random(count) < chance).astype(np.int8)


def test_no_row_leaves_the_prior() -> None:
    prior = np.array([0.3, 1.0, 0.0])
    assert np.array_equal(shrunk_weights(np.zeros((0, 2)), np.zeros(0), prior, np.ones(3)), prior)


def test_without_a_prior_it_is_the_fit_of_another_library() -> None:
    features, target = rows(3000, (0.8, 0.4))
    ours = shrunk_weights(features, target, np.zeros(3), np.full(3, 1e-9))
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is the second opinion on the fit")
    theirs = linear.LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(features, target)
    assert np.abs(ours - [theirs.intercept_[0], *theirs.coef_[0]]).max() < 1e-5


def test_a_weight_that_wants_to_fall_below_0_stays_there() -> None:
    features, target = rows(3000, (0.8, -0.7))
    found = shrunk_weights(features, target, np.array([0.0, 1.0, 0.5]), np.ones(3))
    assert found[2] == 0.0 and found[1] > 0.5
