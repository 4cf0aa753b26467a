"""What the towers see of an applicant: weights of evidence and steps, both by bin.

A field's value becomes a bin of the secure sketch's cuts; a bin becomes a row of a small constant table. It trains
nothing. Theory: one column holds the scorecard's evidence, minus WOE; the others are steps, +1/2 at and above a cut
and -1/2 below (a thermometer code, the constant-per-bin kin of Gorishniy's piecewise-linear encoding, 2022), 0 where
the value is missing or special. Steps let a tower bend a field's curve where the data say so; the bins keep every
input bounded and need no minimum, maximum or mean of anybody's rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.card import Scorecard
from risk.coding import Coding, coding_from_document
from risk.dictionary import DIMENSIONS, Dictionary
from risk.errors import InputError
from risk.table import Table

__all__ = ["TowerField", "TowerInputs", "inputs_from_document", "tower_inputs"]

_WOE_ONE = 1024.0
_MOST_WOE = 8 << 10


@dataclass(frozen=True, slots=True)
class TowerField:
    """Hold one field: its bins and the scorecard's WOE of each, in steps of 2**-10, 0 where the card has none."""

    dimension: str
    coding: Coding
    woe: tuple[int, ...]

    @property
    def table(self) -> np.ndarray:
        """Return the inputs of every bin, (bins, columns) float32."""
        columns = []
        if any(self.woe):
            columns.append(-np.array(self.woe) / _WOE_ONE)
        if self.coding.kind != "category":
            places = np.arange(self.coding.bins)
            ordinary = places < self.coding.ordinary
            steps = range(1, self.coding.ordinary)
            columns += [np.where(ordinary, np.where(places >= step, 0.5, -0.5), 0.0) for step in steps]
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((self.coding.bins, 0), np.float32)

    def to_document(self) -> dict[str, Any]:
        """Return the field as plain JSON values."""
        return {"coding": self.coding.to_document(), "dimension": self.dimension, "woe": list(self.woe)}


@dataclass(frozen=True, slots=True)
class TowerInputs:
    """Turn a table into the towers' inputs, dimension by dimension."""

    fields: tuple[TowerField, ...]
    _lookups: dict[str, list[tuple[int, np.ndarray]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lookups: dict[str, list[tuple[int, np.ndarray]]] = {}
        for name in DIMENSIONS:
            found = [(at, item.table) for at, item in enumerate(self.fields) if item.dimension == name]
            if found:
                lookups[name] = found
        object.__setattr__(self, "_lookups", lookups)

    @property
    def widths(self) -> dict[str, int]:
        """Return the number of columns of each dimension that has any, in the order of `DIMENSIONS`."""
        return {name: sum(table.shape[1] for _, table in found) for name, found in self._lookups.items()}

    def codes(self, table: Table) -> np.ndarray:
        """Return the bin of every row and field, (n_rows, n_fields) int16."""
        codes = [item.coding.codes(table.columns[item.coding.name]) for item in self.fields]
        return np.stack(codes, axis=1) if codes else np.zeros((table.rows, 0), dtype=np.int16)

    def features(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs of each dimension that has any, (n_rows, width) float32, from `codes`."""
        return {
            name: np.concatenate([table[codes[:, at]] for at, table in found], axis=1)
            for name, found in self._lookups.items()
        }

    def to_document(self) -> list[dict[str, Any]]:
        """Return the inputs as plain JSON values."""
        return [item.to_document() for item in self.fields]


def tower_inputs(dictionary: Dictionary, codings: Sequence[Coding], card: Scorecard) -> TowerInputs:
    """Return the inputs that these bins and this card give; a field that would have no column is left out.

    codings: of the model's fields, as the sketch cut them; the card's bins are unions of theirs.
    """
    carded = {item.name: item for item in card.fields}
    fields = []
    for coding in codings:
        woe = (0,) * coding.bins
        if coding.name in carded:
            on_card = carded[coding.name]
            woe = tuple(on_card.woe[place] for place in on_card.coding.codes(_one_value_each(coding)))
        item = TowerField(dictionary.field(coding.name).dimension, coding, woe)
        if item.table.shape[1]:
            fields.append(item)
    return TowerInputs(tuple(fields))


def inputs_from_document(document: Any) -> TowerInputs:
    """Return the inputs of a document that `TowerInputs.to_document` made; raise `InputError` for any other."""
    if not isinstance(document, list):
        raise InputError("model-inputs", "model file: 'inputs' must be a list")
    return TowerInputs(tuple(_field_from_document(item) for item in document))


def _field_from_document(document: Any) -> TowerField:
    if not isinstance(document, Mapping) or sorted(document) != ["coding", "dimension", "woe"]:
        raise InputError("model-inputs", "model file: an input must have exactly the keys coding, dimension, woe")
    coding, dimension, woe = coding_from_document(document["coding"]), document["dimension"], document["woe"]
    if dimension not in DIMENSIONS:
        raise InputError("model-inputs", f"model file: dimension of input '{coding.name}' is not known")
    if not isinstance(woe, list) or len(woe) != coding.bins:
        raise InputError("model-inputs", f"model file: 'woe' of input '{coding.name}' needs {coding.bins} entries")
    if not all(type(steps) is int and abs(steps) <= _MOST_WOE for steps in woe):
        raise InputError("model-inputs", f"model file: 'woe' of input '{coding.name}' must be whole steps in range")
    return TowerField(str(dimension), coding, tuple(woe))


def _one_value_each(coding: Coding) -> np.ndarray:
    """Return a value of every bin, in the order of the bins."""
    if coding.kind == "category":
        return np.array([*(group[0] for group in coding.groups), -1], dtype=np.int16)
    return np.array([-np.inf, *coding.cuts, *coding.special, np.nan], dtype=np.float64)
