"""Build a training table from a bank's own tables, with the papers that say what it was made of.

    FOLDER/table.parquet      one row per application in the data room's form, for `[source] table`
    FOLDER/lineage.parquet    the same rows: application, applicant, decision, and by source as-of date and consent,
                              by field why it is missing
    FOLDER/manifest.json      digests, counts and times of all copies; counts by field
    FOLDER/copies/            what was read, typed, once

This module computes no field (`node.connectors.index` does). Theory: the folder appears whole or not at all; it stays
at the bank. The table is held against the dictionary by the same reader that training uses before it is shown.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from node.connectors.copies import Copied, copy_all
from node.connectors.index import REASONS, compute_fields
from node.connectors.settings import Connectors, load_connectors
from node.dataset import read_dictionary
from node.source import scan_table
from privacy.errors import InputError
from risk.dictionary import Dictionary

__all__ = ["FORMAT", "Plan", "Survey", "build_index", "survey_index"]

FORMAT = "creditmesh-index/1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an index is built from: the mappings' file and the data dictionary's."""

    connectors: Path
    schema: Path

    def load(self) -> tuple[Connectors, Dictionary]:
        """Return both, checked."""
        dictionary = read_dictionary(self.schema)
        return load_connectors(self.connectors, dictionary), dictionary


@dataclass(frozen=True, eq=False, slots=True)
class Survey:
    """What the mappings give: copies by name, rows, and by field the rows with a value and without one by reason.

    not_connected: fields of the dictionary that no mapping fills. problems: why training would refuse the table.
    """

    copies: dict[str, Copied]
    rows: int
    bads: int
    fields: dict[str, dict[str, int]]
    not_connected: tuple[str, ...]
    problems: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the survey as JSON values."""
        return {
            "rows": self.rows,
            "bads": self.bads,
            "sources": {name: asdict(copied) for name, copied in self.copies.items()},
            "fields": self.fields,
            "not_connected": list(self.not_connected),
            "problems": list(self.problems),
        }

    def lines(self) -> list[str]:
        """Return the survey as lines of text."""
        lines = [f"{self.rows} applications, {self.bads} of them bad"]
        for name, copied in self.copies.items():
            dropped = "".join(f", {count} dropped without {what}" for what, count in copied.dropped.items() if count)
            lines.append(f"  {name:<28} {copied.rows} rows by {copied.origin}{dropped}")
        for name, counts in self.fields.items():
            reasons = "".join(f", {counts[reason]} {reason}" for reason in REASONS if counts[reason])
            lines.append(f"  {name:<28} {counts['present']} of {self.rows}{reasons}")
        if self.not_connected:
            lines.append(f"  not connected, so missing in every row: {', '.join(self.not_connected)}")
        return lines + [f"  problem: {text}" for text in self.problems]


def survey_index(plan: Plan, folder: Path, now: Callable[[], datetime]) -> Survey:
    """Compute the index in `folder` (empty, for copies only), write no table, and return what was found."""
    connectors, dictionary = plan.load()
    return _compute(connectors, dictionary, folder, now)[0]


def build_index(plan: Plan, folder: Path, now: Callable[[], datetime]) -> Survey:
    """Build the index into `folder`, which must not exist.

    Raises `InputError` for whatever would make training refuse the table, and leaves nothing behind then.
    """
    connectors, dictionary = plan.load()
    if connectors.applications.target is None:
        message = f"{plan.connectors}: applications.target is missing; a table to train on needs how each loan ended"
        raise InputError("connectors", message)
    if folder.exists():
        raise InputError("file-exists", f"{folder}: exists already; it is never overwritten")
    draft = folder.with_name(f"{folder.name}.draft-{os.getpid()}")
    draft.mkdir(mode=0o700, parents=True)
    try:
        survey, frame = _compute(connectors, dictionary, draft / "copies", now)
        if survey.problems:
            more = f" (and {len(survey.problems) - 1} more, see index check)" if len(survey.problems) > 1 else ""
            raise InputError("index", f"{plan.connectors}: {survey.problems[0]}{more}")
        digest = _write(_table(frame, dictionary, connectors), draft / "table.parquet")
        _write(frame.select(pl.exclude("^f\\..*$", "^m\\..*$")), draft / "lineage.parquet")
        survey = _held_against(survey, draft / "table.parquet", dictionary)
        manifest = {
            "format": FORMAT,
            "made": now().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "connectors_sha256": hashlib.sha256(plan.connectors.read_bytes()).hexdigest(),
            "dictionary_sha256": dictionary.digest(),
            "table_sha256": digest,
            **survey.document(),
        }
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return survey


def _compute(
    connectors: Connectors, dictionary: Dictionary, folder: Path, now: Callable[[], datetime]
) -> tuple[Survey, pl.DataFrame]:
    copies = copy_all(connectors, dictionary, folder, now)
    frame = compute_fields(connectors, dictionary, {name: copy.rows for name, copy in copies.items()})
    fields = {}
    for name in connectors.field:
        found = dict(frame[f"why.{name}"].value_counts().iter_rows())
        counts = {reason: int(found.get(reason, 0)) for reason in REASONS}
        fields[name] = {"present": frame.height - sum(counts.values()), **counts}
    mapped = set(connectors.field)
    survey = Survey(
        copies={name: copy.line for name, copy in copies.items()},
        rows=frame.height,
        bads=int((frame["target"] == 1.0).sum()) if "target" in frame.columns else 0,
        fields=fields,
        not_connected=tuple(f.name for f in dictionary.fields if f.use != "ignore" and f.name not in mapped),
        problems=tuple(_problems(connectors, frame, fields)),
    )
    return survey, frame


def _problems(connectors: Connectors, frame: pl.DataFrame, fields: dict[str, dict[str, int]]) -> list[str]:
    problems = []
    repeated = frame.height - frame["application"].n_unique()
    if repeated:
        problems.append(f"applications: {repeated} rows repeat an application id; expected one row each")
    for name, counts in fields.items():
        if counts["outside"] and connectors.field[name].outside == "refuse":
            problems.append(
                f"field.{name}: {counts['outside']} values outside what the dictionary declares; correct the mapping, "
                'or say outside = "clip" or "missing"'
            )
    return problems


def _table(frame: pl.DataFrame, dictionary: Dictionary, connectors: Connectors) -> pl.DataFrame:
    columns = []
    if dictionary.time is not None:
        columns.append(pl.col("decided").dt.strftime(dictionary.time.format).alias(dictionary.time.field))
    if dictionary.borrower is not None:
        whose = "key" if connectors.applications.borrower is None else "borrower"
        columns.append(pl.col(whose).alias(dictionary.borrower))
    columns += [pl.col(f"f.{name}").alias(name) for name in connectors.field]
    if dictionary.accepted is not None and connectors.applications.accepted is not None:
        columns.append(pl.col("accepted").alias(dictionary.accepted))
    return frame.select(*columns, pl.col("target").alias(dictionary.target.field))


def _held_against(survey: Survey, table: Path, dictionary: Dictionary) -> Survey:
    scan = scan_table(table, dictionary, member="index")
    if scan.problems:
        raise InputError("index", f"the table that was built: {scan.problems[0].describe()}")
    return survey


def _write(frame: pl.DataFrame, path: Path) -> str:
    frame.write_parquet(path)
    path.chmod(0o600)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        return hashlib.file_digest(stream, "sha256").hexdigest()
