"""Check the shape of a CSV file line by line before its cells are parsed.

This module reads no cell's meaning and never repeats one in a message. Theory: RFC 4180 with commas and a header, in
UTF-8, one row a line (a quoted cell may hold commas and doubled quotes, not a line end), so that a row's number gives
its line number, and every line has as many cells as the header. A fast parser fills short lines up with missing cells,
which would turn a broken file into a wrong one without a word.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from privacy.errors import InputError

__all__ = ["LARGEST_LINE", "CsvShape", "read_shape"]

LARGEST_LINE = 1 << 20
_CELL = rb'(?:"(?:[^"]|"")*"|[^",]*)'
_QUOTED_LINE = re.compile(_CELL + rb"(?:," + _CELL + rb")*")
_DELIMITED_CELL = re.compile(rb'"(?:[^"]|"")*"|[^",]+')


@dataclass(frozen=True, slots=True)
class CsvShape:
    """The names in line 1, and the number of rows below it (blank lines at the end do not count)."""

    header: tuple[str, ...]
    rows: int


def read_shape(path: Path) -> CsvShape:
    """Return the shape of the CSV file at `path` in one pass that holds one line at a time.

    Raises `InputError` with the line's number for an empty file, a line that is not UTF-8, is longer than 1 MiB, has
    another number of cells than the header, or breaks the rules of quoting.
    """
    with path.open("rb") as stream:
        header = _header(path, stream)
        return CsvShape(header, _count_rows(path, stream, len(header) - 1))


def _header(path: Path, stream: BinaryIO) -> tuple[str, ...]:
    first = stream.readline(LARGEST_LINE)
    if not first:
        raise InputError("table-empty", f"{path}: the file is empty; expected a header line and rows")
    first = first.removeprefix(b"\xef\xbb\xbf")
    line = first.removesuffix(b"\n").removesuffix(b"\r")
    if not line.strip():
        raise InputError("table-header", f"{path}: line 1 is empty; expected the column names")
    if b"\r" in line:
        raise InputError("table-line-ends", f"{path}: lines end in CR alone; save it with LF or CRLF line ends")
    _check_text(path, 1, first)
    if not _QUOTED_LINE.fullmatch(line):
        raise InputError("table-quotes", f"{path}: line 1: a quote inside or after a cell; quote whole cells only")
    return tuple(next(csv.reader([line.decode("utf-8")])))


def _count_rows(path: Path, stream: BinaryIO, commas: int) -> int:
    number, blank = 1, 0
    while line := stream.readline(LARGEST_LINE):
        number += 1
        if not line.isascii() or b"\0" in line or len(line) == LARGEST_LINE:
            _check_text(path, number, line)
        if not line.rstrip(b"\r\n"):
            blank = blank or number
            continue
        if blank:
            raise InputError("table-blank-line", f"{path}: line {blank} is empty but rows follow; remove it")
        cells = _quoted_cells(path, number, line) if b'"' in line else line.count(b",") + 1
        if cells != commas + 1:
            message = f"{path}: line {number} has {cells} cells, expected {commas + 1} as in the header"
            raise InputError("table-ragged", message)
    return (blank or number + 1) - 2


def _check_text(path: Path, number: int, line: bytes) -> None:
    if len(line) == LARGEST_LINE and not line.endswith(b"\n"):
        raise InputError("table-long-line", f"{path}: line {number} is longer than 1 MiB; is this a CSV file?")
    if b"\0" in line:
        raise InputError("table-encoding", f"{path}: line {number} holds a zero byte; save it as UTF-8 text")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("table-encoding", f"{path}: line {number} is not UTF-8; save it as UTF-8 text") from error


def _quoted_cells(path: Path, number: int, line: bytes) -> int:
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    if not _QUOTED_LINE.fullmatch(text):
        message = f"{path}: line {number}: a quote is not closed on this line, or stands inside a cell"
        raise InputError("table-quotes", message)
    return _DELIMITED_CELL.sub(b"", text).count(b",") + 1
