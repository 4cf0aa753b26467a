"""One model's log-odds shared out among the four dimensions, for one applicant and for all that a field could say.

It rounds nothing to points. Theory: every model is an intercept plus a share per dimension in whole steps of 2**-30.
A card's share is looked up. A tree of few splits is a table over its splits' outcomes: an applicant is one row of bits,
and another value of a field flips only that field's bits, so all alternatives are scored at once. Whatever has no such
form (towers, deep trees) is scored by the model itself on a table of alternatives, slower and equally true.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from risk.alternatives import Alternative, binning
from risk.applicant import Value, table_of
from risk.card import Scorecard
from risk.coding import Coding
from risk.dictionary import DIMENSIONS, Field
from risk.errors import InputError
from risk.forest import Forest
from risk.model import Model
from risk.tower_model import TowerModel

__all__ = ["SharePart", "share_part"]

_MOST_SPLITS = 10


class SharePart(Protocol):
    """Share out one model's log-odds."""

    intercept: int
    """The log-odds without evidence, in steps of 2**-30."""
    offset: int | None
    """The model's own integer offset of points, None for one whose points do not stem from shares."""
    used: tuple[int, ...]
    """Places of the fields that the model looks at."""

    def codings(self, place: int) -> list[Coding]:
        """Return the codings that the model reads a field by."""
        ...

    def signature(self, alternative: Alternative) -> object:
        """Return what the model makes of an alternative: equal for two that it cannot tell apart."""
        ...

    def prepare(self, alternatives: Sequence[Alternative]) -> None:
        """Take the alternatives that `alternatives` will score."""
        ...

    def shares(self, values: Sequence[Value]) -> Sequence[int]:
        """Return the four shares of one applicant."""
        ...

    def alternatives(self, values: Sequence[Value]) -> np.ndarray:
        """Return the shares with one field changed to each prepared alternative, (n_alternatives, 4) int64."""
        ...


def share_part(fields: Sequence[Field], model: Model) -> SharePart:
    """Prepare a model; raise `InputError` where it looks at a field that the dictionary does not have."""
    if isinstance(model, Scorecard):
        return _CardPart(fields, model)
    if isinstance(model, Forest):
        small = all(int((tree[:, 3] > 0).sum()) <= _MOST_SPLITS for tree in model.trees)
        return _ForestPart(fields, model) if small and model.trees else _WholePart(fields, model)
    if isinstance(model, TowerModel):
        return _WholePart(fields, model)
    raise InputError("model-kind", f"a model of recipe {model.recipe} cannot be put in service")


class _CardPart:
    """A scorecard's shares: weight times evidence, looked up."""

    def __init__(self, fields: Sequence[Field], card: Scorecard) -> None:
        self.intercept = card.intercept << 10
        self.offset: int | None = None
        self._items = [(_place(fields, item.name), item) for item in card.fields]
        self._items.sort(key=lambda found: found[0])
        self.used = tuple(place for place, _ in self._items)
        self._steps = {place: [-item.weight * woe for woe in item.woe] for place, item in self._items}
        self._codings = {place: item.coding for place, item in self._items}
        self._bin = {place: binning(coding) for place, coding in self._codings.items()}
        self._dimensions = {place: DIMENSIONS.index(item.dimension) for place, item in self._items}

    def codings(self, place: int) -> list[Coding]:
        """Return the codings that the model reads a field by."""
        return [self._codings[place]] if place in self._codings else []

    def signature(self, alternative: Alternative) -> object:
        """Return what the model makes of an alternative."""
        place = alternative.place
        return None if place not in self._bin else self._steps[place][self._bin[place](alternative.value)]

    def prepare(self, alternatives: Sequence[Alternative]) -> None:
        """Take the alternatives that `alternatives` will score."""
        self._changed = np.array([self.signature(each) or 0 for each in alternatives], dtype=np.int64)
        self._places = np.array([each.place for each in alternatives], dtype=np.int64)
        known = [self._dimensions.get(each.place, 0) for each in alternatives]
        self._columns = np.array(known, dtype=np.int64)
        self._touched = np.array([each.place in self._steps for each in alternatives], dtype=bool)

    def shares(self, values: Sequence[Value]) -> Sequence[int]:
        """Return the four shares of one applicant."""
        shares = [0, 0, 0, 0]
        for place in self.used:
            shares[self._dimensions[place]] += self._step(values, place)
        return shares

    def alternatives(self, values: Sequence[Value]) -> np.ndarray:
        """Return the shares with one field changed to each prepared alternative, (n_alternatives, 4) int64."""
        current = np.zeros(len(values), dtype=np.int64)
        for place in self.used:
            current[place] = self._step(values, place)
        shares = np.repeat(np.array([self.shares(values)], dtype=np.int64), len(self._places), axis=0)
        change = np.where(self._touched, self._changed - current[self._places], 0)
        shares[np.arange(len(shares)), self._columns] += change
        return shares

    def _step(self, values: Sequence[Value], place: int) -> int:
        return self._steps[place][self._bin[place](values[place])]


