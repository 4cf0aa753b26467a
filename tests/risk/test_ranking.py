"""Exact figures against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.ranking import auc, auc_deviation, ks

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=2, max_size=40)


@given(rows)
def test_auc_counts_pairs_and_ks_counts_shares(pairs: list[tuple[int, int]]) -> None:
    target, risk = np.array([p[0] for p in pairs]), np.array([float(p[1]) for p in pairs])
    bad, good = risk[target == 1], risk[target == 0]
    if not len(bad) or not len(good):
        assert auc(target, risk) is None and ks(target, risk) is None
        return
    wins = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
    assert auc(target, risk) == pytest.approx(sum(wins) / len(wins))
    gaps = [abs((bad <= edge).mean() - (good <= edge).mean()) for edge in risk]
    assert ks(target, risk) == pytest.approx(max(gaps))


def test_deviation_matches_repeated_sampling() -> None:
    rng = np.random.default_rng(4)
    differences, claimed = [], []
    for _ in range(400):
        target = (rng.random(300) < 0.3).astype(int)
        first, second = target + rng.normal(0, 1.5, 300), target + rng.normal(0, 2.5, 300)
        differences.append((auc(target, first) or 0.0) - (auc(target, second) or 0.0))
        claimed.append(auc_deviation(target, first, second))
    assert np.mean(claimed) == pytest.approx(np.std(differences), rel=0.1)
    assert auc_deviation(target, first, first) == 0.0
    assert auc_deviation(np.zeros(5), np.arange(5.0), np.arange(5.0)) == 0.0
