"""What the coordinator gives to members: a packet for one of them, and the sums that a job has opened so far.

It signs nothing and checks nothing. Theory: an opened sum is kept with everything a member needs to believe it, so that
whoever was away can be shown it later.
"""

from dataclasses import dataclass

from privacy import messages as say
from privacy.envelope import Envelope

__all__ = ["Downlink", "OpenedRound", "part_of"]


@dataclass(frozen=True, slots=True)
class Downlink:
    """One packet for one member; broadcasts share the same bytes. sent: the signed message in it."""

    to: str
    message: bytes
    sent: Envelope

    @property
    def kind(self) -> str:
        """Return the kind of the message."""
        return self.sent.kind


def part_of(envelope: Envelope) -> str:
    """Return whose masked part a message shows, empty for one that shows none.

    The parts of one sum go out under one message id; with this beside it, the pair is unique.
    """
    return envelope.message.owner if isinstance(envelope.message, say.CheckPart) else ""


@dataclass(frozen=True, slots=True)
class OpenedRound:
    """An opened sum with all that a member needs to check it: the epoch's agreements, headers, sum signatures."""

    opened: say.Opened
    root: bytes
    agreements: tuple[bytes, ...]
    headers: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    vector: bytes | memoryview

    @property
    def evidence(self) -> tuple[bytes, ...]:
        """Return what travels beside the sum: the survivors' headers, then the sum signatures."""
        return self.headers + self.signatures
