"""How well scores rank and how true their PDs are, from counts of rows and bads in score cells.

It sees counts, never a row, and is the same for a bank's own rows, rows in one place and a network's sums. Cells
stand from the safest to the riskiest; rows in one cell are ties. Theory: AUC by trapezoids; KS the largest gap of the
cumulative shares; expected calibration error over ten groups; Hosmer and Lemeshow's chi-square (1980) with as many
degrees of freedom as groups, since the rows did not train the model; lift = bad rate of the riskiest over that of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.tail import chi_square_tail

__all__ = ["GROUPS", "Confusion", "Group", "HosmerLemeshow", "Lift", "auc_of_counts", "calibration_error",
           "calibration_groups", "confusion", "hosmer_lemeshow", "ks_of_counts", "lift", "roc_of_counts"]  # fmt: skip

GROUPS = 10
Group = tuple[int, int, float]
"""Rows, bads and mean PD of one run of cells."""


@dataclass(frozen=True, slots=True)
class HosmerLemeshow:
    """Hold the test of calibration: chi-square, degrees of freedom (the groups with rows), and its p-value."""

    chi_square: float
    degrees: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Lift:
    """Hold what the riskiest share of rows holds: its rows, its bads, the share of all bads, and lift over all."""

    share: float
    rows: int
    bads: int
    captured: float
    lift: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Hold the four counts at a cut-off: goods and bads, approved and declined."""

    goods_approved: int
    bads_approved: int
    goods_declined: int
    bads_declined: int

    def to_document(self) -> dict[str, Any]:
        """Return the counts and what follows from them; a share is None where its rows are none."""
        approved = self.goods_approved + self.bads_approved
        declined = self.goods_declined + self.bads_declined
        counts = {name: getattr(self, name) for name in self.__slots__}
        return counts | {
            "approval_rate": _share(approved, approved + declined),
            "bad_rate_approved": _share(self.bads_approved, approved),
            "bads_caught": _share(self.bads_declined, self.bads_declined + self.bads_approved),
            "goods_lost": _share(self.goods_declined, self.goods_declined + self.goods_approved),
        }


def auc_of_counts(rows: Sequence[int], bads: Sequence[int]) -> float | None:
    """Return the area under the ROC curve, ties counting half; None where only one class is there."""
    goods_below, twice = 0, 0
    for row, bad in zip(rows, bads, strict=True):
        good = int(row) - int(bad)
        twice += int(bad) * (2 * goods_below + good)
        goods_below += good
    total = sum(map(int, bads))
    return twice / (2 * total * goods_below) if total and goods_below else None


def roc_of_counts(rows: Sequence[int], bads: Sequence[int]) -> tuple[tuple[float, float], ...]:
    """Return (share of goods, share of bads) declined at each edge from 0, 0 to 1, 1; none for one class only."""
    bad = np.cumsum(np.concatenate([[0], np.asarray(bads, dtype=np.int64)[::-1]]))
    good = np.cumsum(np.concatenate([[0], np.asarray(rows, dtype=np.int64)[::-1]])) - bad
    if not bad[-1] or not good[-1]:
        return ()
    return tuple(zip((good / good[-1]).tolist(), (bad / bad[-1]).tolist(), strict=True))


def ks_of_counts(rows: Sequence[int], bads: Sequence[int]) -> float | None:
    """Return the largest gap of the two classes' cumulative shares; None where only one class is there."""
    curve = roc_of_counts(rows, bads)
    return max(abs(good - bad) for good, bad in curve) if curve else None


def calibration_groups(rows: np.ndarray, bads: np.ndarray, pd: np.ndarray, groups: int = GROUPS) -> list[Group]:
    """Return at most ten runs of cells with about equal rows, the safest first; all arguments (n_cells,)."""
    total = int(rows.sum())
    place = np.minimum((np.cumsum(rows) - (rows + 1) // 2) * groups // max(total, 1), groups - 1)
    result = []
    for group in range(groups):
        chosen = (place == group) & (rows > 0)
        count = int(rows[chosen].sum())
        if count:
            result.append((count, int(bads[chosen].sum()), float(np.sum(rows[chosen] * pd[chosen]) / count)))
    return result


def calibration_error(groups: Sequence[Group]) -> float | None:
    """Return the expected calibration error: the mean gap of PD and observed rate, weighted by rows."""
    rows = sum(group[0] for group in groups)
    return sum(abs(count * mean - bad) for count, bad, mean in groups) / rows if rows else None


def hosmer_lemeshow(groups: Sequence[Group]) -> HosmerLemeshow | None:
    """Return Hosmer and Lemeshow's test; None without a group whose PD lies between 0 and 1."""
    usable = [(count, bad, mean) for count, bad, mean in groups if count and 0.0 < mean < 1.0]
    if not usable:
        return None
    value = sum((bad - count * mean) ** 2 / (count * mean * (1.0 - mean)) for count, bad, mean in usable)
    return HosmerLemeshow(float(value), len(usable), chi_square_tail(float(value), len(usable)))


def lift(rows: Sequence[int], bads: Sequence[int], shares: Sequence[float] = (0.1, 0.2, 0.3, 0.5)) -> tuple[Lift, ...]:
    """Return the lift of the riskiest shares; each is rounded up to whole cells, the share reached is told."""
    count, bad = np.cumsum(np.asarray(rows)[::-1]), np.cumsum(np.asarray(bads)[::-1])
    if not len(count) or not bad[-1]:
        return ()
    found: list[Lift] = []
    for share in shares:
        place = int(np.searchsorted(count, share * int(count[-1]) - 1e-9))
        top, caught = int(count[place]), int(bad[place])
        reached, captured = top / int(count[-1]), caught / int(bad[-1])
        if top and (not found or found[-1].rows != top):
            found.append(Lift(reached, top, caught, captured, captured / reached))
    return tuple(found)


def confusion(rows: Sequence[int], bads: Sequence[int], approved: int) -> Confusion:
    """Return the counts at a cut-off; approved: how many cells, from the safest, are approved."""
    row, bad = np.asarray(rows, dtype=np.int64), np.asarray(bads, dtype=np.int64)
    first, second = int(bad[:approved].sum()), int(bad[approved:].sum())
    return Confusion(int(row[:approved].sum()) - first, first, int(row[approved:].sum()) - second, second)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
