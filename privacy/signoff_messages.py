"""Messages about the sign-off of models as values: what each one says, with its sizes checked.

It holds no bytes format (`privacy.wire`) and does not read what it carries (`privacy.log.signoff` does). Theory: the
coordinator proposes, each bank answers with a signed ballot, and everybody gets the ballots that make the quorum, to
count them for itself.
"""

from dataclasses import dataclass

from privacy.digest import DIGEST_BYTES
from privacy.errors import PeerError
from privacy.log.signoff import BALLOT_LIMIT_BYTES, PROPOSAL_LIMIT_BYTES
from privacy.messages import Message
from privacy.roster import MAX_MEMBERS

__all__ = ["InForce", "Promoted", "Propose", "SignOff", "Withdrawn"]

_MAX_CODE = 64


@dataclass(frozen=True, slots=True)
class Propose(Message):
    """Ask a member to sign a model off; held: whether the coordinator has its ballot already."""

    proposal: bytes
    held: bool

    def __post_init__(self) -> None:
        _sizes(self.proposal)


@dataclass(frozen=True, slots=True)
class SignOff(Message):
    """Give this bank's signed ballot on a proposal."""

    ballot: bytes

    def __post_init__(self) -> None:
        _sizes(b"", self.ballot)


@dataclass(frozen=True, slots=True)
class Promoted(Message):
    """Show that a quorum signed a model off: the proposal and the ballots."""

    proposal: bytes
    ballots: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _sizes(self.proposal, *self.ballots)


@dataclass(frozen=True, slots=True)
class InForce(Message):
    """Name the promotions that the coordinator knows to be in force by their numbers, 0 for none."""

    champion: int
    challenger: int


@dataclass(frozen=True, slots=True)
class Withdrawn(Message):
    """Say that a proposal is closed without a promotion, and why (a code of up to 64 characters)."""

    proposal_sha256: bytes
    code: str

    def __post_init__(self) -> None:
        if len(self.proposal_sha256) != DIGEST_BYTES:
            raise PeerError("message-digest", f"a digest or key is not {DIGEST_BYTES} bytes long")
        if len(self.code) > _MAX_CODE or not self.code.isprintable():
            raise PeerError("message-code", f"a code is longer than {_MAX_CODE} characters or not printable")


def _sizes(proposal: bytes, *ballots: bytes) -> None:
    if len(proposal) > PROPOSAL_LIMIT_BYTES or len(ballots) > MAX_MEMBERS:
        raise PeerError(
            "message-size", f"a proposal beyond {PROPOSAL_LIMIT_BYTES} bytes, or over {MAX_MEMBERS} ballots"
        )
    if any(len(ballot) > BALLOT_LIMIT_BYTES for ballot in ballots):
        raise PeerError("message-size", f"a ballot holds more than {BALLOT_LIMIT_BYTES} bytes")
