"""Jobs over real processes, mutual TLS and gRPC: whatever dies, a job ends, goes on rightly, and hangs never."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator import commands
from coordinator.store import Store
from tests.e2e.consortium_room import ConsortiumRoom, is_free

pytestmark = pytest.mark.slow

LOST_S, REJOIN_S = 5.0, 2.0
GOES_ON_S = 10.0  # what the product promises between a kill and the job's next step or end


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsortiumRoom]:
    with ConsortiumRoom(tmp_path_factory.mktemp("five"), 5) as room:
        room.start()
        yield room


@pytest.fixture
def five(shared: ConsortiumRoom) -> ConsortiumRoom:
    if len(shared.living()) < 6 or shared.history().jobs():
        shared.repair()
    return shared


def test_two_queued_jobs_run_one_after_the_other(five: ConsortiumRoom) -> None:
    first, second = five.submit(), five.submit()

    for job in (first, second):
        outcome = five.outcome(job)
        assert (outcome["state"], outcome["members"], outcome["left_out"]) == ("done", five.names, {})
        survivors = five.check_sums(job)
        assert len(survivors) == outcome["sums"] >= 10
        assert survivors == [five.names] * len(survivors)
        assert five.results(job, five.names) == dict.fromkeys(five.names, "done")
    assert five.event_s(second, "job-started") >= five.event_s(first, "job-done")


@pytest.mark.parametrize(
    ("moment", "cohorts"),
    [("upload:1:kill", {4}), ("consent:1:kill", {5, 4}), ("upload:4:kill", {5, 4}), ("consent:4:freeze", {5, 4})],
)
def test_a_node_that_is_killed_or_frozen(five: ConsortiumRoom, moment: str, cohorts: set[int]) -> None:
    five.stop(["bank-2"])
    five.start_node("bank-2", "--at", moment)
    five.await_line("bank-2", "connected")
    job = five.submit()
    gone_s = five.reached("bank-2")

    outcome = five.outcome(job)

    survivors = five.check_sums(job)
    others = [name for name in five.names if name != "bank-2"]
    assert outcome["state"] == "done", outcome["reason"]
    assert {len(names) for names in survivors} == cohorts
    assert survivors[-1] == others
    assert five.results(job, others) == dict.fromkeys(others, "done")
    seen = "job-resumed" if 5 in cohorts else "round-opened"
    went_on_s = five.event_s(job, seen) - gone_s
    print(f"{moment}: went on after {went_on_s:.1f} s")
    assert went_on_s < GOES_ON_S
    assert outcome["dropouts"] == 1


def test_two_losses_in_five_end_the_job(five: ConsortiumRoom) -> None:
    for name in ("bank-1", "bank-2"):
        five.stop([name])
        five.start_node(name, "--at", "upload:3:kill")
        five.await_line(name, "connected")
    job = five.submit()
    gone_s = max(five.reached(name) for name in ("bank-1", "bank-2"))

    outcome = five.outcome(job)

    assert outcome["state"] == "failed"
    assert "3 members are left" in outcome["reason"]
    assert five.event_s(job, "job-failed") - gone_s < GOES_ON_S
    five.check_sums(job)
    others = ["bank-0", "bank-3", "bank-4"]
    assert five.results(job, others) == dict.fromkeys(others, "failed")


def test_a_coordinator_and_a_node_that_are_killed_go_on_with_the_job(five: ConsortiumRoom) -> None:
    five.stop(["bank-2"])
    five.start_node("bank-2", "--at", "upload:4:hold")
    five.await_line("bank-2", "connected")
    job = five.submit()
    five.reached("bank-2")

    five.send("coordinator", signal.SIGKILL)
    five.processes["coordinator"].wait()
    five.stop(["bank-2"])
    address = five.address
    five.start_node("bank-2")
    assert five.start_coordinator() == address

    outcome = five.outcome(job)
    assert (outcome["state"], outcome["members"]) == ("done", five.names), outcome
    assert {tuple(survivors) for survivors in five.check_sums(job)} == {tuple(five.names)}
    assert five.results(job, five.names) == dict.fromkeys(five.names, "done")
    second = five.submit()
    assert five.outcome(second)["model_sha256"] == outcome["model_sha256"]


def test_a_suspended_member_is_cut_off_at_once_and_a_job_runs_without_it(five: ConsortiumRoom) -> None:
    def said(event: str) -> list[dict[str, Any]]:
        return [line for line in five.lines("bank-4") if line["event"] == event]

    assert commands.set_status(five.settings, "bank-4", "suspended") == 0

    def refused() -> bool:
        return any("has suspended this bank" in line["reason"] for line in said("disconnected"))

    five.wait(refused, "bank-4 to be cut off", needs="bank-4")
    job = five.submit()
    outcome = five.outcome(job)
    assert (outcome["state"], outcome["members"]) == ("done", five.names[:4]), outcome
    connected = len(said("connected"))
    assert commands.set_status(five.settings, "bank-4", "active") == 0
    five.wait(lambda: len(said("connected")) > connected, "bank-4 to be back", 60.0, needs="bank-4")


def test_in_a_room_of_four_any_loss_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    with ConsortiumRoom(tmp_path, 4) as four:
        four.start()
        four.stop(["bank-3"])
        four.start_node("bank-3", "--at", "consent:2:kill")
        four.await_line("bank-3", "connected")
        job = four.submit()
        gone_s = four.reached("bank-3")
        outcome = four.outcome(job)
        four.check_sums(job)
        ended_s = four.event_s(job, "job-failed")

    assert outcome["state"] == "failed"
    assert "member lost: bank-3" in outcome["reason"]
    assert ended_s - gone_s < GOES_ON_S


def test_a_killed_node_that_is_restarted_in_time_catches_up(tmp_path: Path) -> None:
    with ConsortiumRoom(tmp_path, 5, {"rejoin_s": 120}) as room:
        room.start()
        room.stop(["bank-2"])
        room.start_node("bank-2", "--at", "consent:4:kill")
        room.await_line("bank-2", "connected")
        job = room.submit()
        room.reached("bank-2")
        room.processes["bank-2"].wait(20)
        room.start_node("bank-2")

        outcome = room.outcome(job)
        survivors = room.check_sums(job)
        results = room.results(job, room.names)
        resumed_s = room.event_s(job, "job-resumed") - room.event_s(job, "job-paused")

    assert (outcome["state"], outcome["dropouts"]) == ("done", 0), outcome["reason"]
    assert survivors == [room.names] * len(survivors)
    assert results == dict.fromkeys(room.names, "done")
    print(f"paused for {resumed_s:.1f} s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_every_process_in_the_middle_of_a_job(five: ConsortiumRoom, number: signal.Signals) -> None:
    for name, options in {"bank-1": ["--slow", "4"], "bank-2": ["--at", "upload:4:hold"]}.items():
        five.stop([name])
        five.start_node(name, *options)
        five.await_line(name, "connected")
    job = five.submit()
    five.reached("bank-1")
    five.reached("bank-2")

    codes = five.stop([*five.names, "coordinator"], number, limit_s=5.0)

    assert set(codes.values()) == {0 if number == signal.SIGTERM else 130}
    assert is_free(five.address)
    assert not (five.run.coordinator / "listening.json").exists()
    assert five.history().state(job) == "running"  # it goes on at the next start
    assert not (five.run.coordinator / "jobs" / job).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_node_that_backs_off(five: ConsortiumRoom, number: signal.Signals) -> None:
    five.stop(["coordinator"])
    for name in five.names:
        five.await_line(name, "disconnected")

    codes = five.stop(five.names, number, limit_s=5.0)

    assert set(codes.values()) == {0 if number == signal.SIGTERM else 130}


def test_a_member_whose_certificate_no_longer_counts_stays_outside(five: ConsortiumRoom) -> None:
    store = Store(f"sqlite:///{five.run.coordinator / 'coordinator.db'}")
    store.set_member_status("bank-4", "suspended")
    try:
        job = five.submit()
        outcome = five.outcome(job)
        refused = five.await_line("bank-4", "disconnected")
    finally:
        store.set_member_status("bank-4", "active")
        store.close()

    assert (outcome["state"], outcome["members"]) == ("done", five.names[:4])
    assert "the operator has suspended this bank" in refused["reason"]
    assert not (five.run.nodes["bank-4"] / "jobs" / job).exists()
