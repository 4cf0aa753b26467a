"""report.json has exactly the fixed schema, and its figures are those of the run."""

import dataclasses
import json
from typing import Any

import pytest
from creditmesh_demo.report import check_sums, judge_job, report_document, run_view, sent_by_reason
from creditmesh_demo.run_record import RoundFact, Sent, Timing

from tests.deploy.plain import PlainRun

TIMING = Timing(1.5, 3.25, 123_456_789)
FLOAT = (float, type(None))
BANK: dict[str, Any] = {
    "rows_train": int, "rows_test": int, "auc_own": FLOAT, "auc_network": FLOAT, "auc_mixed": FLOAT, "ks_own": FLOAT,
    "ks_network": FLOAT, "ks_mixed": FLOAT, "auc_own_market": FLOAT, "chosen": (str, type(None)),
}  # fmt: skip


@pytest.fixture(scope="module")
def report(plain_run: PlainRun) -> dict[str, Any]:
    judged = [judge_job(job, plain_run.tables, compare_pooled=True) for job in plain_run.record.jobs]
    return report_document(plain_run.record, judged, TIMING)


def test_schema_to_the_letter(report: dict[str, Any], plain_run: PlainRun) -> None:
    members = list(plain_run.tables)

    assert list(report) == ["room", "members", "seed", "timing", "recipes", "privacy"]
    assert list(report["timing"]) == ["first_result_s", "total_s", "peak_rss_bytes_total"]
    recipe = report["recipes"]["scorecard"]
    assert list(recipe) == [
        "rounds", "seconds", "upload_bytes_per_member", "round_ms_median", "members", "network", "pooled",
    ]  # fmt: skip
    assert list(recipe["members"]) == members == report["members"]
    for bank in recipe["members"].values():
        assert set(bank) == set(BANK)
        assert all(isinstance(bank[name], kind) for name, kind in BANK.items())
        assert bank["chosen"] in ("own", "network", "mixed")
    assert list(recipe["network"]) == ["auc", "auc_exact", "ks", "brier", "ece"]
    assert list(recipe["pooled"]) == ["auc", "max_abs_difference"]
    assert list(report["privacy"]) == [
        "sums", "smallest_cohort", "dropouts", "epsilon", "egress_bytes", "log_events",
    ]  # fmt: skip
    assert report["privacy"]["epsilon"] == dict.fromkeys(members)
    json.dumps(report, allow_nan=False)


def test_figures_are_the_runs(report: dict[str, Any], plain_run: PlainRun) -> None:
    recipe, job = report["recipes"]["scorecard"], plain_run.record.jobs[0]

    assert recipe["rounds"] == report["privacy"]["sums"] == len(job.opened)
    assert recipe["pooled"]["max_abs_difference"] == 0.0
    assert recipe["pooled"]["auc"] == recipe["network"]["auc"]
    assert abs(recipe["network"]["auc"] - recipe["network"]["auc_exact"]) < 0.01
    sent = sum(message.size for message in plain_run.record.sent if message.bank == "city_bank")
    assert report["privacy"]["egress_bytes"]["city_bank"] == sent == recipe["upload_bytes_per_member"]
    assert report["timing"] == {"first_result_s": 1.5, "total_s": 3.25, "peak_rss_bytes_total": 123_456_789}


def test_a_lost_bank_stays_named_with_nulls(plain_run: PlainRun) -> None:
    job = plain_run.record.jobs[0]
    rest = tuple(member for member in job.members if member != "rural_bank")
    rounds = tuple(RoundFact(fact.number, fact.name, rest if fact.number > 9 else job.members) for fact in job.rounds)
    models = {member: found for member, found in job.models.items() if member in rest}
    lost = dataclasses.replace(job, rounds=rounds, models=models, excluded=("rural_bank",))
    found = judge_job(lost, plain_run.tables, compare_pooled=False)
    record = dataclasses.replace(plain_run.record, jobs=(lost,))
    report = report_document(record, [found], TIMING)

    bank = report["recipes"]["scorecard"]["members"]["rural_bank"]
    assert bank["rows_train"] > 0 and bank["auc_network"] is None and bank["chosen"] is None
    assert report["recipes"]["scorecard"]["pooled"] is None
    assert report["privacy"]["smallest_cohort"] == 4
    assert run_view(record, [found], [], report).excluded == ("rural_bank",)


def test_a_failed_job_has_nulls_and_no_guess(plain_run: PlainRun) -> None:
    job = plain_run.record.jobs[0]
    failed = dataclasses.replace(
        job, state="failed", reason="member lost", network=None, models={}, reported={}, outcome={"seconds": 2.0},
        rounds=job.rounds[:5], opened=job.opened[:5],
    )  # fmt: skip
    found = judge_job(failed, plain_run.tables, compare_pooled=True)
    report = report_document(dataclasses.replace(plain_run.record, jobs=(failed,)), [found], Timing(None, 2.0, None))

    recipe = report["recipes"]["scorecard"]
    assert recipe["members"] == {} and recipe["pooled"] is None
    assert set(recipe["network"].values()) == {None}
    assert report["timing"]["first_result_s"] is None and recipe["rounds"] == 5
    assert check_sums(failed, plain_run.tables).different == 0


def test_every_byte_has_one_reason(plain_run: PlainRun) -> None:
    extra = (
        Sent("city_bank", "job-1", None, "secagg.accept", 300),
        Sent("city_bank", "job-1", 4, "secagg.consent", 500),
        Sent("city_bank", "job-1", None, "something.new", 7),
    )
    record = dataclasses.replace(plain_run.record, sent=plain_run.record.sent + extra)
    by_reason = sent_by_reason(record)

    assert by_reason["setup"] == {"city_bank": 300} and by_reason["consent"] == {"city_bank": 500}
    assert by_reason["other"] == {"city_bank": 7}
    assert {"sketch", "counts", "training", "measuring", "halves"} <= set(by_reason)
    total = sum(size for by_bank in by_reason.values() for size in by_bank.values())
    assert total == sum(message.size for message in record.sent)


def test_sums_count_as_verified_only_if_members_signed_each_of_them(plain_run: PlainRun) -> None:
    judged = [judge_job(job, plain_run.tables, compare_pooled=False) for job in plain_run.record.jobs]
    numbers = [fact.number for fact in plain_run.record.jobs[0].rounds]

    def verifiers(signed: dict[int, list[str]]) -> int:
        extra = tuple(
            Sent(bank, "job-1", number, "secagg.sum-signature", 200)
            for number, banks in signed.items()
            for bank in banks
        )
        record = dataclasses.replace(plain_run.record, sent=plain_run.record.sent + extra)
        return run_view(record, judged, [], report_document(record, judged, TIMING)).verifiers

    both = ["city_bank", "rural_bank"]
    assert verifiers({}) == 0
    assert verifiers(dict.fromkeys(numbers, both)) == 2
    assert verifiers({**dict.fromkeys(numbers, both), 7: ["city_bank", "city_bank"]}) == 1
    assert verifiers(dict.fromkeys(numbers[:-1], both)) == 0
