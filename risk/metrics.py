"""How good a model is on the whole network's hold-out rows, from score histograms added over the network.

It asks for unlabelled counts in 1 000 score bins, merges neighbours to at least 50 rows, and then asks
for labels on those; the training rows' scores and fields in bins are frozen with the model. It holds no threshold
of acceptance. Theory: AUC by trapezoids over the merged bins (ties inside a bin count half), KS as the largest gap of
the two cumulative shares, Brier and expected calibration error from a bin's mean PD, PSI over the training scores'
deciles.
"""

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from risk.binning import ask_rows, contribute_counts, split_counts
from risk.book import Book
from risk.coding import Coding
from risk.discrimination import calibration_error, calibration_groups, ks_of_counts, roc_of_counts
from risk.drift import psi
from risk.model import Model
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc, auc_deviation, ks
from risk.recipe import Ask
from risk.reference import Reference, make_reference
from risk.score_bins import SCORE_BINS, STEPS_PER_LOGIT, bin_pds, merge_bins, score_bins
from risk.spec import JobSpec

__all__ = ["METRIC_ASKS", "NetworkMetrics", "auc", "auc_deviation", "contribute_metrics", "ks", "metric_rounds"]

METRIC_ASKS = ("score-rows", "score-rows-train", "score-bads", "reference-rows")


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


def metric_rounds(spec: JobSpec, model: Model) -> Generator[Ask, np.ndarray, tuple[NetworkMetrics, Reference]]:
    """Ask for score histograms of the hold-out and training rows; return the network's figures and the reference."""
    raw = np.frombuffer(encode_model(model), dtype=np.uint8)
    each = np.arange(SCORE_BINS, dtype=np.int64)
    rows = (yield _ask(spec, "score-rows", "holdout", raw, each)).astype(np.int64)
    train = (yield _ask(spec, "score-rows-train", "train", raw, each)).astype(np.int64)
    cells = merge_bins(rows)
    bads = (yield _ask(spec, "score-bads", "holdout", raw, cells)).astype(np.int64)
    size = int(cells.max()) + 1
    merged, weight = np.zeros(size, dtype=np.int64), np.zeros(size)
    np.add.at(merged, cells, rows)
    np.add.at(weight, cells, rows * bin_pds())
    counted: list[tuple[int, ...]] = []
    if model.codings:
        counted = split_counts(model.codings, (yield _reference_ask(spec, model.codings)))
    reference = make_reference(train, (cells, merged, bads), tuple(zip(model.codings, counted, strict=True)))
    moved = psi(reference.score_rows, reference.score_counts_of_bins(rows))
    return _figures(merged, bads, weight / np.maximum(merged, 1), moved), reference


def contribute_metrics(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's counts of rows, or of bads, in the asked cells, (ask.length,) int64."""
    if ask.name == "reference-rows":
        return contribute_counts(ask, book)
    raw = ask.arrays["model"].tobytes()
    rows = book.rows(ask.rows)

    def score() -> np.ndarray:
        return score_bins(decode_model(raw).logit(book.table.select(rows)))

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


def _reference_ask(spec: JobSpec, codings: Sequence[Coding]) -> Ask:
    return replace(ask_rows(spec, "full", codings), name="reference-rows")


def _figures(rows: np.ndarray, bads: np.ndarray, pd: np.ndarray, psi: float | None) -> NetworkMetrics:
    total, total_bads = int(rows.sum()), int(bads.sum())
    if total_bads == 0 or total_bads >= total:
        return NetworkMetrics(total, total_bads, None, None, None, None, None, psi, (), ())
    curve = roc_of_counts(rows.tolist(), bads.tolist())
    good_share, bad_share = (np.array(side) for side in zip(*curve, strict=True))
    area = float(np.sum(np.diff(good_share) * (bad_share[1:] + bad_share[:-1])) / 2.0)
    brier = float(np.sum(rows * pd * pd - 2.0 * pd * bads + bads) / total)
    groups = calibration_groups(rows, bads, pd)
    return NetworkMetrics(
        rows=total,
        bads=total_bads,
        auc=area,
        gini=2.0 * area - 1.0,
        ks=ks_of_counts(rows.tolist(), bads.tolist()),
        brier=brier,
        ece=calibration_error(groups),
        psi=psi,
        calibration=tuple(groups),
        roc=curve,
    )
