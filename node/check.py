"""Check a bank's table against the data dictionary and report counts by problem, never a value.

This module reads nothing itself and judges nothing itself (`node.source` does, by the same scan that training uses, so
what passes here is not refused there); it holds the report in two forms, text for people and JSON for programs.

    {"table": PATH, "schema": PATH, "ok": bool, "rows": int, "bads": int, "left_out": int,
     "missing": {COLUMN: int}, "warnings": [TEXT],
     "problems": [{"column": NAME, "kind": SLUG, "rows": int, "first": int, "unit": "line|row", "expected": TEXT}]}
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from node.config import PermitSettings
from node.dataset import read_dictionary
from node.source import Scan, scan_table

__all__ = ["CheckReport", "check_table"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found; `ok` is false if training would refuse the file."""

    table: Path
    schema: Path
    scan: Scan
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether the file breaks no rule."""
        return not self.scan.problems

    def to_json(self) -> str:
        """Return the report as one JSON document, keys as in the module's docstring."""
        document = {
            "table": str(self.table),
            "schema": str(self.schema),
            "ok": self.ok,
            "rows": self.scan.rows,
            "bads": self.scan.bads,
            "left_out": self.scan.left_out,
            "missing": self.scan.missing,
            "problems": [asdict(problem) for problem in self.scan.problems],
            "warnings": list(self.warnings),
        }
        return json.dumps(document, indent=2, ensure_ascii=False)

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text."""
        yield f"{self.table}: {self.scan.rows} rows, {self.scan.bads} with target 1"
        missing = [f"{column} {count}" for column, count in self.scan.missing.items() if count]
        if missing:
            yield f"  empty cells: {', '.join(missing)}"
        for text in self.warnings:
            yield f"  warning: {text}"
        for problem in self.scan.problems:
            yield f"  problem: {problem.describe()}"
        yield "  fine" if self.ok else f"  training would refuse this file: {self.summary()}"

    def summary(self) -> str:
        """Return the number of problems in words."""
        count = len(self.scan.problems)
        return f"{count} problem" if count == 1 else f"{count} problems"


def check_table(table: Path, schema: Path, permit: PermitSettings | None = None) -> CheckReport:
    """Return the report on `table` under the data dictionary in `schema`.

    permit: adds a warning if the bank has too few rows to join under its own thresholds. Raises `InputError` for what
    makes either file unreadable as a whole.
    """
    scan = scan_table(table, read_dictionary(schema), member="check")
    warnings = list(scan.warnings)
    if permit is not None:
        needs = (("rows with a target", scan.rows, permit.min_rows), ("bad rows", scan.bads, permit.min_bads))
        warnings += [
            f"only {count} {what}; the permit asks for {least}" for what, count, least in needs if count < least
        ]
    return CheckReport(table, schema, scan, tuple(warnings))
