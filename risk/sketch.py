"""Where to cut a number, learned from unlabelled counts alone.

Four rounds at most: each counts rows in cells of a field's key axis, and the next one splits only the cells that
are still heavy. It sees no label, no minimum and no maximum: the axis spans the dictionary's bounds. Missing and
special values are not on it.

Theory: an axis that is linear in the order-preserving bit pattern of a float64 is logarithmic in its value, so heavy
tails cost nothing (a one-shot linear grid puts a heavy-tailed column into a single cell); magnitudes below 2**-64
of the largest bound count as zero. Splitting heavy cells only is the adaptive quantile sketch of Greenwald and
Khanna turned into sums. A cut may then move inside its light surroundings to the shortest decimal, never across a
heavy cell, so that a points table reads well.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Literal

import numpy as np

from risk.book import Book
from risk.dictionary import Field
from risk.recipe import Ask
from risk.spec import JobSpec

__all__ = ["Axis", "contribute_sketch", "shortest_decimal", "sketch_rounds"]

ROUNDS = 4
FIRST_CELLS = 32
SPLIT_CELLS = 512
HEAVY_PARTS = 80
HEAVY_LEAST = 10
BIN_PARTS = 20
SLACK_PARTS = 100
_OCTAVES = 2.0**-64

Rows = Literal["train", "half-a", "half-b"]
Cell = tuple[int, int, int]
"""First key, key after the last, rows counted between them."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Map the numbers between two bounds to integer keys that rise with them, and back."""

    low: float
    high: float

    @property
    def _tiny(self) -> float:
        return max(abs(self.low), abs(self.high)) * _OCTAVES

    def keys(self, values: np.ndarray) -> np.ndarray:
        """Return the keys of finite numbers, int64 of the same shape; numbers outside the bounds take theirs."""
        clipped = np.clip(values, self.low, self.high)
        origin = int(np.float64(self._tiny).view(np.int64))
        size = np.maximum(np.abs(clipped).view(np.int64) - origin, 0)
        return np.asarray(np.where(clipped < 0.0, -size, size))

    def key(self, value: float) -> int:
        """Return the key of one number."""
        return int(self.keys(np.array([value], dtype=np.float64))[0])

    def value(self, key: int) -> float:
        """Return the number of the smallest magnitude that has this key."""
        if key == 0:
            return 0.0
        origin = int(np.float64(self._tiny).view(np.int64))
        size = float(np.int64(origin + abs(key)).view(np.float64))
        return size if key > 0 else -size

    def cells(self) -> list[tuple[int, int]]:
        """Return the first round's cells: equal parts of the whole axis."""
        return _parts(self.key(self.low), self.key(self.high) + 1, FIRST_CELLS)


def sketch_rounds(spec: JobSpec, part: str, rows: Rows) -> Generator[Ask, np.ndarray, dict[str, tuple[float, ...]]]:
    """Ask for the unlabelled counts that find every number's cuts; return the cuts by field name.

    Cuts leave about 5 % of a field's ordinary rows in each bin, fewer bins where values repeat. A number that nobody
    holds has no cuts.
    """
    fields = [field for field in spec.dictionary.model_fields if field.kind == "number"]
    leaves: dict[str, list[Cell]] = {field.name: [] for field in fields}
    wanted = {field.name: axis_of(field).cells() for field in fields}
    for number in range(1, ROUNDS + 1):
        if not any(wanted.values()):
            break
        sums = yield _ask(spec, part, rows, number, [wanted[field.name] for field in fields])
        place = 0
        for field in fields:
            cells = wanted[field.name]
            counts = [int(count) for count in sums[place : place + len(cells)]]
            place += len(cells)
            leaves[field.name] += [(start, end, count) for (start, end), count in zip(cells, counts, strict=True)]
        wanted = {} if number == ROUNDS else {name: _split_heavy(cells) for name, cells in leaves.items()}
        wanted = {field.name: wanted.get(field.name, []) for field in fields}
    return {field.name: _cuts(axis_of(field), sorted(leaves[field.name])) for field in fields}


def axis_of(field: Field) -> Axis:
    """Return the key axis of a number field."""
    low, high = field.bounds or (0.0, 1.0)
    return Axis(low, high)


def contribute_sketch(ask: Ask, book: Book) -> np.ndarray:
    """Return how many of a member's rows fall into each asked cell, (ask.length,) int64."""
    sorted_keys = book.recall("keys", ask.rows, lambda: _sorted_keys(book, ask.rows))
    fields, starts, ends = (ask.arrays[name] for name in ("fields", "starts", "ends"))
    counts = np.zeros(ask.length, dtype=np.int64)
    for place, keys in enumerate(sorted_keys):
        cells = fields == place
        counts[cells] = np.searchsorted(keys, ends[cells]) - np.searchsorted(keys, starts[cells])
    return counts


