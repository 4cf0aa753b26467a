"""Take one job from the queue, or from where an earlier process left it, to its final state.

It runs no protocol (`coordinator.session` does). Theory: whatever happens (too few members, a refusal, a loss, a fault
of our own) the job ends `done`, `cancelled`, or `failed` with a reason, before the next one starts. A process that is
stopped or killed leaves the job as it is: what it takes to go on is in the database before anybody acts on it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from coordinator.config import CoordinatorConfig
from coordinator.counter import Counter
from coordinator.desk import Desk, Footing, RoundNote
from coordinator.enlist import Enlistment
from coordinator.farewell import Farewells
from coordinator.installed import installed_digest
from coordinator.journal_line import say
from coordinator.outcome import Ending, write_outcome
from coordinator.postbook import Attempts, Postbook
from coordinator.presence import Presence
from coordinator.progress import Kept, Progress, retraced
from coordinator.registry import Registry
from coordinator.rows import Wish
from coordinator.session import CANCELLED, JobSession
from coordinator.spool import DiskSpool
from coordinator.store import Job, JobState, Member, RoundRecord, Store
from privacy.envelope import Envelope
from privacy.errors import PrivacyError, RefusalError
from privacy.guarantee import calibrated
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from privacy.manifest import Manifest, Seat
from privacy.secagg.replay import Replay
from privacy.wire import Packet
from risk.catalogue import recipe
from risk.charter import spec_of
from risk.dictionary import Dictionary, parse_dictionary
from risk.errors import RiskError
from risk.job import releases, rounds
from risk.recipe import EndedEarly

__all__ = ["Clerk", "Office"]

_MAX_ROUNDS = 10_000
_STATE_OF: Mapping[str, JobState] = {"job-started": "running", "job-paused": "paused", "job-resumed": "running"}


@dataclass(frozen=True, slots=True)
class Office:
    """What all jobs share.

    send: queues bytes for a member. backlog: bytes queued for it that it has not acknowledged. now: the loop's
    monotonic clock, seconds. defer: lets entries ride on the next commit of the coordinator's log. seal: has the log's
    head cosigned at the end of a job, and gives up after a moment. release: releases what enough banks cosigned.
    timed: learns how long a phase of a round took, seconds.
    """

    config: CoordinatorConfig
    identity: IdentityKey
    store: Store
    counter: Counter
    presence: Presence
    send: Callable[[str, bytes], None]
    backlog: Callable[[str], int]
    now: Callable[[], float]
    defer: Callable[[Sequence[Entry]], None]
    seal: Callable[[str], Awaitable[None]]
    release: Callable[[], Awaitable[None]]
    progress: Progress
    farewells: Farewells
    timed: Callable[[str, float], None] = lambda _phase, _seconds: None
    sent_before: Callable[[str], Attempts] = lambda _job: {}


@dataclass(slots=True)
class Clerk:
    """Run one job; `wake` it whenever a member joins, leaves or says something."""

    office: Office
    job: Job
    session: JobSession | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    enlistment: Enlistment | None = None
    _state: JobState = "queued"
    _cancelled: bool = False
    _manifest_kept: Manifest | None = None
    _began: int = 0
    _so_far: Any = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()
        if self.session:
            self.session.wake()

    def heed(self, wish: Wish) -> None:
        """Do what the operator wishes of this job: go on, pause between two rounds, or end it as cancelled."""
        self._cancelled = self._cancelled or wish == "cancel"
        if self.session:
            self.session.heed(wish)
        self.wake()

    @property
    def state(self) -> JobState:
        """Return the job's state."""
        return self._state

    async def run(self) -> None:
        """Run the job to its final state; only a fault of the database or the disk raises."""
        self._state, self._began = self.job.state, _now_us()
        self.heed(self.job.wish)
        state: JobState = "failed"
        reason, learned = "", None
        try:
            learned = await self._learn()
            state = "done"
        except (PrivacyError, RiskError) as error:
            state = "cancelled" if error.code == CANCELLED else "failed"
            reason, learned = error.message, self._so_far
        except asyncio.CancelledError:
            self.office.counter.release(self.job.id)
            say("job_left", job=self.job.id, reason="the coordinator was stopped; it goes on at the next start")
            raise
        except Exception as error:
            await self._end("failed", f"internal error: {type(error).__name__}", None)
            raise
        await self._end(state, reason, learned)

    async def _learn(self) -> Any:
        office, job = self.office, self.job
        kept = await asyncio.to_thread(office.progress.load, job.id)
        if kept is not None:
            self._manifest_kept, self._began = kept.manifest, kept.began
            if kept.manifest.code_sha256 != installed_digest():
                raise RefusalError("code-changed", "the software was changed while this job ran; submit it again")
        dictionary = parse_dictionary(job.spec["schema"], "the job's schema")
        if kept is None:
            manifest, postbook = await self._join(dictionary)
        else:
            manifest, postbook = kept.manifest, await self._postbook(kept.manifest)
        spec = spec_of(manifest, dictionary, Registry(office.config.state.dir / "models").get)
        replay = await asyncio.to_thread(Replay, rounds(spec), len(manifest.seats))
        try:
            await self._open(manifest, replay, postbook, kept)
            assert self.session is not None  # `_open` made it
            await self.session.run(replay)
        except PrivacyError:
            if spec.private:
                replay.end_early(EndedEarly())
                self._so_far = replay.outcome
            raise
        finally:
            replay.close()
        return replay.outcome

    async def _open(self, manifest: Manifest, replay: Replay, postbook: Postbook, kept: Kept | None) -> None:
        """Make the session, from the sums of an earlier process if there are any, and write that down."""
        office = self.office
        resumed = None
        if kept is not None:
            past = await asyncio.to_thread(retraced, office.progress, kept, replay)
            resumed = (past, kept.footing)
        new_spool = partial(DiskSpool, office.config.state.dir)
        desk = Desk(office.send, self._note_round, self._note_event, office.now, office.backlog, new_spool,
                    postbook.sent, self._keep, office.timed)  # fmt: skip
        self.session = JobSession(manifest, office.identity, office.presence, desk, resumed)
        office.counter.serve(self.job.id, manifest.purpose, self.session.receive)
        self.session.heed("cancel" if self._cancelled else self.job.wish)
        if self._state in ("joining", "approving"):
            await asyncio.to_thread(self._note_event, "job-started", {"members": list(manifest.roster.members)})
        if kept is not None:
            for past_round in await asyncio.to_thread(office.store.rounds, self.job.id):
                if past_round.ended is not None:
                    self.session.tally.count((past_round.ended - past_round.started) / 1000, len(past_round.survivors))
            body = {"rounds": kept.sums, "epoch": kept.footing.epoch}
            await asyncio.to_thread(self._note_event, "job-recovered", body)
            say("job_goes_on", job=self.job.id, members=len(manifest.seats))

    async def _join(self, dictionary: Dictionary) -> tuple[Manifest, Postbook]:
        """Ask the members, and keep the manifest of those who say yes before any of them sees it."""
        office = self.office
        if self._state == "queued":
            await self._move("joining")
        # In a thread: searching the noise that keeps a promise takes a moment.
        offered = await asyncio.to_thread(self._manifest, dictionary, await self._members())
        postbook = await self._postbook(offered)
        manifest = await self._enlist(offered, postbook)
        await asyncio.to_thread(office.progress.begin, manifest, self._began)
        self._manifest_kept = manifest
        postbook.seated(manifest)
        return manifest, postbook

    async def _postbook(self, manifest: Manifest) -> Postbook:
        """Return the book of what is sent in this job; an earlier process may have sent some of it already."""
        fresh = self.job.state == "queued"
        before = {} if fresh else await asyncio.to_thread(self.office.sent_before, self.job.id)
        return Postbook(manifest, self.office.defer, before)

    async def _members(self) -> list[Member]:
        """Return the active members, waiting up to `join_wait_s` for all of them to be here."""
        office = self.office
        members = [member for member in await asyncio.to_thread(office.store.members) if member.status == "active"]
        least = office.config.policy.min_members
        if len(members) < least:
            raise RefusalError("members-too-few", f"{len(members)} members are enrolled, at least {least} are needed")
        until = office.now() + office.config.policy.join_wait_s
        await self._wait(lambda: all(office.presence.is_here(member.id, office.now()) for member in members), until)
        return members

    async def _enlist(self, offered: Manifest, postbook: Postbook) -> Manifest:
        office = self.office
        self.enlistment = enlistment = Enlistment(offered)

        def take(envelope: Envelope, _packet: Packet, _size: int) -> str:
            try:
                enlistment.receive(envelope)
            except PrivacyError as error:
                return error.code
            self.wake()
            return ""

        office.counter.serve(self.job.id, offered.purpose, take)
        here = [member for member in offered.roster.members if office.presence.is_here(member, office.now())]
        offers = enlistment.offer(office.identity, here)
        for downlink in offers:
            office.send(downlink.to, downlink.message)
        postbook.sent(offers)
        until = office.now() + office.config.policy.join_wait_s
        await self._wait(lambda: not ((enlistment.pending - enlistment.waiting) & set(here)), until)
        patience_s = self.job.spec["job"].get("approval_wait_s") or office.config.policy.join_wait_s
        if enlistment.waiting:
            if self._state != "approving":
                await self._move("approving")
            body = {"members": sorted(enlistment.waiting), "seconds": patience_s}
            await asyncio.to_thread(self._note_event, "job-awaits-approval", body)
            await self._wait(lambda: not enlistment.waiting, office.now() + patience_s)
        self.left_out = enlistment.left_out()
        for member, code in self.left_out.items():
            await asyncio.to_thread(self._note_event, "member-left-out", {"member": member, "code": code})
        return enlistment.final(office.config.policy.min_members)

    def _manifest(self, dictionary: Dictionary, members: list[Member]) -> Manifest:
        policy, job = self.office.config.policy, self.job.spec["job"]
        manifest = Manifest(
            job=self.job.id,
            consortium=self.office.config.consortium.name,
            purpose=job["purpose"],
            recipe=job["recipe"],
            recipe_version=recipe(job["recipe"]).version,
            parameters=self.job.spec["parameters"],
            code_sha256=installed_digest(),
            dictionary_sha256=dictionary.digest(),
            seats=tuple(Seat(member.id, bytes.fromhex(member.identity)) for member in members),
            privacy="exact",
            max_rounds=_MAX_ROUNDS,
            max_rows=job["max_rows"],
            min_rows=1,
            min_bads=1,
            lost_after_s=policy.lost_after_s,
            rejoin_s=policy.rejoin_s,
            round_deadline_s=policy.round_deadline_s,
            seed=job["seed"],
            holdout_ppm=job["holdout_ppm"],
        )
        asked = self.job.spec.get("privacy")
        if asked is None:
            return manifest
        promised = calibrated(releases(spec_of(manifest, dictionary)), asked["epsilon"], asked["delta"])
        return replace(manifest, privacy="dp", dp=promised)

    async def _end(self, state: JobState, reason: str, learned: Any) -> None:
        office, seconds = self.office, (_now_us() - self._began) / 1e6
        ending = Ending(self.job.id, self.job.recipe, state, reason, seconds, dict(self.left_out))
        folder: Path = office.config.state.dir
        if state == "done":
            await office.seal(self.job.id)
        await asyncio.to_thread(write_outcome, folder, office.store, ending, self.session, learned)
        if state == "done":
            await office.release()
        seats = self._manifest_kept.roster.members if self._manifest_kept else ()
        await asyncio.to_thread(office.progress.ended, self.job.id, seats)
        await self._move(state, reason)
        await asyncio.to_thread(self._note_event, f"job-{state}", {"reason": reason, "seconds": round(seconds, 3)})
        if self.session:
            office.farewells.sent(self.job.id, self.session.end(state, reason))
        office.counter.release(self.job.id)
        say("job_ended", job=self.job.id, state=state, reason=reason, seconds=round(seconds, 3))

    async def _move(self, state: JobState, reason: str = "") -> None:
        await asyncio.to_thread(self.office.store.set_job_state, self.job.id, state, reason)
        self._state = state

    def _keep(self, footing: Footing) -> None:
        self.office.progress.keep(self.job.id, footing, self._began)

    def _note_round(self, note: RoundNote) -> None:
        assert self.session is not None  # a session notes it
        now_us = _now_us()
        record = RoundRecord(
            job=self.job.id,
            number=note.number,
            position=note.position,
            name=note.name,
            state=note.state,
            survivors=note.survivors,
            bytes=note.upload_bytes,
            started=now_us - int(note.elapsed_ms * 1000),
            ended=now_us if note.past is not None else None,
        )
        kept = (self.session.footing, self._began)
        if note.past is None:
            self.office.progress.closed(record, *kept)
            return
        body = {"number": note.number, "name": note.name, "ms": round(note.elapsed_ms, 1), "epoch": note.epoch,
                "survivors": len(note.survivors)}  # fmt: skip
        self.office.progress.opened(record, body, note.past, kept)

    def _note_event(self, kind: str, body: Mapping[str, Any]) -> None:
        state: JobState | None = _STATE_OF.get(kind)
        if state is not None and state != self._state:
            self._state = state
            self.office.store.set_job_state(self.job.id, state)
        self.office.store.add_event(self.job.id, kind, body)

    async def _wait(self, ready: Callable[[], bool], until: float) -> None:
        while not ready() and self.office.now() < until:
            if self._cancelled:
                raise RefusalError(CANCELLED, "the operator cancelled the job")
            self._changed.clear()
            # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the event does.
            try:
                async with asyncio.timeout(min(0.25, max(0.0, until - self.office.now()))):
                    await self._changed.wait()
            except TimeoutError:
                continue


def _now_us() -> int:
    return time.time_ns() // 1000
