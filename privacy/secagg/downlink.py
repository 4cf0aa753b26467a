"""What the coordinator gives to members: a packet for one of them, and the sums that a job has opened so far.

It signs nothing and checks nothing. Theory: an opened sum is kept with everything a member needs to believe it, so that
whoever was away can be shown it later.
"""

from dataclasses import dataclass

from privacy import messages as say

__all__ = ["Downlink", "OpenedRound"]


@dataclass(frozen=True, slots=True)
class Downlink:
    """One packet for one member; broadcasts share the same bytes."""

    to: str
    message: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class OpenedRound:
    """An opened sum with all that a member needs to check it: the epoch's agreements, headers, sum signatures."""

    opened: say.Opened
    root: bytes
    agreements: tuple[bytes, ...]
    headers: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    vector: bytes

    @property
    def evidence(self) -> tuple[bytes, ...]:
        """Return what travels beside the sum: the survivors' headers, then the sum signatures."""
        return self.headers + self.signatures
