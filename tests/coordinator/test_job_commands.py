"""Commands about one job: what an operator wishes is written down once, and told in words of two languages."""

import json
from pathlib import Path

import pytest

from coordinator import config
from coordinator.cli import main
from coordinator.job_commands import moment_after
from coordinator.roll import Roll
from coordinator.store import Member, Store
from privacy.errors import InputError
from privacy.log.note import VerifierKey
from tests.coordinator.operator import Operator, make_operator, vkeys

Lines = pytest.CaptureFixture[str]
SPEC: dict[str, object] = {"job": {}, "parameters": {}, "schema": {}}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path / "operator")


def store_of(operator: Operator) -> Store:
    return Store(config.load(operator.config).storage.url)


def ask(operator: Operator, *words: str) -> int:
    return main([*words, "--config", str(operator.config)])


def queued(operator: Operator, *states: str) -> str:
    store = store_of(operator)
    job = store.add_job("scorecard", SPEC)
    for state in states:
        store.set_job_state(job, state)  # type: ignore[arg-type]
    store.close()
    return job


def test_a_job_in_the_queue_is_held_back_let_go_and_cancelled(operator: Operator) -> None:
    store = store_of(operator)
    first, second = queued(operator), queued(operator)

    assert ask(operator, "pause", first) == 0
    waiting = store.next_queued()
    assert waiting is not None and waiting.id == second
    assert ask(operator, "resume", first) == 0
    waiting = store.next_queued()
    assert waiting is not None and waiting.id == first
    assert ask(operator, "cancel", first) == 0
    assert (store.job(first).state, store.job(first).reason, store.job(first).wish) == (
        "cancelled", "cancelled in the queue", ""
    )  # fmt: skip
    assert store.job(first).ended is not None
    store.close()


def test_a_wish_for_a_running_job_waits_for_the_coordinator(operator: Operator, capsys: Lines) -> None:
    job = queued(operator, "joining", "running")

    assert ask(operator, "cancel", job) == 0
    assert "is being cancelled" in capsys.readouterr().out
    store = store_of(operator)
    assert (store.job(job).state, store.job(job).wish) == ("running", "cancel")
    store.close()
    assert ask(operator, "pause", job) == 2
    assert "is being cancelled; see `creditmesh-coordinator job" in capsys.readouterr().err


@pytest.mark.parametrize("wish", ["pause", "resume", "cancel"])
def test_what_has_ended_or_never_was_is_refused_in_one_line(operator: Operator, capsys: Lines, wish: str) -> None:
    job = queued(operator, "failed")

    assert ask(operator, wish, job) == 2
    assert ask(operator, wish, "job-9999-0") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "failed" in lines[0] and "there is no job job-9999-0" in lines[1]


def test_a_job_starts_no_earlier_than_its_time(operator: Operator, tmp_path: Path) -> None:
    clock = [1_000_000]
    store = Store(f"sqlite:///{tmp_path}/c.db", now_us=lambda: clock[0])
    late = store.add_job("scorecard", SPEC, 2_000_000)
    soon = store.add_job("scorecard", SPEC)
    waiting = store.next_queued()
    assert waiting is not None and waiting.id == soon
    store.set_job_state(soon, "failed", "over")
    assert store.next_queued() is None
    clock[0] = 2_000_000
    waiting = store.next_queued()
    assert waiting is not None and waiting.id == late
    store.close()

    assert ask(operator, "submit", str(operator.job), "--not-before", "2999-01-01T00:00+08:00") == 0
    store = store_of(operator)
    assert store.jobs()[-1].not_before == moment_after("2998-12-31T16:00Z")
    assert store.next_queued() is None
    store.close()


@pytest.mark.parametrize("text", ["tomorrow", "2026-03-01", "2026-03-01T22:00", "", "2026-13-01T22:00Z"])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a time with its zone"):
        moment_after(text)


def test_the_timeline_tells_causes_and_next_steps_in_both_languages(operator: Operator, capsys: Lines) -> None:
    job = queued(operator, "joining", "running")
    store = store_of(operator)
    store.add_event(job, "job-started", {"members": ["a", "b"]})
    store.add_event(job, "job-recovered", {"rounds": 3, "epoch": 1})
    store.add_event(job, "job-paused", {})
    store.add_event(job, "unheard-of", {"x": 1})
    reason = "member lost: b; 1 members are left, at least 4 are needed"
    store.set_job_state(job, "failed", reason)
    store.add_event(job, "job-failed", {"reason": reason, "seconds": 1.5})
    store.close()

    assert ask(operator, "job", job) == 0
    english = capsys.readouterr().out
    assert "The job began with 2 banks: a, b" in english
    assert "the job goes on after 3 rounds" in english
    assert "unheard-of" in english
    assert "-> Ask the lost bank whether its node runs" in english
    assert ask(operator, "job", job, "--lang", "zh") == 0
    assert "任务在第 3 轮之后继续" in capsys.readouterr().out
    assert ask(operator, "job", job, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "failed"
    assert [line["kind"] for line in document["timeline"]][-1] == "job-failed"
    assert document["timeline"][-1]["cause_zh"] and document["timeline"][-1]["next"]
    assert ask(operator, "jobs", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert [line["kind"] for line in listed["history"]][:2] == ["job-started", "job-recovered"]


def test_live_is_what_was_set_last_and_nothing_once_the_job_is_over(operator: Operator) -> None:
    job = queued(operator, "joining", "running")
    store = store_of(operator)
    assert store.live() is None
    store.set_live(job, {"job": job, "phase": "uploading", "phase_zh": "上传"})
    store.set_live(job, {"job": job, "phase": "voting", "phase_zh": "确认"})
    assert store.live() == {"job": job, "phase": "voting", "phase_zh": "确认"}
    store.set_job_state(job, "done")
    assert store.live() is None
    store.close()


class Log:
    def __init__(self) -> None:
        self.entries: list[object] = []

    def of_kinds(self, *_kinds: str) -> list[object]:
        return self.entries

    def append(self, entries: list[object]) -> None:
        self.entries += entries


def test_who_left_never_comes_back_and_the_log_says_so(operator: Operator, capsys: Lines) -> None:
    store, log = store_of(operator), Log()
    own = VerifierKey.parse(vkeys("coordinator")[0])
    for number, name in enumerate(("alpha", "beta")):
        store.add_member(Member(name, f"{number + 10:02x}" * 32, number + 1, "active", *vkeys(name)))
    roll = Roll(log, own)  # type: ignore[arg-type]

    def settle() -> list[tuple[str, str]]:
        before = len(log.entries)
        roll.settle({member.id: member for member in store.members()})
        return [(entry.body["member"], entry.body["action"]) for entry in log.entries[before:]]  # type: ignore[attr-defined]

    assert settle() == [("alpha", "joined"), ("beta", "joined")]
    store.set_member_status("alpha", "suspended")
    assert settle() == [("alpha", "suspended")]
    assert ask(operator, "remove", "alpha") == 0
    assert settle() == [("alpha", "left")]
    assert settle() == []
    capsys.readouterr()
    for words in (("readmit", "alpha"), ("suspend", "alpha"), ("remove", "gamma")):
        assert ask(operator, *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert ["alpha has left" in line for line in lines] == [True, True, False]
    with pytest.raises(InputError, match="already enrolled"):
        store.add_member(Member("alpha", "0f" * 32, 9))
    store.close()
