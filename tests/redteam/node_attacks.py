"""Attacks beside the list that end at a bank's own process: real sessions, whose alarms are what the bank writes down.

Each raises what the bank recorded, so an attack that is refused without a record counts as one that succeeded.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from node.session import Session
from privacy import messages as say
from privacy.envelope import COORDINATOR, EVERYONE, Address
from privacy.errors import PeerError
from privacy.field import Plan
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.secagg.replay import Replay
from risk.charter import spec_of
from risk.errors import RiskError
from risk.job import rounds
from risk.spec import JobSpec
from risk.update import UpdateLayout
from tests.network import Network, Node
from tests.privacy.table import sign_as
from tests.redteam.attack import HeldError, attack, together, without
from tests.virtual_time import run_virtual

__all__: list[str] = []

VICTIM, TARGET = "bank-000", "bank-005"


def against(count: int, script: Callable[[Network, Node], Coroutine[Any, Any, None]], **permit: Any) -> Node:
    """Play a script against real sessions on virtual time, and raise what the victim's log says, if anything."""
    with tempfile.TemporaryDirectory() as folder:
        network = Network.of(Path(folder), count, **permit)
        victim = network.nodes[VICTIM]

        async def play() -> None:
            network.start()
            await script(network, victim)
            await asyncio.sleep(1.0)

        run_virtual(play())
    if victim.alarms:
        raise PeerError(victim.alarms[0][1], "the bank's log says so")
    return victim


def spoken(manifest: Manifest, message: say.Message) -> bytes:
    """Return what the coordinator says to everyone before a job starts."""
    return sign_as(COORDINATOR, EVERYONE, Address(manifest.job, manifest_sha256=manifest.sha256()), message)


def sent(node: Node, kind: str, job: str) -> list[Outgoing]:
    """Return what a node has sent in a job."""
    return [outgoing for outgoing in node.log if (outgoing.kind, outgoing.job) == (f"secagg.{kind}", job)]


@attack(
    "+12", ("member", "Session._check_charter"), "manifest-changed",
    without="a bank says yes to six it knows, and finds itself beside a seventh that nobody asked it about",
    unguarded=lambda: without((Session._check_charter, "manifest-changed")),
)  # fmt: skip
def seat_after_the_offer() -> None:
    """Put another bank into the roster between offer and charter."""

    async def script(network: Network, victim: Node) -> None:
        offered = network.manifest(members=network.names[:6])
        await victim.session.take(spoken(offered, say.Offer(offered.encode())))
        charter = network.manifest()
        await victim.session.take(spoken(charter, say.Charter(charter.encode())))

    assert against(7, script).usage.jobs == ["job-1"]


@attack(
    "+13", ("member", "JobSpec"), "job-range",
    without="counts wrap at 2^32: a sum of good borrowers comes out negative",
    unguarded=lambda: without(
        (JobSpec.__post_init__, "job-range"), (JobSpec.__post_init__, "job-headroom"),
        (Plan.__post_init__, "plan-headroom"),
    ),
)  # fmt: skip
def wrapping_manifest() -> None:
    """Offer a job whose rows may outgrow its words."""

    async def script(network: Network, victim: Node) -> None:
        wide = network.manifest(max_rows=2**29)
        await victim.session.take(spoken(wide, say.Charter(wide.encode())))

    assert against(6, script).usage.jobs == ["job-1"]


@attack(
    "+14", ("member's permit", "settle_cohort"), "permit-exclusion",
    without="the first sum of the same job run twice, with and without one bank: the difference is that bank's part",
    unguarded=lambda: patch("node.session.settle_cohort", lambda *_: None),
)  # fmt: skip
def lost_in_the_second_job() -> None:
    """Run a job twice, and call one bank lost in the second one's first round, where a job stands a loss."""

    async def script(network: Network, _victim: Node) -> None:
        assert (await network.run())[0] == "done"
        network.nodes[TARGET].before_send = lambda outgoing: outgoing.kind != "secagg.upload"
        again = network.manifest("job-2", round_deadline_s=5)
        session = network.open_job(again)
        replay = Replay(rounds(spec_of(again, network.rows[0])), len(again.seats))
        await asyncio.wait([asyncio.create_task(session.run(replay))])

    assert sent(against(6, script, allow_exclusion=0), "consent", "job-2")


@attack(
    "+15", ("member's permit", "check_change"), "permit-exclusion",
    without="the sum with the newcomer minus the sum before it came is the newcomer's part",
    unguarded=lambda: together(
        patch("node.session.check_change", lambda *_: None), patch("node.session.settle_cohort", lambda *_: None)
    ),
)  # fmt: skip
def newcomer() -> None:
    """Run the same job again with one bank more."""

    async def script(network: Network, _victim: Node) -> None:
        assert (await network.run(network.manifest("job-1", network.names[:5])))[0] == "done"
        await network.run(network.manifest("job-2"))

    assert sent(against(6, script, allow_exclusion=0), "consent", "job-2")


@attack(
    "+16", ("member", "Session._handle"), "job-unknown",
    without="a bank's set-up for a job that it never joined",
    unguarded=lambda: without((Session._handle, "job-unknown")),
)  # fmt: skip
def job_without_a_charter() -> None:
    """Call a bank to an epoch of a second job while the first one runs."""

    async def script(network: Network, victim: Node) -> None:
        first, second = network.manifest(), network.manifest("job-2")
        await victim.session.take(spoken(first, say.Charter(first.encode())))
        at = Address("job-2", 1, manifest_sha256=second.sha256())
        await victim.session.take(sign_as(COORDINATOR, VICTIM, at, say.Assemble(tuple(network.names), None)))

    assert not against(6, script).log  # nothing was answered, but nobody was told either


# -- numbers and clocks ------------------------------------------------------------------------------------------------


@attack(
    "+17", ("node's own guard", "UpdateLayout.part"), "update-not-finite",
    without="one bank's exploding network makes every bank's weights garbage, and nobody knows whose it was",
    unguarded=lambda: patch("risk.update.np.isfinite", lambda numbers: np.ones_like(numbers, bool)),
)  # fmt: skip
def exploding_network() -> None:
    """Send weights that make local training end in NaN."""
    layout = UpdateLayout({"w": (3,)}, members=5, max_rows=100)
    before, after = {"w": np.array([0.0, -0.0, 1.0])}, {"w": np.array([np.nan, 0.0, 1.0])}
    try:
        with np.errstate(invalid="ignore"):
            part, _clipped = layout.part(before, after, 10)
    except RiskError as error:
        raise PeerError(error.code, error.message) from error  # as the session takes it
    assert part[0] == np.iinfo(np.int64).min and part[1] == 0


@attack(
    "+18", ("every side", "the monotonic clock"), "deadlines-hold",
    without="whoever sets a clock forward makes every bank a lost one, and chooses the cohort",
    unguarded=lambda: patch.object(Network, "now", lambda _network: time.time()),
)  # fmt: skip
def jumping_clock() -> None:
    """Set the clock of the coordinator a year forward and back while a job runs."""
    jumps = iter(range(10**9))
    ends: list[str] = []

    async def script(network: Network, _victim: Node) -> None:
        with patch("time.time", lambda: 1.8e9 + 3.15e7 * (next(jumps) % 2)), patch("time.time_ns", lambda: 0):
            ends.append((await network.run())[0])

    against(5, script)
    if ends == ["done"]:
        raise HeldError("deadlines-hold", "nobody is lost to a wall clock")
    assert ends == ["failed"]
