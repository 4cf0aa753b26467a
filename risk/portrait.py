"""The portrait: vitality, ability to repay and growth potential, as percentiles among a bank's own borrowers.

It does not enter the score. Theory: each axis is fed by the fields that the lending policy names; a field's value
becomes its rank among the reference's borrowers, turned so that 100 is the safest; the axis is the mean of the ranks
that are known, placed among the reference's own means. The reference is frozen in a file, so a portrait drawn twice is
the same, and it holds quantiles only, no borrower. Where less than half of an axis is known, there is no figure.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.applicant import Value
from risk.dictionary import Dictionary, Field
from risk.errors import InputError
from risk.lending_policy import PORTRAIT_AXES
from risk.table import Table

__all__ = [
    "REFERENCE_FORMAT",
    "AxisFigure",
    "PortraitReader",
    "Reference",
    "build_reference",
    "reference_from_document",
]

REFERENCE_FORMAT = "creditmesh-reference/1"
_KNOTS = 101
_LEAST_KNOWN = 0.5


@dataclass(frozen=True, slots=True)
class Reference:
    """Hold the frozen quantiles: of each field's values, and of each axis's mean rank; 101 each, rising.

    dictionary: digest. rows: borrowers they were taken from. asked: the fields of each axis, as the policy named them.
    axes: those of them that any row knows, which feed the axis.
    """

    dictionary: str
    rows: int
    fields: Mapping[str, tuple[float, ...]]
    asked: Mapping[str, tuple[str, ...]]
    axes: Mapping[str, tuple[str, ...]]
    means: Mapping[str, tuple[float, ...]]

    def to_document(self) -> dict[str, Any]:
        """Return the reference as plain JSON values."""
        return {
            "asked": {name: list(fields) for name, fields in self.asked.items()},
            "axes": {name: list(fields) for name, fields in self.axes.items()},
            "dictionary": self.dictionary,
            "fields": {name: list(knots) for name, knots in self.fields.items()},
            "format": REFERENCE_FORMAT,
            "means": {name: list(knots) for name, knots in self.means.items()},
            "rows": self.rows,
        }


@dataclass(frozen=True, slots=True)
class AxisFigure:
    """Hold one axis: its percentile, 0 to 100 (the best), None where too little is known; how many fields are known."""

    percentile: int | None
    known: int
    fields: tuple[str, ...]


class PortraitReader:
    """Draw portraits against one reference."""

    def __init__(self, reference: Reference, fields: Sequence[Field]) -> None:
        """Prepare the axes; fields: the model fields of the dictionary, in order."""
        places = {field.name: place for place, field in enumerate(fields)}
        self._axes = []
        for name, feeding in reference.axes.items():
            rows = [
                (places[each], reference.fields[each], fields[places[each]].risk_when_rising == "up")
                for each in feeding
                if each in places
            ]
            named = tuple(fields[place].name for place, _, _ in rows)
            self._axes.append((name, rows, reference.means[name], named))

    def draw(self, values: Sequence[Value]) -> dict[str, AxisFigure]:
        """Return the three axes of one applicant."""
        portrait = {}
        for name, rows, means, named in self._axes:
            ranks = []
            for place, knots, rising in rows:
                value = values[place]
                if value is not None:
                    rank = bisect_left(knots, value) + bisect_right(knots, value)
                    ranks.append(2 * _KNOTS - rank if rising else rank)
            if len(ranks) < _LEAST_KNOWN * len(rows) or not ranks:
                portrait[name] = AxisFigure(None, len(ranks), named)
                continue
            mean = sum(ranks) / (2 * _KNOTS * len(ranks))
            place = (bisect_left(means, mean) + bisect_right(means, mean)) * 100 // (2 * _KNOTS)
            portrait[name] = AxisFigure(place, len(ranks), named)
        return portrait


def build_reference(table: Table, dictionary: Dictionary, axes: Sequence[Sequence[str]]) -> Reference:
    """Return the reference of a bank's own rows; axes: fields of each of `PORTRAIT_AXES`.

    A field that is missing in every row feeds nothing: a bank may have no such source. Raises `InputError` where an
    axis has no field left, or no row that knows half of them.
    """
    named = {name for axis in axes for name in axis}
    knots: dict[str, tuple[float, ...]] = {}
    for name in sorted(named):
        values = table.columns[name]
        known = np.sort(values[~np.isnan(values)])
        if not len(known):
            continue
        picks = np.linspace(0, len(known) - 1, _KNOTS).round().astype(np.int64)
        knots[name] = tuple(known[picks].tolist())
    asked = dict(zip(PORTRAIT_AXES, (tuple(axis) for axis in axes), strict=True))
    chosen = {name: tuple(field for field in fields if field in knots) for name, fields in asked.items()}
    for name, fields in chosen.items():
        if not fields:
            raise InputError("reference-empty", f"portrait.{name}: its fields are empty in every row; choose others")
    means = {name: _mean_knots(table, dictionary, fields, knots) for name, fields in chosen.items()}
    return Reference(dictionary.digest(), table.rows, knots, asked, chosen, means)


def reference_from_document(document: Mapping[str, Any]) -> Reference:
    """Return the reference of a document that `Reference.to_document` made; raise `InputError` for any other."""
    fault = InputError("reference-form", f"reference file: not of the form {REFERENCE_FORMAT}; make it anew")
    keys = ["asked", "axes", "dictionary", "fields", "format", "means", "rows"]
    if sorted(document) != keys or document["format"] != REFERENCE_FORMAT or type(document["rows"]) is not int:
        raise fault
    try:
        knots = {name: _knots(values) for name, values in document["fields"].items()}
        means = {name: _knots(values) for name, values in document["means"].items()}
        asked, axes = ({name: tuple(document[part][name]) for name in PORTRAIT_AXES} for part in ("asked", "axes"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise fault from None
    if set(means) != set(PORTRAIT_AXES) or not all(name in knots for axis in axes.values() for name in axis):
        raise fault
    return Reference(str(document["dictionary"]), document["rows"], knots, asked, axes, means)


def _knots(values: Any) -> tuple[float, ...]:
    knots = tuple(float(value) for value in values)
    if len(knots) != _KNOTS or not all(np.isfinite(knots)) or list(knots) != sorted(knots):
        raise ValueError("knots")
    return knots


def _mean_knots(
    table: Table, dictionary: Dictionary, fields: Sequence[str], knots: Mapping[str, Sequence[float]]
) -> tuple[float, ...]:
    ranks = np.full((table.rows, len(fields)), np.nan)
    for column, name in enumerate(fields):
        values, edges = table.columns[name], np.array(knots[name])
        rank = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
        if dictionary.field(name).risk_when_rising == "up":
            rank = 2 * _KNOTS - rank
        ranks[:, column] = np.where(np.isnan(values), np.nan, rank / (2 * _KNOTS))
    known = (~np.isnan(ranks)).sum(axis=1)
    enough = (known >= _LEAST_KNOWN * len(fields)) & (known > 0)
    if not enough.any():
        raise InputError(
            "reference-thin", f"no row knows half of {', '.join(fields)}; choose other fields for the axis"
        )
    means = np.sort(np.nansum(ranks[enough], axis=1) / known[enough])
    picks = np.linspace(0, len(means) - 1, _KNOTS).round().astype(np.int64)
    return tuple(means[picks].tolist())
