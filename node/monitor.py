"""Watch the model in service on this bank's own decisions and outcomes, and say whether to train again.

It computes no figure (`risk.monitoring` does) and proposes nothing (`node.proposal` does). Theory: a model is judged by
what it saw: the fields as they were sent, less those that were too old or not permitted. Only decisions by the model
that is in service now count; those of earlier models are counted and named.

    {"model": {"sha256", "kind", "recipe"}, "as_of": DAY, "window_months": N | null, "unscored": N,
     "other_models": {SHA256: N}, "outcomes": {"known": N, "matured": N, "waiting": N}, "benchmark_auc": F | null,
     ... (`risk.monitoring`), "rules": [...] (`risk.retraining`), "retrain": BOOL}
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from node import model_store
from node.config import NodeConfig
from node.dataset import read_dictionary
from node.decided import Decided, read_decided
from node.outcome_store import Outcome, OutcomeStore
from node.serving import InService, read_serving
from privacy.errors import InputError
from risk.applicant import RecordReader, table_of
from risk.dictionary import Dictionary
from risk.discrimination import auc_of_counts
from risk.model import Model
from risk.modelfile import decode_model
from risk.monitoring import UNKNOWN, Watched, monitoring_report
from risk.retraining import Benchmark, Limits, judge

__all__ = ["Monitored", "monitor", "trained_on"]


@dataclass(frozen=True, eq=False, slots=True)
class Monitored:
    """What was found. report: as in the module's docstring. matured: decisions with an outcome that counts.

    declined: decisions that ended in a refusal, which have no outcome. model: whose reference drift was measured
    against, the champion or the network's part of it.
    """

    report: dict[str, Any]
    dictionary: Dictionary
    model: Model
    matured: tuple[tuple[Decided, Outcome], ...]
    declined: tuple[Decided, ...]

    @property
    def retrain(self) -> bool:
        """Return whether a rule fires."""
        return bool(self.report["retrain"])


def monitor(config: NodeConfig, now: datetime) -> Monitored:
    """Return how the champion does; raise `InputError` where none is in service or a file cannot be read."""
    state, today = config.state.dir, now.astimezone(UTC).date()
    champion = read_serving(state).champion
    dictionary = read_dictionary(config.source.schema_file)
    model = decode_model(model_store.get(state, champion.network or champion.own or champion.sha256))
    every = read_decided(state)
    mine = [each for each in every if each.model_sha256 == champion.sha256]
    scored = [each for each in mine if each.pd is not None]
    with closing(OutcomeStore(state)) as store:
        outcomes = store.newest()
    others = Counter(each.model_sha256 for each in every if each.model_sha256 != champion.sha256)
    window = dictionary.target.window_months
    matured = [
        (each, outcomes[each.application_id])
        for each in scored
        if each.application_id in outcomes and _is_over(each.day, window, today)
    ]
    results = {each.application_id: int(outcome.result == "bad") for each, outcome in matured}
    report = _report(dictionary, model, scored, results)
    known = sum(each.application_id in outcomes for each in scored)
    approved_over = sum(each.final == "approve" and _is_over(each.day, window, today) for each in scored)
    benchmark = _benchmark(state, champion, model)
    trained = trained_on(config.source.table)
    new = sum(each.application_id not in trained for each, _ in matured)
    limits = Limits(config.monitoring.new_outcomes, config.monitoring.least_rows, config.monitoring.least_bads)
    rules = judge(report, benchmark, new, limits)
    return Monitored(
        report={
            "model": {"sha256": champion.sha256, "kind": champion.kind, "recipe": model.recipe},
            "as_of": today.isoformat(),
            "window_months": window,
            "unscored": len(mine) - len(scored),
            "other_models": dict(sorted(others.items())),
            "outcomes": {"known": known, "matured": len(matured), "waiting": max(0, approved_over - len(matured))},
            "benchmark_auc": None if benchmark is None else benchmark.auc,
            **report,
            "rules": [rule.to_document() for rule in rules],
            "retrain": any(rule.fired for rule in rules),
        },
        dictionary=dictionary,
        model=model,
        matured=tuple(matured),
        declined=tuple(each for each in scored if each.final == "decline" and each.application_id not in outcomes),
    )


def trained_on(table: Path) -> frozenset[str]:
    """Return the applications that a training table holds, as `lineage.parquet` beside it says; none without one."""
    path = table.with_name("lineage.parquet")
    if not path.exists():
        return frozenset()
    try:
        return frozenset(pl.read_parquet(path, columns=["application"])["application"].to_list())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError("lineage", f"{path}: cannot be read ({type(error).__name__})") from None


def _is_over(day: date, window_months: int | None, today: date) -> bool:
    if window_months is None:
        return True
    months = (today.year - day.year) * 12 + today.month - day.month - (today.day < day.day)
    return months >= window_months


def _report(dictionary: Dictionary, model: Model, scored: Sequence[Decided], results: dict[str, int]) -> dict[str, Any]:
    reader = RecordReader(dictionary)
    readings = [reader.read(each.fields, each.unusable).values for each in scored]
    table = table_of(dictionary.model_fields, readings)
    watched = Watched(
        logit=model.logit(table) if scored else np.zeros(0),
        pd=np.array([each.pd for each in scored], dtype=np.float64),
        grade=np.array([each.grade or "" for each in scored], dtype=np.str_),
        month=np.array([_month(each.month) for each in scored], dtype=np.int32),
        answer=np.array([each.outcome for each in scored], dtype=np.str_),
        final=np.array([each.final for each in scored], dtype=np.str_),
        result=np.array([results.get(each.application_id, UNKNOWN) for each in scored], dtype=np.int8),
    )
    fields = {} if model.reference is None else model.reference.field_counts(table.select(watched.recent))
    return monitoring_report(watched, model.reference, fields)


def _month(text: str) -> int:
    year, month = text.split("-")
    return 12 * int(year) + int(month) - 1


def _benchmark(state: Path, champion: InService, model: Model) -> Benchmark | None:
    """Return what the champion was released with: on this bank's hold-out, else by the grades frozen with it."""
    scale = None if model.reference is None else model.reference.scale
    if scale is None or not sum(scale.rows):
        return None
    rows, bads = sum(scale.rows), sum(scale.bads)
    path = state / "result.json"
    for entry in json.loads(path.read_bytes()).values() if path.exists() else ():
        files = entry.get("models", {})
        name = {"mixed": "head"}.get(champion.kind, champion.kind)
        figure = entry.get(f"auc_{champion.kind}") if files.get(name) == champion.sha256 else None
        if figure is not None:
            # The bank's own bads are not in its result; the frozen grades have their share.
            return Benchmark(float(figure), int(entry["rows_test"]), round(int(entry["rows_test"]) * bads / rows))
    area = auc_of_counts(scale.rows, scale.bads)
    return None if area is None else Benchmark(area, rows, bads)
