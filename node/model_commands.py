"""What a bank's commands about models do and print: list them, and sign one off; each returns an exit code.

This module signs nothing itself: it leaves a request in the state folder, and the node, whenever it runs, checks it,
signs with the bank's identity and sends the ballot through its gate. So it works beside a running node and without one.
"""

import json
import time
from pathlib import Path
from typing import Any

from node import config
from node.access import leave_note
from node.config import NodeConfig
from node.model_view import find_model, models_document
from node.signoff_store import Request, SignoffStore
from privacy.errors import InputError, VerificationError
from privacy.log.signoff import REASONS, Ballot

__all__ = ["models", "request_signature", "sign"]


def models(config_path: Path, as_json: bool) -> int:
    """Print the network's models as this bank knows them, oldest first."""
    settings = config.load(config_path)
    document = models_document(settings.state.dir)
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    for entry in document["models"]:
        print("\n".join(_lines(entry)))
    if not document["models"]:
        print("no model yet: this bank has gone through no job and was asked to sign none")
    return 0


def sign(config_path: Path, name: str, role: str, decision: tuple[str, str, str]) -> int:
    """Leave a person's decision on a proposal for the node; decision: `approve` or `reject`, the reason, who."""
    settings = config.load(config_path)
    entry, proposal = request_signature(settings, name, role, decision, time.time_ns() // 1000)
    leave_note(settings.state.dir, "sign", f"{entry['sha256']}/{role}")
    print(
        f"{decision[0]} proposal {proposal['number']}: {entry['sha256']} as {role}\n"
        "the node signs with this bank's identity and sends it when it is connected; see `creditmesh-node models`"
    )
    return 0


def request_signature(
    settings: NodeConfig, name: str, role: str, decision: tuple[str, str, str], now_us: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave a request to sign; return the model's entry and the proposal's, as in `node.model_view`.

    now_us: UTC microseconds. Raises `InputError` unless one proposal of that model and role waits for this bank's vote.
    """
    verdict, reason, who = decision
    if verdict == "reject" and reason not in REASONS:
        raise InputError("reject-reason", f"--reject needs --reason, one of {', '.join(REASONS)}; found {reason!r}")
    if verdict == "approve" and reason:
        raise InputError("approve-reason", "--reason goes with --reject only")
    member = settings.member.id
    try:
        Ballot(member, verdict, reason, who, now_us)
    except VerificationError:
        raise InputError("who-format", f"--who {who[:64]!r}: expected 1 to 64 printable characters") from None
    entry = find_model(models_document(settings.state.dir), name)
    asked = [each for each in entry["proposals"] if each["role"] == role]
    waiting = [each for each in asked if each["state"] == "open"]
    if not waiting:
        found = (
            f"proposal {asked[-1]['number']} is {asked[-1]['state']}" if asked else "nobody proposed it to this bank"
        )
        raise InputError(
            "proposal-absent", f"model {entry['sha256'][:16]} as {role}: {found}; there is nothing to sign"
        )
    proposal = waiting[-1]
    store = SignoffStore(settings.state.dir)
    voters = {each.sha256(): each.members for each in store.proposals()}[proposal["sha256"]]
    if member not in voters:
        raise InputError("ballot-stranger", f"{member} was not in {entry['job']}, so it has no vote on its model")
    store.leave_request(Request(proposal["sha256"], verdict, reason, who, now_us))
    return entry, proposal


def _lines(entry: dict[str, Any]) -> list[str]:
    aliases = "".join(f" [{role}]" for role in entry["aliases"])
    metrics, own = entry["metrics"] or {}, entry["own"] or {}
    gone = "" if entry["here"] else "  (its file is not here)"
    lines = [f"{entry['sha256']}  {entry['recipe']}  {entry['job']}{aliases}{gone}"]
    lineage = entry["lineage"]
    if lineage:
        parent = lineage["parent"]
        lines.append(
            f"  AUC network {_figure(metrics.get('auc'))}; here: network {_figure(own.get('auc_network'))}, "
            f"own {_figure(own.get('auc_own'))}, mixed {_figure(own.get('auc_mixed'))}"
        )
        lines.append(
            f"  {len(lineage['members'])} banks, {lineage['rounds']} rounds, epsilon {lineage['epsilon'] or 'none'}, "
            f"parent {parent[:16] if parent else 'none'}"
        )
    else:
        lines.append("  of a job that this bank was not in")
    for proposal in entry["proposals"]:
        back = ", back to an earlier one" if proposal["rollback"] else ""
        mine = f"; this bank: {proposal['decision']} by {proposal['who']}" if proposal["decision"] else ""
        lines.append(
            f"  proposal {proposal['number']} as {proposal['role']}: {proposal['state']}{back}, "
            f"{proposal['quorum']} of {proposal['members']} must approve{mine}"
        )
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
