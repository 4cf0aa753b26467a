"""Rating grades on PD: a master scale of ten grades, frozen with the model, and how it holds up.

It sees counts by score, never a row. Theory: grades are runs of scores whose observed default rates rise strictly from
grade to grade. Runs of scores are first pooled until their rates rise (pool adjacent violators; Ayer et al., 1955),
then the two neighbours that differ least join until ten are left and no two differ by less than chance would. Each
grade's PD is tested against its defaults by Jeffreys' test (ECB, instructions for reporting the validation results of
internal models, 2019): given D defaults among N, the true rate is Beta(D + 1/2, N - D + 1/2); the p-value is the chance
that it is at most the PD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from risk.errors import InputError, MisuseError
from risk.score_bins import STEPS_PER_LOGIT
from risk.tail import beta_share

__all__ = ["GRADES", "GradeFigures", "MasterScale", "fit_scale", "grade_figures", "is_monotone", "migration",
           "scale_from_document"]  # fmt: skip

GRADES = 10
LEAST_ROWS = 100
LEAST_CHI_SQUARE = Fraction(27, 10)
"""Two grades that differ by less do so by chance, one time in ten."""
_DOUBT = 0.05
Finding = Literal["as expected", "PD too low", "PD too high"]


@dataclass(frozen=True, slots=True)
class MasterScale:
    """Cut scores into grades, 1 the safest; at most ten, fewer where the rows support no more.

    cuts: rising, in steps of 1/64 of log-odds of bad; a row whose log-odds reach a cut is in the next grade. rows,
    bads: per grade, of the rows that the scale was fitted on.
    """

    cuts: tuple[int, ...]
    rows: tuple[int, ...]
    bads: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the number of grades."""
        return len(self.cuts) + 1

    @property
    def pds(self) -> tuple[float, ...]:
        """Return the PD of each grade: the default rate it was fitted on, half a row of each class added."""
        return tuple((2 * bad + 1) / (2 * row + 2) for row, bad in zip(self.rows, self.bads, strict=True))

    def grade(self, logit: np.ndarray) -> np.ndarray:
        """Return the grade of each row, (n_rows,) int64, 1 the safest; logit: (n_rows,) float64 log-odds of bad."""
        steps = np.floor(np.asarray(logit) * STEPS_PER_LOGIT)
        return np.asarray(1 + np.searchsorted(np.array(self.cuts, dtype=np.float64), steps, side="right"))

    def to_document(self) -> dict[str, Any]:
        """Return the scale as plain JSON values."""
        return {"bads": list(self.bads), "cuts": list(self.cuts), "rows": list(self.rows)}


@dataclass(frozen=True, slots=True)
class GradeFigures:
    """Hold one grade's calibration: rows and defaults seen, PD expected, and Jeffreys' p-value.

    rate: None where the grade has no row. p_value: chance that the true rate is at most the PD; below 0.05 the PD is
    too low, above 0.95 too high.
    """

    grade: int
    rows: int
    bads: int
    pd: float
    rate: float | None
    p_value: float | None
    finding: Finding | None

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return {name: getattr(self, name) for name in ("grade", "rows", "bads", "pd", "rate", "p_value", "finding")}


def fit_scale(rows: Sequence[int], bads: Sequence[int], starts: Sequence[int], most: int = GRADES) -> MasterScale:
    """Return the scale that the rows of these score cells support.

    rows, bads: per cell, the safest first. starts: the first step (1/64 of log-odds) of each cell; the first cell's
    counts as minus infinity. A grade has 100 rows or more, if there are so many. Raises `MisuseError` for no cell.
    """
    if not rows or not len(rows) == len(bads) == len(starts):
        raise MisuseError("grades-cells", f"{len(rows)} cells, {len(bads)} counts of bads, {len(starts)} starts")
    blocks = [[int(row), int(bad), int(start)] for row, bad, start in zip(rows, bads, starts, strict=True)]
    blocks = _rising(_filled(blocks))
    while len(blocks) > 1:
        gaps = [_difference(one, two) for one, two in pairwise(blocks)]
        least = min(gaps)
        if len(blocks) <= most and least >= LEAST_CHI_SQUARE:
            break
        _join(blocks, gaps.index(least))
    return MasterScale(
        cuts=tuple(start for _, _, start in blocks[1:]),
        rows=tuple(row for row, _, _ in blocks),
        bads=tuple(bad for _, bad, _ in blocks),
    )


