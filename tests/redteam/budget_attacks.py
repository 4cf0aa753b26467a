"""Attacks on the privacy budget: drain it, understate it, leave the noise out, and ask a model who was in it."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from audit import epsilon as epsilon_audit
from node import replay as node_replay
from node.archive import Archive
from node.budget import Budget, cap_of
from node.config import PermitSettings
from node.ledger_store import LedgerStore
from node.record_store import read_egress
from privacy import guarantee, noise
from privacy.accountant import epsilon_of
from privacy.field import Plan
from privacy.ledger import Ledger
from privacy.log.record import Entry
from privacy.manifest import Manifest
from risk.charter import spec_of
from risk.job import contribute, releases
from tests.network import CODE, DATASET, Network
from tests.node.kill_points import Noisy
from tests.node.test_replay import keep_log
from tests.privacy.logs import ORIGIN, MemoryLog, opened
from tests.privacy.secagg.scenes import ASK
from tests.privacy.table import bench, names_of
from tests.redteam import membership
from tests.redteam.attack import HeldError, attack, together, without
from tests.redteam.cheats import open_now
from tests.second_accountant import epsilon_from_records
from tests.virtual_time import run_virtual

__all__: list[str] = []

NAMES = names_of(7)  # c = 2, u_min = 5: three honest members in the smallest cohort
LENGTH = 20_000
VARIANCE = 2_500
LAZY = "bank-002"


@contextmanager
def bank() -> Iterator[tuple[Budget, list[Entry], Path]]:
    """Give a bank's budget with a cap of 8, what it records, and its state folder."""
    with tempfile.TemporaryDirectory() as folder:
        entries: list[Entry] = []
        store = LedgerStore(Path(folder), ORIGIN)
        yield Budget(store, cap_of(PermitSettings()), "dataset", entries.append, lambda: 5), entries, Path(folder)
        store.close()


def promising(network: Network, epsilon: str = "3", job: str = "job-1") -> Manifest:
    """Return the manifest of a job with noise."""
    manifest = network.manifest(job)
    promised = guarantee.calibrated(releases(spec_of(manifest, network.rows[0])), epsilon, "0.000001")
    return replace(manifest, privacy="dp", dp=promised)


@contextmanager
def network_of(count: int) -> Iterator[Network]:
    """Give a network that no job has run in."""
    with tempfile.TemporaryDirectory() as folder:
        yield Network.of(Path(folder), count)


@attack(
    "17", ("member's ledger", "Ledger.reserve"), "budget-cap",
    without="one round repeated for fresh noise: the mean of what it opens is the exact sum",
    unguarded=lambda: without((Ledger.reserve, "budget-cap")),
)  # fmt: skip
def repeat_for_fresh_noise() -> None:
    """Call a round burnt again and again, and average the noise away."""
    exact, repeats = np.array([17, 170, 1700]), 300
    with bank() as (budget, _, _), network_of(4) as network:
        manifest, total = promising(network), np.zeros(3)
        for number in range(repeats):
            budget.reserve(manifest, (1, number + 1, 1), Noisy(noise=64, row_l1=1, row_l2_squared=1))
            total += exact + noise.skellam(number.to_bytes(32, "big"), 3, 64)
        assert np.abs(total / repeats - exact).max() < 2  # where one sum is off by 8


@attack(
    "17b", ("member's ledger", "Budget.decide"), "budget-cap",
    without="the job is started again under another name until nothing is left to protect",
    unguarded=lambda: without((Budget.decide, "budget-cap"), (Ledger.reserve, "budget-cap")),
)  # fmt: skip
def restart_under_another_name() -> None:
    """Restart a job under new names, each within what a manifest may promise."""
    with bank() as (budget, _, _), network_of(4) as network:
        for number in range(12):
            manifest = promising(network, job=f"job-{number}")
            planned = releases(spec_of(manifest, network.rows[0]))
            budget.decide(manifest, lambda planned=planned: planned)  # type: ignore[misc]
            for place, each in enumerate(planned, start=1):
                variance = each.variance(manifest.multiplier)
                asked = Noisy(each.name, each.rows, variance, each.row_l1, each.row_l2_squared)
                budget.reserve(manifest, (1, place, place), asked)
        assert budget.store.ledger.epsilon(budget.cap, 5) > 8


