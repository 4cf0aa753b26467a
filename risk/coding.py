"""Which bin a value falls into.

One `Coding` maps one field's column to bin numbers, both while training and while scoring; it knows nothing of
labels or weights. Theory: ordinary values, each special value and the missing value never share a bin, so a code
such as -999 or an empty cell cannot take the evidence of another. A value that the dictionary does not allow (beyond
the bounds, an infinity, a flag of 2, an unknown level) says nothing and counts as missing, here and in every export, so
that no engine scores a typing error that another one leaves out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from risk.dictionary import Field, Kind
from risk.errors import InputError, MisuseError

__all__ = ["Coding", "coding_from_document", "decode_codings", "encode_codings", "unmerged"]


@dataclass(frozen=True, slots=True)
class Coding:
    """Describe the bins of one field, numbered: ordinary bins, then each special value, then missing.

    cuts: of a number or flag, rising; bin i holds cuts[i-1] <= x < cuts[i]. groups: of a category, the level places
    in each bin; every level is in one bin. special: the special values, rising. bounds: of a number, smallest and
    largest value that is no special one; None where the model file does not tell.
    """

    name: str
    kind: Kind
    cuts: tuple[float, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    special: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None

    @property
    def ordinary(self) -> int:
        """Return the number of ordinary bins."""
        return len(self.groups) if self.kind == "category" else len(self.cuts) + 1

    @property
    def bins(self) -> int:
        """Return the number of bins: ordinary, special and missing; the last one is missing."""
        return self.ordinary + len(self.special) + 1

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, (n_rows,) int16; values as `risk.table` holds them."""
        if self.kind == "category":
            return self._category_codes(values)
        codes = np.searchsorted(np.array(self.cuts, dtype=np.float64), values, side="right").astype(np.int16)
        codes[~self._allowed(values)] = self.bins - 1
        for place, value in enumerate(self.special):
            codes[values == value] = self.ordinary + place
        return codes

    def _allowed(self, values: np.ndarray) -> np.ndarray:
        if self.kind == "flag":
            return np.asarray((values == 0.0) | (values == 1.0))
        if self.bounds is None:
            return np.asarray(~np.isnan(values))
        return np.asarray((values >= self.bounds[0]) & (values <= self.bounds[1]))

    def _category_codes(self, values: np.ndarray) -> np.ndarray:
        levels = sum(len(group) for group in self.groups)
        lookup = np.full(levels + 1, self.bins - 1, dtype=np.int16)
        for place, group in enumerate(self.groups):
            lookup[list(group)] = place
        return lookup[np.where((values >= 0) & (values < levels), values, levels)]

    def merged(self, partition: Sequence[Sequence[int]]) -> "Coding":
        """Return the coding whose ordinary bins are unions of this one's.

        partition: the ordinary bins of each new bin; of a number or flag, runs in rising order.
        """
        if sorted(place for run in partition for place in run) != list(range(self.ordinary)):
            raise MisuseError("coding-partition", f"bins of {self.name!r} are not partitioned")
        if self.kind == "category":
            groups = tuple(tuple(sorted(level for place in run for level in self.groups[place])) for run in partition)
            return replace(self, groups=groups)
        return replace(self, cuts=tuple(self.cuts[min(run) - 1] for run in partition[1:]))

    def to_document(self) -> dict[str, Any]:
        """Return the coding as plain JSON values; bounds are there where they are known."""
        document: dict[str, Any] = {
            "cuts": list(self.cuts),
            "groups": [list(group) for group in self.groups],
            "kind": self.kind,
            "name": self.name,
            "special": list(self.special),
        }
        return document if self.bounds is None else {**document, "bounds": list(self.bounds)}


def unmerged(field: Field, cuts: Sequence[float] = ()) -> Coding:
    """Return the finest coding of a field: a number's given cuts, a flag's two values, a category's levels."""
    if field.kind == "category":
        return Coding(field.name, field.kind, groups=tuple((place,) for place in range(len(field.levels))))
    if field.kind == "flag":
        return Coding(field.name, field.kind, (0.5,))
    return Coding(field.name, field.kind, tuple(cuts), (), field.special, field.bounds)


def coding_from_document(document: Any) -> Coding:
    """Return the coding of a document that `Coding.to_document` made; raise `InputError` for any other."""
    keys = {"cuts", "groups", "kind", "name", "special"}
    if not isinstance(document, dict) or set(document) - {"bounds"} != keys:
        raise InputError("model-coding", "model file: a field's bins must have cuts, groups, kind, name and special")
    kind, name = document["kind"], document["name"]
    if kind not in ("number", "flag", "category") or not isinstance(name, str):
        raise InputError("model-coding", "model file: a field's kind must be number, flag or category")
    cuts, special = (_numbers(document[key], name) for key in ("cuts", "special"))
    groups = _groups(document["groups"], name)
    if list(cuts) != sorted(set(cuts)) or (kind == "category") != bool(groups) or (groups and cuts):
        raise InputError("model-coding", f"model file: cuts or groups of '{name}' do not fit its kind")
    bounds = _numbers(document["bounds"], name) if "bounds" in document else None
    if bounds is not None and (kind != "number" or len(bounds) != 2 or not bounds[0] < bounds[1]):
        raise InputError("model-coding", f"model file: bounds of '{name}' must be two numbers, the smaller first")
    limits = None if bounds is None else (bounds[0], bounds[1])
    return Coding(name, cast(Kind, kind), cuts, groups, special, limits)


def encode_codings(codings: Sequence[Coding]) -> np.ndarray:
    """Return codings as the bytes of canonical JSON, (length,) uint8, for an `Ask`."""
    documents = [coding.to_document() for coding in codings]
    text = json.dumps(documents, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)


def decode_codings(raw: np.ndarray) -> tuple[Coding, ...]:
    """Return the codings that `encode_codings` made bytes of."""
    return tuple(coding_from_document(document) for document in json.loads(raw.tobytes()))


def _numbers(value: Any, name: str) -> tuple[float, ...]:
    if not isinstance(value, list) or not all(type(item) in (int, float) for item in value):
        raise InputError("model-coding", f"model file: cuts and special values of '{name}' must be numbers")
    return tuple(float(item) for item in value)


def _groups(value: Any, name: str) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list) or not all(isinstance(group, list) and group for group in value):
        raise InputError("model-coding", f"model file: groups of '{name}' must be lists of level places")
    places = [place for group in value for place in group]
    if not all(type(place) is int for place in places) or sorted(places) != list(range(len(places))):
        raise InputError("model-coding", f"model file: groups of '{name}' must hold every level once")
    return tuple(tuple(group) for group in value)
