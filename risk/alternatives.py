"""What a field could say instead: its values as far as a model can tell them apart.

It scores nothing. Theory: a model sees a field through its bins, so the finest union of all bins' edges splits the
field into finitely many ranges within each of which every value scores the same. Ranges lie within the dictionary's
bounds; special and missing values are no ranges, since nobody can be told to become missing.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from risk.coding import Coding
from risk.dictionary import Field

__all__ = ["Alternative", "alternatives_of", "binning", "merged"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One range of values that score alike.

    place: the field among the dictionary's model fields. value: one value of the range, as `risk.applicant` reads it.
    low, high: of a number, the range low <= x < high; None where the bounds end it. levels: of a category, the levels.
    """

    place: int
    value: float | int
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()


def alternatives_of(place: int, field: Field, codings: Sequence[Coding]) -> list[Alternative]:
    """Return the ranges of a field that these codings can tell apart, in rising order."""
    if field.kind == "category":
        return [Alternative(place, number, levels=(level,)) for number, level in enumerate(field.levels)]
    if field.kind == "flag":
        return [Alternative(place, 0.0, high=0.5), Alternative(place, 1.0, low=0.5)]
    assert field.bounds is not None  # the dictionary asked for them
    low, high = field.bounds
    edges = sorted({cut for coding in codings for cut in coding.cuts if low < cut <= high})
    found = []
    for start, end in zip([None, *edges], [*edges, None], strict=True):
        value = low if start is None else start
        while value in field.special:
            value = math.nextafter(value, math.inf)
        if value < (math.inf if end is None else end) and value <= high:
            found.append(Alternative(place, value, start, end))
    return found


def merged(signed: Sequence[tuple[object, Alternative]]) -> list[Alternative]:
    """Return one field's alternatives with those joined that have the same signature: neighbours, or any levels."""
    found: list[tuple[object, Alternative]] = []
    for signature, each in signed:
        if each.levels:
            same = [at for at, (other, _) in enumerate(found) if other == signature]
            if same:
                first = found[same[0]][1]
                found[same[0]] = (signature, replace(first, levels=(*first.levels, *each.levels)))
                continue
        elif found and found[-1][0] == signature:
            found[-1] = (signature, replace(found[-1][1], high=each.high))
            continue
        found.append((signature, each))
    return [each for _, each in found]


def binning(coding: Coding) -> Callable[[float | int | None], int]:
    """Return the function that gives one value's bin, as `Coding.codes` does for a column."""
    last, ordinary = coding.bins - 1, coding.ordinary
    if coding.kind == "category":
        lookup: dict[float | int | None, int] = {
            level: number for number, group in enumerate(coding.groups) for level in group
        }
        return lambda value: lookup.get(value, last)
    cuts = list(coding.cuts)
    if coding.kind == "flag":
        known: dict[float | None, int] = {value: bisect_right(cuts, value) for value in (0.0, 1.0)}
        return lambda value: known.get(value, last)
    low, high = coding.bounds or (-math.inf, math.inf)
    special: dict[float | None, int] = {value: ordinary + place for place, value in enumerate(coding.special)}

    def of_number(value: float | None) -> int:
        if value is not None and low <= value <= high and value not in special:
            return bisect_right(cuts, value)
        return special.get(value, last)

    return of_number
