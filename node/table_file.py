"""Turn a bank's CSV or Parquet file into one number a cell, by one streaming scan of Polars.

This module judges no value: it marks what it cannot read with a code that no readable cell has, and leaves counting to
`node.source`. It refuses only what makes a file unreadable as a whole. Theory: text cells are parsed while they stream
past, so the memory is that of the numbers and not of the text; parser messages are never passed on, because they
quote cells. A borrower's id is hashed as it streams past and kept nowhere: what is asked of it later is only whether
two rows have the same one.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from node.csv_lines import read_shape
from privacy.errors import InputError
from risk.dictionary import Dictionary, Field
from risk.table import BORROWER_BYTES

__all__ = [
    "MISSING_LEVEL",
    "MISSING_MONTH",
    "UNKNOWN_LEVEL",
    "UNREADABLE_MONTH",
    "Cells",
    "read_cells",
    "role_names",
]

SUFFIXES = (".csv", ".parquet")
MISSING_LEVEL, UNKNOWN_LEVEL = -1, -2
MISSING_MONTH, UNREADABLE_MONTH = -1, -2
_BORROWER = b"creditmesh borrower/1|"

Types = dict[str, pl.DataType]


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The cells of all columns that the dictionary declares and the file has, but ignored ones.

    frame: one column each, emptied by `take`. names: the columns it had. unit: whether places count file lines (CSV,
    the header is line 1) or rows (Parquet, from 1). rows: how many.
    """

    frame: pl.DataFrame
    names: frozenset[str]
    unit: Literal["line", "row"]
    rows: int

    @property
    def first_place(self) -> int:
        """Return the place of the first row, in `unit`."""
        return 2 if self.unit == "line" else 1

    def take(self, name: str) -> np.ndarray:
        """Return a column as (n_rows,), possibly read-only, and forget it, so that its memory goes with the array.

        float64: NaN is empty, infinite is no finite number. int16 (category): place of the level, -1 empty, -2
        undeclared. int32 (date): 12 * year + month - 1, -1 empty, -2 unreadable.
        """
        return self.frame.drop_in_place(name).to_numpy()

    def take_digests(self, name: str) -> np.ndarray:
        """Return the borrower's column as (n_rows, 16) uint8, all zero where a cell is empty, and forget it."""
        digests = self.frame.drop_in_place(name).to_list()
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, BORROWER_BYTES)


@dataclass(frozen=True, eq=False, slots=True)
class _Opened:
    """A file before its cells are read; names: its columns in order, as written."""

    frame: pl.LazyFrame
    names: tuple[str, ...]
    types: Types
    unit: Literal["line", "row"]


