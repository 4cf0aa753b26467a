"""The scorecard itself: bins, evidence, weights and points, and how it scores an applicant.

It trains nothing. Theory: the logit of bad is intercept - sum of weight * WOE, all on grids of whole steps, so it is
computed exactly. A score is 600 at good:bad odds of 30:1 and rises by 20 where the odds double (points to double
the odds); it is an integer offset plus an integer per bin, and the points of each dimension add to it exactly. The PD
comes from the logit, not from the rounded points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.coding import Coding, coding_from_document
from risk.dictionary import DIMENSIONS
from risk.elementary import ln, sigmoid
from risk.errors import InputError
from risk.reference import Reference
from risk.table import Table

__all__ = ["CardField", "Scaling", "Scorecard", "card_from_document"]

_WOE_BITS = 10
_WEIGHT_BITS = 20


@dataclass(frozen=True, slots=True)
class Scaling:
    """Say how log-odds become points: `points` at good:bad odds of `odds` to 1, `pdo` more where odds double."""

    points: int = 600
    odds: int = 30
    pdo: int = 20

    @property
    def factor(self) -> float:
        """Return the points of one unit of log-odds."""
        return self.pdo / ln(2)

    def offset(self, intercept: int) -> int:
        """Return the score of an applicant without evidence; intercept in steps of 2**-20."""
        return round(self.points - self.factor * (ln(self.odds) + intercept / float(1 << _WEIGHT_BITS)))

    def bin_points(self, weight: int, woe: int) -> int:
        """Return a bin's points; weight in steps of 2**-20, WOE in steps of 2**-10."""
        return round(self.factor * (weight * woe) / float(1 << (_WEIGHT_BITS + _WOE_BITS)))


