"""How good a model is on the hold-out rows, from one noisy histogram of 32 score bins.

Goods and bads of every bin are one sum over rows that no other sum of the job has counted, so they cost nothing beside
the training (parallel composition). It draws no noise and holds no threshold.

Theory: the bins are fixed before a hold-out row is seen. The area under the curve is a ratio of sums of products of
counts, hence nearly unbiased under noise of mean zero, and its deviation is that of rows and of noise together, both
carried through the curve's derivative (DeLong, DeLong and Clarke-Pearson, 1988). KS, a largest gap, is a little too
large under noise.
"""

from collections.abc import Generator

import numpy as np

from risk.book import Book
from risk.elementary import sigmoid
from risk.metrics import NetworkMetrics
from risk.model import Model
from risk.modelfile import decode_model, encode_model
from risk.private_calibration import BINS, ROW, STEPS, Histogram
from risk.recipe import Ask
from risk.release import WHOLE, Release, noise_variance, opened_variance, word_bits
from risk.spec import JobSpec

__all__ = ["SCORES", "contribute_scores", "private_metric_rounds", "score_release"]

SCORES = "score-counts"


def score_release() -> Release:
    """Return what the one histogram releases of the hold-out rows."""
    return Release(SCORES, "holdout", ROW, ROW * ROW, 1, WHOLE)


def private_metric_rounds(spec: JobSpec, model: Model, cuts: np.ndarray) -> Generator[Ask, np.ndarray, NetworkMetrics]:
    """Ask for the histogram and return the figures; PSI needs training scores and is not asked."""
    release = score_release()
    noise = noise_variance(spec.multiplier, release.weight, release.row_l2_squared)
    bound = spec.max_rows * ROW
    ask = Ask(
        recipe=spec.label,
        part="full",
        name=SCORES,
        rows="holdout",
        length=2 * BINS,
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=ROW,
        row_l1=ROW,
        parameters={"row": ROW},
        arrays={"cuts": cuts, "model": np.frombuffer(encode_model(model), dtype=np.uint8)},
        row_l2_squared=release.row_l2_squared,
        noise=noise,
    )
    sums = (yield ask) / float(ROW)
    return _figures(Histogram(sums[:BINS], sums[BINS:], cuts), opened_variance(spec, ask) / (ROW * ROW))


def contribute_scores(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's goods, then bads, of every score bin in grid units, (ask.length,) int64."""
    rows = book.rows(ask.rows)
    model = decode_model(ask.arrays["model"].tobytes())
    steps = np.floor(model.logit(book.table.select(rows)) * STEPS).astype(np.int64)
    place = np.searchsorted(ask.arrays["cuts"], steps, side="right")
    place += BINS * (book.table.target[rows] == 1)
    return int(ask.parameters["row"]) * np.bincount(place, minlength=ask.length).astype(np.int64)  # type: ignore[arg-type]


def _figures(seen: Histogram, variance: float) -> NetworkMetrics:
    """Return the figures of noisy counts; variance: of one count's noise."""
    goods, bads = seen.goods, seen.bads
    all_goods, all_bads = float(goods.sum()), float(bads.sum())
    rows, bad_rows = max(round(all_goods + all_bads), 0), max(round(all_bads), 0)
    # Fewer than that many rows of a class could be noise alone.
    least = 3.0 * (BINS * variance) ** 0.5
    if min(all_goods, all_bads) <= max(least, 1.0):
        return NetworkMetrics(rows, bad_rows, None, None, None, None, None, None, (), ())
    bad_share = np.concatenate([[0.0], np.cumsum(bads[::-1])]) / all_bads
    good_share = np.concatenate([[0.0], np.cumsum(goods[::-1])]) / all_goods
    area = float(np.sum(np.diff(good_share) * (bad_share[1:] + bad_share[:-1])) / 2.0)
    area = min(max(area, 0.0), 1.0)
    above_good = ((bad_share[1:] + bad_share[:-1]) / 2.0)[::-1] - area
    below_bad = 1.0 - ((good_share[1:] + good_share[:-1]) / 2.0)[::-1] - area
    slope_good, slope_bad = above_good / all_goods, below_bad / all_bads
    spread = float(np.sum((np.maximum(goods, 0.0) + variance) * slope_good**2))
    spread += float(np.sum((np.maximum(bads, 0.0) + variance) * slope_bad**2))
    chance = sigmoid(seen.middles)
    counts = goods + bads
    brier = float(np.sum(counts * chance * chance - 2.0 * chance * bads + bads) / (all_goods + all_bads))
    groups = _groups(counts, bads, chance)
    ece = sum(abs(count * mean - bad) for count, bad, mean in groups) / (all_goods + all_bads)
    return NetworkMetrics(
        rows=rows,
        bads=bad_rows,
        auc=area,
        gini=2.0 * area - 1.0,
        ks=min(float(np.max(np.abs(bad_share - good_share))), 1.0),
        brier=min(max(brier, 0.0), 1.0),
        ece=float(ece),
        psi=None,
        calibration=tuple((max(round(count), 0), max(round(bad), 0), mean) for count, bad, mean in groups),
        roc=tuple(zip(np.clip(good_share, 0.0, 1.0).tolist(), np.clip(bad_share, 0.0, 1.0).tolist(), strict=True)),
        auc_deviation=spread**0.5,
    )


def _groups(counts: np.ndarray, bads: np.ndarray, chance: np.ndarray) -> list[tuple[float, float, float]]:
    """Return (rows, bads, mean PD) of at most ten runs of bins with about equal rows, the safest first."""
    groups: list[tuple[float, float, float]] = []
    least = float(counts.sum()) / 10.0
    rows = bad = weight = 0.0
    for place in range(len(counts)):
        rows, bad = rows + float(counts[place]), bad + float(bads[place])
        weight += float(counts[place] * chance[place])
        if rows >= least:
            groups.append((rows, bad, min(max(weight / rows, 0.0), 1.0)))
            rows = bad = weight = 0.0
    return groups
