"""How good a model is on the whole network's hold-out rows, from score histograms added over the network.

It asks for unlabelled counts in 1 000 score bins, merges neighbours to at least 50 rows, and then asks
for labels on those. It holds no threshold of acceptance. Theory: AUC by trapezoids over the merged bins (ties inside
a bin count half), KS as the largest gap of the two cumulative shares, Brier and expected calibration error from a
bin's mean PD, PSI = sum of (a - b) ln(a / b) over the training scores' deciles.
"""

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from risk.book import Book
from risk.elementary import ln, sigmoid
from risk.model import Model
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc, auc_deviation, ks
from risk.recipe import Ask
from risk.spec import JobSpec

__all__ = ["METRIC_ASKS", "NetworkMetrics", "auc", "auc_deviation", "contribute_metrics", "ks", "metric_rounds"]

SCORE_BINS = 1000
STEPS_PER_LOGIT = 64
MIN_ROWS = 50
GROUPS = 10
METRIC_ASKS = ("score-rows", "score-rows-train", "score-bads")


@dataclass(frozen=True, slots=True)
class NetworkMetrics:
    """Hold the hold-out figures of the whole network; None where the hold-out has one class only.

    calibration: (rows, bads, mean PD) of ten groups by score. roc: (share of goods, share of bads) above each edge,
    from 0, 0 to 1, 1. psi: between training and hold-out scores. auc_deviation: of the AUC under differential privacy,
    rows and noise together; None where the counts are exact.
    """

    rows: int
    bads: int
    auc: float | None
    gini: float | None
    ks: float | None
    brier: float | None
    ece: float | None
    psi: float | None
    calibration: tuple[tuple[int, int, float], ...]
    roc: tuple[tuple[float, float], ...]
    auc_deviation: float | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values; `auc_deviation` stands only where there is one."""
        document = asdict(self)
        if self.auc_deviation is None:
            del document["auc_deviation"]
        return document


def metric_rounds(spec: JobSpec, model: Model) -> Generator[Ask, np.ndarray, NetworkMetrics]:
    """Ask for score histograms of the hold-out and training rows; return the network's figures."""
    raw = np.frombuffer(encode_model(model), dtype=np.uint8)
    each = np.arange(SCORE_BINS, dtype=np.int64)
    rows = (yield _ask(spec, "score-rows", "holdout", raw, each)).astype(np.int64)
    train = (yield _ask(spec, "score-rows-train", "train", raw, each)).astype(np.int64)
    cells = _merge_bins(rows)
    bads = (yield _ask(spec, "score-bads", "holdout", raw, cells)).astype(np.int64)
    centres = sigmoid((each - SCORE_BINS // 2 + 0.5) / STEPS_PER_LOGIT)
    size = int(cells.max()) + 1
    merged, weight = np.zeros(size, dtype=np.int64), np.zeros(size)
    np.add.at(merged, cells, rows)
    np.add.at(weight, cells, rows * centres)
    return _figures(merged, bads, weight / np.maximum(merged, 1), _psi(train, rows))


def contribute_metrics(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's counts of rows, or of bads, in the asked score cells, (ask.length,) int64."""
    raw = ask.arrays["model"].tobytes()
    rows = book.rows(ask.rows)

    def score() -> np.ndarray:
        logit = decode_model(raw).logit(book.table.select(rows))
        steps = np.floor(logit * STEPS_PER_LOGIT).astype(np.int64) + SCORE_BINS // 2
        return np.asarray(np.clip(steps, 0, SCORE_BINS - 1))

    bins = book.recall(f"scores-{ask.rows}", raw, score)
    if ask.parameters["labels"]:
        bins = bins[book.table.target[rows] == 1]
    return np.bincount(ask.arrays["cells"][bins], minlength=ask.length).astype(np.int64)


def _ask(spec: JobSpec, name: str, rows: Literal["train", "holdout"], raw: np.ndarray, cells: np.ndarray) -> Ask:
    return Ask(
        recipe=spec.label,
        part="full",
        name=name,
        rows=rows,
        length=int(cells.max()) + 1,
        word_bits=32,
        bound=spec.max_rows,
        row_linf=1,
        row_l1=1,
        parameters={"labels": int(name == "score-bads"), "steps_per_logit": STEPS_PER_LOGIT},
        arrays={"cells": cells, "model": raw},
    )


def _merge_bins(rows: np.ndarray) -> np.ndarray:
    """Return the cell of every score bin, (1000,) int64: runs of neighbours with at least 50 rows each."""
    cells = np.zeros(len(rows), dtype=np.int64)
    cell, gathered, left = 0, 0, int(rows.sum())
    for place, count in enumerate(rows):
        cells[place] = cell
        gathered += int(count)
        left -= int(count)
        if gathered >= MIN_ROWS and left >= MIN_ROWS:
            cell, gathered = cell + 1, 0
    return cells


def _figures(rows: np.ndarray, bads: np.ndarray, pd: np.ndarray, psi: float | None) -> NetworkMetrics:
    total, total_bads = int(rows.sum()), int(bads.sum())
    goods = rows - bads
    if total_bads == 0 or total_bads >= total:
        return NetworkMetrics(total, total_bads, None, None, None, None, None, psi, (), ())
    # From the riskiest cell downwards.
    bad_share = np.concatenate([[0], np.cumsum(bads[::-1])]) / total_bads
    good_share = np.concatenate([[0], np.cumsum(goods[::-1])]) / (total - total_bads)
    area = float(np.sum(np.diff(good_share) * (bad_share[1:] + bad_share[:-1])) / 2.0)
    brier = float(np.sum(rows * pd * pd - 2.0 * pd * bads + bads) / total)
    groups = _groups(rows, bads, pd)
    ece = sum(abs(count * mean - bad) for count, bad, mean in groups) / total
    return NetworkMetrics(
        rows=total,
        bads=total_bads,
        auc=area,
        gini=2.0 * area - 1.0,
        ks=float(np.max(np.abs(bad_share - good_share))),
        brier=brier,
        ece=float(ece),
        psi=psi,
        calibration=tuple(groups),
        roc=tuple(zip(good_share.tolist(), bad_share.tolist(), strict=True)),
    )


def _groups(rows: np.ndarray, bads: np.ndarray, pd: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (rows, bads, mean PD) of at most ten runs of cells with about equal rows, the safest first."""
    total = int(rows.sum())
    place = np.minimum((np.cumsum(rows) - (rows + 1) // 2) * GROUPS // max(total, 1), GROUPS - 1)
    groups = []
    for group in range(GROUPS):
        chosen = (place == group) & (rows > 0)
        count = int(rows[chosen].sum())
        if count:
            groups.append((count, int(bads[chosen].sum()), float(np.sum(rows[chosen] * pd[chosen]) / count)))
    return groups


def _psi(train: np.ndarray, holdout: np.ndarray) -> float | None:
    if not train.sum() or not holdout.sum():
        return None
    place = np.minimum((np.cumsum(train) - (train + 1) // 2) * GROUPS // int(train.sum()), GROUPS - 1)
    first = np.bincount(place, weights=train, minlength=GROUPS).astype(np.int64)
    second = np.bincount(place, weights=holdout, minlength=GROUPS).astype(np.int64)
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if a or b:
            # Half a row keeps an empty decile finite.
            a2, b2 = 2 * a + (a == 0), 2 * b + (b == 0)
            share_a, share_b = a2 / (2 * int(train.sum())), b2 / (2 * int(holdout.sum()))
            total += (share_a - share_b) * ln(a2 * int(holdout.sum()), b2 * int(train.sum()))
    return total
