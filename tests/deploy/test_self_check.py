"""The self-check must find a wrong sum, wherever it is."""

import dataclasses
import json
from pathlib import Path

import pytest
from creditmesh_demo.report import check_sums
from creditmesh_demo.run_record import JobRecord
from creditmesh_demo.self_check import OpenedSum, read_opened

from tests.deploy.plain import PlainRun


def checked(run: PlainRun, opened: tuple[OpenedSum, ...]) -> tuple[int, int]:
    job: JobRecord = dataclasses.replace(run.record.jobs[0], opened=opened)
    result = check_sums(job, run.tables)
    return result.sums, result.different


def test_true_sums_pass(plain_run: PlainRun) -> None:
    opened = plain_run.record.jobs[0].opened

    assert checked(plain_run, opened) == (len(opened), 0)


@pytest.mark.parametrize("place", [0, 5, -1])
def test_one_changed_digest_is_found(plain_run: PlainRun, place: int) -> None:
    opened = list(plain_run.record.jobs[0].opened)
    opened[place] = dataclasses.replace(opened[place], sha256="00" * 32)

    assert checked(plain_run, tuple(opened))[1] >= 1


def test_a_sum_that_claims_other_members_is_found(plain_run: PlainRun) -> None:
    opened = list(plain_run.record.jobs[0].opened)
    opened[3] = dataclasses.replace(opened[3], survivors=opened[3].survivors[:-1])

    assert checked(plain_run, tuple(opened))[1] >= 1


def test_more_sums_than_the_recipe_asks_for_are_found(plain_run: PlainRun) -> None:
    opened = plain_run.record.jobs[0].opened
    extra = dataclasses.replace(opened[-1], number=len(opened) + 1)

    assert checked(plain_run, (*opened, extra))[1] == 1


def test_a_job_that_stopped_half_way_is_checked_as_far_as_it_came(plain_run: PlainRun) -> None:
    assert checked(plain_run, plain_run.record.jobs[0].opened[:6]) == (6, 0)
    assert checked(plain_run, ()) == (0, 0)


def test_only_the_jobs_own_sums_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "opened.jsonl"
    entries = [("a", 2), ("b", 1), ("a", 1)]
    rest = {"survivors": ["x"], "sha256": "ab", "place": "1/1"}
    lines = [json.dumps({"job": job, "number": n, **rest}) for job, n in entries]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert [entry.number for entry in read_opened(path, "a")] == [1, 2]
    assert read_opened(tmp_path / "none", "a") == ()
