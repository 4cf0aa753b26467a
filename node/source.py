"""Read the bank's rows into a `risk.table.Table`, or say which rule of the data dictionary they break.

This module changes no value and guesses none: a cell that breaks a rule is counted and the file is refused. Theory:
what a rule is stands in the dictionary that all members share, so every bank's rows mean the same; a problem is told
by column, kind, count and first line and never by a cell's value, because messages end in logs and on screens that more
people read than the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

import numpy as np

from node.table_file import (
    MISSING_LEVEL,
    MISSING_MONTH,
    UNKNOWN_LEVEL,
    UNREADABLE_MONTH,
    Cells,
    read_cells,
    role_names,
)
from privacy.errors import InputError
from risk.dictionary import Dictionary, Field
from risk.table import Table

__all__ = ["Problem", "Scan", "read_table", "scan_table"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows of one column that break one rule.

    kind: `not-a-number`, `out-of-bounds`, `not-0-or-1`, `unknown-level`, `not-a-date` or `empty`. first: the first such
    row's place in `unit`: `line` of a CSV (the header is line 1) or `row` of a Parquet file (from 1). expected: the
    rule in words.
    """

    column: str
    kind: str
    rows: int
    first: int
    unit: str
    expected: str

    def describe(self) -> str:
        """Return the problem as one clause without any value."""
        rows = f"{self.rows} {'row' if self.rows == 1 else 'rows'}"
        kind = self.kind.replace("-", " ")
        return f"column {self.column}: {rows} {kind}, first at {self.unit} {self.first}; expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over a file found; table is None if there is any problem.

    rows: rows that count. bads: those with target 1. left_out: rows whose application was not accepted. missing: empty
    cells by column, of the rows that count.
    """

    table: Table | None
    rows: int
    bads: int
    left_out: int
    missing: dict[str, int]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def read_table(path: Path, dictionary: Dictionary, member: str, warn: Callable[[str], None] | None = None) -> Table:
    """Return the rows of the CSV or Parquet file at `path` that count.

    Columns: every declared field but those of `use = "ignore"`; a field that the file lacks is missing in every row.
    Applications that were not accepted are the table's `rejects`, as far as they break no rule.
    Of the borrower's id only a digest is kept. warn: receives one line for absent columns, one for an absent borrower's
    column and one for rows left out. Raises `InputError` for a file that breaks a rule, with count and first line of
    the first problem.
    """
    scan = scan_table(path, dictionary, member)
    if warn is not None:
        for text in scan.warnings:
            warn(f"{path}: {text}")
    if scan.table is None:
        worst, others = scan.problems[0], len(scan.problems) - 1
        noun = "problem" if others == 1 else "problems"
        tail = f" (and {others} more {noun}, see creditmesh-node check)" if others else ""
        raise InputError(f"table-{worst.kind}", f"{path}: {worst.describe()}{tail}")
    return scan.table


def scan_table(path: Path, dictionary: Dictionary, member: str) -> Scan:
    """Read the file at `path` once and hold every cell against the dictionary.

    Raises `InputError` for what makes it unreadable as a whole: see `node.table_file.read_cells`.
    """
    path = Path(path)
    cells = read_cells(path, dictionary)
    findings = _Findings(cells.unit, np.arange(cells.rows, dtype=np.int64) + cells.first_place)
    kept = _accepted(cells, dictionary, findings)
    left_out = int(kept.size - np.count_nonzero(kept))
    if left_out == kept.size:
        raise InputError("table-empty", f"{path}: no row is an accepted application; expected at least one")
    findings.keep(kept)
    rejects = _Rejects(~kept)
    target = cells.take(dictionary.target.field)[kept]
    findings.zero_or_one(dictionary.target.field, target, required=True)
    columns = {}
    for declared in dictionary.fields:
        if declared.use != "ignore" and declared.name in cells.names:
            whole = cells.take(declared.name)
            columns[declared.name] = whole[kept]
            findings.field(declared, columns[declared.name])
            rejects.take(declared, whole)
        elif declared.use != "ignore":
            columns[declared.name] = _all_missing(declared, target.size)
            rejects.take(declared, _all_missing(declared, kept.size))
    dates = _month(cells, dictionary)
    month = None if dates is None else dates[kept]
    if dictionary.time is not None and month is not None and dictionary.time.field in cells.names:
        findings.month(dictionary.time.field, dictionary.time.format, month)
    whose = dictionary.borrower
    borrower = None if whose is None or whose not in cells.names else cells.take_digests(whose)[kept]
    return Scan(
        table=None
        if findings.problems
        else Table(member, columns, target.astype(np.int8), month, borrower, rejects.table(member, dates)),
        rows=int(target.size),
        bads=int(np.count_nonzero(target == 1.0)),
        left_out=left_out,
        missing=findings.missing,
        problems=tuple(findings.problems),
        warnings=_warnings(dictionary, cells, left_out),
    )


@dataclass(slots=True)
class _Rejects:
    """Rows whose application was not accepted; turned_away: (n_rows,) bool.

    Nothing is refused for their sake: a row of them that breaks a rule of the dictionary is left out.
    """

    turned_away: np.ndarray
    columns: dict[str, np.ndarray] = dataclass_field(default_factory=dict)
    sound: np.ndarray = dataclass_field(init=False)

    def __post_init__(self) -> None:
        self.sound = np.ones(int(np.count_nonzero(self.turned_away)), dtype=bool)

    def take(self, declared: Field, whole: np.ndarray) -> None:
        """Keep a field's values of these rows; whole: (n_rows,) as `node.table_file.Cells.take` returns them."""
        values = whole[self.turned_away]
        seen = _Findings("row", np.arange(values.size))
        seen.field(declared, values)
        if seen.problems:
            self.sound &= seen.holds
        self.columns[declared.name] = values

    def table(self, member: str, dates: np.ndarray | None) -> Table | None:
        """Return the sound rows, whose target says nothing; None where there are none."""
        month = None if dates is None else dates[self.turned_away]
        sound = self.sound if month is None else self.sound & (month != UNREADABLE_MONTH)
        if not sound.any():
            return None
        columns = {name: values[sound] for name, values in self.columns.items()}
        target = np.zeros(int(np.count_nonzero(sound)), dtype=np.int8)
        return Table(member, columns, target, None if month is None else month[sound])


