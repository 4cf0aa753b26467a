"""Thousands of networks from seeds: whatever is delayed, cut, frozen or killed, what opens is right and the job ends.

`python -m tests.simulation FIRST COUNT` runs as many as you like; a failure names its seed, which tells it again.
"""

from collections.abc import Callable

import numpy as np
import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, sign_envelope
from privacy.outgoing import Outgoing
from privacy.wire import Packet, encode_packet
from tests.privacy.table import identity_of
from tests.simulation.invariants import findings
from tests.simulation.world import World, run_world

CALM, ROUGH = 7, 40
KINDS = {"secagg.setup", "secagg.agree", "secagg.upload", "secagg.consent", "secagg.reveal", "secagg.sum-signature",
         "secagg.halt"}  # fmt: skip


@pytest.mark.slow
def test_every_world_holds() -> None:
    seen: set[str] = set()
    states: set[str] = set()
    for seed in range(100):
        world = run_world(seed)
        assert findings(world) == [], f"seed {seed}: {findings(world)}\n" + "\n".join(world.story.events)
        seen |= {outgoing.kind for bank in world.banks.values() for outgoing in bank.emitted}
        seen |= {event.split()[1] for event in world.story.events}
        states.add(world.story.state)
    # The seeds reach every message and every fault, and both ends.
    assert KINDS | {"kill", "return", "cut", "freeze", "opened", "job-paused", "members-excluded"} <= seen
    assert states == {"done", "failed"}


@pytest.mark.parametrize("seed", [CALM, ROUGH])
def test_a_seed_tells_the_same_story(seed: int) -> None:
    first, second = run_world(seed), run_world(seed)
    assert first.story == second.story
    assert findings(first) == []


# -- what breaks is found ----------------------------------------------------------------------------------------------


def emit(world: World, message: say.Message, sender: str, epoch: int = 1, position: int = 1) -> None:
    """Add a message to what a bank has sent."""
    at = Address(world.manifest.job, epoch, position, world.manifest.sha256(), bytes(32), bytes(32))
    raw = encode_packet(Packet(sign_envelope(identity_of(sender), sender, COORDINATOR, at, message).raw))
    world.banks[sender].emitted.append(
        Outgoing("secagg.test", "", COORDINATOR, at.job, 1, "", "", raw, "")
    )  # fmt: skip


def a_wrong_sum(world: World) -> None:
    number, survivors, request, total = world.story.sums[0]
    world.story.sums[0] = (number, survivors, request, [total[0] + 1, *total[1:]])


def a_cohort_that_grows(world: World) -> None:
    number, survivors, request, total = world.story.sums[0]
    world.story.sums.insert(0, (number, survivors[1:], request, total))


def a_cohort_that_shrinks(world: World) -> None:
    number, survivors, request, total = world.story.sums[-1]
    world.story.sums.append((number + 1, survivors[1:], request, total))


def a_late_end(world: World) -> None:
    world.story.ended += 10_000


def no_end(world: World) -> None:
    world.story.state = ""


def another_outcome(world: World) -> None:
    next(iter(world.banks.values())).outcome = "something else"


def a_refusal(world: World) -> None:
    next(iter(world.banks.values())).refusals.append("previous-unknown: a sum we did not vote on")


def a_second_vote(world: World) -> None:
    emit(world, say.Consent(bytes(32), ()), "bank-000", 9)
    emit(world, say.Consent(b"\x01" * 32, ()), "bank-000", 9)


def two_cohorts(world: World) -> None:
    emit(world, say.Consent(bytes(32), ()), "bank-000", 9)
    emit(world, say.Consent(b"\x01" * 32, ()), "bank-001", 9)


def both_secrets_of_one(world: World) -> None:
    emit(world, say.Consent(bytes(32), (say.Share("bank-002", bytes(32)),)), "bank-000", 9)
    emit(world, say.Reveal((), (say.PairSeed("bank-002", bytes(32)),)), "bank-000", 9)


def shares_here_and_a_seed_there(world: World) -> None:
    for name in list(world.banks)[:3]:
        emit(world, say.Consent(bytes(32), (say.Share("bank-003", bytes(32)),)), name, 9)
    emit(world, say.Reveal((), (say.PairSeed("bank-003", bytes(32)),)), "bank-003", 9)


def a_mask_used_twice(world: World) -> None:
    bank = world.banks["bank-000"]
    bank.emitted.append(next(each for each in bank.emitted if each.kind == "secagg.upload"))


FAULTS: list[Callable[[World], None]] = [
    a_wrong_sum, a_cohort_that_grows, a_cohort_that_shrinks, a_late_end, no_end, another_outcome, a_refusal,
    a_second_vote, two_cohorts, both_secrets_of_one, shares_here_and_a_seed_there, a_mask_used_twice,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_broken_world_is_found(fault: Callable[[World], None]) -> None:
    world = run_world(CALM)
    assert world.story.state == "done" and findings(world) == []
    fault(world)
    assert findings(world) != []


def test_a_member_that_forgets_its_cohort_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the permit's word and without its memory of the first vote, a later sum lacks somebody unasked.
    monkeypatch.setattr("tests.simulation.bank.Bank._may_exclude", lambda _bank, _lost: None)
    assert any("never agreed to" in finding for seed in range(60) for finding in findings(run_world(seed)))


def test_a_bank_that_adds_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.bank.part_of", lambda _bank, _request: np.ones(3, np.int64))
    assert any("adds up to" in finding for finding in findings(run_world(CALM)))