@attack(
    "17c", ("member", "check_plan"), "guarantee-broken",
    without="a manifest that says epsilon 3 over noise for epsilon 30",
    unguarded=lambda: without((guarantee.check_plan, "guarantee-broken"), (Budget.decide, "budget-cap")),
)  # fmt: skip
def promise_more_than_the_noise_keeps() -> None:
    """Lower the noise in the manifest and leave its promise."""
    with bank() as (budget, _, _), network_of(4) as network:
        manifest = promising(network)
        assert manifest.dp is not None
        lowered = replace(manifest, dp=replace(manifest.dp, multiplier=manifest.multiplier // 8))
        planned = releases(spec_of(lowered, network.rows[0]))
        budget.decide(lowered, lambda: planned)
        assert epsilon_of(guarantee.planned_events(planned, lowered.multiplier), "0.000001") > 30


@attack(
    "17d", ("member's ledger", "LedgerStore.check_log"), "rolled-back",
    without="yesterday's ledger is put back, and with it yesterday's budget",
    unguarded=lambda: without((LedgerStore.check_log, "rolled-back")),
)  # fmt: skip
def put_yesterdays_ledger_back() -> None:
    """Restore an old copy of the ledger beside the log of today."""
    with bank() as (budget, entries, folder), network_of(4) as network:
        manifest = promising(network)
        budget.reserve(manifest, (1, 1, 1), Noisy())
        old = (folder / "ledger").read_bytes()
        for position in range(2, 9):
            budget.reserve(manifest, (1, position, 1), Noisy())
        spent = budget.store.ledger.epsilon(budget.cap, 5)
        (folder / "ledger").write_bytes(old)
        restored = LedgerStore(folder, ORIGIN)
        restored.check_log(entries[-1].body)
        assert restored.ledger.epsilon(budget.cap, 5) < spent / 2


@attack(
    "26", ("the bank's auditor", "replay_with"), "replay-differs",
    without="a bank saves its accuracy by leaving its noise to the others",
    unguarded=lambda: patch.object(node_replay, "same_bytes", lambda _left, _right: True),
)  # fmt: skip
def leave_the_noise_out() -> None:
    """Send a part without the share of noise that it owes; the others' shares still reach the claim."""
    with network_of(5) as network:
        manifest = promising(network)
        with lazy(LAZY):
            run_virtual(_run(network, manifest))
        node = network.nodes[LAZY]
        keep_log(node)
        uploads = [event for event in read_egress(node.state, node_replay.UPLOAD, manifest.job) if event.round == 2]
        present = node_replay.Present(LAZY, lambda: node.rows, DATASET, CODE, bytes(32), split_key=LAZY.encode())
        report = node_replay.replay_with(Archive(node.state, "").read(manifest.job), uploads, 2, present)
        assert noise.share_variance(VARIANCE, 5) * (5 - 1) >= VARIANCE
        if report.state == "differs":
            raise HeldError("replay-differs", "what left is not what the rows and the kept key of the noise give")
        assert report.state == "matched"


async def _run(network: Network, manifest: Manifest) -> None:
    network.start()
    assert (await network.run(manifest))[0] == "done"


@contextmanager
def lazy(name: str) -> Iterator[None]:
    """Let one bank draw zeros; on virtual time all banks compute one after the other."""
    at_work: list[str] = [""]

    def noticed(request: Any, book: Any) -> np.ndarray:
        at_work[0] = book.table.member
        return contribute(request, book)

    def drawn(key: bytes, length: int, variance: int) -> np.ndarray:
        return noise.skellam(key, length, 0 if at_work[0] == name else variance)

    with together(patch("node.seat.contribute", noticed), patch("node.seat.skellam", drawn)):
        yield


def _too_small() -> AbstractContextManager[Any]:
    return patch.object(noise, "fewest_honest", lambda members: members)


@attack(
    "37", ("the shares' size", "share_variance"), "noise-suffices",
    without="shares sized for all members: two drop out, two collude, and the sum holds less noise than is claimed",
    unguarded=_too_small,
)  # fmt: skip
def drop_out_and_collude() -> None:
    """Lose as many members as a round bears, have c others leave their noise out, and measure what is left."""
    for lost in (NAMES[5:], []):
        share = noise.share_variance(VARIANCE, 7)
        plan = Plan(LENGTH, 64, 1, 7, share)
        table = bench(NAMES)
        table.assemble()
        table.begin(ASK, plan)
        parts = {name: noise.skellam(name.encode().ljust(32, b"k"), LENGTH, share) for name in NAMES[2:]}
        parts |= {name: np.zeros(LENGTH, np.int64) for name in NAMES[:2]}
        table.dead |= set(lost)
        table.upload(parts)
        found = float(open_now(table, table.coordinator.close()).var())
        if found < VARIANCE * (1 - 5 * (2 / LENGTH) ** 0.5):
            assert found < VARIANCE / 2
            return
    raise HeldError("noise-suffices", "the sum holds the claimed noise whoever drops out and colludes")


@attack(
    "38", ("the auditor", "audit_epsilon"), "epsilon-differs",
    without="a bank's log says epsilon 0.1 where 2 was spent",
    unguarded=lambda: patch.object(epsilon_audit, "_same", lambda _logged, _found: True),
)  # fmt: skip
def understate_epsilon() -> None:
    """Write less into the log than was spent."""
    with bank() as (budget, entries, _), network_of(4) as network:
        manifest = promising(network)
        for position in range(1, 6):
            asked = Noisy(
                sampling_ppm=1_000_000 if position % 2 else 50_000, rows="train" if position < 4 else "holdout"
            )
            budget.reserve(manifest, (1, position, position), asked)
        told = [float(str(entry.body["eps_total"])) for entry in entries]
        for count in range(1, 6):
            own = epsilon_from_records([(entry.job, entry.body) for entry in entries[:count]], 1e-6)
            assert abs(own / told[count - 1] - 1) < 1e-6  # two accountants, written apart
        log = MemoryLog()
        forged = replace(entries[-1], body={**entries[-1].body, "eps_total": "0.1"})
        log.append(opened(), *entries[:-1], forged)
        faults = [fault.code for fault in epsilon_audit.audit_epsilon(log.events()).faults]
        if faults:
            assert faults == ["differs"]
            raise HeldError("epsilon-differs", "the records make another epsilon than the one that is written")
        assert told[-1] > 1


def _a_twentieth() -> AbstractContextManager[Any]:
    honest = membership._multiplier
    return patch.object(membership, "_multiplier", lambda spec, epsilon: honest(spec, epsilon) // 20)


@attack(
    "39", ("the noise", "Seat.answer"), "advantage-bounded",
    without="with a twentieth of the noise the sums tell whether the canary was trained on",
    unguarded=_a_twentieth,
)  # fmt: skip
def ask_whether_the_canary_was_there() -> None:
    """Ask released models and sums whether an unusual borrower was in the training rows."""
    found = membership.audit("1", runs=40)
    if found.held:
        raise HeldError("advantage-bounded", "no attack beats the bound that epsilon gives")
    assert found.sums > 0.7
