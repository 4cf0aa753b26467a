"""What the operator's commands about models do and print: propose, withdraw, list; each returns an exit code.

This module signs nothing and counts nothing; the running coordinator finds in the database what is written here and
asks the banks. What `models --json` prints is described in `coordinator.model_view`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coordinator import config
from coordinator.access import leave_note
from coordinator.ballot_box import BallotBox
from coordinator.keys_file import read_identity
from coordinator.model_view import (
    Shelf,
    aliases_of,
    find_model,
    manifest_of,
    models_document,
    outcome_of,
    shelf_of,
    validations_of,
)
from coordinator.store import Job, ModelRecord, Store
from privacy.errors import InputError
from privacy.log.signoff import Proposal, least_quorum
from risk.lineage import figures_digest

__all__ = ["models", "propose", "propose_model", "withdraw"]


def propose(config_path: Path, name: str, role: str, as_json: bool) -> int:
    """Ask the banks of a model's job to sign it off as champion or challenger."""
    settings = config.load(config_path)
    with _store(settings) as store:
        proposal = propose_model(settings, store, name, role)
    leave_note(settings.state.dir, "propose", f"{proposal.model}/{role}")
    if as_json:
        print(json.dumps({"number": proposal.number, "sha256": proposal.sha256()}))
        return 0
    back = " (back to an earlier one)" if proposal.rollback else ""
    print(
        f"proposal {proposal.number}: {proposal.model} as {role}{back}\n"
        f"{proposal.quorum} of {len(proposal.members)} banks must approve: {', '.join(proposal.members)}"
    )
    return 0


def propose_model(settings: config.CoordinatorConfig, store: Store, name: str, role: str) -> Proposal:
    """Write down a proposal and return it.

    Raises `InputError` for a model that is unknown, not released yet, in that role already, or proposed for it.
    """
    shelf = shelf_of(settings.state.dir, store)
    model, job = find_model(shelf, name)
    if model.released is None:
        raise InputError(
            "model-pending",
            f"model {model.sha256[:16]} is pending: not enough banks have cosigned the log of {job.id} yet; wait, then "
            "propose it again",
        )
    aliases = aliases_of(shelf.standings)
    in_force = aliases[role]
    replaces = in_force.proposal.model if in_force else ""
    if model.sha256 in {each.proposal.model for each in (in_force, aliases["champion"]) if each}:
        now = role if model.sha256 == replaces else "champion"
        raise InputError("model-in-force", f"model {model.sha256[:16]} is {now} already; there is nothing to sign")
    identity = read_identity(settings.identity.key).public.hex()
    manifest = manifest_of(settings.state.dir, job.id)
    members = tuple(member for member, _ in manifest["seats"])
    evidence = _evidence(shelf, model, job)
    earlier = {each.proposal.model for each in shelf.standings
               if each.state == "promoted" and each.proposal.role == role}  # fmt: skip

    def make(number: int, now_us: int) -> Proposal:
        return Proposal(
            number=number,
            consortium=settings.consortium.name,
            coordinator=identity,
            role=role,
            model=model.sha256,
            job=job.id,
            recipe=job.recipe,
            manifest_sha256=str(outcome_of(settings.state.dir, job.id)["manifest_sha256"]),
            members=members,
            quorum=least_quorum(settings.policy.sign_off, len(members)),
            replaces=replaces,
            rollback=model.sha256 in earlier,
            proposed_us=now_us,
            evidence=evidence,
        )

    return BallotBox(store.engine).propose(make)


def withdraw(config_path: Path, number: int) -> int:
    """Take back a proposal that no quorum has signed yet."""
    settings = config.load(config_path)
    with _store(settings) as store:
        box = BallotBox(store.engine)
        standing = box.one(number)
        if not box.close(number, "withdrawn"):
            raise InputError("proposal-closed", f"proposal {number} is {standing.state}; only an open one is withdrawn")
    leave_note(settings.state.dir, "withdraw", f"proposal-{number}")
    print(f"proposal {number} is withdrawn")
    return 0


def models(config_path: Path, as_json: bool) -> int:
    """Print all models with their aliases, lineage and sign-off, oldest first."""
    settings = config.load(config_path)
    with _store(settings) as store:
        document = models_document(shelf_of(settings.state.dir, store))
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    for entry in document["models"]:
        print("\n".join(_lines(entry)))
    if not document["models"]:
        print("no model yet; submit a job first")
    return 0


def _lines(entry: dict[str, Any]) -> list[str]:
    aliases = "".join(f" [{role}]" for role in entry["aliases"])
    metrics, lineage = entry["metrics"] or {}, entry["lineage"] or {}
    auc, parent = metrics.get("auc"), lineage.get("parent")
    lines = [f"{entry['sha256']}  {entry['recipe']}  {entry['job']}  {entry['state']}{aliases}"]
    lines.append(
        f"  AUC {'-' if auc is None else format(auc, '.4f')}, {len(lineage.get('members', []))} banks, "
        f"{lineage.get('rounds', '-')} rounds, epsilon {lineage.get('epsilon') or 'none'}, "
        f"parent {parent[:16] if parent else 'none'}"
    )
    for proposal in entry["proposals"]:
        back = ", back to an earlier one" if proposal["rollback"] else ""
        lines.append(
            f"  proposal {proposal['number']} as {proposal['role']}: {proposal['state']}{back}; "
            f"{len(proposal['approved'])} of {proposal['quorum']} approvals needed"
        )
        lines += [
            f"    approved  {voice['member']}  {voice['signed']}  {voice['who']}" for voice in proposal["approved"]
        ]
        lines += [f"    rejected  {voice['member']}  {voice['signed']}  {voice['who']}  {voice['reason']}"
                  for voice in proposal["rejected"]]  # fmt: skip
        if proposal["state"] == "open" and proposal["waiting"]:
            lines.append(f"    waiting   {', '.join(proposal['waiting'])}")
    return lines


def _evidence(shelf: Shelf, model: ModelRecord, job: Job) -> dict[str, str]:
    """Return the digests of what speaks for a model: its figures, and those of the jobs that validated it."""
    evidence = {"figures": figures_digest(outcome_of(shelf.state, job.id).get("metrics"))}
    for name, report in validations_of(shelf, model.sha256):
        evidence[f"validation/{name}"] = figures_digest(report)
    return evidence


@contextmanager
def _store(settings: config.CoordinatorConfig) -> Iterator[Store]:
    store = Store(settings.storage.url)
    try:
        yield store
    finally:
        store.close()
