"""Hand a table from a demo's node process to the demo, through a file without a name.

The file is opened by the demo, has no name by which anybody could open it again, and is gone when both processes are.
Theory: the demo computes its figures on the very rows that the nodes trained on, read once by the product's own reader.
"""

import json
from typing import IO

import numpy as np

from risk.table import Table

__all__ = ["read_rows", "write_rows"]


def write_rows(stream: IO[bytes], table: Table) -> None:
    """Write a table: one line of JSON with the columns' names, then target, month and borrower (if any), columns."""
    names = list(table.columns)
    head = {"columns": names, "month": table.month is not None, "borrower": table.borrower is not None}
    stream.write(json.dumps(head).encode("utf-8") + b"\n")
    others = [values for values in (table.month, table.borrower) if values is not None]
    for values in (table.target, *others, *(table.columns[name] for name in names)):
        np.save(stream, values, allow_pickle=False)


def read_rows(stream: IO[bytes], member: str) -> Table | None:
    """Return the table that a node wrote, or None if it wrote none."""
    stream.seek(0)
    first = stream.readline()
    if not first:
        return None
    head = json.loads(first)
    target = np.load(stream, allow_pickle=False)
    month = np.load(stream, allow_pickle=False) if head["month"] else None
    borrower = np.load(stream, allow_pickle=False) if head["borrower"] else None
    columns = {name: np.load(stream, allow_pickle=False) for name in head["columns"]}
    return Table(member, columns, target, month, borrower)
