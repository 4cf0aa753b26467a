"""What a bank's log and the coordinator's say of a sign-off: a ballot that was cast, a promotion that carried.

It counts nothing. Theory: both sides write the same body, so an auditor compares them as they stand; the ballots are
named by their digests, and hold everything else.
"""

import hashlib
from collections.abc import Sequence

from privacy.log.record import Entry
from privacy.log.signoff import Ballot, Proposal, Tally

__all__ = ["PURPOSE", "promoted_entry", "signed_entry"]

PURPOSE = "model-governance"
_LONGEST_LIST = 6 * 1024


def signed_entry(proposal: Proposal, ballot: Ballot, raw: bytes) -> Entry:
    """Return the `model.signed` event of a ballot, whose exact bytes are `raw`."""
    body: dict[str, object] = {
        "sha256": proposal.model,
        "role": proposal.role,
        "member": ballot.member,
        "decision": ballot.decision,
        "who": ballot.who,
        "number": proposal.number,
        "proposal_sha256": proposal.sha256(),
        "ballot_sha256": hashlib.sha256(raw).hexdigest(),
    }
    return Entry("model.signed", body | ({"reason": ballot.reason} if ballot.reason else {}), PURPOSE, proposal.job)


def promoted_entry(proposal: Proposal, tally: Tally, ballots: Sequence[bytes]) -> Entry:
    """Return the `model.promoted` event; ballots: those of `tally.approved`, in that order."""
    names = list(tally.approved)
    body: dict[str, object] = {
        "sha256": proposal.model,
        "role": proposal.role,
        "number": proposal.number,
        "rollback": proposal.rollback,
        "proposal_sha256": proposal.sha256(),
        "quorum": {"k": tally.quorum, "n": tally.members},
        # A list that no event can hold is left out; the ballots themselves name everybody.
        "approvers": names if sum(map(len, names)) + 3 * len(names) <= _LONGEST_LIST else [],
        "ballots_sha256": hashlib.sha256(b"".join(ballots)).hexdigest(),
    }
    parent = {"parent": proposal.replaces} if proposal.replaces else {}
    return Entry("model.promoted", body | parent, PURPOSE, proposal.job)
