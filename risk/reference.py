"""What is frozen with a model, so that later rows can be held against those that trained it.

It holds counts and bins, no row. Theory: drift is measured against bins that never move again: tenths of the training
rows' scores, the model's own bins of every field that it uses, and its rating grades. A model file without them still
scores; of its drift nothing can be said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.coding import Coding, coding_from_document
from risk.errors import InputError
from risk.grades import MasterScale, scale_from_document
from risk.score_bins import SCORE_BINS, STEPS_PER_LOGIT
from risk.table import Table

__all__ = ["Reference", "make_reference", "reference_from_document"]

_GROUPS = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """Hold the frozen bins and the training rows in them.

    score_cuts: rising, in steps of 1/64 of log-odds; a row that reaches a cut is in the next bin. score_rows: rows per
    score bin. fields: each field's bins and its rows per bin. scale: rating grades, fitted on the training rows.
    """

    score_cuts: tuple[int, ...]
    score_rows: tuple[int, ...]
    fields: tuple[tuple[Coding, tuple[int, ...]], ...]
    scale: MasterScale

    def score_counts(self, logit: np.ndarray) -> tuple[int, ...]:
        """Return how many rows stand in each frozen score bin now; logit: (n_rows,) float64 log-odds of bad."""
        steps = np.floor(np.asarray(logit, dtype=np.float64) * STEPS_PER_LOGIT)
        places = np.searchsorted(np.array(self.score_cuts, dtype=np.float64), steps, side="right")
        return tuple(np.bincount(places, minlength=len(self.score_rows)).tolist())

    def score_counts_of_bins(self, rows: np.ndarray) -> tuple[int, ...]:
        """Return the same from rows in the 1 000 score bins, (1000,) int64."""
        return tuple(int(part.sum()) for part in np.split(rows, _inner(self.score_cuts)))

    def field_counts(self, table: Table) -> dict[str, tuple[int, ...]]:
        """Return how many rows of a table stand in each frozen bin of every field, by name."""
        return {
            coding.name: tuple(np.bincount(coding.codes(table.columns[coding.name]), minlength=coding.bins).tolist())
            for coding, _ in self.fields
        }

    def field_rows(self) -> dict[str, tuple[int, ...]]:
        """Return the training rows in each bin of every field, by name."""
        return {coding.name: rows for coding, rows in self.fields}

    def to_document(self) -> dict[str, Any]:
        """Return the reference as plain JSON values."""
        fields = [{"coding": coding.to_document(), "rows": list(rows)} for coding, rows in self.fields]
        score = {"cuts": list(self.score_cuts), "rows": list(self.score_rows)}
        return {"fields": fields, "grades": self.scale.to_document(), "score": score}


def make_reference(train: np.ndarray, scale: MasterScale, fields: Sequence[tuple[Coding, Sequence[int]]]) -> Reference:
    """Return the reference of a model.

    train: training rows in each of the 1 000 score bins. scale: the rating grades. fields: bins of every field that the
    model uses, and training rows in each.
    """
    total = max(int(train.sum()), 1)
    tenth = np.minimum((np.cumsum(train) - (train + 1) // 2) * _GROUPS // total, _GROUPS - 1)
    starts = np.flatnonzero(np.diff(tenth)) + 1
    return Reference(
        score_cuts=tuple(int(start) - SCORE_BINS // 2 for start in starts),
        score_rows=tuple(int(part.sum()) for part in np.split(train, starts)),
        fields=tuple((coding, tuple(int(count) for count in rows)) for coding, rows in fields),
        scale=scale,
    )


def reference_from_document(document: Any) -> Reference:
    """Return the reference of a document that `Reference.to_document` made; raise `InputError` for any other."""
    if not isinstance(document, dict) or sorted(document) != ["fields", "grades", "score"]:
        raise InputError("model-reference", "model file: a reference must have fields, grades and score")
    score = document["score"]
    if not isinstance(score, dict) or sorted(score) != ["cuts", "rows"] or not isinstance(document["fields"], list):
        raise InputError("model-reference", "model file: a reference's score must have cuts and rows")
    cuts, rows = _whole(score["cuts"], "cuts"), _whole(score["rows"], "rows", 0)
    if len(rows) != len(cuts) + 1 or list(cuts) != sorted(set(cuts)):
        raise InputError("model-reference", "model file: cuts of the reference's score must rise, one less than rows")
    fields = []
    for item in document["fields"]:
        if not isinstance(item, dict) or sorted(item) != ["coding", "rows"]:
            raise InputError("model-reference", "model file: a field of the reference must have coding and rows")
        coding, counts = coding_from_document(item["coding"]), _whole(item["rows"], "rows", 0)
        if len(counts) != coding.bins:
            raise InputError("model-reference", f"model file: the reference of '{coding.name}' has another bin count")
        fields.append((coding, counts))
    return Reference(cuts, rows, tuple(fields), scale_from_document(document["grades"]))


def _inner(cuts: Sequence[int]) -> list[int]:
    """Return the score bin that starts at each cut."""
    return [min(max(cut + SCORE_BINS // 2, 0), SCORE_BINS) for cut in cuts]


def _whole(value: Any, name: str, low: int = -SCORE_BINS) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int and low <= item < 2**40 for item in value):
        raise InputError("model-reference", f"model file: '{name}' of the reference must be whole numbers in range")
    return tuple(value)
