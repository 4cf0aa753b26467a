"""One member's rows inside one job: its table, its split, and what was already derived from them.

It adds nothing up and never leaves the member. Theory: a request is answered many times on the same rows, so
sorted keys, bin codes and decoded models are kept, one of each kind, and rebuilt when a request needs another.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.errors import MisuseError, RefusalError
from risk.spec import JobSpec
from risk.split import Prf, Split, dated, keyed_split, split
from risk.table import Table

__all__ = ["Book"]


@dataclass(frozen=True, eq=False, slots=True)
class Book:
    """Hold one member's table for one job.

    prf: a keyed function of the bank's that splits the rows of a job with differential privacy; no other job needs it.
    In such a job one row a borrower is in a part, where the dictionary names the borrower; exact jobs use all rows.
    upload: secret bytes of one answer, which `risk.sampling` sets.
    Raises `RefusalError` where the table has more rows than the job allows or, in a job with differential privacy, does
    not say whose rows they are although the dictionary names the borrower; `MisuseError` where a column that the
    dictionary declares for the model is absent (the reader fills it with missing).
    """

    table: Table
    spec: JobSpec
    prf: Prf | None = field(default=None, repr=False)
    split: Split = field(init=False)
    upload: bytes = field(init=False, default=b"", repr=False)
    _kept: dict[str, tuple[Hashable, Any]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.table.rows > self.spec.max_rows:
            raise RefusalError(
                "rows-above-limit",
                f"member {self.table.member!r} has {self.table.rows} rows, the job allows {self.spec.max_rows}",
            )
        for declared in self.spec.dictionary.model_fields:
            if declared.name not in self.table.columns:
                raise MisuseError("book-column", f"column {declared.name!r} of {self.table.member!r} is absent")
        object.__setattr__(self, "split", self._split())

    def _split(self) -> Split:
        spec = self.spec
        if not spec.private:
            parts = split(self.table.target, self.table.member, spec.seed, spec.holdout)
            return parts if spec.train_until is None else dated(parts, self.table.month, spec.train_until)
        if self.prf is None:
            raise MisuseError("book-prf", "a job with differential privacy needs the bank's keyed function")
        if spec.unit == "borrower" and self.table.borrower is None:
            raise RefusalError(
                "borrower-absent",
                f"the table of {self.table.member!r} has no column {spec.dictionary.borrower!r}, so nobody can tell "
                "which rows are one borrower's",
            )
        return keyed_split(self.table, spec.seed, spec.holdout_ppm, self.prf)

    def rows(self, name: str) -> np.ndarray:
        """Return the row numbers, sorted int64, of `train`, `holdout`, `half-a`, `half-b` or `later`."""
        return self.split.rows(name)

    def recall(self, kind: str, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return what was kept of this kind under this key; else build it, and keep it instead."""
        kept = self._kept.get(kind)
        if kept is None or kept[0] != key:
            kept = (key, build())
            self._kept[kind] = kept
        return kept[1]
