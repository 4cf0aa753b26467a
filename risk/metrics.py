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
from risk.grades import fit_scale
from risk.model import Model
from risk.modelfile import decode_model, encode_model, with_reference
from risk.ranking import auc, auc_deviation, ks
from risk.recipe import Ask, run_plain
from risk.reference import Reference, make_reference
from risk.score_bins import SCORE_BINS, STEPS_PER_LOGIT, bin_pds, score_bins, starts_of
from risk.score_cells import cells_of, chosen_cuts
from risk.spec import JobSpec

__all__ = [
    "METRIC_ASKS",
    "NetworkMetrics",
    "auc",
    "auc_deviation",
    "contribute_metrics",
    "freeze",
    "ks",
    "metric_rounds",
]

METRIC_ASKS = (
    *("score-rows-train", "score-bads-train", "score-rows", "score-bads"),
    *("score-fields", "score-rows-later", "score-bads-later"),
)


@dataclass(frozen=True, slots=True)
class NetworkMetrics:
    """Hold the hold-out figures of the whole network; None where the hold-out has one class only.

    calibration: (rows, bads, mean PD) of ten groups by score. roc: (share of goods, share of bads) above each edge,
    from 0, 0 to 1, 1. psi: between training and hold-out scores. auc_deviation: of the AUC under differential privacy,
    rows and noise together; None where the counts are exact. out_of_time: the same of rows after the last training
    month, None where all months train.
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
    out_of_time: "NetworkMetrics | None" = None

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values; `auc_deviation` and `out_of_time` stand only where there are any."""
        document = asdict(self) | {"out_of_time": self.out_of_time and self.out_of_time.to_document()}
        for name in ("auc_deviation", "out_of_time"):
            if document[name] is None:
                del document[name]
        return document


def metric_rounds(spec: JobSpec, model: Model) -> Generator[Ask, np.ndarray, tuple[NetworkMetrics, Reference]]:
    """Ask for score histograms of the hold-out and training rows; return the network's figures and the reference."""
    raw = np.frombuffer(encode_model(model), dtype=np.uint8)
    train = yield from _measure(spec, "train", raw, ())
    scale = fit_scale(train.rows.tolist(), train.bads.tolist(), starts_of(train.cells))
    edges = [cut + SCORE_BINS // 2 for cut in scale.cuts]
    held = yield from _measure(spec, "holdout", raw, edges)
    counted: list[tuple[int, ...]] = []
    if model.codings:
        (counted,) = split_counts(model.codings, (yield _reference_ask(spec, model.codings)), 1)
    fields = tuple(zip(model.codings, counted, strict=True))
    reference = make_reference(train.bins, scale, fields)
    figures = _figures(held, reference)
    if spec.train_until is not None:
        later = yield from _measure(spec, "later", raw, edges)
        figures = replace(figures, out_of_time=_figures(later, reference))
    return figures, reference


def freeze(model: Model, book: Book) -> Model:
    """Return a bank's own model with the reference that its own rows give; nothing of it is sent."""
    spec = replace(book.spec, members=1, multiplier=0, statement=None)
    _, reference = run_plain(metric_rounds(spec, model), lambda ask: contribute_metrics(ask, book))
    return with_reference(model, reference)


@dataclass(frozen=True, eq=False, slots=True)
class _Measured:
    """Hold one set of rows: rows in the 1 000 score bins, the cell of each bin, rows, bads and mean PD of the cells."""

    bins: np.ndarray
    cells: np.ndarray
    rows: np.ndarray
    bads: np.ndarray
    pds: np.ndarray


def _measure(
    spec: JobSpec, which: Literal["train", "holdout", "later"], raw: np.ndarray, edges: Sequence[int]
) -> Generator[Ask, np.ndarray, _Measured]:
    """Ask for rows in score bins, and then for labels on runs of them; edges: first bins of the model's grades."""
    suffix = "" if which == "holdout" else f"-{which}"
    bins = (yield _ask(spec, f"score-rows{suffix}", which, raw, np.arange(SCORE_BINS, dtype=np.int64))).astype(np.int64)
    # Cut as a validation of the model cuts the same rows, so that the two together show no smaller cell.
    cells = cells_of(chosen_cuts(bins, edges))
    bads = (yield _ask(spec, f"score-bads{suffix}", which, raw, cells)).astype(np.int64)
    rows, weight = np.zeros(len(bads), dtype=np.int64), np.zeros(len(bads))
    np.add.at(rows, cells, bins)
    np.add.at(weight, cells, bins * bin_pds())
    return _Measured(bins, cells, rows, bads, weight / np.maximum(rows, 1))


def contribute_metrics(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's counts of rows, or of bads, in the asked cells, (ask.length,) int64."""
    if ask.name == "score-fields":
        return contribute_counts(ask, book)
    raw = ask.arrays["model"].tobytes()
    rows = book.rows(ask.rows)

    def score() -> np.ndarray:
        return score_bins(decode_model(raw).logit(book.table.select(rows)))

    bins = book.recall(f"scores-{ask.rows}", raw, score)
    if ask.parameters["labels"]:
        bins = bins[book.table.target[rows] == 1]
    return np.bincount(ask.arrays["cells"][bins], minlength=ask.length).astype(np.int64)


def _ask(
    spec: JobSpec, name: str, rows: Literal["train", "holdout", "later"], raw: np.ndarray, cells: np.ndarray
) -> Ask:
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
        parameters={"labels": int(name.startswith("score-bads")), "steps_per_logit": STEPS_PER_LOGIT},
        arrays={"cells": cells, "model": raw},
    )


def _reference_ask(spec: JobSpec, codings: Sequence[Coding]) -> Ask:
    return replace(ask_rows(spec, ("full",), codings), name="score-fields")


def _figures(measured: _Measured, reference: Reference) -> NetworkMetrics:
    rows, bads, pd = measured.rows, measured.bads, measured.pds
    moved = psi(reference.score_rows, reference.score_counts_of_bins(measured.bins))
    total, total_bads = int(rows.sum()), int(bads.sum())
    if total_bads == 0 or total_bads >= total:
        return NetworkMetrics(total, total_bads, None, None, None, None, None, moved, (), ())
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
        psi=moved,
        calibration=tuple(groups),
        roc=curve,
    )
