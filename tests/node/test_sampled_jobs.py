"""A job whose requests are sampled, at real nodes: rows drawn by each bank, priced as drawn, recomputed by the bank."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.archive import Archive
from node.ledger_store import read_ledger
from node.record_store import read_egress
from node.replay import Present, replay_with
from privacy.accountant import epsilon_of_jobs, event_from_body
from privacy.guarantee import calibrated
from privacy.log.kinds import KINDS, fault_of
from risk import private_towers
from risk.charter import spec_of
from risk.job import contribute, releases
from risk.recipe import ALL_ROWS
from tests.network import CODE, DATASET, Network, Node
from tests.node.test_replay import keep_log
from tests.virtual_time import run_virtual

pytest.importorskip("torch", reason="the towers extra (torch) is not installed")

pytestmark = pytest.mark.slow

BANK = "bank-002"
STEPS = 3
FIRST_STEP = 5
DELTA = "0.000001"


def test_steps_are_sampled_priced_and_recomputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bank dies after it recorded a step's upload, so that step is answered twice, with other rows."""
    monkeypatch.setattr(private_towers, "STEPS", STEPS)
    parts: list[tuple[str, np.ndarray]] = []

    def noted(request: Any, book: Any) -> np.ndarray:
        part = contribute(request, book)
        if book.table.member == BANK:
            parts.append((request.name, part))
        return part

    monkeypatch.setattr("node.seat.contribute", noted)
    # What each bank trains on its own is another test's.
    monkeypatch.setattr(Node, "_write", lambda *_: None)
    network = Network.of(tmp_path, 5)
    manifest = network.manifest(recipe="towers", rejoin_s=60)
    promised = calibrated(releases(spec_of(manifest, network.rows[0])), "3", DELTA)
    node = network.nodes[BANK]

    async def test() -> tuple[str, str, Any]:
        network.start()
        node.before_send, network.nodes["bank-003"].before_send = hooks_of(node)
        return await network.run(replace(manifest, privacy="dp", dp=promised))

    assert run(test())[:2] == ("done", "")
    twice = [part for name, part in parts if name == "step-1"]
    assert len(twice) == 2 and not np.array_equal(twice[0], twice[1])

    spends = node.spends
    steps = [entry for entry in spends if entry.body["sampling"] == "poisson"]
    assert len(steps) == STEPS + 1 and all(fault_of(entry.body, KINDS[entry.kind]) is None for entry in spends)
    rates = {event_from_body(entry.body).sampling_ppm for entry in steps}
    assert rates == {private_towers.SAMPLING_PPM} != {ALL_ROWS}
    events = [event_from_body(entry.body) for entry in spends]
    cost = epsilon_of_jobs({"job-1": events}, DELTA)
    assert float(str(spends[-1].body["eps_total"])) == pytest.approx(cost, rel=1e-9)
    assert cost < epsilon_of_jobs({"job-1": [replace(event, sampling_ppm=ALL_ROWS) for event in events]}, DELTA)
    reserved = read_ledger(node.state, f"{BANK}/privacy-log").reserved
    assert [event_from_body(entry.body) for entry in spends] == [release.event for _, release in reserved]

    check_replays(node)


def check_replays(node: Node) -> None:
    """Fail unless the bank recomputes what it sent, both answers to the first step among it."""
    keep_log(node)
    uploads = read_egress(node.state, "secagg.upload", "job-1")
    kept = Archive(node.state, "").read("job-1")
    present = Present(BANK, lambda: node.rows, DATASET, CODE, bytes(32), BANK.encode())
    for number in (1, FIRST_STEP, FIRST_STEP + 1, FIRST_STEP + STEPS):
        events_of = [event for event in uploads if event.round == number]
        report = replay_with(kept, events_of, number, present)
        assert [finding.state for finding in report.findings] == ["matched"] * (2 if number == FIRST_STEP else 1)


def hooks_of(node: Node) -> tuple[Callable[[Any], bool], Callable[[Any], bool]]:
    """Return what kills a bank at its upload of the first step, and what starts it again at another's."""

    def dying(outgoing: Any) -> bool:
        if (outgoing.kind, outgoing.round) != ("secagg.upload", FIRST_STEP):
            return True
        node.before_send = lambda _outgoing: True
        node.log.append(outgoing)  # recorded, and killed before it could leave
        node.die()
        return False

    def back(outgoing: Any) -> bool:
        if not node.alive and (outgoing.kind, outgoing.round) == ("secagg.upload", FIRST_STEP):
            node.start()
        return True

    return dying, back


def run(job: Coroutine[Any, Any, tuple[str, str, Any]]) -> tuple[str, str, Any]:
    outcome: tuple[str, str, Any] = run_virtual(job)
    return outcome
