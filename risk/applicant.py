"""Read one applicant strictly by the dictionary: what is usable, and what is missing and why.

It scores nothing. Theory: out of bounds, an unknown level, a wrong type and a value that is too old all become missing,
because missing is evidence with a bin of its own and a guess is not; but it is said, field by field, so that a mistake
in a feed does not pass for a poor applicant.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from risk.dictionary import Dictionary, Field
from risk.table import Table

__all__ = ["Reading", "RecordReader", "table_of"]

Value = float | int | None
"""A number or flag as float, a category as its level's place, None for missing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold an applicant as models see it.

    values: of every model field of the dictionary, in its order. faults: (field, why) of what was given but cannot be
    used: `type`, `bounds`, `level`, `undeclared`, `too-old`, `no-as-of`, `no-consent`.
    """

    values: tuple[Value, ...]
    faults: tuple[tuple[str, str], ...]

    @property
    def missing(self) -> int:
        """Return how many fields are missing, whatever the reason."""
        return self.values.count(None)


class RecordReader:
    """Read records of one dictionary."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Prepare the reading of every model field."""
        self.dictionary = dictionary
        self.fields = dictionary.model_fields
        self.places = {field.name: place for place, field in enumerate(self.fields)}
        self._declared = {field.name for field in dictionary.fields}
        self._levels = [{level: place for place, level in enumerate(field.levels)} for field in self.fields]
        self._plans = [_plan(field) for field in self.fields]

    def read(self, record: Mapping[str, object], unusable: Mapping[str, str]) -> Reading:
        """Return what a record says; unusable: field and why its value may not be used, whatever it is."""
        values: list[Value] = [None] * len(self.fields)
        faults: list[tuple[str, str]] = []
        places, plans = self.places, self._plans
        for name, given in record.items():
            place = places.get(name)
            if place is None:
                if name not in self._declared:
                    faults.append((name[:64], "undeclared"))
                continue
            if given is None:
                continue
            if name in unusable:
                faults.append((name, unusable[name]))
                continue
            low, high, special = plans[place]
            kind = type(given)
            if low is None:
                level = self._levels[place].get(given) if kind is str else None  # type: ignore[call-overload]
                if level is None:
                    faults.append((name, "level" if kind is str else "type"))
                values[place] = level
            elif kind is float or kind is int:
                if low <= given <= high or given in special:  # type: ignore[operator]
                    values[place] = float(given)  # type: ignore[arg-type]
                else:
                    faults.append((name, "bounds"))
            elif kind is bool and self.fields[place].kind == "flag":
                values[place] = float(given)  # type: ignore[arg-type]
            else:
                faults.append((name, "type"))
        return Reading(tuple(values), tuple(faults))


def table_of(fields: tuple[Field, ...], rows: Iterable[tuple[Value, ...]]) -> Table:
    """Return applicants as a table without targets (all 0), for a model's own batch scoring."""
    columns: dict[str, np.ndarray] = {}
    listed = list(rows)
    for place, field in enumerate(fields):
        given = [row[place] for row in listed]
        if field.kind == "category":
            columns[field.name] = np.array([-1 if item is None else item for item in given], dtype=np.int16)
        else:
            columns[field.name] = np.array([math.nan if item is None else item for item in given], dtype=np.float64)
    return Table("applicants", columns, np.zeros(len(listed), dtype=np.int8))


def _plan(field: Field) -> tuple[float | None, float, frozenset[float]]:
    """Return the bounds and special values of a number or flag; None for a category. A flag is 0 or 1 and no other."""
    if field.kind == "category":
        return None, 0.0, frozenset()
    if field.kind == "flag":
        return math.inf, -math.inf, frozenset((0.0, 1.0))
    assert field.bounds is not None  # the dictionary asked for them
    return field.bounds[0], field.bounds[1], frozenset(field.special)
