"""What this bank knows of the network's models: lineage, figures, its own result with each, and the sign-off.

It changes nothing and sends nothing. Theory: everything comes from the bank's own folder, so it is there when the
coordinator is not, and says what this bank has seen rather than what it was told.

    {"champion": SHA256 | null, "challenger": SHA256 | null, "models": [{"sha256", "job", "recipe", "here": whether the
     file is, "aliases": [ROLE], "was": [ROLE], "lineage": {...} | null, "metrics": {...}, "own": {...} | null,
     "models": {"network", "own", "head"} | null, "proposals": [{"number", "role", "state": "open" | "asked" |
     "signed" | "promoted" | CODE, "rollback", "replaces", "quorum", "members", "proposed": TIME, "sha256",
     "decision", "reason", "who", "approved": [MEMBER]}]}]}
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node.archive import Archive
from node.model_store import path_of
from node.signoff_store import Promotion, Request, SignoffStore
from privacy.errors import InputError
from privacy.log.signoff import ROLES, Proposal
from privacy.log.statement import open_envelope
from risk.lineage import Ancestry, lineage_document

__all__ = ["find_model", "models_document", "moment"]

_SHORTEST = 8
_PRIVATE = (
    "rows_train",
    "rows_test",
    "auc_own",
    "auc_network",
    "auc_mixed",
    "ks_own",
    "ks_network",
    "ks_mixed",
    "chosen",
)


def models_document(state: Path) -> dict[str, Any]:
    """Return the document that the module's docstring describes; state: the node's state folder."""
    store = SignoffStore(state)
    in_force = store.in_force()
    promotions = store.promotions()
    asked = {request.proposal: request for _, request in store.requests()}
    entries = {str(entry["sha256"]): entry for entry in _trained(state, promotions)}
    proposals = {proposal.sha256(): proposal for proposal in store.proposals()}
    proposals |= {each.proposal.sha256(): each.proposal for each in promotions}
    for proposal in proposals.values():
        entries.setdefault(proposal.model, _foreign(state, proposal))
    for sha256, entry in entries.items():
        mine = sorted((each for each in proposals.values() if each.model == sha256), key=lambda each: each.number)
        entry["aliases"] = [role for role in ROLES if (now := in_force[role]) and now.proposal.model == sha256]
        entry["was"] = [role for role in ROLES if any(
            each.proposal.model == sha256 and each.proposal.role == role for each in promotions)]  # fmt: skip
        entry["proposals"] = [_proposal(store, each, promotions, asked) for each in mine]
    names = {role: now.proposal.model if now else None for role, now in in_force.items()}
    return {**names, "models": list(entries.values())}


def find_model(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of a digest, of its first 8 or more digits, or of an alias; raises `InputError` otherwise."""
    wanted = (document[name] or "") if name in ROLES else name
    found = (
        [entry for entry in document["models"] if entry["sha256"].startswith(wanted)]
        if len(wanted) >= _SHORTEST
        else []
    )
    if len(found) != 1:
        several = "several models begin" if found else "no model begins"
        text = f"no model is {name} yet" if name in ROLES and not found else f"{several} with {name!r}"
        raise InputError("model-unknown", f"{text}; give {_SHORTEST} or more digits of one in `creditmesh-node models`")
    entry: dict[str, Any] = found[0]
    return entry


def moment(microseconds: int) -> str:
    """Return a time in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _trained(state: Path, promotions: list[Promotion]) -> list[dict[str, Any]]:
    """Return the network's models of the jobs that this bank went through, oldest first."""
    found = []
    paths = sorted((state / "jobs").glob("*/result.json"), key=lambda path: (path.stat().st_mtime_ns, path.parent.name))
    for path in paths:
        result = _object(path)
        digests = result.get("models")
        if result.get("state") != "done" or not isinstance(digests, dict):
            continue
        metrics = _object(path.with_name("figures.json")) if path.with_name("figures.json").exists() else {}
        sha256 = str(digests["network"])
        entry = _entry(state, sha256, path.parent.name, str(result["recipe"]))
        own = {name: result.get(name) for name in _PRIVATE}
        found.append({**entry, "metrics": metrics, "own": own, "models": digests,
                      "lineage": _lineage(state, path.parent.name, sha256, metrics, promotions)})  # fmt: skip
    return found


def _foreign(state: Path, proposal: Proposal) -> dict[str, Any]:
    """Return the entry of a model of a job that this bank was not in."""
    entry = _entry(state, proposal.model, proposal.job, proposal.recipe)
    return {**entry, "metrics": None, "own": None, "models": None, "lineage": None}


def _entry(state: Path, sha256: str, job: str, recipe: str) -> dict[str, Any]:
    return {"sha256": sha256, "job": job, "recipe": recipe, "here": path_of(state, sha256).exists()}


def _lineage(
    state: Path, job: str, sha256: str, metrics: Mapping[str, Any], promotions: list[Promotion]
) -> dict[str, Any] | None:
    try:
        kept = Archive(state, "").read(job)
    except InputError:
        return None
    mine = [each.proposal for each in promotions if each.proposal.model == sha256 and each.proposal.role == "champion"]
    ancestry = Ancestry(
        model=sha256,
        parent=mine[0].replaces if mine else "",
        manifest_sha256=kept.manifest.sha256().hex(),
        rounds=sum(1 for _ in kept.sums()),
        metrics=metrics,
    )
    return lineage_document(json.loads(kept.manifest.encode()), ancestry)


def _proposal(
    store: SignoffStore, proposal: Proposal, promotions: list[Promotion], asked: Mapping[str, Request]
) -> dict[str, Any]:
    name = proposal.sha256()
    promoted = [each for each in promotions if each.proposal == proposal]
    raw = store.ballot(name)
    ballot = dict(open_envelope(raw)[0].predicate) if raw else {}
    wish = asked.get(name)
    state = "promoted" if promoted else store.closed(name) or ("signed" if raw else "asked" if wish else "open")
    return {
        "number": proposal.number,
        "role": proposal.role,
        "state": state,
        "rollback": proposal.rollback,
        "replaces": proposal.replaces or None,
        "quorum": proposal.quorum,
        "members": len(proposal.members),
        "proposed": moment(proposal.proposed_us),
        "sha256": name,
        "decision": ballot.get("decision"),
        "reason": ballot.get("reason") or None,
        "who": ballot.get("who"),
        "approved": list(promoted[0].approved) if promoted else [],
    }


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("record-unreadable", f"{path}: cannot be read ({type(error).__name__})") from error
    return document if isinstance(document, dict) else {}
