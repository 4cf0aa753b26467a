"""A network in memory around the real job session: delays, cuts, freezes, kills and returns, all from one seed.

What holds of the real link holds here: a member's messages keep their order and come once, survive a cut, and die with
the process that sent them. Everything else is up to the seed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np

from coordinator.presence import Presence
from coordinator.session import Desk, JobSession, RoundNote
from privacy.envelope import COORDINATOR, open_envelope
from privacy.errors import PrivacyError, RefusalError
from privacy.secagg.replay import Replay
from privacy.wire import decode_packet
from tests.privacy.table import identity_of, manifest_of, names_of
from tests.simulation.bank import Bank, part_of, wishes
from tests.virtual_time import run_virtual

__all__ = ["Story", "World", "plain_sum", "run_world"]

LOST_AFTER_S = 5
REJOIN_S = 2
DEADLINE_S = 60


@dataclass
class Line:
    """One bank's link: two ordered queues, and until when it is cut or the bank frozen."""

    up: deque[bytes] = field(default_factory=deque)
    down: deque[bytes] = field(default_factory=deque)
    cut_until: float = 0.0
    frozen_until: float = 0.0
    heard: float = 0.0
    alive: bool = True
    boot: int = 1


@dataclass
class Story:
    """What happened in one world. last_fault: when the last fault came or ended, in its seconds."""

    seed: int
    state: str = ""
    reason: str = ""
    outcome: str = ""
    sums: list[tuple[int, tuple[str, ...], str, list[int]]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    last_fault: float = 0.0
    ended: float = 0.0


class World:
    """Banks, lines and faults around one job session."""

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        self.random = random = Random(seed)
        self.loop = loop
        self.story = Story(seed)
        self.rounds = random.randint(1, 4)
        names = names_of(random.choice([4, 5, 6, 7, 8]))
        spend = random.choice([0, 0, 1, 9])
        self.banks = {name: Bank(name, spend, self.rounds, Random(seed * 1000 + at).randbytes)
                      for at, name in enumerate(names)}  # fmt: skip
        self.lines = {name: Line() for name in names}
        self.pace = random.choice([0.001, 0.02, 0.3])
        self.manifest = manifest_of(
            names, lost_after_s=LOST_AFTER_S, rejoin_s=REJOIN_S, round_deadline_s=DEADLINE_S, job=f"job-{seed}"
        )
        self.presence = Presence(self._last_heard, LOST_AFTER_S)
        for name in names:
            self.presence.join(name, b"1", True)
        desk = Desk(self._send, self._note_round, self._note_event, loop.time)
        self.session = JobSession(self.manifest, identity_of(COORDINATOR), self.presence, desk)
        self.replay = Replay(wishes(self.rounds), len(names))
        self.rage = random.choice([0.0, 0.005, 0.02, 0.06])  # chance of a fault with each message
        self.faults_left = random.randint(1, 6)

    async def run(self) -> Story:
        """Run the job to its end and return what happened."""
        story = self.story
        if self.rage and self.random.random() < 0.3:  # somebody was never there
            self._kill(self.random.choice(list(self.lines)))
        try:
            await asyncio.wait_for(self.session.run(self.replay), 3600)
            story.state, story.outcome = "done", self.replay.outcome
        except (RefusalError, PrivacyError) as error:
            story.state, story.reason = "failed", error.message
        story.ended = self.loop.time()
        self.session.end(story.state, story.reason)
        self.rage = 0.0
        await asyncio.sleep(2 * DEADLINE_S)
        return story

    # -- the network -------------------------------------------------------------------------------------------------

    def _send(self, name: str, message: bytes) -> None:
        line = self.lines[name]
        if line.alive:
            line.down.append(message)
            if len(line.down) == 1:
                self._later(self._pump_down, name, line.boot)

    def _later(self, what: Callable[[str, int], None], name: str, boot: int, at: float = 0.0) -> None:
        when = max(self.loop.time() + self.random.expovariate(1 / self.pace), at)
        self.loop.call_at(when, what, name, boot)

    def _pump_down(self, name: str, boot: int) -> None:
        line = self.lines[name]
        if line.boot != boot or not line.alive:
            return
        until = max(line.cut_until, line.frozen_until)
        if self.loop.time() < until:
            self._later(self._pump_down, name, boot, until)
            return
        if self._fault(name):
            return
        answers = self.banks[name].take(line.down.popleft())
        if answers and self._fault(name):  # recorded, never sent
            return
        for outgoing in answers:
            line.up.append(outgoing.message)
            if len(line.up) == 1:
                self._later(self._pump_up, name, boot)
        if line.down:
            self._later(self._pump_down, name, boot)

    def _pump_up(self, name: str, boot: int) -> None:
        line = self.lines[name]
        if line.boot != boot or not line.up:
            return
        if self.loop.time() < line.cut_until:
            self._later(self._pump_up, name, boot, line.cut_until)
            return
        self._fault(name)
        if line.boot != boot or not line.up:
            return
        packet = decode_packet(line.up.popleft())
        envelope = open_envelope(packet.signed, self.manifest.identity_of)
        if not self.story.state:  # after its end nobody serves the job
            self.session.receive(envelope, packet, len(packet.signed))
        if line.up:
            self._later(self._pump_up, name, boot)

    def _last_heard(self, name: str) -> float | None:
        line, now = self.lines[name], self.loop.time()
        if line.alive and now >= max(line.cut_until, line.frozen_until):
            line.heard = now
        return line.heard

    # -- faults ------------------------------------------------------------------------------------------------------

    def _fault(self, name: str) -> bool:
        """Perhaps let a fault strike, mostly where the message is; say whether this bank's process died."""
        if self.faults_left <= 0 or self.random.random() >= self.rage:
            return False
        self.faults_left -= 1
        victim = name if self.random.random() < 0.7 else self.random.choice(list(self.lines))
        line, now = self.lines[victim], self.loop.time()
        kind = self.random.choice(["kill", "kill", "cut", "freeze"])
        length = self.random.choice([0.1, 1.0, 4.0, 6.0, 9.0, 100.0])
        self.story.last_fault = max(self.story.last_fault, now)
        if kind == "kill":
            self._kill(victim)
            return victim == name
        self._last_heard(victim)
        if kind == "cut":
            line.cut_until = now + length
        else:
            line.frozen_until = now + length
        self.story.last_fault = max(self.story.last_fault, now + length)
        self.story.events.append(f"{now:.2f} {kind} {victim} {length}")
        return False

    def _kill(self, name: str) -> None:
        line, now = self.lines[name], self.loop.time()
        if not line.alive:
            return
        self._last_heard(name)
        line.alive = False
        line.down.clear()
        if self.random.random() < 0.5:
            line.up.clear()  # what was on its way may still arrive, or not
        self.banks[name].die()
        self.presence.leave(name)
        self.session.wake()
        self.story.events.append(f"{now:.2f} kill {name}")
        back = self.random.choice([None, 0.1, 1.0, 1.9, 4.0, 7.0])
        if back is not None:
            self.loop.call_at(now + back, self._return, name)
            self.story.last_fault = max(self.story.last_fault, now + back)

    def _return(self, name: str) -> None:
        line = self.lines[name]
        line.alive, line.boot = True, line.boot + 1
        line.cut_until = line.frozen_until = 0.0
        line.down.clear()
        line.up.clear()
        self.presence.join(name, str(line.boot).encode(), True)
        self.session.wake()
        self.story.events.append(f"{self.loop.time():.2f} return {name}")

    # -- what is written down ------------------------------------------------------------------------------------------

    def _note_round(self, note: RoundNote) -> None:
        if note.state == "opened":
            past = self.session.aggregator.opened[-1]
            plan = self.replay.plan
            total = plan.decode(plan.from_bytes(past.vector)).tolist()
            self.story.sums.append((note.number, note.survivors, self.replay.request.name, total))
            self.story.events.append(f"{self.loop.time():.2f} opened {note.number} over {len(note.survivors)}")

    def _note_event(self, kind: str, body: object) -> None:
        self.story.events.append(f"{self.loop.time():.2f} {kind} {body}")


def plain_sum(survivors: tuple[str, ...], request: str) -> list[int]:
    """Return what a sum over these banks has to be."""
    total: np.ndarray = sum(part_of(name, request.encode()) for name in survivors)  # type: ignore[assignment]
    return [int(value) for value in total]


def run_world(seed: int) -> World:
    """Run one world to its end."""
    return run_virtual(_tell(seed))


async def _tell(seed: int) -> World:
    loop, faults = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
    world = World(seed, loop)
    await world.run()
    assert not faults, f"seed {seed}: {faults[0]}"
    return world
