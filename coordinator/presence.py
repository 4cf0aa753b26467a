"""Who is here: which process of each member is connected, and since when a member counts as lost.

It reads no clock and owns no socket: the hub reports, the caller passes the time. Theory: a member is lost when it was
silent for `lost_after_s`, or when a new process of it greeted us, since keys of an epoch live in one process only. A
fresh session of the same process counts as a new process, since what was queued for the old one is gone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Presence", "process_of"]

_SESSION_BYTES = 8


def process_of(session: bytes) -> bytes:
    """Return the boot id of the process behind a session's name."""
    return session[:-_SESSION_BYTES]


@dataclass(slots=True)
class Presence:
    """Follow joins and leaves.

    last_heard: returns the event loop's time of a member's last frame, or None. lost_after_s: seconds of silence.
    boots: an opaque name of each member's newest session.
    """

    last_heard: Callable[[str], float | None]
    lost_after_s: float
    boots: dict[str, bytes] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    sessions: int = 0

    def join(self, member: str, boot: bytes, fresh: bool) -> None:
        """Note that a stream of the member's process `boot` stands; fresh: it does not continue an earlier one."""
        if fresh or member not in self.boots:
            self.sessions += 1
            self.boots[member] = boot + self.sessions.to_bytes(_SESSION_BYTES, "big")
        self.connected.add(member)

    def leave(self, member: str) -> None:
        """Note that the member's stream is gone."""
        self.connected.discard(member)

    def is_here(self, member: str, now: float) -> bool:
        """Say whether the member is connected and was heard within `lost_after_s`."""
        heard = self.last_heard(member)
        return member in self.connected and heard is not None and now - heard < self.lost_after_s

    def is_lost(self, member: str, boot: bytes | None, now: float) -> bool:
        """Say whether the member's process `boot` cannot answer any more."""
        return boot is None or self.boots.get(member) != boot or self.is_silent(member, now)

    def is_silent(self, member: str, now: float) -> bool:
        """Say whether nothing was heard from any process of the member for `lost_after_s`."""
        heard = self.last_heard(member)
        return heard is None or now - heard >= self.lost_after_s
