"""What validation jobs found of a model's drift and performance over the network, and the job that would train it anew.

This module runs no job. Theory: validations leave figures that came of secure sums; the rules that a bank holds its own
decisions to (`risk.retraining`) are held to the network's figures here, but for new outcomes, which only banks can
count. A training is submitted by the operator as any other job, and each bank decides by its permit. The job file
repeats the job that made the model: recipe, parameters and data dictionary as they were queued.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coordinator.config import CoordinatorConfig
from coordinator.store import Job, Store
from privacy.errors import InputError
from risk.retraining import Benchmark, Rule, judge

__all__ = ["Finding", "findings", "write_job"]

_OURS = "new-outcomes"
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One validation's champion, held to the rules.

    job: the validation's id. selection: which rows it looked at. trained_by: the job that made the model, None where it
    was not trained here. spec: what was queued for that job.
    """

    job: str
    ended_us: int
    model: str
    selection: str
    rows: int
    rules: tuple[Rule, ...]
    trained_by: str | None
    spec: Mapping[str, Any] | None

    @property
    def retrain(self) -> bool:
        """Return whether a rule fires."""
        return any(rule.fired for rule in self.rules)

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "job": self.job,
            "ended": datetime.fromtimestamp(self.ended_us / 1e6, UTC).isoformat(timespec="seconds"),
            "model": self.model,
            "selection": self.selection,
            "rows": self.rows,
            "rules": [rule.to_document() for rule in self.rules],
            "retrain": self.retrain,
            "trained_by": self.trained_by,
        }


def findings(settings: CoordinatorConfig) -> list[Finding]:
    """Return what every validation that ended well found of its champion, oldest first."""
    with closing(Store(settings.storage.url)) as store:
        jobs = store.jobs()
        makers = {model.sha256: job for job in jobs for model in store.models(job.id)}
    return list(_findings(settings.state.dir, jobs, makers))


def write_job(finding: Finding, folder: Path) -> Path:
    """Write `job.toml` and its `schema.toml` into `folder`, which must not exist; return the job file.

    Raises `InputError` where the coordinator did not train the model, or the folder is there.
    """
    if finding.spec is None:
        raise InputError("retraining-spec", f"model {finding.model[:16]} was not trained by a job of this coordinator")
    if folder.exists():
        raise InputError("file-exists", f"{folder}: exists already; it is never overwritten")
    fired = ", ".join(rule.name for rule in finding.rules if rule.fired) or "no rule"
    job, parameters = dict(finding.spec["job"]), dict(finding.spec["parameters"])
    job["holdout"] = job.pop("holdout_ppm") / 1_000_000
    document = {"job": {**job, "schema": "schema.toml"}, "parameters": parameters}
    if "privacy" in finding.spec:
        document["privacy"] = dict(finding.spec["privacy"])
    folder.mkdir(parents=True)
    head = f"# Proposed by validation {finding.job} of model {finding.model}: {fired}\n"
    (folder / "schema.toml").write_text(_toml(finding.spec["schema"]), encoding="utf-8")
    (folder / "job.toml").write_text(head + _toml(document), encoding="utf-8")
    return folder / "job.toml"


def _findings(state: Path, jobs: list[Job], makers: Mapping[str, Job]) -> Iterator[Finding]:
    for job in jobs:
        report = _outcome(state, job.id).get("validation") if job.state == "done" else None
        if not isinstance(report, dict):
            continue
        entry = report["models"]["champion"]
        maker = makers.get(entry["sha256"])
        metrics = {} if maker is None else _outcome(state, maker.id).get("metrics") or {}
        benchmark = None
        if metrics.get("auc") is not None:
            benchmark = Benchmark(float(metrics["auc"]), int(metrics["rows"]), int(metrics["bads"]))
        yield Finding(
            job=job.id,
            ended_us=job.ended or job.created,
            model=entry["sha256"],
            selection=report["rows"]["selection"],
            rows=int(report["rows"]["selected"]),
            rules=tuple(rule for rule in judge(_figures(report), benchmark, 0) if rule.name != _OURS),
            trained_by=None if maker is None else maker.id,
            spec=None if maker is None else maker.spec,
        )


def _figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a validation's figures of its champion in the shape of `risk.monitoring`."""
    entry = report["models"]["champion"]
    scores, test = entry["scores"], entry["scores"]["hosmer_lemeshow"]
    return {
        "drift": None if entry["drift"] is None else {"rows": report["rows"]["selected"], "score": entry["drift"]},
        "performance": {
            **{name: scores[name] for name in ("rows", "bads", "auc")},
            "auc_error": scores["auc_error"] or 0.0,
            "p_value": None if test is None else test["p_value"],
        },
    }


def _outcome(state: Path, job: str) -> dict[str, Any]:
    try:
        with (state / "jobs" / job / "outcome.json").open("rb") as stream:
            found = json.loads(stream.read(_LIMIT_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _toml(document: Mapping[str, Any]) -> str:
    """Return a document of plain values, tables, and lists of tables one level down as TOML."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in document.items() if not _is_table(value)]
    for name, value in document.items():
        tables = [value] if isinstance(value, Mapping) else value if _is_table(value) else []
        head = f"[{_key(name)}]" if isinstance(value, Mapping) else f"[[{_key(name)}]]"
        for table in tables:
            lines += ["", head, *(f"{_key(key)} = {_value(each)}" for key, each in table.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if not name.isidentifier() or not name.isascii() else name


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for the delete character, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
