"""Who is here: which process of each member is connected, and since when a member counts as lost.

It reads no clock and owns no socket: the hub reports, the caller passes the time. Theory: a member is lost when it was
silent for `lost_after_s`, or when a new process of it greeted us, since keys of an epoch live in one process only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Presence"]


@dataclass(slots=True)
class Presence:
    """Follow joins and leaves.

    last_heard: returns the event loop's time of a member's last frame, or None. lost_after_s: seconds of silence.
    """

    last_heard: Callable[[str], float | None]
    lost_after_s: float
    boots: dict[str, bytes] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)

    def join(self, member: str, boot: bytes) -> None:
        """Note that a stream of the member's process `boot` stands."""
        self.boots[member] = boot
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
        if boot is None or self.boots.get(member) != boot:
            return True
        heard = self.last_heard(member)
        return heard is None or now - heard >= self.lost_after_s
