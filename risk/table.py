"""One member's rows, column by column, as the recipes see them.

It reads nothing and repairs nothing: the node's reader has checked types, bounds and levels before. Theory: a
missing value is kept as such (NaN, or level -1), because missing is evidence and gets a bin of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from risk.errors import MisuseError

__all__ = ["BORROWER_BYTES", "Table", "concatenate"]

BORROWER_BYTES = 16
"""Half a SHA-256: two of 2**24 borrowers share one with a chance below 2**-80."""


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Hold the rows of one member.

    member: its id. columns: by field name; a number or flag is (n_rows,) float64 with NaN for missing, a category
    is (n_rows,) int16, the place of the level in the dictionary, -1 for missing. target: (n_rows,) int8, 1 = bad,
    0 = good. month: (n_rows,) int32, 12 * year + month - 1, or None where the room has no time. borrower: (n_rows, 16)
    uint8, a digest of whose row it is, all zero where the row does not say; None where no row does. It is no feature.
    rejects: applications that were turned away, whose target says nothing; None where there are none. A selection of
    rows has none.
    """

    member: str
    columns: Mapping[str, np.ndarray]
    target: np.ndarray
    month: np.ndarray | None = None
    borrower: np.ndarray | None = None
    rejects: "Table | None" = None

    def __post_init__(self) -> None:
        if self.target.dtype != np.int8 or self.target.ndim != 1:
            raise MisuseError("table-target", f"target of {self.member!r} must be (n_rows,) int8")
        if self.rejects is not None and set(self.rejects.columns) != set(self.columns):
            raise MisuseError("table-rejects", f"rejects of {self.member!r} have other columns")
        if self.rows and not bool(np.isin(self.target, (0, 1)).all()):
            raise MisuseError("table-target", f"target of {self.member!r} must be 0 or 1 in every row")
        arrays = dict(self.columns) if self.month is None else {**self.columns, "month": self.month}
        for name, values in arrays.items():
            if values.shape != self.target.shape or values.dtype.name not in ("float64", "int16", "int32"):
                raise MisuseError(
                    "table-column", f"column {name!r} of {self.member!r} is {values.shape} {values.dtype}"
                )
        whose = self.borrower
        if whose is not None and (whose.shape != (self.rows, BORROWER_BYTES) or whose.dtype != np.uint8):
            raise MisuseError("table-borrower", f"borrowers of {self.member!r} are {whose.shape} {whose.dtype}")

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.target.shape[0])

    @property
    def bads(self) -> int:
        """Return the number of rows whose target is 1."""
        return int(np.count_nonzero(self.target))

    def select(self, rows: np.ndarray) -> "Table":
        """Return the rows named by a boolean mask (n_rows,) or by an index array, in that order."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        month = None if self.month is None else self.month[rows]
        borrower = None if self.borrower is None else self.borrower[rows]
        return Table(self.member, columns, self.target[rows], month, borrower)


def concatenate(tables: Sequence[Table], member: str = "pooled") -> Table:
    """Return the rows of all tables, one after the other; all must have the same columns."""
    if not tables:
        raise MisuseError("table-none", "there is no table to concatenate")
    names = list(tables[0].columns)
    if any(set(table.columns) != set(names) for table in tables):
        raise MisuseError("table-columns", "tables to concatenate must have the same columns")
    columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in names}
    target = np.concatenate([table.target for table in tables])
    months = [table.month for table in tables if table.month is not None]
    month = np.concatenate(months) if len(months) == len(tables) else None
    borrowers = [table.borrower for table in tables if table.borrower is not None]
    borrower = np.concatenate(borrowers) if len(borrowers) == len(tables) else None
    turned_away = [table.rejects for table in tables if table.rejects is not None]
    rejects = concatenate(turned_away, member) if turned_away else None
    return Table(member, columns, target, month, borrower, rejects)
