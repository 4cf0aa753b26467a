"""Which runs of score bins may be asked for labels, so that no difference of sums shows a small cell.

It sees unlabelled counts alone. Theory: sums over nested groups of rows can be subtracted from each other. One
partition, whose cuts are grade limits and others fifty rows away from them, serves all figures of a group of rows; it
follows from the rows alone, so asking again with another cut-off shows nothing new. Groups that together make up
another (the levels of a field, the periods) are cut at some of its cuts: at common ones, where every cell holds fifty
rows or none of each group, and each at cuts of its own that no other group has. Of a cut that one group owns, the
cells of that group and of all others together follow and nothing finer, and both hold fifty rows or none.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from risk.score_bins import MIN_ROWS, SCORE_BINS

__all__ = ["cells_of", "chosen_cuts", "group_cuts", "shown"]

_CELLS = 10


def chosen_cuts(rows: np.ndarray, wanted: Iterable[int]) -> tuple[int, ...]:
    """Return the first bins of all cells but the first: wanted ones in their order of precedence, then as many as fit.

    rows: (1000,) int64. A cut is kept where both cells that it makes have at least fifty rows.
    """
    total = np.concatenate([[0], np.cumsum(rows)])
    kept = [0, SCORE_BINS]
    for cut in wanted:
        if not 0 < cut < SCORE_BINS or cut in kept:
            continue
        low, high = max(edge for edge in kept if edge < cut), min(edge for edge in kept if edge > cut)
        if min(total[cut] - total[low], total[high] - total[cut]) >= MIN_ROWS:
            kept.append(cut)
    kept.sort()
    fine = []
    for low, high in pairwise(kept):
        start = low
        for cut in range(low + 1, high):
            if total[cut] - total[start] >= MIN_ROWS and total[high] - total[cut] >= MIN_ROWS:
                fine.append(cut)
                start = cut
    return tuple(sorted([*kept[1:-1], *fine]))


def group_cuts(groups: Sequence[np.ndarray], left: np.ndarray, cuts: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the cuts of each group, some of `cuts`: those that all groups share, and its own.

    groups: (1000,) int64 rows of each group; left: rows of the whole that are in none of them; cuts: of the whole. A
    group has about ten cells at most.
    """
    parts = np.stack([np.concatenate([[0], np.cumsum(rows)]) for rows in (*groups, left)])
    common = _shared(parts, cuts)
    owned: list[tuple[int, ...]] = [()] * len(groups)
    free = [cut for cut in cuts if cut not in common]
    # The smallest first: they have the least choice.
    for number in sorted(range(len(groups)), key=lambda place: (int(parts[place, -1]), place)):
        own = _owned(parts[number], parts.sum(axis=0) - parts[number], common, free)
        free = [cut for cut in free if cut not in own]
        owned[number] = tuple(sorted((*common, *own)))
    return owned


def _shared(parts: np.ndarray, cuts: Sequence[int]) -> tuple[int, ...]:
    """Return cuts, about ten, so that every cell has fifty rows or none of each part; parts: (n_parts, 1001) sums."""

    def holds(low: int, high: int) -> bool:
        inside = parts[:, high] - parts[:, low]
        return bool(np.all((inside == 0) | (inside >= MIN_ROWS)) and inside.sum() * _CELLS >= parts[:, -1].sum())

    kept, start = [], 0
    for cut in cuts:
        if holds(start, cut) and holds(cut, SCORE_BINS):
            kept.append(cut)
            start = cut
    return tuple(kept)


def _owned(own: np.ndarray, others: np.ndarray, common: Sequence[int], free: Sequence[int]) -> list[int]:
    """Return a group's own cuts between the common ones; own, others: (1001,) sums of rows below each bin."""
    step = max(MIN_ROWS, int(own[-1]) // _CELLS)
    found = []
    for low, high in pairwise((0, *common, SCORE_BINS)):
        start = low
        for cut in free:
            if not start < cut < high or own[cut] - own[start] < step or own[high] - own[cut] < MIN_ROWS:
                continue
            beside = (others[cut] - others[start], others[high] - others[cut])
            if all(rows == 0 or rows >= MIN_ROWS for rows in beside):
                found.append(cut)
                start = cut
    return found


def cells_of(cuts: Sequence[int]) -> np.ndarray:
    """Return the cell of every score bin, (1000,) int64, for cuts that are first bins of cells."""
    cells = np.zeros(SCORE_BINS, dtype=np.int64)
    cells[list(cuts)] = 1
    return np.cumsum(cells)


def shown(rows: Sequence[int], least: int) -> tuple[bool, ...]:
    """Return which of several groups may be shown: those with enough rows, while what is left over has enough or none.

    rows: of groups that together make up a known total. Where too few rows would be left over, the smallest group that
    could be shown is withheld too, since the total gives away what is missing from it.
    """
    visible = [count >= least for count in rows]
    while any(visible):
        hidden = sum(count for count, seen in zip(rows, visible, strict=True) if not seen)
        if hidden == 0 or hidden >= least:
            break
        smallest = min((count, place) for place, count in enumerate(rows) if visible[place])[1]
        visible[smallest] = False
    return tuple(visible)
