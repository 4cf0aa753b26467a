"""Scores in 1 000 bins.

It asks for nothing. Theory: a bin is 1/64 of log-odds wide, between -7.8 and +7.8, the outermost open; rows in one bin
are ties, which costs less than a thousandth of AUC. Bins carry no label until runs of them hold fifty rows
(`risk.score_cells`).
"""

from collections.abc import Sequence

import numpy as np

from risk.elementary import sigmoid

__all__ = ["MIN_ROWS", "SCORE_BINS", "STEPS_PER_LOGIT", "bin_pds", "score_bins", "starts_of"]

SCORE_BINS = 1000
STEPS_PER_LOGIT = 64
MIN_ROWS = 50


def score_bins(logit: np.ndarray) -> np.ndarray:
    """Return the bin of each row, (n_rows,) int64 of 0 to 999, safest first; logit: log-odds of bad, float64."""
    steps = np.floor(np.asarray(logit, dtype=np.float64) * STEPS_PER_LOGIT).astype(np.int64) + SCORE_BINS // 2
    return np.asarray(np.clip(steps, 0, SCORE_BINS - 1))


def bin_pds() -> np.ndarray:
    """Return the PD in the middle of each bin, (1000,) float64."""
    return sigmoid((np.arange(SCORE_BINS) - SCORE_BINS // 2 + 0.5) / STEPS_PER_LOGIT)


def starts_of(cells: np.ndarray) -> Sequence[int]:
    """Return the first step (1/64 of log-odds) of each cell of a merging over all 1 000 bins."""
    firsts = np.flatnonzero(np.diff(cells, prepend=-1))
    return [int(first) - SCORE_BINS // 2 for first in firsts]
