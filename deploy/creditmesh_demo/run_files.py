"""Read what a run left in its folders: outcomes, results, model files, rounds and logs.

It opens files of processes that have ended or of jobs that are over, and changes none. Theory: the report is made from
the same files that a bank or an auditor would look at, so it cannot say more than they hold.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from creditmesh_demo.disclosed import Disclosed, read_disclosed
from creditmesh_demo.evaluation import BankModels
from creditmesh_demo.folders import RunFolders
from creditmesh_demo.job_history import JobHistory
from creditmesh_demo.run_record import JobRecord, Sent
from creditmesh_demo.self_check import OPENED_FILE, read_opened
from privacy.guarantee import guarantee_of
from privacy.log.record import BLOCKS
from risk.catalogue import recipe as recipe_of
from risk.dictionary import Dictionary
from risk.model import Model
from risk.modelfile import decode_head, decode_model
from risk.spec import JobSpec

__all__ = ["count_log_events", "read_job", "read_sent"]

_FACTS = ("job", "recipe", "state", "privacy", "reason", "notice")


def read_job(run: RunFolders, job: str, dictionary: Dictionary, history: JobHistory) -> JobRecord:
    """Return a job that is in its final state, with the models of every bank that ended it."""
    outcome = json.loads((run.coordinator / "jobs" / job / "outcome.json").read_text(encoding="utf-8"))
    members, recipe, rounds = tuple(outcome["members"]), str(outcome["recipe"]), history.opened(job)
    results = {bank: _result(run.nodes[bank], job) for bank in members}
    reported = {bank: result for bank, result in results.items() if result.get("state") == "done"}
    excluded = [
        bank for event in history.events(job) if event.kind == "members-excluded" for bank in event.body["lost"]
    ]
    excluded += [bank for entry in rounds for bank in members if bank not in entry.survivors]
    return JobRecord(
        recipe=recipe,
        job=job,
        state=outcome["state"],
        reason=outcome["reason"],
        spec=_spec(history.parameters(job), dictionary, max(len(members), 1), outcome.get("dp")),
        members=members,
        left_out=outcome["left_out"],
        excluded=tuple(dict.fromkeys(excluded)),
        outcome=outcome,
        rounds=rounds,
        opened=read_opened(run.coordinator / OPENED_FILE, job),
        reported={bank: _figures(result) for bank, result in reported.items()},
        network=_network(run, outcome),
        models={bank: _bank_models(run.nodes[bank], recipe) for bank in reported},
        disclosed=Disclosed() if outcome.get("dp") is None else read_disclosed(run.nodes, job, members),
        accounts={bank: result["privacy"] for bank, result in results.items() if "privacy" in result},
    )


def read_sent(run: RunFolders, members: Sequence[str]) -> tuple[Sent, ...]:
    """Return every message that the members' gates authorised, from their own logs.

    Blocks (heartbeats, acknowledgements, checkpoints to cosign) are left out: their record holds a limit, not a size.
    """
    sent = []
    for bank in members:
        with closing(_open_log(run.nodes[bank])) as database:
            for (encoded,) in database.execute("SELECT event FROM event ORDER BY seq"):
                event = json.loads(encoded)
                if event["kind"] == "egress.authorised" and event["body"]["payload_kind"] not in BLOCKS:
                    kind, size = event["body"]["payload_kind"], event["body"]["bytes"]
                    sent.append(Sent(bank, event.get("job", ""), event.get("round"), kind, size))
    return tuple(sent)


def count_log_events(run: RunFolders, members: Sequence[str]) -> dict[str, int]:
    """Return the number of entries in each member's log."""
    counts = {}
    for bank in members:
        with closing(_open_log(run.nodes[bank])) as database:
            (counts[bank],) = database.execute("SELECT count(*) FROM event").fetchone()
    return counts


def _spec(queued: Mapping[str, Any], dictionary: Dictionary, members: int, dp: Mapping[str, Any] | None) -> JobSpec:
    settings, promised = queued["job"], None if dp is None else guarantee_of(dp)
    installed = recipe_of(settings["recipe"])
    return JobSpec(
        recipe=installed.name,
        version=installed.version,
        parameters=installed.parse_parameters(dict(queued["parameters"])),
        dictionary=dictionary,
        members=members,
        max_rows=settings["max_rows"],
        seed=settings["seed"],
        holdout_ppm=settings["holdout_ppm"],
        multiplier=promised.multiplier if promised else 0,
        statement=promised.statement() if promised else None,
    )


def _result(node: Path, job: str) -> dict[str, Any]:
    path = node / "jobs" / job / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in _FACTS}


def _network(run: RunFolders, outcome: Mapping[str, Any]) -> Model | None:
    if outcome["model_sha256"] is None:
        return None
    return decode_model((run.coordinator / "models" / f"{outcome['model_sha256']}.json").read_bytes())


def _bank_models(node: Path, recipe: str) -> BankModels:
    models = node / "models"
    own, partner = (decode_model((models / f"{recipe}-{name}.json").read_bytes()) for name in ("own", "partner"))
    return BankModels(own, partner, decode_head((models / f"{recipe}-head.json").read_bytes()).head)


def _open_log(node: Path) -> sqlite3.Connection:
    # Read only: a member that was killed left a write-ahead log behind, which is evidence and stays as it is.
    return sqlite3.connect(f"{(node / 'log.db').absolute().as_uri()}?mode=ro", uri=True)
