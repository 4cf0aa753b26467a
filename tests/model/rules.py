"""The rules that the model check takes away one at a time, and the worlds it looks at.

Numbers come from `privacy.roster`, so a change of a formula there is a change here. Theory: a rule is worth having if
a protocol without it is found broken; a world is a job's kind and a bound on how long the coordinator may play.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from privacy.roster import MIN_MEMBERS, Roster

__all__ = ["ALL_RULES", "Rule", "World"]


class Rule(Enum):
    """One rule of a member each; the value says it in a line."""

    VOTE_ONCE = "a member votes once a position"
    VOTE_PERSISTED = "a vote survives a restart"
    KEYS_IN_MEMORY = "keys live in memory only: a restarted member answers nothing of an old epoch"
    SHARE_XOR_SEED = "of each other member a share of the self seed or the pair seed, never both"
    CERTIFICATE = "pair seeds and shares of a smaller cohort only against a certificate"
    THRESHOLD = "t votes make a certificate and t shares a self seed (without it: t - 1)"
    DISTINCT_VOTERS = "a certificate counts each voter once"
    VOTES_OF_POSITION = "a certificate counts votes of its own position only"
    OWN_VOTE = "a certificate is answered for the cohort that this member voted for only"
    CONSENT_SHARES = "a vote carries shares only if the cohort is the whole roster"
    SMALLEST_COHORT = "a cohort has at least u_min members"
    OWN_IN_COHORT = "a member votes only for a cohort that it is in"
    VOTERS_IN_COHORT = "a certificate counts votes of the cohort's own members only"
    POSITION_RISES = "a position is opened once, the next one is higher"
    ONE_UPLOAD = "one upload a binding"
    COHORT_FIXED = "in an exact job the first vote fixes the cohort"
    EPOCH_ROSTER = "a new epoch runs over the standing cohort, or over fewer if the permit allows it"
    EXCLUSION_ONCE = "the permit allows one exclusion"
    EXCLUSION_PERSISTED = "an exclusion that was spent stays spent after a restart"
    CATCH_UP_VOTE = "a sum shown after a restart runs over the cohort that this member voted for"
    VERIFIED_SUMS = "a sum is taken with the signatures of c + 1 members only (without it: with none)"
    SIGNERS_OF_JOB = "c of that rule is the job's, not that of an epoch which lost members"
    QUORUM_KEPT = "an epoch has at least the job's u_min members, however many are excluded"
    SMALLEST_VOTE = "after a restart the smallest cohort ever voted for stands, not that of the highest round"


ALL_RULES = frozenset(Rule)


@dataclass(frozen=True)
class World:
    """A job and a bound.

    members, of whom `colluders` do what the coordinator says. exact: the cohort rule holds. exclusion: every permit
    allows one. epochs, positions in each: the bound. crash: members may also restart in the middle of an epoch.
    fewest: the fewest honest members in a cohort that the coordinator tries; 0 means any. views: by position, how many
    different cohorts the coordinator may show there; none given means any number.
    """

    name: str
    members: int
    colluders: int
    exact: bool
    exclusion: bool
    epochs: int
    positions: int
    crash: bool = False
    fewest: int = 0
    views: tuple[int, ...] = ()

    @cached_property
    def honest(self) -> int:
        """Return how many members are honest; they are numbered from 0, the colluders follow them."""
        return self.members - self.colluders

    @cached_property
    def everyone(self) -> int:
        """Return the cohort of all honest members; colluders are in every cohort (docs/adr/0020 says why)."""
        return (1 << self.honest) - 1

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """Return every cohort that the coordinator may try to name."""
        return tuple(mask for mask in range(1, self.everyone + 1) if mask.bit_count() >= self.fewest)

    @cached_property
    def rosters(self) -> dict[int, Roster]:
        """Return by cohort the roster that an epoch over it has."""
        names = [f"m{place:03d}" for place in range(self.members)]
        sizes = {size: Roster(tuple(names[:size])) for size in range(MIN_MEMBERS, self.members + 1)}
        return {mask: sizes[self.size(mask)] for mask in range(1, self.everyone + 1) if self.size(mask) >= MIN_MEMBERS}

    @cached_property
    def roster(self) -> Roster:
        """Return the job's roster."""
        return self.rosters[self.everyone]

    def size(self, mask: int) -> int:
        """Return the members of a cohort, colluders counted."""
        return mask.bit_count() + self.colluders
