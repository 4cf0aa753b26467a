"""A coordinator that dies at a step, and jobs that add up plain vectors, for tests of what goes on afterwards.

A step is a message that leaves or a row that is written. The process dies just before it or just after it, its memory
is gone, every link is a fresh one; the database and the members' processes stay.
"""

import asyncio
import hashlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import pytest

from coordinator import clerk as clerk_module
from coordinator.clerk import Clerk
from coordinator.presence import Presence
from coordinator.progress import Progress
from privacy.envelope import open_envelope
from privacy.wire import decode_packet
from risk.recipe import Ask
from tests.coordinator.test_clerk import Desk
from tests.network import Node
from tests.privacy.table import identity_of
from tests.virtual_time import run_virtual

__all__ = ["ROUNDS", "Coordinator", "Steps", "learned_from", "part_of", "play", "requests"]

WRITES = ("begin", "keep", "closed", "opened", "ended")
ROUNDS, LENGTH = 3, 5


def part_of(member: str, number: int) -> np.ndarray:
    return np.arange(LENGTH) * (1 + int(member[-3:])) + number


def requests() -> Generator[Ask, np.ndarray, str]:
    """Ask for one vector a round; each request depends on the sum before it, as a recipe's do."""
    digest = ""
    for number in range(1, ROUNDS + 1):
        total = yield Ask(
            recipe="scorecard/1", part="full", name=f"sum-{number}", rows="train", length=LENGTH, word_bits=64,
            bound=2**20, row_linf=1, row_l1=1, parameters={"after": digest},
        )  # fmt: skip
        digest = hashlib.sha256(total.tobytes() + digest.encode()).hexdigest()
    return digest


def learned_from(members: Sequence[str]) -> str:
    """Return what whoever saw the plain sums over these members learns."""
    asks = requests()
    next(asks)
    try:
        for number in range(1, ROUNDS + 1):
            asks.send(np.asarray(np.sum([part_of(member, number) for member in members], axis=0, dtype=np.int64)))
    except StopIteration as stop:
        return str(stop.value)
    raise AssertionError("the requests did not end")


class Killed(BaseException):
    """The process is gone; nothing in it may catch this."""


class Steps:
    """Count a coordinator's steps by name and kill it at one of them."""

    def __init__(self, name: str = "", number: int = 0, *, after: bool = False) -> None:
        self.victim, self.after = (name, number), after
        self.counts: dict[str, int] = {}
        self.kill: Callable[[], object] = lambda: None
        self.dead = False

    def step(self, name: str, act: Callable[[], Any]) -> Any:
        """Do a step, unless the process is or gets killed before it."""
        if self.dead:
            raise Killed
        self.counts[name] = self.counts.get(name, 0) + 1
        struck = (name, self.counts[name]) == self.victim
        if struck and not self.after:
            self._die()
        result = act()
        if struck:
            self._die()
        return result

    def _die(self) -> None:
        self.dead = True
        self.kill()
        raise Killed


class Coordinator:
    """Processes of the coordinator on one desk, one after the other."""

    def __init__(self, desk: Desk, steps: Steps, patch: pytest.MonkeyPatch) -> None:
        self.desk, self.steps, self.deaths = desk, steps, 0
        self.carried = desk.network.carry
        patch.setattr(desk.network, "carry", self._carry)
        for name in WRITES:
            self._watch(patch, Progress, name, name)
        self._watch(patch, clerk_module, "write_outcome", "outcome")
        set_state = desk.store.set_job_state
        patch.setattr(
            desk.store,
            "set_job_state",
            lambda job, state, reason="": self.steps.step(f"state:{state}", lambda: set_state(job, state, reason)),
        )

    def _watch(self, patch: pytest.MonkeyPatch, owner: Any, name: str, step: str) -> None:
        real = getattr(owner, name)
        patch.setattr(owner, name, lambda *given: self.steps.step(step, lambda: real(*given)))

    def _carry(self, member: str, message: bytes) -> None:
        kind = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public).kind
        self.steps.step("ended-message" if kind == "ended" else kind, lambda: self.carried(member, message))

    async def live(self) -> bool:
        """Let one process run the job that there is; say whether it lived to the end of it."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        self.steps.kill = lambda: loop.call_soon_threadsafe(ended.set)
        office = self.desk.office()
        job = next(iter([*self.desk.store.unfinished(), self.desk.store.next_queued()]), None)
        if job is not None:
            running = asyncio.create_task(Clerk(office, job).run())
            running.add_done_callback(lambda _task: ended.set())
            await ended.wait()
            running.cancel()
            await asyncio.wait([running])
        here = {node.name for node in self.desk.network.nodes.values() if node.alive}
        while not self.steps.dead and any(member in here for _, member in self.desk.progress.farewells()):
            await asyncio.sleep(0.1)
            await office.farewells.settle()
        return not self.steps.dead

    async def restart(self) -> None:
        """Start a new process: nobody is connected yet, and no member's session goes on."""
        network, self.steps = self.desk.network, Steps()
        network.presence = Presence(lambda name: network.nodes[name].heard(network.now()), lost_after_s=5)
        for node in network.nodes.values():
            if node.alive:
                await stand_by(node)
                network.presence.join(node.name, b"%s-%d" % (node.name.encode(), node.boots), True)


async def stand_by(node: Node) -> None:
    # In turn with what was queued before, as the service does.
    await asyncio.sleep(0.5)
    await node.session.stand_by("the coordinator was restarted")


def play(
    desk: Desk, steps: Steps, patch: pytest.MonkeyPatch, between: Callable[[Coordinator], None] | None = None
) -> Coordinator:
    """Run one job, in a new process of the coordinator whenever one is killed; between: called while none lives."""
    desk.queue()

    async def test() -> Coordinator:
        desk.network.start()
        coordinator = Coordinator(desk, steps, patch)
        while not await coordinator.live():
            coordinator.deaths += 1
            if between:
                between(coordinator)
            await coordinator.restart()
        await asyncio.sleep(1.0)
        return coordinator

    return run_virtual(test())