class _ForestPart:
    """Small trees' shares: a table of leaves over the outcomes of a tree's splits."""

    def __init__(self, fields: Sequence[Field], forest: Forest) -> None:
        self.intercept = forest.intercept
        self.offset: int | None = forest.offset_points
        self._codings: dict[int, Coding] = {}
        for column in forest.columns:
            self._codings.setdefault(_place(fields, column.coding.name), column.coding)
        splits = [np.flatnonzero(tree[:, 3] > 0) for tree in forest.trees]
        width = max(1, *(len(nodes) for nodes in splits))
        self._bin = {place: binning(coding) for place, coding in self._codings.items()}
        self._tables = np.stack([_leaves(tree, nodes, width) for tree, nodes in zip(forest.trees, splits, strict=True)])
        self._trees = np.arange(len(forest.trees))
        roots = [DIMENSIONS.index(forest.columns[int(tree[0, 0])].dimension) for tree in forest.trees]
        self._dimensions = np.eye(len(DIMENSIONS), dtype=np.int64)[roots]
        self._bits = {place: self._outcomes(fields, forest, place, splits) for place in sorted(self._codings)}
        # A field on which no tree splits sets no bit.
        self.used = tuple(place for place, bits in self._bits.items() if bits.any())
        self._first: dict[int, int] = {}
        total = 0
        for place in self.used:
            self._first[place] = total
            total += len(self._bits[place])
        self._all = np.concatenate([self._bits[place] for place in self.used])

    def _outcomes(self, fields: Sequence[Field], forest: Forest, place: int, splits: list[np.ndarray]) -> np.ndarray:
        """Return for each bin of a field the bits that its splits set in every tree, (bins, n_trees) int64."""
        coding = self._codings[place]
        bits = np.zeros((coding.bins, len(forest.trees)), dtype=np.int64)
        bins = np.arange(coding.bins)
        for number, (tree, nodes) in enumerate(zip(forest.trees, splits, strict=True)):
            for bit, node in enumerate(nodes):
                at, cut, missing_left = (int(value) for value in tree[node, :3])
                column = forest.columns[at]
                if column.coding.name == fields[place].name:
                    codes = column.codes(bins)
                    left = np.where(codes == column.places, missing_left == 1, codes <= cut)
                    bits[:, number] |= left.astype(np.int64) << bit
        return bits

    def codings(self, place: int) -> list[Coding]:
        """Return the codings that the model reads a field by."""
        return [self._codings[place]] if place in self._codings else []

    def signature(self, alternative: Alternative) -> object:
        """Return what the model makes of an alternative."""
        if alternative.place not in self.used:
            return None
        return self._bits[alternative.place][self._bin[alternative.place](alternative.value)].tobytes()

    def prepare(self, alternatives: Sequence[Alternative]) -> None:
        """Take the alternatives that `alternatives` will score."""
        none = np.zeros(len(self._trees), dtype=np.int64)
        rows = []
        for each in alternatives:
            known = each.place in self.used
            rows.append(self._bits[each.place][self._bin[each.place](each.value)] if known else none)
        self._changed = np.array(rows, dtype=np.int64).reshape(len(alternatives), len(self._trees))
        order = {place: number for number, place in enumerate(self.used)}
        self._places = np.array([order.get(each.place, len(order)) for each in alternatives], dtype=np.int64)

    def _current(self, values: Sequence[Value]) -> np.ndarray:
        rows = [self._first[place] + self._bin[place](values[place]) for place in self.used]
        return np.asarray(self._all[rows])

    def shares(self, values: Sequence[Value]) -> Sequence[int]:
        """Return the four shares of one applicant."""
        leaves = self._tables[self._trees, self._current(values).sum(axis=0)]
        return (leaves @ self._dimensions).tolist()

    def alternatives(self, values: Sequence[Value]) -> np.ndarray:
        """Return the shares with one field changed to each prepared alternative, (n_alternatives, 4) int64."""
        current = self._current(values)
        kept = np.concatenate([current, np.zeros((1, len(self._trees)), dtype=np.int64)])[self._places]
        rows = current.sum(axis=0) - kept + self._changed
        return np.asarray(self._tables[self._trees, rows] @ self._dimensions)


