"""Two models on the same rows: what one gains over the other, and how sure that is.

It sees counts, never a row. Theory: the variance of the difference of two AUCs on the same rows is that of the
difference of each row's placements among the other class (DeLong, DeLong and Clarke-Pearson, 1988). A row's placement
depends on its score cell alone, so the members can add the squares of their rows' differences, and nothing about how
the two scores go together is shown but two sums.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.score_figures import ScoreCounts, score_figures
from risk.tail import normal_tail

__all__ = ["PLACE_BITS", "Gain", "auc_error", "compare", "placements"]

PLACE_BITS = 15


@dataclass(frozen=True, slots=True)
class Gain:
    """Hold how much larger the second model's AUC is, its standard error, and the p-value (two-sided) of no gain."""

    difference: float
    standard_error: float
    p_value: float

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def placements(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return what share of the other class a row of each score bin is beyond, in steps of 2**-15.

    Two arrays (1000,) int64: for a bad row the share of goods in safer cells, for a good row the share of bads in
    riskier ones; half of its own cell's. Rounded down, by whole numbers alone.
    """
    bads = counts.bads.astype(np.int64)
    goods = counts.cell_rows - bads
    total_bads, total_goods = max(int(bads.sum()), 1), max(int(goods.sum()), 1)
    below = 2 * (np.cumsum(goods) - goods) + goods
    above = 2 * (int(bads.sum()) - np.cumsum(bads)) + bads
    one = 1 << PLACE_BITS
    return below[counts.cells] * one // (2 * total_goods), above[counts.cells] * one // (2 * total_bads)


def compare(champion: ScoreCounts, challenger: ScoreCounts, squares: tuple[int, int]) -> Gain | None:
    """Return what the challenger gains; None where only one class is there, or one row of a class.

    squares: sums over the bads and over the goods of the squared difference of a row's two placements.
    """
    first, second = score_figures(champion).auc, score_figures(challenger).auc
    bads = int(champion.bads.sum())
    goods = int(champion.rows.sum()) - bads
    if first is None or second is None or min(bads, goods) < 2:
        return None
    variance = 0.0
    one = float(1 << PLACE_BITS)
    # In cells the AUCs are not quite those of bins, so each class's mean is taken from the cells too.
    gap = (_cell_area(challenger) - _cell_area(champion)) * one
    for total, count in zip(squares, (bads, goods), strict=True):
        variance += max(total - count * gap * gap, 0.0) / (count - 1) / count / (one * one)
    difference, error = second - first, math.sqrt(variance)
    chance = 1.0 if difference == 0.0 else 0.0 if error == 0.0 else 2.0 * normal_tail(abs(difference) / error)
    return Gain(difference, error, chance)


def auc_error(counts: ScoreCounts) -> float | None:
    """Return the standard error of a model's own AUC, from placements in cells; None as in `compare`."""
    bads = counts.bads.astype(np.int64)
    goods = counts.cell_rows - bads
    if min(int(bads.sum()), int(goods.sum())) < 2:
        return None
    variance = 0.0
    for own, others in ((bads, goods), (goods[::-1], bads[::-1])):
        place = (np.cumsum(others) - others + others / 2.0) / float(others.sum())
        count = int(own.sum())
        mean = float(np.sum(own * place)) / count
        variance += float(np.sum(own * (place - mean) ** 2)) / (count - 1) / count
    return math.sqrt(variance)


def _cell_area(counts: ScoreCounts) -> float:
    bads = counts.bads.astype(np.int64)
    goods = counts.cell_rows - bads
    below = 2 * (np.cumsum(goods) - goods) + goods
    return int((bads * below).sum()) / (2 * int(bads.sum()) * int(goods.sum()))