def read_cells(path: Path, dictionary: Dictionary) -> Cells:
    """Return the cells of the file at `path`.

    Raises `InputError` for a file that is missing, broken or without rows, for a repeated or undeclared column, an
    absent target, or a Parquet column of the wrong type.
    """
    try:
        opened = _open(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unreadable", f"{path}: cannot be read ({reason})") from error
    _check_names(path, dictionary, opened.names)
    try:
        cells = opened.frame.select(_columns(path, dictionary, opened.types)).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError("table-format", f"{path}: the file is damaged and cannot be read to its end") from error
    if cells.height == 0:
        raise InputError("table-empty", f"{path}: the file has no rows; expected at least one")
    return Cells(cells, frozenset(cells.columns), opened.unit, cells.height)


def role_names(dictionary: Dictionary) -> list[str]:
    """Return the columns that are no field: target, accepted, borrower and time, as far as declared."""
    time = None if dictionary.time is None else dictionary.time.field
    names = (dictionary.target.field, dictionary.accepted, dictionary.borrower, time)
    return [name for name in names if name is not None]


def _open(path: Path) -> _Opened:
    if path.suffix not in SUFFIXES:
        raise InputError("table-suffix", f"{path}: expected a file that ends in .csv or .parquet")
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "a special file"
        raise InputError("file-unreadable", f"{path}: {kind}, expected a file")
    with path.open("rb") as stream:
        magic = stream.read(4)
    if path.suffix == ".parquet":
        return _open_parquet(path, magic)
    if magic == b"PAR1":
        raise InputError("table-format", f"{path}: a Parquet file; give it the ending .parquet")
    shape = read_shape(path)
    # n_rows leaves out blank lines at the end, which would be read as rows without a target; 0 rows are refused later.
    frame = pl.scan_csv(path, infer_schema=False, n_rows=shape.rows)
    return _Opened(frame, shape.header, dict.fromkeys(shape.header, pl.String()), "line")


def _open_parquet(path: Path, magic: bytes) -> _Opened:
    if magic != b"PAR1":
        raise InputError("table-format", f"{path}: not a Parquet file; expected one, or a CSV file named .csv")
    try:
        frame = pl.scan_parquet(path)
        types = dict(frame.collect_schema())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError("table-format", f"{path}: the Parquet file is damaged; write it again") from error
    return _Opened(frame, tuple(types), types, "row")


def _check_names(path: Path, dictionary: Dictionary, names: tuple[str, ...]) -> None:
    known = {field.name for field in dictionary.fields} | set(role_names(dictionary))
    if not known & set(names):
        hint = "expected a header line of names, separated by commas" if path.suffix == ".csv" else "is it this table?"
        raise InputError("table-header", f"{path}: no column is one that the schema declares; {hint}")
    for place, name in enumerate(names, start=1):
        if not name:
            raise InputError("table-header", f"{path}: column {place} has no name")
        if name in names[: place - 1]:
            first = names.index(name) + 1
            raise InputError("column-repeated", f"{path}: columns {first} and {place} have one name; remove one")
    if dictionary.target.field not in names:
        raise InputError("target-absent", f"{path}: the target column {dictionary.target.field} is absent; add it")
    undeclared = [place for place, name in enumerate(names, start=1) if name not in known]
    if undeclared:
        shown = ", ".join(_shown(names[place - 1], place) for place in undeclared[:3])
        more = f" and {len(undeclared) - 3} more" if len(undeclared) > 3 else ""
        message = f"{path}: undeclared column {shown}{more}; declare it in the schema or remove it from the file"
        raise InputError("column-undeclared", message)


def _shown(name: str, place: int) -> str:
    # What does not look like a column's name may be a row's value that slid into the header, so it is not echoed.
    return name if name.isidentifier() and len(name) <= 64 else f"number {place}"


def _columns(path: Path, dictionary: Dictionary, types: Types) -> list[pl.Expr]:
    roles = [name for name in (dictionary.target.field, dictionary.accepted) if name is not None and name in types]
    columns = [_number(path, name, types[name]) for name in roles]
    for field in dictionary.fields:
        if field.use != "ignore" and field.name in types:
            kind = types[field.name]
            category = field.kind == "category"
            columns.append(_level(path, field, kind) if category else _number(path, field.name, kind))
    if dictionary.time is not None and dictionary.time.field in types:
        columns.append(_month(path, dictionary.time.field, dictionary.time.format, types[dictionary.time.field]))
    if dictionary.borrower is not None and dictionary.borrower in types:
        columns.append(_borrower(path, dictionary.borrower, types[dictionary.borrower]))
    return columns


def _number(path: Path, name: str, kind: pl.DataType) -> pl.Expr:
    if not (kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null)):
        raise _wrong_type(path, name, kind, "numbers")
    if path.suffix == ".parquet" and kind == pl.String:
        raise _wrong_type(path, name, kind, "numbers")
    raw = _present(name) if kind == pl.String else pl.col(name)
    value = raw.cast(pl.Float64, strict=False)
    unreadable = raw.is_not_null() & ~value.is_finite().fill_null(False)
    return pl.when(unreadable).then(np.inf).otherwise(value).alias(name)


def _level(path: Path, field: Field, kind: pl.DataType) -> pl.Expr:
    if not (kind.is_integer() or kind in (pl.String, pl.Null, pl.Categorical, pl.Enum)):
        raise _wrong_type(path, field.name, kind, "text or whole numbers")
    raw = pl.col(field.name).cast(pl.String)
    places = range(len(field.levels))
    place = raw.replace_strict(field.levels, places, default=UNKNOWN_LEVEL, return_dtype=pl.Int16)
    empty = raw.is_null() | (raw == "")
    return pl.when(empty).then(pl.lit(MISSING_LEVEL, pl.Int16)).otherwise(place).alias(field.name)


def _month(path: Path, name: str, pattern: str, kind: pl.DataType) -> pl.Expr:
    if kind in (pl.Date, pl.Datetime):
        raw = date = pl.col(name)
    elif kind in (pl.String, pl.Null):
        raw = _present(name)
        date = raw.str.to_date(pattern, strict=False)
    else:
        raise _wrong_type(path, name, kind, "dates or text")
    month = 12 * date.dt.year().cast(pl.Int32) + date.dt.month().cast(pl.Int32) - 1
    codes = pl.when(raw.is_null()).then(MISSING_MONTH).when(date.is_null()).then(UNREADABLE_MONTH).otherwise(month)
    return codes.cast(pl.Int32).alias(name)


def _borrower(path: Path, name: str, kind: pl.DataType) -> pl.Expr:
    if not (kind.is_integer() or kind in (pl.String, pl.Null, pl.Categorical, pl.Enum)):
        raise _wrong_type(path, name, kind, "text or whole numbers")
    return _present(name).map_batches(_digests, return_dtype=pl.Binary, is_elementwise=True)


def _digests(ids: pl.Series) -> pl.Series:
    empty = bytes(BORROWER_BYTES)
    digests = [
        empty if text is None else hashlib.sha256(_BORROWER + text.encode("utf-8")).digest()[:BORROWER_BYTES]
        for text in ids
    ]
    return pl.Series(ids.name, digests, dtype=pl.Binary)


def _present(name: str) -> pl.Expr:
    raw = pl.col(name).cast(pl.String)
    return pl.when(raw != "").then(raw)


def _wrong_type(path: Path, name: str, kind: pl.DataType, expected: str) -> InputError:
    return InputError("column-type", f"{path}: column {name} has the type {kind}, expected {expected}")
