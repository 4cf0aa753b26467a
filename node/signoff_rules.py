"""What a bank demands of a proposal before a person may sign it, and of a promotion before the bank takes it.

It reads the bank's own records and changes nothing. Theory: the coordinator is trusted in nothing. A proposal must be
of this consortium and this coordinator, its number must not stand for another one, and where this bank was in the job,
manifest, members, model and figures must be those that the bank itself holds. A promotion is counted again with the
identities that the bank has pinned, under the bank's own rule; whoever was not in the job has no manifest to tell the
members by, so it also asks for a majority of everybody it has pinned: three banks and a lying coordinator are not ten.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.archive import Archive
from node.signoff_store import Promotion, SignoffStore
from privacy.errors import InputError, PeerError, RefusalError, VerificationError
from privacy.log.signoff import Proposal, Tally, count_ballots, least_quorum

__all__ = ["Signer", "check_promotion", "check_proposal", "took_part"]

MOST_PROPOSALS = 1024
_JOB = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Signer:
    """Who we are and whom we trust.

    member: our id. consortium: as our certificate names it. coordinator, members: 32-byte pinned identities, ours
    among them. rule: how many must approve, as the bank's permit says.
    """

    member: str
    consortium: str
    coordinator: bytes
    members: Mapping[str, bytes]
    rule: str


def check_proposal(proposal: Proposal, signer: Signer, state: Path) -> None:
    """Raise unless this bank may be asked to sign this proposal.

    `VerificationError` for what contradicts the bank's own records, `RefusalError` for what its permit forbids.
    """
    if proposal.consortium != signer.consortium or proposal.coordinator != signer.coordinator.hex():
        raise VerificationError(
            "proposal-elsewhere", f"proposal {proposal.number} is of another consortium or coordinator"
        )
    store = SignoffStore(state)
    known = [*store.proposals(), *(promotion.proposal for promotion in store.promotions())]
    if any(other.number == proposal.number and other != proposal for other in known):
        raise VerificationError("proposal-forked", f"proposal {proposal.number} was shown with another content before")
    if len(known) >= MOST_PROPOSALS and proposal not in known:
        raise RefusalError("proposals-too-many", f"this bank keeps {len(known)} proposals already and takes no more")
    least = least_quorum(signer.rule, len(proposal.members))
    if proposal.quorum < least:
        raise RefusalError(
            "quorum-too-small",
            f"proposal {proposal.number} asks {proposal.quorum} of {len(proposal.members)} members, this bank's permit "
            f"({signer.rule}) at least {least}",
        )
    if took_part(state, proposal.job):
        _check_records(proposal, state)


def check_promotion(proposal: Proposal, ballots: Sequence[bytes], signer: Signer, state: Path) -> Tally:
    """Return the count of a promotion's ballots; raise unless the quorum stands and it is newer than what is in force.

    `VerificationError` for anything that a bank did not sign, `promotion-stale` for an older one.
    """
    check_proposal(proposal, signer, state)
    tally = count_ballots(proposal, ballots, signer.members)
    if not tally.carries:
        raise VerificationError(
            "quorum-missing", f"proposal {proposal.number} has {len(tally.approved)} approvals of {tally.quorum}"
        )
    if not took_part(state, proposal.job) and len(tally.approved) < least_quorum("majority", len(signer.members)):
        raise VerificationError(
            "quorum-unknown-job",
            f"{len(tally.approved)} of the {len(signer.members)} members that this bank has pinned approved a model of "
            "a job that it was not in; it asks for a majority of them",
        )
    in_force = SignoffStore(state).in_force()[proposal.role]
    newest = max((each.proposal.number for each in _of_role(state, proposal.role)), default=0)
    if proposal.number < newest:
        now = in_force.proposal.model[:16] if in_force else "none"
        raise VerificationError(
            "promotion-stale",
            f"proposal {proposal.number} is older than number {newest}, after which {now} is {proposal.role}",
        )
    return tally


def took_part(state: Path, job: str) -> bool:
    """Say whether this bank went through a job to its end, so that it holds the model and the figures itself."""
    try:
        return bool(json.loads((state / "jobs" / job / "result.json").read_bytes())["state"] == "done")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _of_role(state: Path, role: str) -> list[Promotion]:
    return [promotion for promotion in SignoffStore(state).promotions() if promotion.proposal.role == role]


def _check_records(proposal: Proposal, state: Path) -> None:
    folder = state / "jobs" / proposal.job
    try:
        manifest = Archive(state, "").read(proposal.job).manifest
        result = json.loads((folder / "result.json").read_bytes())
        figures = hashlib.sha256((folder / "figures.json").read_bytes()).hexdigest()
        model = str(result["models"]["network"])
    except (InputError, PeerError, OSError, ValueError, KeyError, TypeError):
        raise RefusalError(
            "record-missing", f"this bank's record of {proposal.job} is not whole, so it cannot check the proposal"
        ) from None
    stated = (proposal.manifest_sha256, proposal.members, proposal.recipe)
    if stated != (manifest.sha256().hex(), manifest.roster.members, manifest.recipe):
        raise VerificationError(
            "manifest-differs", f"proposal {proposal.number} names another manifest or members than {proposal.job} had"
        )
    if proposal.model != model:
        raise VerificationError(
            "model-differs", f"proposal {proposal.number} names another model than {proposal.job} made"
        )
    if proposal.evidence.get("figures") != figures:
        raise VerificationError(
            "figures-differ",
            f"proposal {proposal.number} claims other figures than this bank derived in {proposal.job}",
        )
    for name, digest in proposal.evidence.items():
        kind, _, job = name.partition("/")
        if kind == "validation":
            _check_validation(proposal, job, digest, state)


def _check_validation(proposal: Proposal, job: str, digest: str, state: Path) -> None:
    """Compare a validation's figures with those that this bank derived, if it was in that job too."""
    if not _JOB.fullmatch(job):
        raise VerificationError("proposal-malformed", f"proposal {proposal.number} names a validation that is no job")
    path = state / "jobs" / job / "figures.json"
    if took_part(state, job) and path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise VerificationError(
            "figures-differ", f"proposal {proposal.number} claims other figures than this bank derived in {job}"
        )
