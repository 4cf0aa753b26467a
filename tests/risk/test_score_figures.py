"""Figures from counts against the rows that were counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.discrimination import auc_of_counts, confusion, hosmer_lemeshow, ks_of_counts, lift, roc_of_counts
from risk.score_bins import score_bins
from risk.score_cells import cells_of, chosen_cuts
from risk.score_figures import ScoreCounts, confusion_at, count_scores, score_figures
from tests.risk.pooled_report import check_scores


def counted(seed: int, size: int, base: float) -> tuple[ScoreCounts, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(base, 1.0, size)
    target = (rng.random(size) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
    rows = np.bincount(score_bins(logit), minlength=1000)
    return count_scores(logit, target, cells_of(chosen_cuts(rows, []))), target, score_bins(logit) - 500


@given(st.integers(0, 10**6), st.integers(1, 3000), st.floats(-6.0, 6.0))
@settings(max_examples=40, deadline=None)
def test_they_are_those_of_the_rows(seed: int, size: int, base: float) -> None:
    counts, target, bins = counted(seed, size, base)
    figures = score_figures(counts)
    if figures.hosmer_lemeshow is None or not target.any():
        return
    check_scores(figures.to_document(), target, bins, 0)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 500), min_size=2, max_size=5))
@settings(max_examples=20, deadline=None)
def test_members_counts_add_to_those_of_all_rows(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    logits = [rng.normal(0.0, 1.0, size) for size in sizes]
    targets = [(rng.random(size) < 0.3).astype(np.int8) for size in sizes]
    rows = np.bincount(score_bins(np.concatenate(logits)), minlength=1000)
    cells = cells_of(chosen_cuts(rows, []))
    whole = count_scores(np.concatenate(logits), np.concatenate(targets), cells)
    parts = [count_scores(logit, target, cells) for logit, target in zip(logits, targets, strict=True)]
    assert np.array_equal(sum(part.bads for part in parts), whole.bads)
    assert sum(part.pds or 0 for part in parts) == whole.pds
    assert np.array_equal(sum(part.rows for part in parts), whole.rows)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_ranking(label: int) -> None:
    logit = np.linspace(-2, 2, 300)
    figures = score_figures(count_scores(logit, np.full(300, label, dtype=np.int8), np.zeros(1000, dtype=np.int64)))
    assert figures.auc is figures.gini is figures.ks is None
    assert figures.bad_rate == float(label) and figures.brier is not None and figures.ece is not None


def test_no_row_has_no_figure() -> None:
    figures = score_figures(count_scores(np.empty(0), np.empty(0, dtype=np.int8), np.zeros(1000, dtype=np.int64)))
    assert figures.rows == 0 and figures.calibration == () and figures.lift == ()
    assert (figures.auc, figures.ks, figures.brier, figures.ece, figures.bad_rate) == (None,) * 5


def test_a_cut_off_without_labels_is_withheld() -> None:
    counts, target, bins = counted(4, 2000, -1.0)
    start = int(np.flatnonzero(np.diff(counts.cells))[3]) + 1
    found = confusion_at(counts, start)
    assert found is not None and found.bads_declined == int(target[bins + 500 >= start].sum())
    assert found.goods_approved == int(np.sum((bins + 500 < start) & (target == 0)))
    assert confusion_at(counts, start + 1) is None and counts.below(start + 1)[1] is None
    everything = confusion_at(counts, 1000)
    assert everything is not None and everything.to_document()["bad_rate_approved"] == pytest.approx(target.mean())
    assert everything.to_document()["approval_rate"] == 1.0


def test_counts_of_cells_against_plain_sums() -> None:
    rows, bads = [100, 50, 0, 80], [10, 10, 0, 40]
    scores, target = np.repeat([0, 1, 3], [100, 50, 80]), np.zeros(230, dtype=int)
    target[:10] = target[100:110] = target[150:190] = 1
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the second opinion on AUC")
    assert auc_of_counts(rows, bads) == pytest.approx(metrics.roc_auc_score(target, scores), abs=1e-12)
    curve = roc_of_counts(rows, bads)
    assert curve[0] == (0.0, 0.0) and curve[-1] == (1.0, 1.0) and len(curve) == 5
    assert ks_of_counts(rows, bads) == pytest.approx(max(abs(a - b) for a, b in curve))
    assert confusion(rows, bads, 2).to_document()["bads_caught"] == 40 / 60
    top = lift(rows, bads, (0.1, 0.3))
    assert [(item.rows, item.bads) for item in top] == [(80, 40)] and top[0].lift == pytest.approx(0.5 / (60 / 230))
    assert auc_of_counts([5], [0]) is None and roc_of_counts([5], [5]) == () and lift([5], [0]) == ()


def test_a_certain_pd_has_no_test() -> None:
    assert hosmer_lemeshow([(10, 0, 0.0), (10, 10, 1.0)]) is None and hosmer_lemeshow([]) is None
