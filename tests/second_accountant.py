"""A second accountant, written apart from the product's: epsilon from exported `dp.spend` bodies, numpy alone.

It shares no code with `privacy.accountant` and goes other ways where it can: logarithms of binomials by cumulative
sums, the sampled moment summed from j = 0 as a plain log-sum-exp, sensitivities as floats. It is the reader's own check
of the statement in a model file.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

__all__ = ["epsilon_from_records"]

ALPHA = np.arange(2, 257, dtype=np.float64)


def epsilon_from_records(records: Iterable[tuple[str, Mapping[str, object]]], delta: float) -> float:
    """Return epsilon at delta of releases, given as (job, body)."""
    jobs: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros_like(ALPHA)))
    for job, body in records:
        jobs[job][str(body["rows"])] += int(str(body["steps"])) * _one(body)
    total = np.zeros_like(ALPHA)
    for rows in jobs.values():
        trained = rows["train"] + np.maximum(rows["half-a"], rows["half-b"])
        total += np.maximum(trained, rows["holdout"])
    if not total.any():
        return 0.0
    epsilon = total + np.log((ALPHA - 1) / ALPHA) - np.log(delta * ALPHA) / (ALPHA - 1)
    return float(max(epsilon.min(), 0.0))


def _one(body: Mapping[str, object]) -> np.ndarray:
    mu, l1, l2 = (float(str(body[name])) for name in ("variance", "row_l1", "row_l2_squared"))
    rate = float(str(body["q"]))

    def whole(alpha: np.ndarray) -> np.ndarray:
        least = np.minimum(((2 * alpha - 1) * l2 + 6 * l1) / (4 * mu**2), 1.5 * l1 / mu)
        return np.asarray(alpha * l2 / (2 * mu) + least)

    if rate == 1.0:
        return whole(ALPHA)
    found = []
    for alpha in ALPHA:
        drawn = np.arange(int(alpha) + 1, dtype=np.float64)
        ways = np.concatenate([[0.0], np.cumsum(np.log((alpha - drawn[1:] + 1) / drawn[1:]))])
        moments = np.where(drawn >= 2, (drawn - 1) * whole(drawn), 0.0)
        terms = ways + drawn * np.log(rate) + (alpha - drawn) * np.log(1 - rate) + moments
        found.append((terms.max() + np.log(np.exp(terms - terms.max()).sum())) / (alpha - 1))
    return np.array(found)
