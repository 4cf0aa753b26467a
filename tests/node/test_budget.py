"""A bank's budget in real jobs: charged before rows are read, charged again for every repeat, refused at the cap."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.ledger_store import read_ledger
from privacy import messages as say
from privacy.accountant import epsilon_of, epsilon_of_jobs, event_from_body
from privacy.guarantee import calibrated
from privacy.log.kinds import KINDS, fault_of
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from risk.charter import spec_of
from risk.job import releases
from tests.network import Network, Node
from tests.node.test_session import offer, said
from tests.virtual_time import run_virtual

DELTA = "0.000001"


def noisy(network: Network, epsilon: str = "3", job: str = "job-1", **changes: Any) -> Manifest:
    """Return the manifest of a job that may cost so much."""
    manifest = network.manifest(job, **changes)
    promised = calibrated(releases(spec_of(manifest, network.rows[0])), epsilon, DELTA)
    return replace(manifest, privacy="dp", dp=promised)


def play(script: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(script())


def result_of(node: Node) -> dict[str, Any]:
    return dict(json.loads((node.state / "result.json").read_text())["scorecard"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network after one job with noise."""
    network = Network.of(tmp_path_factory.mktemp("network"), 5)

    async def script() -> None:
        network.start()
        assert (await network.run(noisy(network)))[:2] == ("done", "")

    play(script)
    return network


def test_every_release_is_reserved_sent_and_recorded(done: Network) -> None:
    asked = len(releases(spec_of(noisy(done), done.rows[0])))
    for node in done.nodes.values():
        ledger = read_ledger(node.state, f"{node.name}/privacy-log")
        assert len(ledger.reserved) == len(ledger.sent) == len(node.spends) == asked
        for number, (entry, (_, release)) in enumerate(zip(node.spends, ledger.reserved, strict=True)):
            assert fault_of(entry.body, KINDS[entry.kind]) is None
            assert entry.body["entry"] == number and entry.job == "job-1" and entry.round == number + 1
            assert entry.body["ledger_sha256"] == ledger.heads[number].hex()
            assert event_from_body(entry.body) == release.event


def test_a_stranger_recomputes_every_figure_from_the_records(done: Network) -> None:
    spends = done.nodes["bank-003"].spends
    for number, entry in enumerate(spends):
        events = [event_from_body(each.body) for each in spends[: number + 1]]
        assert float(str(entry.body["eps_total"])) == pytest.approx(epsilon_of_jobs({"job-1": events}, DELTA), rel=1e-9)
        assert float(str(entry.body["eps_step"])) == pytest.approx(epsilon_of(events[-1:], DELTA), rel=1e-9)
    assert 2.9 < float(str(spends[-1].body["eps_total"])) <= 3


def test_the_result_and_the_model_state_the_cost(done: Network) -> None:
    node = done.nodes["bank-000"]
    cost = result_of(node)["privacy"]
    assert 2.9 < cost["epsilon"] == cost["epsilon_total"] <= 3 and cost["epsilon_cap"] == "8"
    model = json.loads((node.state / "models" / "scorecard-network.json").read_bytes())
    statement = noisy(done).statement
    assert statement is not None and statement.items() <= model["model"]["training"]["privacy"].items()


