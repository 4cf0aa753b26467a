"""Read what a run left in its folders: outcomes, results, model files, rounds and logs.

It opens files of processes that have ended or of jobs that are over, and changes none. Theory: the report is made from
the same files that a bank or an auditor would look at, so it cannot say more than they hold.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.store import Store
from creditmesh_demo.evaluation import BankModels
from creditmesh_demo.founding import Founded
from creditmesh_demo.run_record import JobRecord, RoundFact, Sent
from creditmesh_demo.self_check import OPENED_FILE, read_opened
from privacy.log.journal import read_events
from risk.catalogue import recipe as recipe_of
from risk.dictionary import Dictionary
from risk.head import head_from_document
from risk.model import Model
from risk.modelfile import decode_model, read_json
from risk.spec import JobSpec

__all__ = ["Submitted", "count_log_events", "read_job", "read_sent"]


@dataclass(frozen=True, slots=True)
class Submitted:
    """One job as it was queued: id, recipe and the queued values (`coordinator.commands.spec_of`)."""

    job: str
    recipe: str
    queued: Mapping[str, Any]


def read_job(run: Founded, submitted: Submitted, dictionary: Dictionary, store: Store) -> JobRecord:
    """Return a job that is in its final state, with the models of every bank that ended it."""
    outcome = json.loads((run.coordinator / "jobs" / submitted.job / "outcome.json").read_text(encoding="utf-8"))
    members = tuple(outcome["members"])
    results = {bank: _result(run.nodes[bank], submitted.job) for bank in members}
    reported = {bank: result for bank, result in results.items() if result.get("state") == "done"}
    excluded = [
        bank
        for event in store.job_events(submitted.job)
        if event.kind == "members-excluded"
        for bank in event.body["lost"]
    ]
    opened = [entry for entry in store.rounds(submitted.job) if entry.state == "opened"]
    excluded += [bank for entry in opened for bank in members if bank not in entry.survivors]
    return JobRecord(
        recipe=submitted.recipe,
        job=submitted.job,
        state=outcome["state"],
        reason=outcome["reason"],
        spec=_spec(submitted, dictionary, max(len(members), 1)),
        members=members,
        left_out=outcome["left_out"],
        excluded=tuple(dict.fromkeys(excluded)),
        outcome=outcome,
        rounds=tuple(RoundFact(entry.number, entry.name, entry.survivors) for entry in opened),
        opened=read_opened(run.coordinator / OPENED_FILE, submitted.job),
        reported={bank: _figures(result) for bank, result in reported.items()},
        network=_network(run, outcome),
        models={bank: _bank_models(run.nodes[bank], submitted.recipe) for bank in reported},
    )


def read_sent(run: Founded, members: Sequence[str]) -> tuple[Sent, ...]:
    """Return every message that the members' gates authorised, from their own logs.

    Blocks of control frames (heartbeats, acknowledgements) are left out: their record holds a limit, not a size.
    """
    sent = []
    for bank in members:
        with closing(_open_log(run.nodes[bank])) as database:
            for event in read_events(database, 0, _log_size(database)):
                if event.kind == "egress.authorised" and event.body["payload_kind"] != "control":
                    kind, size = str(event.body["payload_kind"]), int(str(event.body["bytes"]))
                    sent.append(Sent(bank, event.job or "", event.round, kind, size))
    return tuple(sent)


def count_log_events(run: Founded, members: Sequence[str]) -> dict[str, int]:
    """Return the number of entries in each member's log."""
    counts = {}
    for bank in members:
        with closing(_open_log(run.nodes[bank])) as database:
            counts[bank] = _log_size(database)
    return counts


def _spec(submitted: Submitted, dictionary: Dictionary, members: int) -> JobSpec:
    settings, installed = submitted.queued["job"], recipe_of(submitted.recipe)
    return JobSpec(
        recipe=submitted.recipe,
        version=installed.version,
        parameters=installed.parse_parameters(dict(submitted.queued["parameters"])),
        dictionary=dictionary,
        members=members,
        max_rows=settings["max_rows"],
        seed=settings["seed"],
        holdout_ppm=settings["holdout_ppm"],
    )


def _result(node: Path, job: str) -> dict[str, Any]:
    path = node / "jobs" / job / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("job", "recipe", "state")}


def _network(run: Founded, outcome: Mapping[str, Any]) -> Model | None:
    if outcome["model_sha256"] is None:
        return None
    return decode_model((run.coordinator / "models" / f"{outcome['model_sha256']}.json").read_bytes())


def _bank_models(node: Path, recipe: str) -> BankModels:
    models = node / "models"
    head = read_json((models / f"{recipe}-head.json").read_bytes(), "head file")
    return BankModels(decode_model((models / f"{recipe}-own.json").read_bytes()), head_from_document(head))


def _open_log(node: Path) -> sqlite3.Connection:
    # Read only: a member that was killed left a write-ahead log behind, which is evidence and stays as it is.
    return sqlite3.connect(f"{(node / 'log.db').absolute().as_uri()}?mode=ro", uri=True)


def _log_size(database: sqlite3.Connection) -> int:
    (size,) = database.execute("SELECT coalesce(max(seq) + 1, 0) FROM event").fetchone()
    return int(size)
