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
    """Write a table: one line of JSON with the columns' names, then target, month (if any) and columns as arrays."""
    names = list(table.columns)
    stream.write(json.dumps({"columns": names, "month": table.month is not None}).encode("utf-8") + b"\n")
    months = [] if table.month is None else [table.month]
    for values in (table.target, *months, *(table.columns[name] for name in names)):
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
    return Table(member, {name: np.load(stream, allow_pickle=False) for name in head["columns"]}, target, month)
