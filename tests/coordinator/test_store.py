"""The database: states move along the table only, whoever writes; names are unique; two processes share one file."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.store import FINAL_STATES, TRANSITIONS, Job, Member, ModelRecord, RoundRecord, Store
from privacy.errors import InputError, MisuseError

ROOT = Path(__file__).resolve().parents[2]
ALPHA = Member("alpha", "0a" * 32, 2**159 - 1)
STATES = ["queued", *TRANSITIONS]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    clock = iter(range(1_000_000, 10**9))
    opened = Store(f"sqlite:///{tmp_path}/c.db", now_us=lambda: next(clock))
    yield opened
    opened.close()


def test_members_are_found_by_their_160_bit_serial(store: Store) -> None:
    beta = Member("beta", "0b" * 32, 7)
    store.add_member(beta)
    store.add_member(ALPHA)

    assert store.members() == [ALPHA, beta]
    assert store.member_by_serial(ALPHA.certificate_serial) == ALPHA
    assert store.member_by_serial(8) is None


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (Member("alpha", "0b" * 32, 7), "member alpha is already enrolled"),
        (Member("beta", ALPHA.identity, 7), "this identity or certificate is already enrolled"),
        (Member("beta", "0b" * 32, ALPHA.certificate_serial), "this identity or certificate is already enrolled"),
    ],
)
def test_two_institutions_never_share_name_identity_or_certificate(store: Store, second: Member, says: str) -> None:
    store.add_member(ALPHA)

    with pytest.raises(InputError, match=says):
        store.add_member(second)
    assert store.members() == [ALPHA]


def test_a_suspended_member_is_still_known_as_such(store: Store) -> None:
    store.add_member(ALPHA)

    store.set_member_status("alpha", "suspended")

    assert store.member_by_serial(ALPHA.certificate_serial) == replace(ALPHA, status="suspended")
    with pytest.raises(InputError, match="not enrolled"):
        store.set_member_status("beta", "active")


def test_jobs_wait_in_order_and_end_with_time_and_reason(store: Store) -> None:
    first, second = store.add_job("scorecard", {"b": [1, 2.5], "a": "中"}), store.add_job("towers", {})

    waiting = store.next_queued()
    assert waiting == Job(first, "scorecard", {"b": [1, 2.5], "a": "中"}, "queued", "", 1_000_000, None)
    store.set_job_state(first, "joining")
    assert store.next_queued() == store.job(second)
    store.set_job_state(first, "failed", "nobody came")

    ended = store.job(first)
    assert (ended.state, ended.reason) == ("failed", "nobody came")
    assert ended.ended is not None
    assert ended.ended > ended.created
    assert first != second
    assert first.startswith("job-0001-")
    with pytest.raises(InputError, match="there is no job"):
        store.job("job-0009-00000000")


@given(st.lists(st.sampled_from(STATES), max_size=12))
def test_a_state_moves_along_the_table_only_and_a_final_one_never(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/c.db")
    job, state = store.add_job("scorecard", {}), "queued"
    for move in moves:
        if state in TRANSITIONS.get(move, frozenset()):  # type: ignore[call-overload]
            store.set_job_state(job, move)  # type: ignore[arg-type]
            state = move
        else:
            with pytest.raises(MisuseError, match="cannot move"):
                store.set_job_state(job, move)  # type: ignore[arg-type]
        assert store.job(job).state == state
        assert (store.job(job).ended is not None) == (state in FINAL_STATES)
    store.close()


def test_a_restart_finds_what_had_started_and_not_ended(store: Store) -> None:
    jobs = [store.add_job("scorecard", {}) for _ in range(5)]
    for job, path in zip(
        jobs, ([], ["joining"], ["joining", "running"], ["joining", "running", "paused"]), strict=False
    ):
        for state in path:
            store.set_job_state(job, state)  # type: ignore[arg-type]
    store.set_job_state(jobs[4], "failed", "before")

    assert [(job.id, job.state) for job in store.unfinished()] == list(
        zip(jobs[1:4], ["joining", "running", "paused"], strict=True)
    )


def test_a_round_is_replaced_and_events_are_read_on(store: Store) -> None:
    job, other = store.add_job("scorecard", {}), store.add_job("scorecard", {})
    closed = RoundRecord(job, 1, 0, "sketch-1", "closed", ("alpha", "beta"), 10, 5)
    opened = replace(closed, state="opened", ended=6)
    store.record_round(closed)
    store.record_round(replace(closed, number=2, position=1))
    store.record_round(opened)

    assert store.rounds(job) == [opened, replace(closed, number=2, position=1)]
    first = store.add_event(job, "joined", {"member": "alpha"})
    store.add_event(other, "joined", {})
    last = store.add_event(job, "ended", {"state": "done"})
    assert [line.kind for line in store.job_events(job)] == ["joined", "ended"]
    assert [(line.seq, line.body) for line in store.job_events(job, first)] == [(last, {"state": "done"})]


def test_a_model_is_noted_once_and_belongs_to_a_job(store: Store) -> None:
    job = store.add_job("scorecard", {})
    model = ModelRecord("ab" * 32, job, "models/ab.json")
    store.add_model(model)
    store.add_model(model)

    assert store.models(job) == [model]
    with pytest.raises(MisuseError, match="names a job that is not there"):
        store.add_model(replace(model, job="job-0009-00000000"))


def test_a_body_that_is_no_json_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        store.add_job("scorecard", {"x": float("nan")})
    assert store.jobs() == []


WRITER = """
import sys
from coordinator.store import Store
store = Store(sys.argv[1])
for _ in range(25):
    store.add_job("scorecard", {})
