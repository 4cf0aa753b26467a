"""Run one job to its end: call members together, open rounds, and decide what to do when somebody is lost.

It adds nothing itself (`privacy.secagg.aggregator` does) and opens no socket (the service hands it a hub). Theory: a
loop over rounds; each phase ends when everybody answered, or when those who have not are lost. A loss in the first
round shrinks the cohort; a later one pauses the job for `rejoin_s`, then asks the others to go on without the lost for
good, which each bank's permit allows or not. Every way out is a final state with a reason.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coordinator.desk import Desk, Footing, RoundNote
from coordinator.presence import Presence, process_of
from coordinator.rows import Wish
from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, Envelope
from privacy.errors import InputError, PeerError, PrivacyError, RefusalError
from privacy.keys import IdentityKey
from privacy.manifest import Manifest
from privacy.roster import Roster
from privacy.secagg.aggregator import Aggregator, Phase
from privacy.secagg.downlink import Downlink, OpenedRound
from privacy.secagg.replay import Replay
from privacy.secagg.retrace import Retraced
from privacy.wire import Packet

__all__ = ["CANCELLED", "Desk", "Footing", "JobSession", "RoundNote"]

_TICK_S = 0.25
_PACE_S = 0.005
# More than this is never queued for one member in the steps that give every member, or every part, its own packet.
_WINDOW_BYTES = 8 * 2**20
_MOST_RECOVERIES = 50
# Members that lost their coordinator dial again within half a minute.
_RETURN_S = 60.0
CANCELLED = "job-cancelled"


@dataclass(slots=True)
class _Tally:
    upload_bytes: dict[str, int] = field(default_factory=dict)
    round_ms: list[float] = field(default_factory=list)
    smallest_cohort: int = 0
    dropouts: int = 0

    def count(self, elapsed_ms: float, cohort: int) -> None:
        """Count an opened sum."""
        self.round_ms.append(elapsed_ms)
        self.smallest_cohort = min(self.smallest_cohort or cohort, cohort)


class JobSession:
    """Drive one job's aggregator with messages, time and losses."""

    def __init__(
        self,
        manifest: Manifest,
        identity: IdentityKey,
        presence: Presence,
        desk: Desk,
        resumed: tuple[Retraced, Footing] | None = None,
    ) -> None:
        """Start a job, or go on with one; resumed: what an earlier process opened, and where it stood."""
        self.manifest = manifest
        self.aggregator = Aggregator(manifest, identity, desk.new_spool, resumed[0] if resumed else None)
        self.tally = _Tally()
        self.request_name, self.deadline = "", 0.0
        self.awaited: frozenset[str] = frozenset()
        self._presence = presence
        self._desk = desk
        self._boots: dict[str, bytes] = {}
        self._banned: dict[str, str] = {}
        self._halted: set[str] = set()
        self._gone: set[str] = set()
        self._changed = asyncio.Event()
        self._recoveries = 0
        self._standing = manifest.roster
        self._fixed = False
        self._round_bytes = 0
        self._fault: InputError | None = None
        self._wish: Wish = ""
        self._resumed = resumed is not None
        self._known: dict[str, bytes] = {}
        if resumed:
            self._go_on_from(resumed[1])

    def _go_on_from(self, footing: Footing) -> None:
        self._standing, self._fixed = Roster(footing.standing), footing.fixed
        self._gone, self._known = set(footing.gone), dict(footing.boots)
        self.tally.upload_bytes, self.tally.dropouts = dict(footing.upload_bytes), footing.dropouts

    @property
    def footing(self) -> Footing:
        """Return what a later process would go on from."""
        tally = self.tally
        return Footing(self.aggregator.epoch, self._standing.members, self._fixed, frozenset(self._gone),
                       dict(self._known), dict(tally.upload_bytes), tally.dropouts)  # fmt: skip

    # -- what the service reports ------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, packet: Packet, size: int) -> str:
        """Take a member's message (its signature checked); return "", or the code of what bans it from this job."""
        member, code = envelope.sender, ""
        self.tally.upload_bytes[member] = self.tally.upload_bytes.get(member, 0) + size
        self._round_bytes += size
        try:
            if isinstance(envelope.message, say.Halt):
                envelope.expect(Address(self.manifest.job, manifest_sha256=self.manifest.sha256()), COORDINATOR)
                self._halted.add(member)
                raise PeerError("halted", f"{member} stopped: {envelope.message.code}")
            self._send(self.aggregator.receive(envelope, packet))
        except InputError as error:
            # Our own disk: no fault of the member's. What the parts took of it is free again before we go on.
            self._fault = error
            self.aggregator.drop_sum()
        except PrivacyError as error:
            self._banned[member], code = error.message, error.code
        self.wake()
        return code

    def wake(self) -> None:
        """Let the session look again at who is here and what came."""
        self._changed.set()

    def heed(self, wish: Wish) -> None:
        """Go on, pause before the next round, or stop at once with the code `CANCELLED`."""
        self._wish = wish
        self.wake()

    # -- the job -----------------------------------------------------------------------------------------------------

    async def run(self, replay: Replay) -> None:
        """Run every round that `replay` asks for; raises `RefusalError` with the reason if the job cannot go on."""
        if not self._resumed:
            self._greet(self.manifest.roster.members)
            await self._assemble(self.manifest.roster)
        elif not replay.done:
            await self._recover(max(_RETURN_S, self.manifest.rejoin_s))
        while not replay.done:
            await self._pause()
            if await self._round(replay):
                await asyncio.to_thread(replay.feed, self.aggregator.opened[-1].vector)
                if self._standing != self.aggregator.roster and not replay.done:
                    await self._assemble(self._standing)
            else:
                await self._recover()

    def end(self, state: str, reason: str) -> Mapping[str, bytes]:
        """Tell the members that know this job how it ended; return the sessions of those that could hear it."""
        self.aggregator.drop_sum()
        here = {member: boot for member, boot in self._boots.items() if self._presence.boots.get(member) == boot}
        self._send([each for each in self.aggregator.end(state, reason[:512]) if each.to in here])
        return here

    @property
    def now(self) -> float:
        """Return the time on the clock of `deadline`, seconds."""
        return self._desk.now()

    async def _pause(self) -> None:
        """Wait between two rounds for as long as the operator wishes; the epoch stands."""
        if self._wish == "pause":
            await self._event("job-paused", {"by": "operator"})
            while self._wish == "pause":
                await self._wait(_TICK_S)
            await self._event("job-resumed", {"by": "operator"})

    async def _round(self, replay: Replay) -> bool:
        """Run one round; False if it did not open and somebody is lost."""
        started, self._round_bytes = self._desk.now(), 0
        request, may_shrink = replay.request, not self._fixed
        self.request_name = request.name
        self._send(self.aggregator.open(request.encode(), replay.plan))
        await self._gather(may_shrink)
        if self.aggregator.pending() and not may_shrink:
            return False
        try:
            downlinks = self.aggregator.close()
        except PeerError:
            return False
        self._fixed, self._standing = True, Roster(self._survivors())
        await self._note("closed", request.name, started)
        await self._hand_out(downlinks)
        await self._gather()
        if self.aggregator.certifiable():
            self._send(self.aggregator.certify())
            await self._gather()
        if not self.aggregator.settled:
            return False
        try:
            await asyncio.to_thread(self.aggregator.open_sum)
            await self._verify()
            await asyncio.to_thread(self.aggregator.finish)
        except PeerError as error:
            if self.aggregator.blamed.keys() - self._banned.keys():
                self._banned |= self.aggregator.blamed
                return False
            raise RefusalError("sum-unopened", f"round {len(self.aggregator.opened) + 1}: {error.message}") from None
        await self._note("opened", request.name, started)
        return True

    async def _verify(self) -> None:
        """Have c + 1 members of the cohort recompute the sum; without them the job ends."""
        while missing := self.aggregator.missing_signatures():
            lost = self._lost(self._desk.now())
            verifiers = [member for member in self.aggregator.verifiers() if member not in lost][:missing]
            if len(verifiers) < missing:
                number = len(self.aggregator.opened) + 1
                raise RefusalError(
                    "sum-unverified", f"sum not verified: too few members are left to recompute that of round {number}"
                )
            await self._hand_out(self.aggregator.check(verifiers))
            await self._gather()

    async def _hand_out(self, downlinks: Iterator[Downlink]) -> None:
        """Make and send packets that are many or large, no faster than their receivers take them."""
        more, deadline = True, self._desk.now() + self.manifest.round_deadline_s
        while more:
            batch, more = await asyncio.to_thread(_first_of, downlinks)
            self._send(batch)
            while more and (behind := {each.to for each in batch if self._is_behind(each.to)}):
                if self._desk.now() >= deadline:
                    for member in behind:
                        self._banned[member] = f"{member} did not read within {self.manifest.round_deadline_s} s"
                await self._wait(_PACE_S)

    def _is_behind(self, member: str) -> bool:
        return self._desk.backlog(member) > _WINDOW_BYTES and member not in self._lost(self._desk.now())

    async def _gather(self, may_shrink: bool = False) -> None:
        """Wait until the phase has all it needs, or until those who are missing are lost."""
        began, phase = self._desk.now(), self.aggregator.phase
        try:
            await self._answers(may_shrink)
        finally:
            self._desk.timed(phase.value, self._desk.now() - began)

    async def _answers(self, may_shrink: bool) -> None:
        self.deadline = deadline = self._desk.now() + self.manifest.round_deadline_s
        start = self.aggregator.phase
        while self.aggregator.phase is start:
            pending = self.aggregator.pending()
            if not pending:
                return
            now = self._desk.now()
            lost = self._lost(now)
            enough = self.aggregator.certifiable() and not pending - lost
            if now >= deadline:
                for member in pending - lost:
                    self._banned[member] = f"{member} did not answer within {self.manifest.round_deadline_s} s"
            if enough or pending <= lost or now >= deadline:
                return
            if start is Phase.UPLOADING and lost and not may_shrink:
                return  # in an exact job the cohort stands: without a lost member this round cannot close
            await self._wait(min(_TICK_S, deadline - now))
        if self._fault:
            raise self._fault

    async def _assemble(self, roster: Roster) -> None:
        """Open an epoch over the roster, or recover from losing somebody while doing so."""
        # A later process may not call an epoch of this number again, whatever became of this one.
        await asyncio.to_thread(self._desk.keep, replace(self.footing, epoch=self.aggregator.epoch + 1))
        self._send(self.aggregator.assemble(roster))
        while self.aggregator.phase is not Phase.READY:
            before = self.aggregator.phase
            await self._gather()
            if self.aggregator.phase is before:
                await self._recover()
                return
        self._known |= {member: process_of(self._boots[member]) for member in roster.members}

    async def _recover(self, wait_s: float | None = None) -> None:
        """Wait for the lost to come back, else go on without them if that is possible; ends in a ready epoch.

        wait_s: how long to wait, the manifest's `rejoin_s` if None.
        """
        self._recoveries += 1
        if self._recoveries > _MOST_RECOVERIES:
            raise RefusalError("recoveries-exhausted", f"members were lost {_MOST_RECOVERIES} times in one job")
        lost = self._lost(self._desk.now()) & set(self._standing.members)
        if lost:
            await self._event("job-paused", {"lost": sorted(lost), "rejoin_s": self.manifest.rejoin_s})
            self.awaited = lost
            await self._await_return(lost, self.manifest.rejoin_s if wait_s is None else wait_s)
            self.awaited = frozenset()
        # A line that breaks for a moment is no loss: whoever was heard lately is called to the new epoch.
        gone = {
            member
            for member in self._standing.members
            if member in self._banned or self._presence.is_silent(member, self._desk.now())
        }
        remaining = [member for member in self._standing.members if member not in gone]
        if gone:
            self._gone |= gone
            self._check_remaining(len(remaining))
            reasons = "; ".join(self._banned.get(member, f"{member} was lost") for member in sorted(gone))
            self.tally.dropouts += len(gone)
            self._standing, self._fixed = Roster(tuple(remaining)), True
            await self._event("members-excluded", {"lost": sorted(gone), "reasons": reasons})
        self._greet(tuple(remaining))
        await self._assemble(self._standing)
        await self._event("job-resumed", {"epoch": self.aggregator.epoch, "members": remaining})

    def _check_remaining(self, remaining: int) -> None:
        """End the job if too few are left, and say whose loss began it: the others may have stopped because of that."""
        least = self.manifest.roster.smallest_cohort
        if remaining >= least:
            return
        lost = ", ".join(sorted(self._gone - self._halted))
        reasons = [f"member lost: {lost}"] if lost else []
        reasons += [self._banned[member] for member in sorted(self._gone & self._banned.keys())]
        reasons.append(f"{remaining} members are left, at least {least} are needed")
        raise RefusalError("member-lost", "; ".join(reasons))

    async def _await_return(self, lost: frozenset[str], wait_s: float) -> None:
        until = self._desk.now() + wait_s
        returning = lost - set(self._banned)
        while returning and self._desk.now() < until:
            if all(self._presence.is_here(member, self._desk.now()) for member in returning):
                return
            await self._wait(min(_TICK_S, max(0.0, until - self._desk.now())))

    # -- small parts -------------------------------------------------------------------------------------------------

    def _greet(self, members: tuple[str, ...]) -> None:
        """Give the manifest, and every opened sum, to processes that do not know this job yet."""
        charters = {downlink.to: downlink for downlink in self.aggregator.charter(self.manifest.roster)}
        for member in members:
            boot = self._presence.boots.get(member)
            if boot is not None and self._boots.get(member) != boot:
                self._boots[member] = boot
                # A process that was in an epoch of this job kept its seat. It may lack the last sum, and no other.
                kept = self._known.pop(member, None) == process_of(boot)
                since = max(0, len(self.aggregator.opened) - 1) if kept else 0
                self._send([*([] if kept else [charters[member]]), *self.aggregator.catch_up(member, since)])

    def _lost(self, now: float) -> frozenset[str]:
        return frozenset(
            member
            for member in self.aggregator.roster.members
            if member in self._banned or self._presence.is_lost(member, self._boots.get(member), now)
        )

    def _send(self, downlinks: Sequence[Downlink]) -> None:
        for downlink in downlinks:
            self._desk.send(downlink.to, downlink.message)
        self._desk.sent(downlinks)

    def _survivors(self) -> tuple[str, ...]:
        return self.aggregator.sum.survivors if self.aggregator.sum else ()

    async def _wait(self, timeout_s: float) -> None:
        if self._wish == "cancel":
            raise RefusalError(CANCELLED, "the operator cancelled the job")
        # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the event does.
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()

    async def _note(self, state: str, name: str, started: float) -> None:
        elapsed_ms = (self._desk.now() - started) * 1000
        if state == "opened":
            past: OpenedRound = self.aggregator.opened[-1]
            survivors, number, position = past.opened.survivors, past.opened.round, past.opened.position
            self.tally.count(elapsed_ms, len(survivors))
            self.tally.dropouts += len(self.aggregator.roster) - len(survivors)
        else:
            survivors = self._survivors()
            number, position = len(self.aggregator.opened) + 1, self.aggregator.position
        note = RoundNote(
            number, self.aggregator.epoch, position, name, state, survivors,
            self._round_bytes, elapsed_ms, self.aggregator.opened[-1] if state == "opened" else None,
        )  # fmt: skip
        await asyncio.to_thread(self._desk.note_round, note)

    async def _event(self, kind: str, body: Mapping[str, Any]) -> None:
        await asyncio.to_thread(self._desk.note_event, kind, body)


def _first_of(downlinks: Iterator[Downlink]) -> tuple[list[Downlink], bool]:
    """Make the next packets, up to about a window of bytes that are not shared; say whether there may be more."""
    batch: list[Downlink] = []
    size = 0
    for downlink in downlinks:
        size += 0 if batch and batch[-1].message is downlink.message else len(downlink.message)
        batch.append(downlink)
        if size >= _WINDOW_BYTES:
            return batch, True
    return batch, False
