"""Two models on the same rows: what one gains over the other, and how sure that is.

It sees counts, never a row. Theory: the variance of the difference of two AUCs on the same rows is that of the
difference of each row's placements among the other class (DeLong, DeLong and Clarke-Pearson, 1988). What placement a
score has follows from counts that everybody knows, so the members can add their rows' differences and the squares of
them, and nothing about how the two scores go together is shown but four sums. Inside a cell the other class is taken to
be spread as all its rows are.
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

    Two arrays (1000,) int64: for a bad row the share of goods that are safer, for a good row the share of bads that are
    riskier. Rounded down, by whole numbers alone.
    """
    rows, cells, bads = counts.rows.tolist(), counts.cells.tolist(), counts.bads.tolist()
    sizes = counts.cell_rows.tolist()
    total_bads = sum(bads)
    total_goods = sum(sizes) - total_bads
    places: tuple[list[int], list[int]] = ([], [])
    below_bads = below_goods = inside = 0
    for bin_rows, cell, before in zip(rows, cells, [0, *cells], strict=False):
        if cell != before:
            below_bads, below_goods = below_bads + bads[before], below_goods + sizes[before] - bads[before]
            inside = 0
        # In half rows of the cell, so that the middle of a bin is whole.
        size = max(sizes[cell], 1)
        part = 2 * inside + bin_rows
        goods = 2 * size * below_goods + part * (sizes[cell] - bads[cell])
        riskier = 2 * size * (total_bads - below_bads) - part * bads[cell]
        places[0].append((goods << PLACE_BITS) // (2 * size * max(total_goods, 1)))
        places[1].append((riskier << PLACE_BITS) // (2 * size * max(total_bads, 1)))
        inside += bin_rows
    return np.array(places[0], dtype=np.int64), np.array(places[1], dtype=np.int64)


def compare(champion: ScoreCounts, challenger: ScoreCounts, moments: tuple[int, int, int, int]) -> Gain | None:
    """Return what the challenger gains; None where only one class is there, or one row of a class.

    moments: over the bads, then over the goods, the sum of the differences of a row's two placements and the sum of
    their squares.
    """
    first, second = score_figures(champion).auc, score_figures(challenger).auc
    bads = int(champion.bads.sum())
    goods = int(champion.rows.sum()) - bads
    if first is None or second is None or min(bads, goods) < 2:
        return None
    one, variance = float(1 << PLACE_BITS), 0.0
    for total, squares, count in ((*moments[:2], bads), (*moments[2:], goods)):
        variance += max(squares - total * total / count, 0.0) / (count - 1) / count / (one * one)
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
