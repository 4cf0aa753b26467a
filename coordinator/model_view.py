"""What is known of every released or pending model: lineage, figures, and where its sign-off stands.

It changes nothing. Theory: the aliases `champion` and `challenger` are not kept anywhere of their own: each is the
model of the promotion with the highest number for that role, so they cannot disagree with the ballots.

    {"champion": SHA256 | null, "challenger": SHA256 | null, "models": [{"sha256", "job", "recipe", "state": "pending" |
     "released", "created": TIME, "released": TIME | null, "aliases": [ROLE], "was": [ROLE], "lineage": {...} | null,
     "metrics": {...}, "proposals": [{"number", "role", "state", "rollback", "replaces", "quorum", "members",
     "proposed": TIME, "closed": TIME | null, "approved": [{"member", "who", "signed": TIME}],
     "rejected": [{..., "reason"}], "waiting": [MEMBER]}]}]}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coordinator.ballot_box import BallotBox, Standing
from coordinator.store import Job, ModelRecord, Store
from privacy.errors import InputError
from privacy.log.signoff import ROLES, kept_ballot, tally_decisions
from risk.lineage import Ancestry, lineage_document, window_of

__all__ = [
    "Shelf",
    "aliases_of",
    "find_model",
    "lineage_of",
    "manifest_of",
    "models_document",
    "moment",
    "outcome_of",
    "shelf_of",
    "validations_of",
]

_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything that the views read at once: models with their jobs, proposals, jobs that validated, the folder."""

    state: Path
    models: Sequence[tuple[ModelRecord, Job]]
    standings: Sequence[Standing]
    validations: Sequence[Job] = ()


def shelf_of(state: Path, store: Store) -> Shelf:
    """Read the coordinator's database. state: its state folder."""
    jobs = store.jobs()
    models = [(model, job) for job in jobs for model in store.models(job.id)]
    validations = [job for job in jobs if job.recipe == "validation" and job.state == "done"]
    return Shelf(state, models, BallotBox(store.engine).all(), validations)


def aliases_of(standings: Sequence[Standing]) -> dict[str, Standing | None]:
    """Return the promotion in force for each role; a champion is no longer the challenger it was before."""
    newest: dict[str, Standing | None] = dict.fromkeys(ROLES)
    for standing in standings:
        if standing.state == "promoted":
            newest[standing.proposal.role] = standing
    champion, challenger = newest["champion"], newest["challenger"]
    if champion and challenger and champion.proposal.model == challenger.proposal.model:
        newest["challenger"] = None
    return newest


def find_model(shelf: Shelf, name: str) -> tuple[ModelRecord, Job]:
    """Return the model of a digest, of its first 8 or more digits, or of an alias; raises `InputError` otherwise."""
    if name in ROLES:
        standing = aliases_of(shelf.standings)[name]
        if standing is None:
            raise InputError("model-unknown", f"no model is {name} yet; see `creditmesh-coordinator models`")
        name = standing.proposal.model
    found = [entry for entry in shelf.models if entry[0].sha256.startswith(name)] if len(name) >= _SHORTEST else []
    if len({model.sha256 for model, _ in found}) != 1:
        several = "several models begin" if found else "no model begins"
        raise InputError(
            "model-unknown",
            f"{several} with {name!r}; give {_SHORTEST} or more digits of one in `creditmesh-coordinator models`",
        )
    return found[-1]


def models_document(shelf: Shelf) -> dict[str, Any]:
    """Return the document that the module's docstring describes."""
    aliases = aliases_of(shelf.standings)
    names = {role: standing.proposal.model if standing else None for role, standing in aliases.items()}
    return {**names, "models": [_model(shelf, model, job, names) for model, job in shelf.models]}


def outcome_of(state: Path, job: str) -> dict[str, Any]:
    """Return a job's `outcome.json`, empty if there is none."""
    return _read(state / "jobs" / job / "outcome.json")


