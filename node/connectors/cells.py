"""Turn the cells of a bank's table into typed columns: keys, moments, numbers and texts.

This module opens nothing and drops no value silently: what it cannot read it counts, with the first row. Theory: a day
without a time of day is known only when it is over, so a record of that day counts from the next one; a decision's day
counts from its beginning. That is the only order of the two that can never look ahead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

__all__ = ["MOMENT", "Faults", "Wanted", "count_faults", "typed"]

MOMENT = pl.Datetime("us")
_DAY_US = 86_400_000_000
_STAMPS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")

Types = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One column to read: its name in the copy, its name in the bank's table, and how.

    role: `text`, `number`, `date` (a day or moment that a field reads), `record` (a moment, a day counts from its end)
    or `decision` (a moment, a day counts from its beginning). required: an empty cell is a fault. drop: rows whose cell
    is empty are left out and counted. pattern: how a day is written, default `%Y-%m-%d`.
    """

    name: str
    column: str
    role: Literal["text", "number", "date", "record", "decision"]
    required: bool = False
    drop: bool = False
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Faults:
    """What one pass over a table counted.

    rows: all. dropped: rows left out, by the name of the first `drop` column that is empty. broken: by column, how many
    cells cannot be read and the first one's row, from 1.
    """

    rows: int
    dropped: dict[str, int]
    broken: dict[str, tuple[int, int]]


def typed(frame: pl.LazyFrame, types: Types, wanted: Sequence[Wanted]) -> pl.LazyFrame:
    """Return the wanted columns under their new names, without the rows that are to be dropped."""
    columns = frame.select([_read(each, types[each.column]).alias(each.name) for each in wanted])
    needed = [pl.col(each.name).is_not_null() for each in wanted if each.drop]
    return columns.filter(needed) if needed else columns


def count_faults(frame: pl.LazyFrame, types: Types, wanted: Sequence[Wanted]) -> Faults:
    """Count rows, rows to drop, and cells that cannot be read, in one pass."""
    asked, kept = [pl.len().alias("rows")], pl.lit(True)
    for place, each in enumerate(wanted):
        value = _read(each, types[each.column])
        if each.drop:
            asked.append((kept & value.is_null()).sum().alias(f"dropped-{place}"))
            kept = kept & value.is_not_null()
            continue
        broken = value.is_null() & (pl.lit(True) if each.required else _present(each, types[each.column]))
        if each.role == "number":
            broken = broken | value.is_infinite().fill_null(False) | value.is_nan().fill_null(False)
        asked.append(broken.sum().alias(f"broken-{place}"))
        asked.append(broken.arg_max().alias(f"first-{place}"))
    row = frame.select(asked).collect(engine="streaming").row(0, named=True)
    broken_cells = {
        each.column: (int(row[f"broken-{place}"]), int(row[f"first-{place}"]) + 1)
        for place, each in enumerate(wanted)
        if row.get(f"broken-{place}")
    }
    dropped = {each.name: int(row[f"dropped-{place}"]) for place, each in enumerate(wanted) if each.drop}
    return Faults(int(row["rows"]), dropped, broken_cells)


def _present(wanted: Wanted, kind: pl.DataType) -> pl.Expr:
    raw = pl.col(wanted.column)
    return raw.is_not_null() & (raw != "") if kind == pl.String else raw.is_not_null()


def _read(wanted: Wanted, kind: pl.DataType) -> pl.Expr:
    raw = pl.col(wanted.column)
    if kind == pl.String:
        raw = pl.when(raw != "").then(raw)
    if wanted.role == "text":
        return raw.cast(pl.String, strict=False)
    if wanted.role == "number":
        return raw.cast(pl.Float64, strict=False)
    return _moment(raw, kind, wanted)


def _moment(raw: pl.Expr, kind: pl.DataType, wanted: Wanted) -> pl.Expr:
    late = pl.duration(microseconds=_DAY_US - 1 if wanted.role == "record" else 0)
    if kind == pl.Date:
        return raw.cast(MOMENT) + late
    if isinstance(kind, pl.Datetime):
        stamp = raw if kind.time_zone is None else raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return stamp.cast(MOMENT)
    if kind != pl.String:
        return pl.lit(None, MOMENT)
    day = raw.str.to_date(wanted.pattern or "%Y-%m-%d", strict=False).cast(MOMENT) + late
    bare = raw.str.strip_suffix("Z")
    stamps = [bare.str.to_datetime(pattern, strict=False, time_unit="us") for pattern in _STAMPS]
    return pl.coalesce(day, *stamps)
