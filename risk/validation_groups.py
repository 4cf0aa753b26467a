"""Which groups of rows a validation tells apart, decided from unlabelled counts alone.

It sees sums, never a row. Theory: a period or a segment of fewer than k rows is not asked for; where such a remainder
could be had by subtraction, the smallest shown group is withheld with it. Slots are the finest things that rows are
counted in: months, and bins of segment fields; each slot belongs to one group or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from risk.coding import Coding
from risk.dictionary import Field
from risk.months import FIRST_YEAR
from risk.score_cells import shown
from risk.stability import periods
from risk.validation_plan import MONTHS, Plan

__all__ = ["Group", "Groups", "form_groups", "slot_sizes"]

_BANDS = 5
_FIRST = 12 * FIRST_YEAR


@dataclass(frozen=True, slots=True)
class Group:
    """Name one group of rows. kind: `whole`, `holdout`, `period`, or a segment field's name after `segment:`.

    number: its place among the counted groups, None where it is withheld.
    """

    kind: str
    name: str
    number: int | None


@dataclass(frozen=True, eq=False, slots=True)
class Groups:
    """Hold all groups, and the group of each slot, (n_slots,) int64, -1 where the slot is in none that is shown."""

    all: tuple[Group, ...]
    of_slot: np.ndarray

    @property
    def count(self) -> int:
        """Return how many groups are counted."""
        return sum(group.number is not None for group in self.all)

    def of_kind(self, kind: str) -> tuple[Group, ...]:
        """Return the groups of one kind, in order."""
        return tuple(group for group in self.all if group.kind == kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that divide the whole: periods, and each segment field."""
        return tuple(dict.fromkeys(group.kind for group in self.all if group.kind not in ("whole", "holdout")))


def slot_sizes(plan: Plan) -> tuple[int, ...]:
    """Return the number of slots of each division: months (with one for no date) if rows are dated, then each field."""
    months = (MONTHS + 1,) if plan.dated else ()
    return (*months, *(coding.bins for coding in plan.segments))


def form_groups(plan: Plan, fields: Sequence[Field], rows: np.ndarray, least: tuple[int, int]) -> Groups:
    """Return the groups that rows per slot support.

    fields: the dictionary's of each segment coding. rows: (n_slots,) int64, in the order of `slot_sizes`. least: fewest
    rows of a segment, and of a period.
    """
    groups = [Group("whole", "all rows", 0)]
    if plan.beside:
        groups.append(Group("holdout", "hold-out", 1))
    pieces = np.split(rows, np.cumsum(slot_sizes(plan))[:-1]) if len(slot_sizes(plan)) else []
    placed: list[np.ndarray] = []
    if plan.dated:
        found = periods(pieces[0][:-1].tolist(), _FIRST, least[1])
        sets = [np.arange(period.first - _FIRST, period.last - _FIRST + 1) for period in found]
        names = [period.name for period in found]
        if pieces[0][-1]:
            sets, names = [*sets, np.array([MONTHS])], [*names, "no date"]
        placed.append(_placed("period", names, sets, pieces[0], least[0], groups))
    for coding, field, piece in zip(plan.segments, fields, pieces[int(plan.dated) :], strict=True):
        names, sets = _levels(coding, field, piece, least[0])
        placed.append(_placed(f"segment:{field.name}", names, sets, piece, least[0], groups))
    of_slot = np.concatenate(placed) if placed else np.empty(0, dtype=np.int64)
    return Groups(tuple(groups), of_slot)


def _placed(
    kind: str, names: Sequence[str], sets: Sequence[np.ndarray], rows: np.ndarray, least: int, groups: list[Group]
) -> np.ndarray:
    """Add the groups of one division to `groups` and return the group of each of its slots."""
    of_slot = np.full(len(rows), -1, dtype=np.int64)
    sizes = [int(rows[slots].sum()) for slots in sets]
    for name, slots, seen in zip(names, sets, shown(sizes, least), strict=True):
        number = sum(group.number is not None for group in groups) if seen else None
        groups.append(Group(kind, name, number))
        if number is not None:
            of_slot[slots] = number
    return of_slot


def _levels(coding: Coding, field: Field, rows: np.ndarray, least: int) -> tuple[list[str], list[np.ndarray]]:
    """Return names and slots of a field's segments: levels, 0 and 1, or bands; then special values and missing."""
    if coding.kind == "number":
        names, sets = _bands(coding, field, rows, least)
    else:
        names = list(field.levels) if coding.kind == "category" else ["0", "1"]
        sets = [np.array([place]) for place in range(coding.ordinary)]
    names += [f"{value:.12g}" for value in coding.special] + ["missing"]
    sets += [np.array([place]) for place in range(coding.ordinary, coding.bins)]
    used = [place for place, slots in enumerate(sets) if rows[slots].sum()]
    return [names[place] for place in used], [sets[place] for place in used]


def _bands(coding: Coding, field: Field, rows: np.ndarray, least: int) -> tuple[list[str], list[np.ndarray]]:
    """Return at most five bands of a number with enough and about equal rows, cut at the dictionary's public cuts."""
    counted = rows[: coding.ordinary]
    enough = max(least, -(-int(counted.sum()) // _BANDS))
    ends, gathered, left = [], 0, int(counted.sum())
    for place, count in enumerate(counted.tolist()):
        gathered, left = gathered + count, left - count
        if gathered >= enough and left >= least:
            ends.append(place + 1)
            gathered = 0
    names, sets = [], []
    edges = (None, *coding.cuts, None)
    for start, end in pairwise((0, *ends, coding.ordinary)):
        low, high = edges[start], edges[end]
        span = f"{low:.12g} to below {high:.12g}" if low is not None and high is not None else ""
        span = span or (
            f"below {high:.12g}" if high is not None else f"{low:.12g} and above" if low is not None else "any"
        )
        names.append(f"{span} {field.unit}".strip())
        sets.append(np.arange(start, end))
    return names, sets
