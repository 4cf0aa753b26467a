"""Figures from a noisy histogram: unbiased, with a deviation that covers, and none where noise is all there is."""

from dataclasses import replace

import numpy as np
import pytest

from risk.card import Scaling, Scorecard
from risk.metrics import NetworkMetrics
from risk.modelfile import encode_model
from risk.private_calibration import BINS, score_cuts
from risk.private_metrics import contribute_scores, private_metric_rounds
from risk.ranking import auc
from tests.risk.private_rooms import private_books, train_noisy
from tests.risk.rooms import room_dictionary, room_tables, spec_of


def truth(middle: float, rows: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits about a middle, and targets that follow them."""
    rng = np.random.default_rng(1)
    logit = rng.normal(middle, 1.0, rows)
    return logit, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)


def measured(noise: int, seed: int = 0, middle: float = -1.5) -> tuple[NetworkMetrics, float]:
    """Return the figures of a model whose logit is the truth, and its area on the rows themselves."""
    logit, target = truth(middle)
    cuts = score_cuts(middle, 1.0)
    place = np.searchsorted(cuts, np.floor(logit * 1024), side="right") + BINS * (target == 1)
    sums = 512 * np.bincount(place, minlength=2 * BINS)
    draws = np.random.default_rng(seed).normal(0, noise, len(sums))
    spec = replace(spec_of(room_dictionary(), 4), multiplier=max(round(noise / 512 / 4**0.5 * 3**0.5 * 1e6), 1))
    generator = private_metric_rounds(spec, constant(spec.dictionary.digest()), cuts)
    next(generator)
    with pytest.raises(StopIteration) as ended:
        generator.send(sums + np.rint(draws).astype(np.int64))
    area = auc(target, logit)
    assert area is not None
    return ended.value.value, area


def constant(dictionary: str) -> Scorecard:
    """Return a card without fields."""
    return Scorecard("scorecard/1", (), (), 0, 600, Scaling(), dictionary)


def test_without_noise_the_figures_are_those_of_the_rows() -> None:
    found, true = measured(0)
    assert found.auc is not None and found.ece is not None and found.brier is not None
    assert found.rows == 6000 and abs(found.auc - true) < 0.003 and found.psi is None
    assert found.ece < 0.02 and 0.0 < found.brier < 0.25 and sum(group[0] for group in found.calibration) <= 6000
    assert found.roc[0] == (0.0, 0.0) and found.roc[-1] == pytest.approx((1.0, 1.0))


def test_under_noise_the_area_is_unbiased_and_its_deviation_covers() -> None:
    errors, deviations = [], []
    for seed in range(60):
        found, true = measured(8000, seed)
        assert found.auc is not None and found.auc_deviation is not None
        errors.append(found.auc - true)
        deviations.append(found.auc_deviation)
    clean = measured(0)[0].auc_deviation
    assert clean is not None
    noise_part = np.sqrt(np.mean(deviations) ** 2 - clean**2)
    assert abs(np.mean(errors)) < 0.004
    assert 0.6 * noise_part < np.std(errors) < 1.4 * noise_part and noise_part > clean


@pytest.mark.parametrize("middle", [-1.5, 0.0, 1.5])
def test_without_noise_the_deviation_is_delongs(middle: float) -> None:
    """Worked out row by row, for few bads and for few goods."""
    logit, target = truth(middle)
    bads, goods = logit[target == 1], logit[target == 0]
    wins = (bads[:, None] > goods[None, :]).astype(np.float64)
    variance = wins.mean(axis=1).var() / len(bads) + wins.mean(axis=0).var() / len(goods)
    assert measured(0, middle=middle)[0].auc_deviation == pytest.approx(variance**0.5, rel=0.03)


def test_noise_alone_has_no_figure() -> None:
    found, _ = measured(500_000)
    assert found.auc is None and found.auc_deviation is None and found.roc == ()


def test_a_members_part_counts_each_row_once() -> None:
    spec = replace(spec_of(room_dictionary(), 4), multiplier=500_000)
    books = private_books(room_tables(spec.dictionary, (500, 400, 300, 200), 2), spec)
    model = train_noisy(spec, books).model
    ask = next(private_metric_rounds(spec, model, score_cuts(-1.0, 1.0)))
    part = contribute_scores(ask, books[0])
    holdout = books[0].table.target[books[0].rows("holdout")]
    assert part[:BINS].sum() == 512 * np.count_nonzero(holdout == 0)
    assert part[BINS:].sum() == 512 * np.count_nonzero(holdout == 1)
    assert ask.arrays["model"].tobytes() == encode_model(model)
