"""A lender that is no member yet: kept out of the network's training, then shown what the network is worth to it.

It starts nothing; `risk.newcomer` works the figures out. Theory: what a bank asks before it joins is how good the
network's model is for its customers while it has few rows of its own, and when its own model catches up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from creditmesh_demo.room_folder import SMALLEST_ROOM, RoomFolder
from node.reading import read_table
from privacy.errors import InputError
from risk.job import Book, JobSpec
from risk.model import Model
from risk.newcomer import NewcomerStep, newcomer_steps
from risk.table import Table

__all__ = ["Newcomer", "newcomer_document", "sizes_up_to", "without"]

SIZES = (50, 100, 300, 1000, 3000, 10_000)


@dataclass(frozen=True, eq=False, slots=True)
class Newcomer:
    """Name the lender, the most rows it is given, and where its table lies."""

    bank: str
    rows: int
    path: Path
    schema: Path

    def read(self) -> Table:
        """Return its rows."""
        return read_table(self.path, self.schema, self.bank, lambda _text: None)

    def steps(self, table: Table, spec: JobSpec, network: Model) -> tuple[NewcomerStep, ...]:
        """Return its figures with the network's model of a job, by number of rows."""
        book = Book(table, replace(spec, max_rows=max(spec.max_rows, table.rows)))
        return newcomer_steps(book, network, sizes_up_to(min(self.rows, len(book.rows("train")))))


def without(room: RoomFolder, bank: str, rows: int) -> tuple[RoomFolder, Newcomer]:
    """Return the room without that lender, and the lender; raises `InputError` where that cannot be."""
    if bank not in room.tables:
        raise InputError("newcomer", f"--newcomer: {bank} is not in the room; there are {', '.join(room.tables)}")
    if len(room.tables) <= SMALLEST_ROOM:
        raise InputError(
            "newcomer",
            f"--newcomer: without {bank} the room has {len(room.tables) - 1} lenders, {SMALLEST_ROOM} needed",
        )
    rest = {name: path for name, path in room.tables.items() if name != bank}
    return replace(room, tables=rest), Newcomer(bank, rows, room.tables[bank], room.schema)


def sizes_up_to(rows: int) -> tuple[int, ...]:
    """Return the numbers of rows at which a newcomer is judged: the usual ones below, and the given number."""
    return (*(size for size in SIZES if size < rows), rows)


def newcomer_document(bank: str, steps: Sequence[NewcomerStep]) -> dict[str, Any]:
    """Return the newcomer's entry of a recipe in report.json."""
    rows = [
        {
            "rows": step.rows,
            "auc_own": step.own,
            "auc_network": step.network,
            "auc_mixed": step.mixed,
            "auc_chosen": step.taken,
            "chosen": step.chosen,
        }
        for step in steps
    ]
    return {"bank": bank, "steps": rows}
