"""Which of a member's rows train, which are held out, and the two halves of the training rows.

In an exact job it looks at the target and nothing else: a stratified permutation per class keeps the bad rate of every
part, and the generator is seeded by the job's seed and the member's name, so a member repeats its own split without
telling it to anybody.

Theory of the split of a job with differential privacy: releases on two sets of rows cost the larger of the two only if
each row's place depends on that row alone (parallel composition; McSherry, 2009). So a pseudo-random function under the
bank's key decides row by row, without strata; of equal rows each is numbered, which moves no other row. Where rows say
whose they are, the borrower is the unit: one of its rows, drawn by that function from its rows alone, counts in the job
and goes where its digest is sent; the others count nowhere. Whoever comes or goes with all rows then adds or takes
one row of one part and moves nobody else's.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from risk.errors import MisuseError
from risk.table import Table

__all__ = ["Prf", "Split", "dated", "keyed_split", "row_bytes", "split"]

Prf = Callable[[bytes], bytes]
"""A pseudo-random function under a key of the bank's: any bytes to at least 16 bytes."""


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Hold row numbers, each array sorted int64: holdout and train are disjoint, the two halves make up train.

    Rows of a borrower who already counts with another row are in no part. later: rows after the last training month,
    where there is one.
    """

    train: np.ndarray
    holdout: np.ndarray
    half_a: np.ndarray
    half_b: np.ndarray
    later: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def rows(self, name: str) -> np.ndarray:
        """Return the row numbers of `train`, `holdout`, `half-a`, `half-b` or `later`."""
        parts = {"train": self.train, "holdout": self.holdout, "half-a": self.half_a, "half-b": self.half_b,
                 "later": self.later}  # fmt: skip
        if name not in parts:
            raise MisuseError("split-rows", f"no rows are called {name!r}; there are {', '.join(parts)}")
        return parts[name]


def split(target: np.ndarray, member: str, seed: int, holdout: float) -> Split:
    """Return the split of one member's rows.

    target: (n_rows,) int8 of 0 and 1. seed: the job's, at least 0. holdout: share held out, 0 to below 1. For class
    0, then 1, the row numbers are permuted; the first `int(holdout * n + 0.5)` are held out and the others go in
    turn to half a and half b.
    """
    if seed < 0 or not 0.0 <= holdout < 1.0:
        raise MisuseError("split-argument", f"seed {seed} or hold-out share {holdout} is out of range")
    generator = np.random.default_rng([seed, int(hashlib.sha256(member.encode()).hexdigest()[:8], 16)])
    held, first, second = [], [], []
    for label in (0, 1):
        order = generator.permutation(np.flatnonzero(target == label))
        count = int(holdout * len(order) + 0.5)
        held.append(order[:count])
        first.append(order[count::2])
        second.append(order[count + 1 :: 2])
    half_a, half_b = (np.sort(np.concatenate(rows)) for rows in (first, second))
    train = np.sort(np.concatenate([half_a, half_b]))
    return Split(train, np.sort(np.concatenate(held)), half_a, half_b)


def dated(parts: Split, month: np.ndarray | None, until: int) -> Split:
    """Return the split with rows after a month in `later` alone; a row without a date is in no part.

    month: (n_rows,) int32, 12 * year + month - 1, -1 for none; None where no row has a date. Which rows go depends on
    nothing but their own month, so the other rows keep their places.
    """
    if month is None:
        month = np.full(1 + max((int(rows.max()) for rows in (parts.train, parts.holdout) if len(rows)), default=0), -1)
    early = (month >= 0) & (month <= until)
    kept = [rows[early[rows]] for rows in (parts.train, parts.holdout, parts.half_a, parts.half_b)]
    return Split(kept[0], kept[1], kept[2], kept[3], np.flatnonzero(month > until))


def keyed_split(table: Table, seed: int, holdout_ppm: int, prf: Prf) -> Split:
    """Return the split of a job with differential privacy: every borrower goes where the function sends it, alone.

    seed: the job's. holdout_ppm: chance of being held out, in millionths. A row that does not say whose it is counts as
    a borrower of its own: the bytes of its columns, target and month, and its number among equal such rows.
    """
    limit = holdout_ppm * 2**64
    names = _named(table, f"{seed}|{holdout_ppm}|".encode(), prf)
    rows = np.array(sorted(names), dtype=np.int64)
    drawn = [prf(names[row]) for row in rows.tolist()]
    held = np.array([int.from_bytes(tag[:8], "big") * 1_000_000 < limit for tag in drawn], dtype=bool)
    second = np.array([tag[8] & 1 == 1 for tag in drawn], dtype=bool)
    return Split(rows[~held], rows[held], rows[~held & ~second], rows[~held & second])


def _named(table: Table, job: bytes, prf: Prf) -> dict[int, bytes]:
    """Return the rows that count, and for each what the function is asked to place it."""
    contents = row_bytes(table)
    seen: Counter[bytes] = Counter()
    names: dict[int, bytes] = {}
    rows_of: dict[bytes, list[int]] = {}
    for number, row in enumerate(contents):
        whose = b"" if table.borrower is None else table.borrower[number].tobytes()
        if any(whose):
            rows_of.setdefault(whose, []).append(number)
        else:
            names[number] = b"creditmesh split/1|" + job + seen[row].to_bytes(8, "big") + row
            seen[row] += 1
    for whose, rows in rows_of.items():
        label = b"creditmesh split-row/1|" + job + whose
        kept = rows[0] if len(rows) == 1 else min(rows, key=lambda number: prf(label + contents[number]))
        names[kept] = b"creditmesh split-borrower/1|" + job + whose
    return names


def row_bytes(table: Table) -> list[bytes]:
    """Return each row's bytes; a missing number has one form, and so has zero."""
    columns = [table.columns[name] for name in sorted(table.columns)]
    columns += [table.target] + ([] if table.month is None else [table.month])
    parts = []
    for column in columns:
        if column.dtype.kind == "f":
            column = np.where(np.isnan(column), np.nan, column + 0.0)
        plain = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<")))
        parts.append(plain.view(np.uint8).reshape(table.rows, column.dtype.itemsize))
    whole = np.ascontiguousarray(np.concatenate(parts, axis=1))
    return [row.tobytes() for row in whole]
