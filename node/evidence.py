"""Write the evidence pack of a model: files, a spreadsheet of the same tables, and the list of their digests.

It gathers nothing (`node.dossier` does) and measures nothing. Theory: a spreadsheet evaluates what looks like a
formula, so every text is stored as text, marked as such, and nothing else is ever a formula; the same records give the
same bytes. The coordinator has its own: the shells never import each other.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import Cell as BookCell

from privacy.errors import InputError
from risk.dossier import Dossier
from risk.pack import Cell, Sheet, pack_files, pack_sheets
from risk.pack_archive import SUMS, digest_list, stilled, zipped

__all__ = ["pack_of", "spreadsheet", "write_pack"]

_LONGEST_TEXT = 32_000
_NAME = 31
# What XML cannot hold, and marks that change the direction of text.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def pack_of(dossier: Dossier, records: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of the pack by name, `SHA256SUMS` over the others among them.

    records: further files as they are, such as signed ballots and the log's checkpoint.
    """
    files = {**pack_files(dossier), **records, "evidence.xlsx": spreadsheet(pack_sheets(dossier))}
    return {**files, SUMS: digest_list(files)}


def write_pack(files: Mapping[str, bytes], out: Path) -> int:
    """Write a pack into a new folder, or as one archive if `out` ends in .zip; return the number of files.

    Raises `InputError` if there is something at `out` already.
    """
    if out.exists():
        raise InputError("output", f"{out}: exists already; a pack replaces nothing")
    if out.suffix == ".zip":
        with out.open("xb") as stream:
            stream.write(zipped(files))
        return len(files)
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(content)
    return len(files)


def spreadsheet(sheets: Sequence[Sheet]) -> bytes:
    """Return the sheets as an .xlsx file: no formula, no link, no macro, and the same bytes for the same sheets."""
    book = Workbook()
    for place, sheet in enumerate(sheets):
        page: Any = book.active if place == 0 else book.create_sheet()
        page.title = sheet.name[:_NAME]
        page.freeze_panes = "A2"
        for line, row in enumerate(sheet.rows, 1):
            for column, value in enumerate(row, 1):
                _fill(page.cell(line, column), value)
    stream = io.BytesIO()
    book.save(stream)
    return stilled(stream.getvalue())


def _fill(cell: BookCell, value: Cell) -> None:
    if value is None:
        return
    # Beyond 2^53 a spreadsheet rounds without a word.
    if isinstance(value, bool | int | float) and math.isfinite(value) and abs(value) < 2**53:
        cell.value = value
        return
    text = _UNPRINTABLE.sub("\ufffd", str(value))[:_LONGEST_TEXT]
    cell.value = text
    # Set after the value: the library takes what begins with = for a formula.
    cell.data_type = "s"
    if text.startswith(_STARTS_FORMULA):
        cell.quotePrefix = True