class _WholePart:
    """Any model's shares, by its own batch scoring."""

    def __init__(self, fields: Sequence[Field], model: Forest | TowerModel) -> None:
        self._fields, self._model = tuple(fields), model
        found: dict[int, list[Coding]] = {}
        self.offset: int | None
        if isinstance(model, Forest):
            self.intercept, self.offset = model.intercept, model.offset_points
            codings = [column.coding for column in model.columns]
        else:
            self.intercept, self.offset = round(model.intercept * (1 << 30)), model.base_points
            codings = [item.coding for item in model.card.fields] + [item.coding for item in model.inputs.fields]
        for coding in codings:
            found.setdefault(_place(fields, coding.name), []).append(coding)
        self._codings = found
        self._bins = {place: [binning(coding) for coding in codings] for place, codings in found.items()}
        self.used = tuple(sorted(found))

    def codings(self, place: int) -> list[Coding]:
        """Return the codings that the model reads a field by."""
        return self._codings.get(place, [])

    def signature(self, alternative: Alternative) -> object:
        """Return what the model makes of an alternative."""
        return tuple(find(alternative.value) for find in self._bins.get(alternative.place, ()))

    def prepare(self, alternatives: Sequence[Alternative]) -> None:
        """Take the alternatives that `alternatives` will score."""
        self._alternatives = tuple(alternatives)

    def shares(self, values: Sequence[Value]) -> Sequence[int]:
        """Return the four shares of one applicant."""
        return self._score([tuple(values)])[0].tolist()

    def alternatives(self, values: Sequence[Value]) -> np.ndarray:
        """Return the shares with one field changed to each prepared alternative, (n_alternatives, 4) int64."""
        rows = []
        for each in self._alternatives:
            row = list(values)
            row[each.place] = each.value
            rows.append(tuple(row))
        return self._score(rows)

    def _score(self, rows: list[tuple[Value, ...]]) -> np.ndarray:
        if not rows:
            return np.zeros((0, len(DIMENSIONS)), dtype=np.int64)
        table = table_of(self._fields, rows)
        if isinstance(self._model, Forest):
            return self._model.shares(table)
        return np.rint(self._model.dimension_logits(table) * float(1 << 30)).astype(np.int64)


def _leaves(tree: np.ndarray, nodes: np.ndarray, width: int) -> np.ndarray:
    """Return the leaf for every outcome of a tree's splits, (2**width,) int64; bit i says that node i goes left."""
    bit = {int(node): number for number, node in enumerate(nodes)}
    leaves = np.zeros(1 << width, dtype=np.int64)
    for outcome in range(1 << width):
        node = 0
        while node in bit:
            node = int(tree[node, 3] if outcome >> bit[node] & 1 else tree[node, 4])
        leaves[outcome] = tree[node, 5]
    return leaves


def _place(fields: Sequence[Field], name: str) -> int:
    for place, field in enumerate(fields):
        if field.name == name:
            return place
    raise InputError("model-dictionary", f"the model looks at '{name}', which is no model field of the dictionary")