"""


def test_threads_and_another_process_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    store = Store(url)
    job = store.add_job("scorecard", {})

    def write() -> None:
        for _ in range(25):
            store.add_event(job, "tick", {})

    threads = [threading.Thread(target=write) for _ in range(3)]
    with subprocess.Popen([sys.executable, "-c", WRITER, url], cwd=ROOT) as other:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert other.wait() == 0

    assert len(store.jobs()) == 26
    assert len({line.seq for line in store.job_events(job)}) == 75
    store.close()


def test_one_of_two_processes_wins_a_move(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    here, there = Store(url), Store(url)
    job = here.add_job("scorecard", {})

    here.set_job_state(job, "joining")
    with pytest.raises(MisuseError):
        there.set_job_state(job, "joining")
    assert there.job(job).state == "joining"
    here.close()
    there.close()


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"not a database" * 100)
    urls = [f"sqlite:///{tmp_path}/c.db", f"sqlite:///{tmp_path}/absent/c.db", "postgresql+absent://x", "nonsense"]
    for url in urls:
        with pytest.raises(InputError) as caught:
            Store(url)
        assert "\n" not in caught.value.message


def test_a_model_is_pending_until_it_is_released_once(store: Store) -> None:
    jobs = [store.add_job("scorecard", {}) for _ in range(2)]
    for job in jobs:
        store.add_model(ModelRecord("ab" * 32, job, "models/ab.json"))
    assert [model.job for model in store.pending_models()] == jobs

    store.release_model("ab" * 32, jobs[0])
    (first,) = store.models(jobs[0])
    store.release_model("ab" * 32, jobs[0])

    assert first.released is not None and store.models(jobs[0]) == [first]
    assert [model.job for model in store.pending_models()] == jobs[1:]
    with pytest.raises(MisuseError):
        store.release_model("ab" * 32, "job-0009-00000000")


def test_a_member_keeps_the_keys_of_its_log_and_witness(store: Store) -> None:
    alpha = replace(ALPHA, log="alpha/privacy-log+x", witness="alpha/witness+y")
    store.add_member(alpha)

    assert store.members() == [alpha]
    assert store.member_by_serial(alpha.certificate_serial) == alpha