def _sorted_keys(book: Book, rows: str) -> list[np.ndarray]:
    chosen = book.rows(rows)
    result = []
    for field in book.spec.dictionary.model_fields:
        if field.kind != "number":
            continue
        values = book.table.columns[field.name][chosen]
        ordinary = ~np.isnan(values)
        for special in field.special:
            ordinary &= values != special
        result.append(np.sort(axis_of(field).keys(values[ordinary])))
    return result


def _ask(spec: JobSpec, part: str, rows: Rows, number: int, wanted: Sequence[Sequence[tuple[int, int]]]) -> Ask:
    flat = [(place, start, end) for place, cells in enumerate(wanted) for start, end in cells]
    columns = np.array(flat, dtype=np.int64).reshape(-1, 3)
    names = ("fields", "starts", "ends")
    return Ask(
        recipe=spec.label,
        part=part,
        name=f"sketch-{number}",
        rows=rows,
        length=len(flat),
        word_bits=32,
        bound=spec.max_rows,
        row_linf=1,
        row_l1=len(wanted),
        arrays={name: np.ascontiguousarray(columns[:, place]) for place, name in enumerate(names)},
    )


def _parts(start: int, end: int, parts: int) -> list[tuple[int, int]]:
    edges = sorted({start + (end - start) * i // parts for i in range(parts + 1)})
    return list(pairwise(edges))


def _split_heavy(cells: list[Cell]) -> list[tuple[int, int]]:
    """Remove the heavy cells from the list and return the smaller cells to ask for instead."""
    limit = max(sum(count for _, _, count in cells) // HEAVY_PARTS, HEAVY_LEAST)
    heavy = [cell for cell in cells if cell[2] > limit and cell[1] - cell[0] > 1]
    cells[:] = [cell for cell in cells if not (cell[2] > limit and cell[1] - cell[0] > 1)]
    fan = max(SPLIT_CELLS // max(len(heavy), 1), 4)
    return [piece for start, end, _ in heavy for piece in _parts(start, end, fan)]


def _cuts(axis: Axis, leaves: list[Cell]) -> tuple[float, ...]:
    filled = [cell for cell in leaves if cell[2] > 0]
    total = sum(count for _, _, count in filled)
    cuts: list[float] = []
    slack = total // SLACK_PARTS
    gathered, floor_key = 0, axis.key(axis.low)
    for place, (_, _, count) in enumerate(filled):
        # A value that alone fills a bin does not swallow what was gathered before it.
        if 2 * BIN_PARTS * gathered >= total and BIN_PARTS * (gathered + count) > 2 * total:
            floor_key = _add_cut(axis, filled, place, (floor_key, slack), cuts)
            gathered = 0
        gathered += count
        if BIN_PARTS * gathered >= total and place + 1 < len(filled):
            floor_key = _add_cut(axis, filled, place + 1, (floor_key, slack), cuts)
            gathered = 0
    return tuple(cuts)


def _add_cut(axis: Axis, filled: list[Cell], place: int, limits: tuple[int, int], cuts: list[float]) -> int:
    """Add a cut before the filled cell at `place`, moved within light cells to the shortest decimal.

    limits: the key that the cut must be above, and how many rows it may move by on either side.
    """
    floor_key, slack = limits
    left, room = place - 1, slack
    while left >= 0 and filled[left][2] <= room:
        room -= filled[left][2]
        left -= 1
    low = filled[left][1] if left >= 0 else filled[0][0]
    right, room = place, slack
    while right < len(filled) and filled[right][2] <= room:
        room -= filled[right][2]
        right += 1
    high = filled[right][0] if right < len(filled) else filled[-1][1] - 1
    low = max(low, floor_key + 1)
    near = (axis.value(filled[place - 1][1]) + axis.value(filled[place][0])) / 2.0
    cut = shortest_decimal(axis.value(low), axis.value(max(high, low)), near)
    if cuts and cut <= cuts[-1]:
        return floor_key
    cuts.append(cut)
    return axis.key(cut)


def shortest_decimal(low: float, high: float, near: float) -> float:
    """Return the number of the fewest decimal digits between low and high, of those the one closest to near."""
    if low <= 0.0 <= high:
        return 0.0
    first, last, goal = Fraction(low), Fraction(high), Fraction(near)
    magnitude = len(str(int(max(abs(first), abs(last))))) if max(abs(first), abs(last)) >= 1 else 0
    step = Fraction(10) ** magnitude
    for _ in range(magnitude + 400):
        lower, upper = ceil(first / step), floor(last / step)
        if lower <= upper:
            number = float(min(max(round(goal / step), lower), upper) * step)
            if low <= number <= high:
                return number
        step /= 10
    return high
