"""How one model scored one group of rows, from counts that add up over members.

It sees counts, never a row; `count_scores` alone turns rows into them, at a bank or on rows in one place. Theory: which
of the 1 000 score bins rows stand in is asked without labels. Labels are asked in runs of bins only, and as two sums
over the bads: their ranks, which give the area under the curve (Mann and Whitney, 1947) with ties inside a bin alone,
and their PDs, which give Brier's score. So a group of few rows has an exact AUC and no label of a small cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.discrimination import (
    Confusion,
    HosmerLemeshow,
    Lift,
    calibration_error,
    calibration_groups,
    confusion,
    hosmer_lemeshow,
    ks_of_counts,
    lift,
)
from risk.score_bins import SCORE_BINS, bin_pds, score_bins

__all__ = [
    "PD_STEPS",
    "ScoreCounts",
    "ScoreFigures",
    "confusion_at",
    "count_scores",
    "pd_steps",
    "rank_steps",
    "score_figures",
]

PD_STEPS = 1 << 30
"""Steps of a PD of 1 in a sum."""


@dataclass(frozen=True, eq=False, slots=True)
class ScoreCounts:
    """Hold what was counted of one group of rows by one model.

    rows: (1000,) int64 in every score bin. cells: (1000,) int64, the cell of every bin. bads: (n_cells,) int64. ranks:
    sum over the bads of twice their rank (`rank_steps`). pds: sum over the bads of their bin's PD, in `PD_STEPS`.
    Either is None where it was not asked, because few rows of a class would be told by it.
    """

    rows: np.ndarray
    cells: np.ndarray
    bads: np.ndarray
    ranks: int | None
    pds: int | None

    @property
    def rarer_class(self) -> int:
        """Return the rows of the class that has fewer."""
        bads = int(self.bads.sum())
        return min(bads, int(self.rows.sum()) - bads)

    @property
    def cell_rows(self) -> np.ndarray:
        """Return the rows of every cell, (n_cells,) int64."""
        counts = np.zeros(len(self.bads), dtype=np.int64)
        np.add.at(counts, self.cells, self.rows)
        return counts

    @property
    def cell_pds(self) -> np.ndarray:
        """Return the mean PD of every cell, (n_cells,) float64, 0 where it is empty."""
        weight = np.zeros(len(self.bads))
        np.add.at(weight, self.cells, self.rows * bin_pds())
        return np.asarray(weight / np.maximum(self.cell_rows, 1))

    def below(self, start: int) -> tuple[int, int | None]:
        """Return rows and bads whose bin is below `start`; bads are None where no cell starts there."""
        rows = int(self.rows[:start].sum())
        if start in (0, SCORE_BINS) or self.cells[start] != self.cells[start - 1]:
            first = len(self.bads) if start == SCORE_BINS else int(self.cells[start])
            return rows, int(self.bads[:first].sum())
        return rows, None


@dataclass(frozen=True, slots=True)
class ScoreFigures:
    """Hold the figures of one group of rows; one is None where the rows do not support it, such as one class only.

    cells: how many runs of scores labels were counted in; KS is the largest gap at their edges, so at most that of the
    rows, and None for fewer than two cells. calibration: (rows, bads, mean PD) of at most ten runs of cells, the safest
    first.
    """

    rows: int
    bads: int
    cells: int
    bad_rate: float | None
    mean_pd: float | None
    auc: float | None
    gini: float | None
    ks: float | None
    brier: float | None
    ece: float | None
    hosmer_lemeshow: HosmerLemeshow | None
    calibration: tuple[tuple[int, int, float], ...]
    lift: tuple[Lift, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        names = ("rows", "bads", "cells", "bad_rate", "mean_pd", "auc", "gini", "ks", "brier", "ece")
        test = self.hosmer_lemeshow
        plain = {name: getattr(self, name) for name in names}
        return plain | {
            "calibration": [{"rows": rows, "bads": bads, "mean_pd": pd} for rows, bads, pd in self.calibration],
            "hosmer_lemeshow": None
            if test is None
            else {"chi_square": test.chi_square, "degrees": test.degrees, "p_value": test.p_value},
            "lift": [{name: getattr(item, name) for name in Lift.__slots__} for item in self.lift],
        }


def rank_steps(rows: np.ndarray) -> np.ndarray:
    """Return twice the mean rank, from 1, of the rows of each bin, (n_bins,) int64; the safest stands first."""
    below = np.cumsum(rows) - rows
    return np.asarray(2 * below + rows + 1, dtype=np.int64)


def pd_steps() -> np.ndarray:
    """Return the PD of each score bin in `PD_STEPS`, (1000,) int64."""
    return np.rint(bin_pds() * PD_STEPS).astype(np.int64)


def count_scores(logit: np.ndarray, target: np.ndarray, cells: np.ndarray) -> ScoreCounts:
    """Return the counts of rows that lie here; logit: (n,) float64, target: (n,) of 0 and 1, cells: (1000,) int64."""
    bins = score_bins(logit)
    rows = np.bincount(bins, minlength=SCORE_BINS).astype(np.int64)
    bad = np.bincount(bins[np.asarray(target) == 1], minlength=SCORE_BINS).astype(np.int64)
    bads = np.zeros(int(cells.max()) + 1, dtype=np.int64)
    np.add.at(bads, cells, bad)
    return ScoreCounts(rows, cells, bads, int((bad * rank_steps(rows)).sum()), int((bad * pd_steps()).sum()))


def score_figures(counts: ScoreCounts, shares: Sequence[float] = (0.1, 0.2, 0.3, 0.5)) -> ScoreFigures:
    """Return the figures of a group of rows; shares: of the riskiest rows whose lift is told."""
    rows, bads = int(counts.rows.sum()), int(counts.bads.sum())
    goods = rows - bads
    pds = bin_pds()
    cell_rows = counts.cell_rows
    groups = calibration_groups(cell_rows, counts.bads, counts.cell_pds)
    auc = None
    if counts.ranks is not None and bads and goods:
        auc = (counts.ranks - bads * (bads + 1)) / (2 * bads * goods)
    brier = None
    if counts.pds is not None and rows:
        brier = (float(np.sum(counts.rows * pds * pds)) - 2.0 * counts.pds / PD_STEPS + bads) / rows
    return ScoreFigures(
        rows=rows,
        bads=bads,
        cells=len(counts.bads),
        bad_rate=bads / rows if rows else None,
        mean_pd=float(np.sum(counts.rows * pds)) / rows if rows else None,
        auc=auc,
        gini=None if auc is None else 2.0 * auc - 1.0,
        ks=ks_of_counts(cell_rows.tolist(), counts.bads.tolist()) if len(counts.bads) > 1 else None,
        brier=brier,
        ece=calibration_error(groups),
        hosmer_lemeshow=hosmer_lemeshow(groups),
        calibration=tuple(groups),
        lift=lift(cell_rows.tolist(), counts.bads.tolist(), shares),
    )


def confusion_at(counts: ScoreCounts, start: int) -> Confusion | None:
    """Return the counts at a cut-off that is the first bin declined; None where labels were not asked at it."""
    _, bads = counts.below(start)
    if bads is None:
        return None
    approved = len(counts.bads) if start == SCORE_BINS else int(counts.cells[start])
    return confusion(counts.cell_rows.tolist(), counts.bads.tolist(), approved)
