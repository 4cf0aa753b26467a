"""Who sits at the table, and the three numbers that follow from how many they are.

It checks no signature. Theory: with n members, t = floor(2n/3) + 1 votes certify a cohort, c = n - t members may
collude with the coordinator, and a sum opens over u_min = max(t, c + 3) members at least. Since 2t > n + c, two
different cohorts can never both be certified while honest members vote once.
"""

import re
from dataclasses import dataclass

from privacy.errors import InputError, RefusalError

__all__ = ["MAX_MEMBERS", "MIN_MEMBERS", "Roster", "check_member_id", "fewest_honest"]

MIN_MEMBERS = 4
MAX_MEMBERS = 256
_MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COORDINATOR = "coordinator"  # signs under this name, so no member may bear it


def check_member_id(member: str) -> str:
    """Return the member's id, or raise `InputError` unless it is `[a-z0-9][a-z0-9_-]{0,62}` and not `coordinator`."""
    if member == _COORDINATOR:
        raise InputError("member-id", f"no member may be called {member!r}: the coordinator signs under that name")
    if not _MEMBER_ID.fullmatch(member):
        raise InputError("member-id", f"member id {member!r} does not match [a-z0-9][a-z0-9_-]{{0,62}}")
    return member


def fewest_honest(members: int) -> int:
    """Return how many members of any cohort are honest for certain, u_min - c; members: of the job, 4 to 256."""
    threshold = 2 * members // 3 + 1
    colluders = members - threshold
    return max(threshold, colluders + 3) - colluders


@dataclass(frozen=True, slots=True)
class Roster:
    """The ids of 4 to 256 distinct members, in order of their bytes."""

    members: tuple[str, ...]

    def __post_init__(self) -> None:
        for member in self.members:
            check_member_id(member)
        if list(self.members) != sorted(set(self.members)):
            raise RefusalError("roster-order", "a roster lists distinct members in order of their ids")
        if not MIN_MEMBERS <= len(self.members) <= MAX_MEMBERS:
            raise RefusalError(
                "roster-size",
                f"{len(self.members)} members, expected {MIN_MEMBERS} to {MAX_MEMBERS}: with fewer, a sum would "
                "tell one member's part",
            )

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, member: object) -> bool:
        return member in self.members

    @property
    def threshold(self) -> int:
        """Return t, the votes that certify a cohort and the shares that rebuild a secret."""
        return 2 * len(self.members) // 3 + 1

    @property
    def colluders(self) -> int:
        """Return c, how many members may collude with the coordinator without learning a part."""
        return len(self.members) - self.threshold

    @property
    def smallest_cohort(self) -> int:
        """Return u_min, the fewest members that a sum may open over."""
        return max(self.threshold, self.colluders + 3)

    def index(self, member: str) -> int:
        """Return the member's place, 0 to n - 1."""
        return self.members.index(member)

    def without(self, lost: set[str]) -> "Roster":
        """Return the roster of those who remain; fewer than four raises `RefusalError`."""
        return Roster(tuple(member for member in self.members if member not in lost))
