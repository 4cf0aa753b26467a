"""Which runs of score bins may be asked for labels, so that no difference of sums shows a small cell.

It sees unlabelled counts alone. Theory: sums over nested groups of rows can be subtracted from each other. One
partition, whose cuts are grade limits, the cut-off and others fifty rows away from them, serves all figures of one
group. Groups that together make up another (the levels of a field, the periods) share their cuts, and every cell holds
fifty rows or none of each group, the one that is left over included.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from risk.score_bins import MIN_ROWS, SCORE_BINS

__all__ = ["cells_of", "chosen_cuts", "common_cuts", "shown"]


def chosen_cuts(rows: np.ndarray, wanted: Iterable[int], least: int = MIN_ROWS) -> tuple[int, ...]:
    """Return the first bins of all cells but the first: wanted ones in their order of precedence, then as many as fit.

    rows: (1000,) int64. A cut is kept where both cells that it makes have at least so many rows.
    """
    total = np.concatenate([[0], np.cumsum(rows)])
    kept = [0, SCORE_BINS]
    for cut in wanted:
        if not 0 < cut < SCORE_BINS or cut in kept:
            continue
        low, high = max(edge for edge in kept if edge < cut), min(edge for edge in kept if edge > cut)
        if min(total[cut] - total[low], total[high] - total[cut]) >= least:
            kept.append(cut)
    kept.sort()
    fine = []
    for low, high in pairwise(kept):
        start = low
        for cut in range(low + 1, high):
            if total[cut] - total[start] >= least and total[high] - total[cut] >= least:
                fine.append(cut)
                start = cut
    return tuple(sorted([*kept[1:-1], *fine]))


def common_cuts(groups: Sequence[np.ndarray], cuts: Sequence[int], first: int | None) -> tuple[int, ...]:
    """Return the cuts that several groups share: some of `cuts`, so that every cell has fifty rows or none of each.

    groups: (1000,) int64 rows of each group, with what is left over as one more. first: the cut that matters most.
    """
    if not groups:
        return ()
    total = np.stack([np.concatenate([[0], np.cumsum(rows)]) for rows in groups])

    def holds(low: int, high: int) -> bool:
        inside = total[:, high] - total[:, low]
        return bool(np.all((inside == 0) | (inside >= MIN_ROWS)) and inside.sum() > 0)

    edges = [0, SCORE_BINS]
    if first is not None and first in cuts and holds(0, first) and holds(first, SCORE_BINS):
        edges = [0, first, SCORE_BINS]
    kept = list(edges[1:-1])
    for low, high in pairwise(edges):
        start = low
        for cut in cuts:
            if start < cut < high and holds(start, cut) and holds(cut, high):
                kept.append(cut)
                start = cut
    return tuple(sorted(kept))


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
