"""One validation report as tables: figures, grades, drift of scores and fields, stability, fairness.

It computes nothing. Theory: each table has one line a thing that was measured; what was withheld because too few rows
stood behind it is an empty cell, and says so.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["validation_sheets"]

Row = tuple[str | int | float | bool | None, ...]


def validation_sheets(
    place: int, job: str, entry: Mapping[str, Any], report: Mapping[str, Any]
) -> list[tuple[str, tuple[Row, ...]]]:
    """Return (name of the sheet, rows with a head) for one model of a report.

    place: counts the pack's validations from 1. entry: the model's part of `report` (`risk.validation_report`).
    """
    facts: list[Row] = [("fact", "value"), ("job", job)]
    facts += [(f"rows.{name}", _cell(value)) for name, value in report["rows"].items()]
    facts += [(name, _cell(entry[name])) for name in ("same_dictionary", "same_rows", "trained_until", "reference")]
    for part in ("scores", "holdout", "cut_off", "prior"):
        facts += _flat(entry.get(part), f"{part}.")
    facts += _flat(entry.get("drift"), "drift.") + _flat(entry.get("holdout_drift"), "holdout_drift.")
    sheets = [("figures", tuple(facts))]
    grades = entry.get("grades") or {}
    sheets.append(("grades", _table(grades.get("grades", ()))))
    sheets.append(("csi", _table(entry.get("fields", ()))))
    sheets.append(("stability", _table(entry.get("stability", ()))))
    sheets.append(("fairness", _table(entry.get("fairness", ()))))
    compared = report.get("comparison")
    if compared:
        sheets.append(("promotion rule", _table(compared["promotion"]["reasons"])))
    return [(f"v{place} {name}", rows) for name, rows in sheets]


def _table(entries: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Return one row an entry, with a column for every leaf; lists of tables become rows of their own."""
    flat = [dict(_leaves(each)) for entry in entries for each in _spread(entry)]
    names = list(dict.fromkeys(name for each in flat for name in each))
    return (tuple(names), *(tuple(each.get(name) for name in names) for each in flat)) if flat else (("none",),)


def _spread(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an entry once for each item of its one list of tables, such as the segments of a field."""
    lists = [
        name for name, value in entry.items()
        if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value)
    ]  # fmt: skip
    if len(lists) != 1:
        return [entry]
    rest = {name: value for name, value in entry.items() if name != lists[0]}
    return [{**rest, lists[0]: each} for each in entry[lists[0]]]


def _flat(document: Any, before: str) -> list[Row]:
    return [(f"{before}{name}", value) for name, value in _leaves(document)] if isinstance(document, Mapping) else []


def _leaves(document: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", _cell(value)))
    return found


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, sort_keys=True)
