"""`creditmesh-audit sign-off FOLDER|promoted.json --members FILE`: whether the banks really signed a model off.

Reads what an evidence pack or a node's state folder holds and asks nobody. FOLDER: one proposal's, with `proposal.json`
and ballots `<member>.dsse.json`, or one above several such. Theory: a ballot names one proposal by its digest and is
signed by its bank's identity, so with the identities from a bank's members.json the count can be repeated anywhere.

Exit codes: 0 each proposal carries, 1 a ballot does not hold, 3 one has no quorum.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.commands import Commands, add_command
from audit.members import load_members
from audit.opened import read_small
from audit.screen import INCOMPLETE, VALID, say, say_json, worst_of
from privacy.errors import InputError, VerificationError
from privacy.log.signoff import (
    BALLOT_LIMIT_BYTES,
    PROPOSAL_LIMIT_BYTES,
    Proposal,
    count_ballots,
    decode_proposal,
)

__all__ = ["add_signoff"]

_PROPOSAL = "proposal.json"
_BALLOTS = "*.dsse.json"
_LIMIT_BYTES = 16 * 1024 * 1024


def add_signoff(commands: Commands) -> None:
    """Add the command to the command line."""
    signoff = add_command(commands, "sign-off", "count the ballots that signed a model off", _run)
    signoff.add_argument("path", type=Path, metavar="FOLDER|FILE", help="sign-off of a pack, or promoted.json")
    signoff.add_argument("--members", type=Path, required=True, metavar="FILE", help="members.json, from a bank")


@dataclass(frozen=True, slots=True)
class _Set:
    """One proposal with its ballots."""

    proposal: Proposal
    ballots: Sequence[bytes]


def _run(options: argparse.Namespace) -> int:
    members = load_members(options.members)
    sets = _from_file(options.path) if options.path.is_file() else _from_folder(options.path)
    if not sets:
        raise InputError(
            "usage", f"{options.path}: holds no {_PROPOSAL} with ballots beside it, and is no promoted.json"
        )
    coordinator = members.identities.get("coordinator")
    codes, documents = [], []
    for each in sets:
        proposal = each.proposal
        if coordinator is not None and proposal.coordinator != coordinator.hex():
            raise VerificationError("proposal-elsewhere", f"proposal {proposal.number} is of another coordinator")
        tally = count_ballots(proposal, each.ballots, members.identities)
        code = VALID if tally.carries else INCOMPLETE
        codes.append(code)
        documents.append({
            "number": proposal.number, "consortium": proposal.consortium, "role": proposal.role,
            "model": proposal.model, "job": proposal.job, "rollback": proposal.rollback,
            "replaces": proposal.replaces or None, "evidence": dict(proposal.evidence), "quorum": tally.quorum,
            "members": tally.members, "approved": list(tally.approved), "rejected": list(tally.rejected),
            "exit_code": code,
        })  # fmt: skip
        if not options.json:
            _tell(proposal, tally.approved, tally.rejected, code)
    if options.json:
        say_json({"proposals": documents, "exit_code": worst_of(codes)})
    return worst_of(codes)


def _tell(proposal: Proposal, approved: Sequence[str], rejected: Sequence[str], code: int) -> None:
    verdict = "carries" if code == VALID else "has no quorum"
    back = ", back to an earlier one" if proposal.rollback else ""
    say(
        f"proposal {proposal.number} of {proposal.consortium}: {proposal.model} as {proposal.role}{back}",
        f"  {verdict}: {len(approved)} of {len(proposal.members)} approved, {proposal.quorum} are needed",
        f"  approved: {', '.join(approved) or 'nobody'}",
        f"  rejected: {', '.join(rejected) or 'nobody'}",
    )


def _from_folder(folder: Path) -> list[_Set]:
    found = []
    for path in sorted(folder.rglob(_PROPOSAL)):
        proposal = decode_proposal(read_small(path, PROPOSAL_LIMIT_BYTES))
        ballots = [read_small(each, BALLOT_LIMIT_BYTES) for each in sorted(path.parent.glob(_BALLOTS))]
        found.append(_Set(proposal, ballots))
    return sorted(found, key=lambda each: each.proposal.number)


def _from_file(path: Path) -> list[_Set]:
    """Return the promotions in a node's promoted.json."""
    try:
        statements = json.loads(read_small(path, _LIMIT_BYTES))["statements"].values()
        texts = [(str(each["proposal"]), [str(ballot) for ballot in each["ballots"]]) for each in statements]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise VerificationError("promoted-malformed", f"{path}: is no promoted.json of a node") from None
    found = [_Set(decode_proposal(text.encode()), [ballot.encode() for ballot in ballots]) for text, ballots in texts]
    return sorted(found, key=lambda each: each.proposal.number)
