"""The ledger of what a bank's rows were used for: durable, counted once, over all jobs and restarts."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import PermitSettings
from node.permit import Permit
from node.usage import Usage, allow_exclusion, check_change, load_usage, settle_cohort
from privacy.errors import InputError, RefusalError

EVERYONE = ("a", "b", "c", "d", "e")


def reopened(usage: Usage) -> Usage:
    return load_usage(usage.path, usage.dataset, usage.rows)


def fresh(tmp_path: Path) -> Usage:
    return load_usage(tmp_path / "usage.json", "rows", 1000)


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    usage = fresh(tmp_path)
    usage.join("job-1", EVERYONE)
    usage.exclude(frozenset({"e"}))

    again = reopened(usage)

    assert (again.jobs, again.members, again.excluded) == (["job-1"], {"a", "b", "c", "d"}, [["e"]])
    assert (again.spent.exact_jobs, again.spent.exclusions) == (1, 1)
    assert again.spent_before("job-1").exact_jobs == 0
    assert again.spent_before("job-2").exact_jobs == 1
    assert not list(tmp_path.glob("*.draft"))


def test_coming_back_to_a_job_brings_nobody_back_who_was_left_behind(tmp_path: Path) -> None:
    usage = fresh(tmp_path)
    usage.join("job-1", EVERYONE)
    usage.exclude(frozenset({"e"}))
    usage.join("job-1", EVERYONE)

    assert usage.jobs == ["job-1"]
    assert usage.left_behind(frozenset({"e"})) == frozenset()


def test_the_same_loss_seen_again_counts_once(tmp_path: Path) -> None:
    usage, permit = fresh(tmp_path), Permit(PermitSettings(allow_exclusion=1))
    usage.join("job-1", EVERYONE)
    settle_cohort(usage, permit, EVERYONE)
    allow_exclusion(usage, permit, frozenset({"e"}))
    allow_exclusion(usage, permit, frozenset({"e"}))
    settle_cohort(usage, permit, EVERYONE[:4])  # the vote that follows

    assert usage.excluded == reopened(usage).excluded == [["e"]]


@pytest.mark.parametrize("later", [EVERYONE[:4], (*EVERYONE, "f"), (*EVERYONE[:4], "f")], ids=["left", "came", "both"])
@pytest.mark.parametrize("allowed", [0, 1])
def test_a_cohort_that_differs_from_that_of_earlier_sums_counts_whoever_left_or_came(
    tmp_path: Path, later: tuple[str, ...], allowed: int
) -> None:
    usage, permit = fresh(tmp_path), Permit(PermitSettings(allow_exclusion=allowed))
    usage.join("job-1", EVERYONE)
    settle_cohort(usage, permit, EVERYONE)
    usage = reopened(usage)

    for step in (lambda: check_change(usage, permit, "job-2", later), lambda: settle_cohort(usage, permit, later)):
        if allowed:
            step()
            continue
        with pytest.raises(RefusalError) as caught:
            step()
        assert caught.value.code == "permit-exclusion"
        assert all(name in caught.value.message for name in set(EVERYONE) ^ set(later))

    changed = [sorted(set(EVERYONE) ^ set(later))] if allowed else []
    assert usage.excluded == reopened(usage).excluded == changed
    assert reopened(usage).cohort == set(later if allowed else EVERYONE)
    if allowed:  # and the way back is a second change
        with pytest.raises(RefusalError):
            check_change(usage, permit, "job-3", EVERYONE)


def test_asking_is_free_and_the_vote_counts(tmp_path: Path) -> None:
    usage, permit = fresh(tmp_path), Permit(PermitSettings(allow_exclusion=1))
    usage.join("job-1", EVERYONE)
    settle_cohort(usage, permit, EVERYONE)

    check_change(usage, permit, "job-2", EVERYONE[:4])
    assert usage.excluded == []
    settle_cohort(usage, permit, EVERYONE)  # nobody left after all
    assert usage.excluded == []


def test_a_member_that_drops_out_of_the_very_first_round_is_no_loss_and_its_return_is_a_change(tmp_path: Path) -> None:
    usage, permit = fresh(tmp_path), Permit(PermitSettings())
    usage.join("job-1", EVERYONE)
    check_change(usage, permit, "job-1", EVERYONE)
    settle_cohort(usage, permit, EVERYONE[:4])
    check_change(usage, permit, "job-1", EVERYONE)  # a node that comes back to its job is asked nothing

    with pytest.raises(RefusalError):
        check_change(usage, permit, "job-2", EVERYONE)
    check_change(usage, permit, "job-2", EVERYONE[:4])


def test_a_permit_that_allows_none_counts_none(tmp_path: Path) -> None:
    usage = fresh(tmp_path)
    usage.join("job-1", EVERYONE)

    with pytest.raises(RefusalError):
        allow_exclusion(usage, Permit(PermitSettings()), frozenset({"e"}))

    assert reopened(usage).excluded == []


def test_datasets_are_counted_apart_in_one_file(tmp_path: Path) -> None:
    first = fresh(tmp_path)
    first.join("job-1", EVERYONE)
    second = load_usage(first.path, "other rows", 5000)
    second.join("job-2", EVERYONE[:4])

    assert reopened(first).jobs == ["job-1"]
    assert reopened(second).jobs == ["job-2"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"rows": {}}', '{"rows": {"jobs": []}}', '{"rows": 3}', "null"])
def test_a_file_that_this_module_did_not_write_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "usage.json"
    path.write_text(text)

    with pytest.raises(InputError) as caught:
        load_usage(path, "rows", 10)

    assert caught.value.code == "usage-malformed"
    assert str(path) in caught.value.message


@given(st.lists(st.sets(st.sampled_from(EVERYONE), min_size=1).map(frozenset), max_size=12), st.booleans())
def test_a_job_goes_on_without_somebody_once_at_most(losses: list[frozenset[str]], allowed: bool) -> None:
    with TemporaryDirectory() as folder:
        usage = Usage(Path(folder) / "usage.json", "rows", ["job-1"], set(EVERYONE), set(EVERYONE))
        permit = Permit(PermitSettings(allow_exclusion=int(allowed)))
        for lost in losses:
            try:
                allow_exclusion(usage, permit, lost)
            except RefusalError:
                continue

    assert len(usage.excluded) <= int(allowed)
    left = set(EVERYONE) - {name for event in usage.excluded for name in event}
    assert usage.members == usage.cohort == left