def grade_figures(rows: Sequence[int], bads: Sequence[int], pds: Sequence[float]) -> tuple[GradeFigures, ...]:
    """Return each grade's calibration; rows, bads, PD expected: per grade, the safest first."""
    figures = []
    for grade, (row, bad, pd) in enumerate(zip(rows, bads, pds, strict=True), start=1):
        if not row:
            figures.append(GradeFigures(grade, 0, 0, float(pd), None, None, None))
            continue
        chance = beta_share(float(pd), bad + 0.5, row - bad + 0.5)
        low, high = chance < _DOUBT, chance > 1.0 - _DOUBT
        finding: Finding = "PD too low" if low else "PD too high" if high else "as expected"
        figures.append(GradeFigures(grade, int(row), int(bad), float(pd), bad / row, chance, finding))
    return tuple(figures)


def is_monotone(rows: Sequence[int], bads: Sequence[int]) -> bool:
    """Return whether the observed default rate never falls from one grade that has rows to the next."""
    rates = [Fraction(int(bad), int(row)) for row, bad in zip(rows, bads, strict=True) if row]
    return all(one <= two for one, two in pairwise(rates))


def migration(before: np.ndarray, after: np.ndarray, grades: int) -> np.ndarray:
    """Return how many went from each grade to each, (grades, grades) int64, row = before, column = after.

    before, after: (n,) grades from 1, of the same borrowers at two times or by two models. Raises `MisuseError` for a
    grade out of range.
    """
    if before.shape != after.shape or (before.size and not _within(np.concatenate([before, after]), grades)):
        raise MisuseError("grades-range", f"two lists of grades 1 to {grades} of one length are needed")
    cells = (before.astype(np.int64) - 1) * grades + after.astype(np.int64) - 1
    return np.bincount(cells, minlength=grades * grades).reshape(grades, grades).astype(np.int64)


def scale_from_document(document: Any) -> MasterScale:
    """Return the scale of a document that `MasterScale.to_document` made; raise `InputError` for any other."""
    if not isinstance(document, dict) or sorted(document) != ["bads", "cuts", "rows"]:
        raise InputError("model-grades", "model file: grades must have bads, cuts and rows")
    lists = [document[name] for name in ("cuts", "rows", "bads")]
    if not all(isinstance(item, list) and all(type(value) is int for value in item) for item in lists):
        raise InputError("model-grades", "model file: bads, cuts and rows of grades must be whole numbers")
    cuts, rows, bads = (tuple(item) for item in lists)
    sizes_fit = len(rows) == len(bads) == len(cuts) + 1 <= GRADES
    counts_fit = all(0 <= bad <= row for row, bad in zip(rows, bads, strict=False))
    if not sizes_fit or not counts_fit or list(cuts) != sorted(set(cuts)):
        raise InputError("model-grades", f"model file: at most {GRADES} grades with rising cuts are expected")
    return MasterScale(cuts, rows, bads)


def _within(grades: np.ndarray, most: int) -> bool:
    return int(grades.min()) >= 1 and int(grades.max()) <= most


def _join(blocks: list[list[int]], place: int) -> None:
    row, bad, _ = blocks.pop(place + 1)
    blocks[place][0] += row
    blocks[place][1] += bad


def _filled(cells: list[list[int]]) -> list[list[int]]:
    """Return runs of cells with enough rows each; what is left over joins the last."""
    blocks: list[list[int]] = []
    for cell in cells:
        if blocks and blocks[-1][0] < LEAST_ROWS:
            blocks.append(cell)
            _join(blocks, len(blocks) - 2)
        else:
            blocks.append(cell)
    if len(blocks) > 1 and blocks[-1][0] < LEAST_ROWS:
        _join(blocks, len(blocks) - 2)
    return blocks


def _rising(cells: list[list[int]]) -> list[list[int]]:
    blocks: list[list[int]] = []
    for cell in cells:
        blocks.append(cell)
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            _join(blocks, len(blocks) - 2)
    return blocks


def _difference(one: Sequence[int], two: Sequence[int]) -> Fraction:
    """Return how clearly two neighbours' rates differ: the chi-square of their two-by-two table, as a fraction."""
    (row, bad, _), (others, other_bads, _) = one, two
    total, bads = row + others, bad + other_bads
    spread = row * others * bads * (total - bads)
    return Fraction(total * (bad * others - other_bads * row) ** 2, spread) if spread else Fraction(0)
