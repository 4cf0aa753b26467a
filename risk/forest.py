"""Boosted trees as a model: columns, splits, leaves, and how they score an applicant.

It trains nothing. Theory: the logit of bad is an intercept plus one leaf of every tree, all in whole steps of 2**-30,
so it is computed exactly and in any order. A tree that is confined to one dimension adds to that dimension's share
of the logit alone, so the four shares and the intercept add up to the logit, and the portrait is the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.card import Scaling
from risk.coding import Coding, coding_from_document
from risk.dictionary import DIMENSIONS, Dictionary
from risk.elementary import sigmoid
from risk.errors import InputError
from risk.reference import Reference
from risk.table import Table

__all__ = ["LEAF_BITS", "Column", "Forest", "forest_from_document", "leaf_nodes", "tree_codes", "tree_columns"]

LEAF_BITS = 30
_WEIGHT_BITS = 20
_NODE = ("column", "cut", "missing_left", "left", "right", "leaf")
_MOST_TREES = 1000


@dataclass(frozen=True, slots=True)
class Column:
    """One ordered thing that a tree may split on.

    coding: the field's bins. order: ordinary bins from left to right, or for a special value's own column the bins
    outside it and then the special one's. A bin in no place of the order counts as missing. rising: +1 where risk
    may not fall from left to right, -1 where it may not rise, 0 free. levels: of a category, the dictionary's.
    """

    coding: Coding
    order: tuple[tuple[int, ...], ...]
    dimension: str
    rising: int
    levels: tuple[str, ...] = ()

    @property
    def places(self) -> int:
        """Return the number of ordered places; missing is one more."""
        return len(self.order)

    def codes(self, bins: np.ndarray) -> np.ndarray:
        """Return the place of each bin number, (n_rows,) int16; `places` for missing."""
        lookup = np.full(self.coding.bins, self.places, dtype=np.int16)
        for place, members in enumerate(self.order):
            lookup[list(members)] = place
        return lookup[bins]


def tree_columns(codings: Sequence[Coding], dictionary: Dictionary) -> tuple[Column, ...]:
    """Return each field's columns: its ordinary bins in the coding's order, and one column for each special value."""
    columns: list[Column] = []
    for coding in codings:
        declared = dictionary.field(coding.name)
        rising = {"up": 1, "down": -1, "free": 0}[declared.risk_when_rising]
        ordinary = tuple((place,) for place in range(coding.ordinary))
        columns.append(Column(coding, ordinary, declared.dimension, rising, declared.levels))
        for number in range(len(coding.special)):
            place = coding.ordinary + number
            others = tuple(each for each in range(coding.bins) if each != place)
            columns.append(Column(coding, (others, (place,)), declared.dimension, 0))
    return tuple(columns)


def tree_codes(columns: Sequence[Column], table: Table) -> np.ndarray:
    """Return the place of every row in every column, (n_rows, n_columns) int16."""
    codes = np.empty((table.rows, len(columns)), dtype=np.int16)
    bins: dict[str, np.ndarray] = {}
    for number, column in enumerate(columns):
        name = column.coding.name
        if name not in bins:
            bins[name] = column.coding.codes(table.columns[name])
        codes[:, number] = column.codes(bins[name])
    return codes


def leaf_nodes(tree: np.ndarray, codes: np.ndarray, places: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return the node that each row ends in, (n_rows,) int64.

    tree: (nodes, 6) int64, rows as `_NODE`; a node with left = 0 is a leaf. A row goes left where its place is at
    most the cut. codes: of `tree_codes`. places: (n_columns,) int64, places of each column. start: nodes that the rows
    have reached already, the root by default.
    """
    node = np.zeros(len(codes), dtype=np.int64) if start is None else start.copy()
    column, cut, missing_left, left, right = (np.ascontiguousarray(part) for part in tree.T[:5])
    missing = np.where(missing_left == 1, places[column], -1)
    child = np.stack([right, left], axis=1).ravel()
    flat, width = codes.ravel(), codes.shape[1]
    moving = np.flatnonzero(left.take(node))
    while len(moving):
        # By `take` on flat arrays: half the time of indexing by pairs.
        at = node.take(moving)
        code = flat.take(moving * width + column.take(at))
        goes_left = (code <= cut.take(at)) | (code == missing.take(at))
        reached = child.take(2 * at + goes_left)
        node[moving] = reached
        moving = moving[left.take(reached) > 0]
    return node