@dataclass(frozen=True, slots=True)
class CardField:
    """Hold one field of the card; tuples have an entry per bin: ordinary bins, special values, missing.

    levels: of a category, its levels in the dictionary's order. woe: steps of 2**-10. weight: steps of 2**-20, at
    least 0. rows, bads: what the network counted while training; bads is None where labels were not asked.
    """

    name: str
    dimension: str
    coding: Coding
    levels: tuple[str, ...]
    woe: tuple[int, ...]
    weight: int
    points: tuple[int, ...]
    rows: tuple[int, ...]
    bads: tuple[int | None, ...]
    iv: float

    def codes(self, table: Table) -> np.ndarray:
        """Return the bin of every row, (n_rows,) int16."""
        return self.coding.codes(table.columns[self.name])

    def to_document(self) -> dict[str, Any]:
        """Return the field as plain JSON values."""
        return {
            "bads": list(self.bads),
            "coding": self.coding.to_document(),
            "dimension": self.dimension,
            "iv": self.iv,
            "levels": list(self.levels),
            "name": self.name,
            "points": list(self.points),
            "rows": list(self.rows),
            "weight": self.weight,
            "woe": list(self.woe),
        }


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Score applicants by adding points.

    intercept: logit of bad without evidence, in steps of 2**-20. base_points: the score's integer offset. dropped:
    (field, reason) of every declared field that is not used. dictionary: digest. training: facts of the job in
    integers and strings. reference: what later rows are held against, which stands beside the model in its file.
    """

    recipe: str
    fields: tuple[CardField, ...]
    dropped: tuple[tuple[str, str], ...]
    intercept: int
    base_points: int
    scaling: Scaling
    dictionary: str
    training: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = None

    @property
    def codings(self) -> tuple[Coding, ...]:
        """Return the bins of every field in use."""
        return tuple(item.coding for item in self.fields)

    def logit(self, table: Table) -> np.ndarray:
        """Return the log-odds of bad, (n_rows,) float64, exact on a grid of 2**-30."""
        total = np.full(table.rows, self.intercept << _WOE_BITS, dtype=np.int64)
        for item in self.fields:
            total -= item.weight * np.array(item.woe, dtype=np.int64)[item.codes(table)]
        return np.asarray(total / float(1 << (_WEIGHT_BITS + _WOE_BITS)))

    def pd(self, table: Table) -> np.ndarray:
        """Return the probability of bad, (n_rows,) float64."""
        return sigmoid(self.logit(table))

    def subscores(self, table: Table) -> np.ndarray:
        """Return the points of each dimension, (n_rows, 4) int64, columns in the order of `DIMENSIONS`."""
        scores = np.zeros((table.rows, len(DIMENSIONS)), dtype=np.int64)
        for item in self.fields:
            scores[:, DIMENSIONS.index(item.dimension)] += np.array(item.points, dtype=np.int64)[item.codes(table)]
        return scores

    def score(self, table: Table) -> np.ndarray:
        """Return the score, (n_rows,) int64: `base_points` plus the four sub-scores."""
        return np.asarray(self.base_points + self.subscores(table).sum(axis=1))

    def to_document(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        scaling = self.scaling
        return {
            "base_points": self.base_points,
            "dictionary": self.dictionary,
            "dropped": [list(pair) for pair in self.dropped],
            "fields": [item.to_document() for item in self.fields],
            "intercept": self.intercept,
            "scaling": {"odds": scaling.odds, "pdo": scaling.pdo, "points": scaling.points},
            "training": dict(self.training),
        }


def card_from_document(recipe: str, document: Mapping[str, Any]) -> Scorecard:
    """Return the scorecard of a document that `Scorecard.to_document` made; raise `InputError` for any other."""
    expected = ("base_points", "dictionary", "dropped", "fields", "intercept", "scaling", "training")
    _check_keys(document, expected, "scorecard")
    scaling = document["scaling"]
    _check_keys(scaling, ("odds", "pdo", "points"), "scaling")
    for key in ("odds", "pdo", "points"):
        _integer(scaling[key], key, 1)
    dropped = document["dropped"]
    if not isinstance(dropped, list) or not all(_texts(pair) and len(pair) == 2 for pair in dropped):
        raise InputError("model-dropped", "model file: 'dropped' must be pairs of field and reason")
    if not isinstance(document["fields"], list) or not isinstance(document["training"], dict):
        raise InputError("model-fields", "model file: 'fields' must be a list and 'training' a table")
    if not isinstance(document["dictionary"], str):
        raise InputError("model-dictionary", "model file: 'dictionary' must be a digest in hex")
    return Scorecard(
        recipe=recipe,
        fields=tuple(_field_from_document(item) for item in document["fields"]),
        dropped=tuple((pair[0], pair[1]) for pair in dropped),
        intercept=_integer(document["intercept"], "intercept"),
        base_points=_integer(document["base_points"], "base_points"),
        scaling=Scaling(scaling["points"], scaling["odds"], scaling["pdo"]),
        dictionary=document["dictionary"],
        training=document["training"],
    )


def _field_from_document(document: Any) -> CardField:
    expected = ("bads", "coding", "dimension", "iv", "levels", "name", "points", "rows", "weight", "woe")
    _check_keys(document, expected, "field")
    coding = coding_from_document(document["coding"])
    where = f"'{coding.name}'"
    for key in ("bads", "points", "rows", "woe"):
        if not isinstance(document[key], list) or len(document[key]) != coding.bins:
            raise InputError("model-bins", f"model file: '{key}' of {where} must have {coding.bins} entries")
    if document["dimension"] not in DIMENSIONS or document["name"] != coding.name:
        raise InputError("model-field", f"model file: name or dimension of {where} is wrong")
    levels = document["levels"]
    if not _texts(levels) or len(levels) != sum(len(group) for group in coding.groups):
        raise InputError("model-levels", f"model file: levels of {where} do not fit its bins")
    if type(document["iv"]) not in (int, float):
        raise InputError("model-iv", f"model file: 'iv' of {where} must be a number")
    return CardField(
        name=coding.name,
        dimension=document["dimension"],
        coding=coding,
        levels=tuple(levels),
        woe=tuple(_integer(item, "woe") for item in document["woe"]),
        weight=_integer(document["weight"], "weight", 0),
        points=tuple(_integer(item, "points") for item in document["points"]),
        rows=tuple(_integer(item, "rows", 0) for item in document["rows"]),
        bads=tuple(None if item is None else _integer(item, "bads", 0) for item in document["bads"]),
        iv=float(document["iv"]),
    )


def _check_keys(document: Any, expected: Sequence[str], what: str) -> None:
    if not isinstance(document, Mapping) or sorted(document) != sorted(expected):
        raise InputError("model-keys", f"model file: a {what} must have exactly the keys {', '.join(expected)}")


def _integer(value: Any, name: str, low: int = -(2**40)) -> int:
    if type(value) is not int or not low <= value <= 2**40:
        raise InputError("model-integer", f"model file: '{name}' must be a whole number in range")
    return value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
