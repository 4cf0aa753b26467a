"""Propose a new training, with its evidence and everything that a job needs.

    STATE/proposals/<day>/proposal.json     the rules that fired, the whole report, and the new dataset's digests
    STATE/proposals/<day>/job.toml          the job for the operator to submit, beside its schema.toml
    STATE/proposals/<day>/table.parquet     the training table with the matured decisions added: a new dataset version
    STATE/proposals/<day>/lineage.parquet   the applications among its rows
    STATE/proposals/<day>/manifest.json     which dataset it grew from, rows before and after

It trains nothing and sends nothing: the operator gets `job.toml` from whoever decides so, the bank points `[source]
table` at the new table by hand, and every bank's permit decides about the job as always. Theory: a training table grows
only by decisions whose outcome window has passed, with the fields as the model saw them; a row that the table holds
already is not added again. Refused applications join it without a target, for reject inference, where the dictionary
has a column that tells them apart. The folder appears whole or not at all.
"""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from node.config import NodeConfig
from node.dataset import dataset_digest
from node.decided import Decided
from node.monitor import Monitored, trained_on
from node.outcome_store import Outcome
from node.source import scan_table
from node.table_file import role_names
from privacy.errors import InputError
from risk.applicant import RecordReader
from risk.dictionary import Dictionary

__all__ = ["FORMAT", "propose"]

FORMAT = "creditmesh-proposal/1"


def propose(config: NodeConfig, found: Monitored, now: datetime) -> Path | None:
    """Write a proposal if a rule fires; return its folder, or None where nothing is to be done.

    A day has one proposal: that of an earlier run is left alone. Raises `InputError` where the table cannot be grown.
    """
    if not found.retrain:
        return None
    folder = config.state.dir / "proposals" / now.astimezone(UTC).strftime("%Y-%m-%d")
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.draft-{os.getpid()}")
    draft.mkdir(mode=0o700, parents=True)
    try:
        manifest = _grow(config.source.table, found, draft)
        _keep(draft / "schema.toml", config.source.schema_file.read_bytes())
        _keep(draft / "job.toml", _job(config, found).encode("utf-8"))
        _keep(draft / "manifest.json", _json(manifest))
        evidence = {
            "format": FORMAT,
            "member": config.member.id,
            "made": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "fired": [rule for rule in found.report["rules"] if rule["fired"]],
            "dataset": manifest,
            "report": found.report,
        }
        _keep(draft / "proposal.json", _json(evidence))
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder


def _grow(table: Path, found: Monitored, folder: Path) -> dict[str, Any]:
    """Write the grown table and its lineage; return its manifest."""
    dictionary = found.dictionary
    before = _plain(table, dictionary)
    held = trained_on(table)
    added: list[tuple[Decided, Outcome | None]] = [
        (decided, outcome) for decided, outcome in found.matured if decided.application_id not in held
    ]
    if dictionary.accepted is not None:
        added += [(decided, None) for decided in found.declined if decided.application_id not in held]
    rows = _rows(dictionary, added)
    grown = pl.concat([before, rows.select(before.columns)]) if added else before
    grown.write_parquet(folder / "table.parquet")
    lineage = sorted(held) + [decided.application_id for decided, _ in added]
    pl.DataFrame({"application": lineage}, schema={"application": pl.String}).write_parquet(folder / "lineage.parquet")
    for name in ("table.parquet", "lineage.parquet"):
        _sync(folder / name)
    problems = scan_table(folder / "table.parquet", dictionary, member="proposal").problems
    if problems:
        raise InputError("proposal-table", f"the grown table: {problems[0].describe()}")
    return {
        "grown_from": dataset_digest(table, dictionary.digest()),
        "dataset": dataset_digest(folder / "table.parquet", dictionary.digest()),
        "rows_before": before.height,
        "rows_added": sum(outcome is not None for _, outcome in added),
        "bads_added": sum(outcome is not None and outcome.result == "bad" for _, outcome in added),
        "rejected_added": sum(outcome is None for _, outcome in added),
    }


def _plain(table: Path, dictionary: Dictionary) -> pl.DataFrame:
    """Return the present table with every declared column, as numbers and texts."""
    read = pl.read_csv(table, infer_schema=False) if table.suffix == ".csv" else pl.read_parquet(table)
    columns = []
    for name, kind in _schema(dictionary).items():
        if name not in read.columns:
            columns.append(pl.lit(None, kind).alias(name))
            continue
        cells = pl.col(name)
        if read.schema[name] == pl.String:
            cells = pl.when(cells != "").then(cells)
        if dictionary.time is not None and read.schema[name] in (pl.Date, pl.Datetime):
            cells = cells.dt.strftime(dictionary.time.format)
        columns.append(cells.cast(kind).alias(name))
    return read.select(columns)


def _schema(dictionary: Dictionary) -> dict[str, pl.DataType]:
    kinds: dict[str, pl.DataType] = {dictionary.target.field: pl.Float64()}
    for name in role_names(dictionary):
        kinds.setdefault(name, pl.Float64() if name == dictionary.accepted else pl.String())
    for field in dictionary.fields:
        if field.use != "ignore":
            kinds[field.name] = pl.String() if field.kind == "category" else pl.Float64()
    return kinds


def _rows(dictionary: Dictionary, added: list[tuple[Decided, Outcome | None]]) -> pl.DataFrame:
    """Return decisions as rows of the table, refused ones without a target; what the model could not use is missing."""
    # Fields that only cut segments are read by the same rules as those of the model.
    kept = tuple(replace(field, use="model") for field in dictionary.fields if field.use != "ignore")
    reader = RecordReader(replace(dictionary, fields=kept))
    rows = []
    for decided, outcome in added:
        values = reader.read(decided.fields, decided.unusable).values
        target = None if outcome is None else float(outcome.result == "bad")
        row: dict[str, Any] = {dictionary.target.field: target}
        if dictionary.time is not None:
            row[dictionary.time.field] = decided.day.strftime(dictionary.time.format)
        if dictionary.accepted is not None:
            row[dictionary.accepted] = float(outcome is not None)
        for field, value in zip(kept, values, strict=True):
            category = field.kind == "category" and value is not None
            row[field.name] = field.levels[int(value or 0)] if category else value
        rows.append(row)
    return pl.DataFrame(rows, schema=_schema(dictionary))


def _job(config: NodeConfig, found: Monitored) -> str:
    """Return the text of a job file for the model's own recipe, with the parameters it was trained with."""
    facts = found.model.training
    lines = [
        f"# Proposed by {config.member.id} on {found.report['as_of']}: "
        + ", ".join(rule["name"] for rule in found.report["rules"] if rule["fired"]),
        "[job]",
        f'recipe = "{found.model.recipe.partition("/")[0]}"',
        'schema = "schema.toml"',
        f'purpose = "{config.permit.purposes[0]}"',
        f"seed = {int(facts.get('seed', 0))}",
        f"holdout = {int(facts.get('holdout_ppm', 300_000)) / 1_000_000!r}",
        "",
        "[parameters]",
    ]
    parameters = facts.get("parameters", {})
    for name, value in sorted(parameters.items() if isinstance(parameters, dict) else ()):
        if type(value) in (int, str):
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8")


def _keep(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _sync(path)


def _sync(path: Path) -> None:
    path.chmod(0o600)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