@dataclass(frozen=True, eq=False, slots=True)
class Forest:
    """Score applicants by boosted trees.

    columns: all that trees split on. trees: each (nodes, 6) int64 of column, last place that goes left, whether
    missing goes left, left node, right node, leaf in steps of 2**-30. intercept: steps of 2**-30. dropped:
    (field, reason) of every declared field without a column. dictionary: digest. training: facts of the job.
    reference: what later rows are held against, which stands beside the model in its file.
    """

    recipe: str
    columns: tuple[Column, ...]
    trees: tuple[np.ndarray, ...]
    intercept: int
    confined: bool
    scaling: Scaling
    dropped: tuple[tuple[str, str], ...]
    dictionary: str
    training: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = None

    @property
    def codings(self) -> tuple[Coding, ...]:
        """Return the bins of every field with a column."""
        return tuple({column.coding.name: column.coding for column in self.columns}.values())

    @property
    def offset_points(self) -> int:
        """Return the score's integer offset."""
        return self.scaling.offset(self.intercept >> (LEAF_BITS - _WEIGHT_BITS))

    def shares(self, table: Table) -> np.ndarray:
        """Return what each dimension adds to the logit, (n_rows, 4) int64 in steps of 2**-30.

        A tree that is not confined counts with the dimension of its first split.
        """
        codes = tree_codes(self.columns, table)
        places = np.array([column.places for column in self.columns], dtype=np.int64)
        shares = np.zeros((table.rows, len(DIMENSIONS)), dtype=np.int64)
        for tree in self.trees:
            dimension = DIMENSIONS.index(self.columns[int(tree[0, 0])].dimension)
            shares[:, dimension] += tree[leaf_nodes(tree, codes, places), 5]
        return shares

    def logit(self, table: Table) -> np.ndarray:
        """Return the log-odds of bad, (n_rows,) float64, exact on a grid of 2**-30."""
        return np.asarray((self.intercept + self.shares(table).sum(axis=1)) / float(1 << LEAF_BITS))

    def pd(self, table: Table) -> np.ndarray:
        """Return the probability of bad, (n_rows,) float64."""
        return sigmoid(self.logit(table))

    def subscores(self, table: Table) -> np.ndarray:
        """Return the points of each dimension, (n_rows, 4) int64, columns in the order of `DIMENSIONS`."""
        return np.rint(self.shares(table) * (-self.scaling.factor / float(1 << LEAF_BITS))).astype(np.int64)

    def score(self, table: Table) -> np.ndarray:
        """Return the score, (n_rows,) int64: the offset plus the points of the four dimensions."""
        return np.asarray(self.offset_points + self.subscores(table).sum(axis=1))

    def to_document(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        scaling = self.scaling
        return {
            "columns": [
                {
                    "coding": column.coding.to_document(),
                    "dimension": column.dimension,
                    "levels": list(column.levels),
                    "order": [list(group) for group in column.order],
                    "rising": column.rising,
                }
                for column in self.columns
            ],
            "confined": self.confined,
            "dictionary": self.dictionary,
            "dropped": [list(pair) for pair in self.dropped],
            "intercept": self.intercept,
            "scaling": {"odds": scaling.odds, "pdo": scaling.pdo, "points": scaling.points},
            "training": dict(self.training),
            "trees": [[dict(zip(_NODE, row, strict=True)) for row in tree.tolist()] for tree in self.trees],
        }


def forest_from_document(recipe: str, document: Mapping[str, Any]) -> Forest:
    """Return the forest of a document that `Forest.to_document` made; raise `InputError` for any other."""
    keys = ["columns", "confined", "dictionary", "dropped", "intercept", "scaling", "training", "trees"]
    if sorted(document) != keys:
        raise InputError("model-keys", f"model file: trees have the keys {', '.join(keys)}")
    try:
        scaling = Scaling(*(int(document["scaling"][name]) for name in ("points", "odds", "pdo")))
        columns = tuple(_column(item) for item in document["columns"])
        trees = tuple(_tree(nodes, columns) for nodes in document["trees"])
        dropped = tuple((str(name), str(reason)) for name, reason in document["dropped"])
        if type(document["intercept"]) is not int or type(document["confined"]) is not bool or len(trees) > _MOST_TREES:
            raise ValueError("wrong type")
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
        raise InputError(
            "model-trees", "model file: a tree, column or figure has not the form of this recipe"
        ) from None
    return Forest(
        recipe=recipe,
        columns=columns,
        trees=trees,
        intercept=document["intercept"],
        confined=document["confined"],
        scaling=scaling,
        dropped=dropped,
        dictionary=str(document["dictionary"]),
        training=dict(document["training"]),
    )


def _column(item: Any) -> Column:
    coding = coding_from_document(item["coding"])
    order = tuple(tuple(group) for group in item["order"])
    places = [place for group in order for place in group]
    whole = all(type(place) is int and 0 <= place < coding.bins for place in places)
    known = item["dimension"] in DIMENSIONS and item["rising"] in (-1, 0, 1) and len(item) == 5
    levels = tuple(item["levels"])
    if not all(isinstance(level, str) for level in levels) or len(levels) != sum(map(len, coding.groups)):
        raise ValueError("levels")
    if not (whole and known and order and len(set(places)) == len(places)):
        raise ValueError("column")
    return Column(coding, order, item["dimension"], item["rising"], levels)


def _tree(nodes: Any, columns: Sequence[Column]) -> np.ndarray:
    """Return the tree of a list of nodes; children stand after their parent, so that scoring ends."""
    rows = []
    for number, node in enumerate(nodes):
        if sorted(node) != sorted(_NODE) or not all(type(value) is int for value in node.values()):
            raise ValueError("node")
        inner = node["left"] > 0
        children = (node["left"], node["right"])
        if inner and not all(number < child < len(nodes) for child in children):
            raise ValueError("children")
        if not 0 <= node["column"] < len(columns) or not -1 <= node["cut"] < columns[node["column"]].places:
            raise ValueError("split")
        rows.append([node[name] for name in _NODE])
    if not rows:
        raise ValueError("tree")
    return np.array(rows, dtype=np.int64)
