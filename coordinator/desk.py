"""What a job session writes down and works with: a round's note, the job's footing, and what the service lends it.

It does nothing. Theory: what must be durable before a member is told anything goes through here, so a session decides
when, and whoever runs it decides where.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from privacy.secagg.downlink import Downlink, OpenedRound
from privacy.secagg.spool import MemorySpool, Spool

__all__ = ["Desk", "Footing", "RoundNote"]


@dataclass(frozen=True, slots=True)
class RoundNote:
    """What is written down about a round.

    name: the request's name. state: `closed` (the cohort is fixed, nothing has opened) or `opened`. upload_bytes: what
    all members sent in this round. elapsed_ms: wall time since the round was opened.
    """

    number: int
    epoch: int
    position: int
    name: str
    state: str
    survivors: tuple[str, ...]
    upload_bytes: int
    elapsed_ms: float
    past: OpenedRound | None = None


@dataclass(frozen=True, slots=True)
class Footing:
    """What a later process goes on from, beside the opened sums.

    epoch: the last one called together. standing: the members that the next one runs over. fixed: whether a cohort was
    closed, so that it only shrinks by an exclusion. gone: who was excluded. boots: the processes of members that sit in
    the job. upload_bytes, dropouts: the job's figures so far.
    """

    epoch: int
    standing: tuple[str, ...]
    fixed: bool = False
    gone: frozenset[str] = frozenset()
    boots: Mapping[str, bytes] = field(default_factory=dict)
    upload_bytes: Mapping[str, int] = field(default_factory=dict)
    dropouts: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """What the service lends a session.

    send: queues bytes for a member. note_round, note_event: write to the store, durable on return. now: the loop's
    monotonic clock in seconds. backlog: bytes that are queued for a member and that it has not acknowledged.
    new_spool: makes the place where a sum's masked parts wait. sent: writes down what was just sent. keep: makes
    durable where the job stands, before the epoch that it names is called. timed: learns how long a phase took, in
    seconds.
    """

    send: Callable[[str, bytes], None]
    note_round: Callable[[RoundNote], Any]
    note_event: Callable[[str, Mapping[str, Any]], Any]
    now: Callable[[], float]
    backlog: Callable[[str], int] = lambda _member: 0
    new_spool: Callable[[], Spool] = MemorySpool
    sent: Callable[[Sequence[Downlink]], None] = lambda _downlinks: None
    keep: Callable[[Footing], Any] = lambda _footing: None
    timed: Callable[[str, float], None] = lambda _phase, _seconds: None