def manifest_of(state: Path, job: str) -> dict[str, Any]:
    """Return the JSON object of a job's manifest; raises `InputError` if it was not kept."""
    document = _read(state / "jobs" / job / "manifest.json")
    if not document:
        raise InputError("manifest-unknown", f"no manifest of {job} is kept: it ran before models had lineage")
    return document


def moment(microseconds: int | None) -> str | None:
    """Return a time in ISO 8601, UTC, to the second; None for None."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _model(shelf: Shelf, model: ModelRecord, job: Job, names: Mapping[str, str | None]) -> dict[str, Any]:
    outcome = outcome_of(shelf.state, job.id)
    mine = [each for each in shelf.standings if each.proposal.model == model.sha256]
    return {
        "sha256": model.sha256,
        "job": job.id,
        "recipe": job.recipe,
        "state": "pending" if model.released is None else "released",
        "created": moment(job.ended or job.created),
        "released": moment(model.released),
        "aliases": [role for role in ROLES if names[role] == model.sha256],
        "was": [
            role for role in ROLES if any(each.proposal.role == role and each.state == "promoted" for each in mine)
        ],
        "lineage": lineage_of(shelf, model, job),
        "metrics": outcome.get("metrics"),
        "proposals": [_proposal(each) for each in mine],
    }


def lineage_of(shelf: Shelf, model: ModelRecord, job: Job) -> dict[str, Any] | None:
    """Return a model's lineage, None where its job's manifest was not kept."""
    outcome = outcome_of(shelf.state, job.id)
    if not (shelf.state / "jobs" / job.id / "manifest.json").exists():
        return None
    promoted = [each for each in shelf.standings if each.state == "promoted" and each.proposal.role == "champion"]
    mine = [each.proposal for each in promoted if each.proposal.model == model.sha256]
    before = [each.proposal.model for each in promoted if (each.closed or 0) <= (job.ended or job.created)]
    parent = mine[0].replaces if mine else (before[-1] if before else "")
    reports = validations_of(shelf, model.sha256)
    ancestry = Ancestry(
        model=model.sha256,
        parent="" if parent == model.sha256 else parent,
        manifest_sha256=str(outcome.get("manifest_sha256", "")),
        rounds=outcome.get("rounds"),
        metrics=outcome.get("metrics"),
        window=window_of(report for _, report in reports),
        validations=[name for name, _ in reports],
    )
    return lineage_document(manifest_of(shelf.state, job.id), ancestry)


def validations_of(shelf: Shelf, sha256: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (job, report) of the validations that looked at a model, in order of their jobs."""
    found = []
    for job in shelf.validations:
        if sha256 in map(str, dict(job.spec["parameters"]).values()):
            report = outcome_of(shelf.state, job.id).get("validation")
            if report:
                found.append((job.id, report))
    return found


def _proposal(standing: Standing) -> dict[str, Any]:
    proposal = standing.proposal
    kept = {member: kept_ballot(raw) for member, raw in standing.ballots.items()}  # checked as they came
    tally = tally_decisions(proposal, {member: ballot.decision for member, ballot in kept.items()})
    voices: dict[str, dict[str, Any]] = {}
    for member, ballot in kept.items():
        voices[member] = {"member": member, "who": ballot.who, "signed": moment(ballot.signed_us)}
        voices[member] |= {"reason": ballot.reason} if ballot.reason else {}
    return {
        "number": proposal.number,
        "role": proposal.role,
        "state": standing.state,
        "rollback": proposal.rollback,
        "replaces": proposal.replaces or None,
        "quorum": proposal.quorum,
        "members": len(proposal.members),
        "proposed": moment(proposal.proposed_us),
        "closed": moment(standing.closed),
        "approved": [voices[member] for member in tally.approved],
        "rejected": [voices[member] for member in tally.rejected],
        "waiting": [member for member in proposal.members if member not in voices],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError("record-unreadable", f"{path}: cannot be read ({type(error).__name__})") from error
    return document if isinstance(document, dict) else {}
