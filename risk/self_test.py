"""A test vector of a model in service: the same rows, the same scores, on every machine and after every restart.

Theory: a scorer that starts with a damaged file, another version of its libraries or another dictionary must notice
before its first answer. So whoever puts a model in service writes down the digest of its scores of drawn rows, and the
scorer computes it anew; and each row is scored a second time by the model's own batch code.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from risk.applicant import Value, table_of
from risk.dictionary import Field
from risk.model import Model
from risk.row_scorer import RowScorer

__all__ = ["agrees_with_batch", "drawn_rows", "score_vector"]

ROWS = 64
_SEED = 20_261_124


def drawn_rows(fields: Sequence[Field]) -> list[tuple[Value, ...]]:
    """Return rows over these fields: values within bounds, near zero and far, special ones, and missing ones."""
    rng = np.random.default_rng(_SEED)
    columns: list[list[Value]] = []
    for number, field in enumerate(fields):
        if field.kind == "category":
            choices: list[Value] = [*range(len(field.levels))]
        elif field.kind == "flag":
            choices = [0.0, 1.0]
        else:
            low, high = field.bounds or (0.0, 1.0)
            span = high - low
            near = [low + span * 10.0**-power for power in range(9)]
            choices = [low, high, *near, *(low + span * part / 16 for part in range(16)), *field.special]
        drawn = [choices[place] for place in rng.integers(0, len(choices), ROWS)]
        columns.append([None if (row + number) % 8 == 0 else value for row, value in enumerate(drawn)])
    return list(zip(*columns, strict=True))


def score_vector(fields: Sequence[Field], scorer: RowScorer) -> str:
    """Return the SHA-256, in hex, of scores, sub-scores and log-odds, also calibrated, of the drawn rows."""
    scored = [scorer.score(row) for row in drawn_rows(fields)]
    text = json.dumps(
        [[each.score, each.base, *each.points, each.logit.hex(), each.calibrated.hex()] for each in scored]
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def agrees_with_batch(fields: Sequence[Field], scorer: RowScorer, model: Model) -> bool:
    """Return whether the model's own batch scoring gives every drawn row the same log-odds (within 1e-9) as alone."""
    rows = drawn_rows(fields)
    batch = model.logit(table_of(tuple(fields), rows))
    alone = [scorer.score(row).logit for row in rows]
    return bool(np.abs(batch - np.array(alone)).max() < 1e-9)