@dataclass(slots=True)
class _Findings:
    """Problems and empty cells so far; places: (n_rows,) int64 line or row numbers of the arrays that are judged.

    holds: (n_rows,) bool, the rows that have broken no rule so far.
    """

    unit: str
    places: np.ndarray
    problems: list[Problem] = dataclass_field(default_factory=list)
    missing: dict[str, int] = dataclass_field(default_factory=dict)
    holds: np.ndarray = dataclass_field(init=False)

    def __post_init__(self) -> None:
        self.holds = np.ones(self.places.size, dtype=bool)

    def keep(self, rows: np.ndarray) -> None:
        """Judge these rows alone from now on; rows: (n_rows,) bool."""
        self.places, self.holds = self.places[rows], self.holds[rows]

    def note(self, column: str, kind: str, broken: np.ndarray, expected: str) -> None:
        """Note the rows where broken (n_rows,) bool is true, if there are any."""
        rows = int(np.count_nonzero(broken))
        if rows:
            self.holds &= ~broken
            first = int(self.places[int(np.argmax(broken))])
            self.problems.append(Problem(column, kind, rows, first, self.unit, expected))

    def zero_or_one(self, column: str, values: np.ndarray, *, required: bool) -> None:
        """Judge a column of 0 and 1; required: an empty cell is a problem too."""
        empty = np.isnan(values)
        if required:
            self.note(column, "empty", empty, "0 or 1 in every row")
        else:
            self.missing[column] = int(np.count_nonzero(empty))
        self.note(column, "not-0-or-1", ~empty & (values != 0.0) & (values != 1.0), "0 or 1")

    def field(self, declared: Field, values: np.ndarray) -> None:
        """Judge one field's values, as `node.table_file.Cells.take` returns them."""
        if declared.kind == "flag":
            self.zero_or_one(declared.name, values, required=False)
        elif declared.kind == "category":
            self.missing[declared.name] = int(np.count_nonzero(values == MISSING_LEVEL))
            levels = f"one of its {len(declared.levels)} declared levels"
            self.note(declared.name, "unknown-level", values == UNKNOWN_LEVEL, levels)
        else:
            self._number(declared, values)

    def _number(self, declared: Field, values: np.ndarray) -> None:
        self.missing[declared.name] = int(np.count_nonzero(np.isnan(values)))
        unreadable = np.isinf(values)
        self.note(declared.name, "not-a-number", unreadable, "a finite number or an empty cell")
        if declared.bounds is not None:
            low, high = declared.bounds
            outside = ((values < low) | (values > high)) & ~unreadable
            for code in declared.special:
                outside &= values != code
            self.note(declared.name, "out-of-bounds", outside, f"{low:.12g} to {high:.12g} {declared.unit}")

    def month(self, column: str, pattern: str, values: np.ndarray) -> None:
        """Judge the date column."""
        self.missing[column] = int(np.count_nonzero(values == MISSING_MONTH))
        self.note(column, "not-a-date", values == UNREADABLE_MONTH, f"a date written {pattern}")


def _accepted(cells: Cells, dictionary: Dictionary, findings: _Findings) -> np.ndarray:
    name = dictionary.accepted
    if name is None or name not in cells.names:
        return np.ones(cells.rows, dtype=bool)
    values = cells.take(name)
    findings.zero_or_one(name, values, required=True)
    return values != 0.0


def _all_missing(declared: Field, rows: int) -> np.ndarray:
    if declared.kind == "category":
        return np.full(rows, MISSING_LEVEL, dtype=np.int16)
    return np.full(rows, np.nan, dtype=np.float64)


def _month(cells: Cells, dictionary: Dictionary) -> np.ndarray | None:
    time = dictionary.time
    if time is None:
        return None
    if time.field not in cells.names:
        return np.full(cells.rows, MISSING_MONTH, dtype=np.int32)
    return cells.take(time.field)


def _warnings(dictionary: Dictionary, cells: Cells, left_out: int) -> tuple[str, ...]:
    expected = [declared.name for declared in dictionary.fields if declared.use != "ignore"]
    expected += [name for name in role_names(dictionary) if name != dictionary.borrower]
    absent = [name for name in expected if name not in cells.names]
    warnings = []
    if absent:
        names = ", ".join(absent)
        warnings.append(f"declared but absent, so missing in every row: {names}")
    if dictionary.borrower is not None and dictionary.borrower not in cells.names:
        warnings.append(f"no column {dictionary.borrower} says whose a row is, so jobs with noise will be refused")
    if left_out:
        warnings.append(f"{left_out} rows left out: not an accepted application ({dictionary.accepted} = 0)")
    return tuple(warnings)
