"""Follow a running job for everybody who watches it.

It draws nothing. Theory: one task per watched job asks the database twice a second and wakes the watchers when
something changed, so that fifty watchers cost as much as one. A snapshot is numbered by the newest event of the job, so
a browser that lost its line says what it saw last and is told only what came later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.store import FINAL_STATES, Job, JobEvent, Store

__all__ = ["STEPS", "LiveFeed", "Snapshot", "look"]

POLL_S = 0.5
# The five steps of a round that people follow, and the protocol's phases in each.
STEPS: Mapping[str, frozenset[str]] = {
    "join": frozenset({"joining", "approving", "idle"}),
    "keys": frozenset({"assembling", "agreeing"}),
    "upload": frozenset({"uploading"}),
    "unmask": frozenset({"voting", "revealing", "settled"}),
    "apply": frozenset({"checking", "verified", "ready"}),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job as it stands: its newest event's number (0 for none), and what the coordinator says of the running phase.

    live: {"round", "name", "phase", "waiting_for", "deadline_us", "since_us"}, None between phases and jobs.
    """

    job: Job
    seq: int
    live: Mapping[str, Any] | None
    rounds: int = 0
    last_round: JobEvent | None = None

    @property
    def over(self) -> bool:
        """Say whether nothing more will happen."""
        return self.job.state in FINAL_STATES

    @property
    def step(self) -> int:
        """Return which of `STEPS` the running phase belongs to, -1 between them."""
        phase = "" if self.live is None else str(self.live.get("phase", ""))
        return next((place for place, phases in enumerate(STEPS.values()) if phase in phases), -1)


@dataclass(slots=True)
class _Watch:
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    snapshot: Snapshot | None = None
    watchers: int = 0
    task: asyncio.Task[None] | None = None


def look(store: Store, job_id: str, before: Snapshot | None = None) -> Snapshot:
    """Return a job's snapshot; `before`, an earlier one, spares reading its events again."""
    job = store.job(job_id)
    events = store.job_events(job_id, 0 if before is None else before.seq)
    opened = [event for event in events if event.kind == "round-opened"]
    seq = events[-1].seq if events else (before.seq if before else 0)
    last = opened[-1] if opened else (before.last_round if before else None)
    return Snapshot(job, seq, _live(store, job), (before.rounds if before else 0) + len(opened), last)


def _live(store: Store, job: Job) -> Mapping[str, Any] | None:
    live = store.live() if job.state not in FINAL_STATES else None
    return live if live is not None and live.get("job") == job.id else None


class LiveFeed:
    """Share snapshots of running jobs; all calls are made on one event loop."""

    def __init__(self, store: Store, pause: Callable[[float], Any] = asyncio.sleep) -> None:
        """pause: sleeps so many seconds."""
        self._store = store
        self._pause = pause
        self._watches: dict[str, _Watch] = {}

    async def follow(self, job_id: str) -> AsyncIterator[Snapshot]:
        """Yield the job's snapshot now and after every change, until the job is over; raises `InputError`."""
        watch = self._watches.setdefault(job_id, _Watch())
        watch.watchers += 1
        try:
            if watch.snapshot is None:
                first = await asyncio.to_thread(look, self._store, job_id)
                # Another watcher may have been faster, and what is there by now newer.
                watch.snapshot = watch.snapshot or first
            if watch.task is None:
                watch.task = asyncio.create_task(self._poll(job_id, watch))
            shown: Snapshot | None = None
            while True:
                changed, current = watch.changed, watch.snapshot
                if current != shown:
                    shown = current
                    yield current
                if current.over:
                    return
                await changed.wait()
        finally:
            watch.watchers -= 1
            if watch.watchers == 0:
                if watch.task is not None:
                    watch.task.cancel()
                self._watches.pop(job_id, None)

    async def _poll(self, job_id: str, watch: _Watch) -> None:
        while watch.snapshot is None or not watch.snapshot.over:
            await self._pause(POLL_S)
            fresh = await asyncio.to_thread(look, self._store, job_id, watch.snapshot)
            if fresh != watch.snapshot:
                watch.snapshot = fresh
                watch.changed.set()
                watch.changed = asyncio.Event()
