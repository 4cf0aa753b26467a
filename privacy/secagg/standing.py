"""What a member stands on: its state, the rules its shell gave it, and the position it works at.

It holds values and decides nothing. Theory: everything a member may forget when a position passes lives in one
object, so that forgetting is dropping it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from privacy.errors import PeerError
from privacy.field import Plan
from privacy.keys import IdentityKey
from privacy.secagg.checking import SumCheck
from privacy.secagg.epoch import PositionKeys

__all__ = ["MemberRules", "Position", "State"]


class State(Enum):
    """Where a member stands; `privacy.secagg.member` draws the transitions."""

    IDLE = "idle"
    AGREEING = "agreeing"
    AGREED = "agreed"
    WAITING = "waiting"
    OPENED = "opened"
    DERIVED = "derived"
    UPLOADED = "uploaded"
    VOTED = "voted"
    REVEALED = "revealed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, repr=False)
class MemberRules:
    """What the shell gives a member: who it is, whom it trusts, and what its permit allows.

    identity: own signing key. coordinator: the coordinator's pinned 32-byte identity. commit_key: 32 secret bytes
    that salts of commitments derive from. may_exclude: called with those who would be left behind; it raises
    `RefusalError` unless the permit allows to go on without them. random_bytes: a cryptographic source.
    """

    own: str
    identity: IdentityKey
    coordinator: bytes
    commit_key: bytes
    may_exclude: Callable[[frozenset[str]], None]
    random_bytes: Callable[[int], bytes]

    def __repr__(self) -> str:
        return f"MemberRules(own={self.own!r}, ...)"


@dataclass(slots=True, repr=False)
class Position:
    """What a member holds of one position; forgotten when the next one opens."""

    number: int
    round: int
    bound: bytes = b""
    plan: Plan | None = None
    keys: PositionKeys | None = None
    own_share: bytes = b""
    own_header: bytes = b""
    shares: dict[str, bytes] = field(default_factory=dict)
    survivors: tuple[str, ...] = ()
    cohort: bytes = b""
    headers_sha256: bytes = b""
    check: SumCheck | None = None

    @property
    def checking(self) -> SumCheck:
        """Return the verification under way; one that is over raises `PeerError`."""
        if self.check is None:
            raise PeerError("check-again", "this member has verified the sum already")
        return self.check