def with_borrowers(network: Network) -> None:
    """Let the dictionary name the borrower and each bank's rows say whose they are, three of each."""
    dictionary, tables = network.rows
    network.rows = (replace(dictionary, borrower="firm"), tables)
    for place, node in enumerate(network.nodes.values()):
        table = node.rows[1]
        drawn = np.random.default_rng(place).integers(0, 256, (table.rows // 3, 16), dtype=np.uint8)
        node.rows = (network.rows[0], replace(table, borrower=np.repeat(drawn, 3, axis=0)))


def test_borrowers_are_the_unit_where_rows_say_whose_they_are(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    with_borrowers(network)

    async def script() -> None:
        network.start()
        assert (await network.run(noisy(network)))[:2] == ("done", "")

    play(script)
    for node in network.nodes.values():
        assert {entry.body["unit"] for entry in node.spends} == {"borrower"}
        ledger = read_ledger(node.state, f"{node.name}/privacy-log")
        assert {release.unit for _, release in ledger.reserved} == {"borrower"}
        model = json.loads((node.state / "models" / "scorecard-network.json").read_bytes())
        assert model["model"]["training"]["privacy"]["unit"] == "one borrower at one bank"
        result = result_of(node)
        assert result["rows_train"] + result["rows_test"] == 40  # of 120 rows
        # Whose rows they are stays in the process: no message, no file and no record holds a digest.
        digests = node.rows[1].borrower
        assert digests is not None
        kept = [path.read_bytes() for path in sorted(node.state.rglob("*")) if path.is_file()]
        sent = [outgoing.message for outgoing in node.log]
        said = [repr(entry).encode() for entry in (*node.entries, *node.spends)]
        assert len(kept) > 5 and len(sent) > 10
        for digest in {row.tobytes() for row in digests}:
            for form in (digest, digest.hex().encode()):
                assert not any(form in held for held in (*kept, *sent, *said))


def test_a_bank_whose_rows_do_not_say_whose_they_are_declines(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    with_borrowers(network)
    node = network.nodes["bank-002"]
    node.rows = (node.rows[0], replace(node.rows[1], borrower=None))

    async def script() -> None:
        network.start("bank-002")
        await node.session.take(offer(noisy(network)))
        await node.session.take(offer(network.manifest("job-2")))

    play(script)
    assert said(node) == [say.Decline("borrower-absent"), say.Accept()]
    assert "no column firm of this bank's table" in node.decisions[0][1]


def test_an_exact_job_costs_no_budget(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, epsilon_cap="0")

    async def script() -> None:
        network.start()
        assert (await network.run())[0] == "done"

    play(script)
    assert all(not node.spends for node in network.nodes.values())
    assert "privacy" not in result_of(network.nodes["bank-000"])


def test_a_noisy_job_uses_up_nothing_of_the_rules_for_exact_ones(done: Network) -> None:
    assert all(node.usage.jobs == [] and node.usage.uploaded_bytes == 0 for node in done.nodes.values())


@pytest.mark.parametrize(
    ("permit", "change", "told", "reason"),
    [
        ({"epsilon_cap": "2.9"}, {}, "refused", "cap is 2.9"),
        ({"delta": "0.0000001"}, {}, "permit-delta", "asks for 0.0000001"),
        ({}, {"multiplier": 1_000_000}, "guarantee-broken", "promises 3"),
        ({}, {"epsilon": "2"}, "guarantee-broken", "promises 2"),
    ],
)
def test_a_job_that_costs_too_much_is_declined(
    tmp_path: Path, permit: dict[str, Any], change: dict[str, Any], told: str, reason: str
) -> None:
    network = Network.of(tmp_path, 5, **permit)
    node = network.nodes["bank-002"]

    async def script() -> None:
        network.start("bank-002")
        manifest = noisy(network)
        assert manifest.dp is not None
        await node.session.take(offer(replace(manifest, dp=replace(manifest.dp, **change))))

    play(script)
    assert said(node) == [say.Decline(told)]
    assert reason in node.decisions[0][1]


def test_jobs_add_up_until_the_cap(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, epsilon_cap="5")
    states = []

    async def script() -> None:
        network.start()
        for job in ("job-1", "job-2", "job-3"):
            states.append((await network.run(noisy(network, "3", job)))[0])

    play(script)
    assert states == ["done", "done", "failed"]  # 3 and 3 are 4.6 together, and another 3 would be more than 5
    assert all(float(str(node.spends[-1].body["eps_total"])) <= 5 for node in network.nodes.values())


def lose_at_upload(node: Node, round_number: int) -> None:
    """End a node's process in place of its upload of a round, once."""

    def dying(outgoing: Outgoing) -> bool:
        if outgoing.kind == "secagg.upload" and outgoing.round == round_number:
            node.before_send = lambda _outgoing: True
            node.die()
            return False
        return True

    node.before_send = dying


def test_repeats_are_charged_and_stop_at_the_cap(tmp_path: Path) -> None:
    """One bank's cap fits the plan and no repeat: the job ends there, the others are told nothing of why."""
    network = Network.of(tmp_path, 4, epsilon_cap="8")
    tight, lost = network.nodes["bank-001"], network.nodes["bank-002"]
    tight.permit = replace(tight.permit, settings=tight.permit.settings.model_copy(update={"epsilon_cap": "3.05"}))
    outcome: list[Any] = []

    async def script() -> None:
        network.start()
        lose_at_upload(lost, 4)

        def back(outgoing: Outgoing) -> bool:
            if not lost.alive and outgoing.kind == "secagg.upload" and outgoing.round == 4:
                lost.start()
            return True

        network.nodes["bank-003"].before_send = back
        outcome.append(await network.run(noisy(network, rejoin_s=60)))

    play(script)
    state, reason, learned = outcome[0]
    assert state == "failed" and "bank-001 stopped: refused" in reason and "cap" not in reason
    assert ("job-1", "budget-cap") in tight.alarms
    entry = result_of(tight)
    assert entry["state"] == "refused" and "this bank's cap is 3.05" in entry["reason"]
    assert entry["privacy"]["epsilon"] <= 3.05 < 3.2
    assert "own cap (epsilon 3.05 in 365 days)" in entry["notice"]["en"] and "model so far" in entry["notice"]["en"]
    assert "365 天内 ε 不超过 3.05" in entry["notice"]["zh"] and "模型" in entry["notice"]["zh"]
    other = result_of(network.nodes["bank-000"])
    assert other["state"] == "failed" and "only that member knows" in other["notice"]["en"]
    assert "3.05" not in json.dumps(other) and "仅该成员知晓" in other["notice"]["zh"]
    # What was learned up to there is kept, with what it says of itself.
    kept = json.loads((tight.state / "models" / "scorecard-network-so-far.json").read_bytes())
    assert kept["model"]["training"]["privacy"]["epsilon"] == "3"
    assert learned is None or learned.metrics is None


def test_a_lost_member_does_not_stop_a_noisy_job(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 6, allow_exclusion=0)

    async def script() -> None:
        network.start()
        lose_at_upload(network.nodes["bank-005"], 2)
        assert (await network.run(noisy(network, rejoin_s=1)))[:2] == ("done", "")

    play(script)
    ledger = read_ledger(network.nodes["bank-000"].state, "bank-000/privacy-log")
    rounds = [release.round for _, release in ledger.reserved]
    assert rounds.count(2) == 2  # the burnt attempt and the repeat


def test_an_upload_without_a_reservation_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger's disk fails: the node stops before a row is read."""
    network = Network.of(tmp_path, 5)
    node = network.nodes["bank-000"]
    read: list[int] = []
    monkeypatch.setattr("node.seat.contribute", lambda *_: read.append(1))

    async def script() -> None:
        network.start("bank-000")
        node._task.cancel()
        manifest = noisy(network)
        seat = network.seat(manifest, "bank-000")
        monkeypatch.setattr("os.fsync", _full)
        monkeypatch.setattr(seat.member, "derive", lambda *_: None)
        with pytest.raises(Exception, match="no space left"):
            seat.answer((1, 1, 1))

    play(script)
    assert not read


def _full(_file: int) -> None:
    raise OSError(28, "No space left on device")
