"""Where a judgement turns: each case one step on this side of a rule and one on the other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audit.report_say import LANGUAGES, Language
from privacy.log.record import Entry
from tests.audit.report_stories import (
    HOUR_US,
    PURPOSE,
    Question,
    ReadPage,
    Story,
    alarm,
    decided,
    made_page,
    sent,
    spends,
)

Answered = Callable[..., dict[Language, Question]]


@pytest.fixture
def answered(tmp_path: Path) -> Answered:
    """Tell a bank's records, an hour apart or as given, and return what the page says to a question."""

    def ask(number: int, *entries: Entry, apart_us: int = HOUR_US, code: int = 0) -> dict[Language, Question]:
        story = Story(tmp_path)
        for entry in entries:
            story.clock.pass_us(apart_us)
            story.tell(entry)
        story.close()
        page = made_page(tmp_path / "r.html", story.bank, code=code)
        return {language: ReadPage(page, language).questions[number] for language in LANGUAGES}

    return ask


UNDECIDED = ("no decision about its job stands before it", "此前没有该作业的批准记录")


@pytest.mark.parametrize(
    ("entries", "english", "chinese"),
    [
        ([sent("job-1", "m", 9)], *UNDECIDED),
        (
            [sent("job-1", "m", 9), decided("job-1")],
            "no decision about its job stands before it",
            "此前没有该作业的批准记录",
        ),
        ([decided("job-1", accepted=False), sent("job-1", "m", 9)], "its job was refused", "所属作业已被拒绝"),
        (
            [decided("job-1"), sent("job-1", "m", 9, manifest_sha256="77" * 32)],
            "another specification than the accepted one",
            "任务说明与批准时不一致",
        ),
        ([decided("job-1"), sent("", "m", 9)], "names no job", "未注明所属作业"),
        (
            [decided("job-2"), sent("job-1", "m", 9)],
            "no decision about its job stands before it",
            "此前没有该作业的批准记录",
        ),
    ],
)
def test_what_counts_as_unapproved(answered: Answered, entries: list[Entry], english: str, chinese: str) -> None:
    pages = answered(2, *entries)
    (row,) = pages["en"].tables["Messages without an approval"]
    assert row[-2] == english
    assert pages["zh"].tables["缺少批准的报文"][0][-2] == chinese
    assert pages["en"].status == "attention"


@pytest.mark.parametrize(
    "entries",
    [
        [decided("job-1"), sent("job-1", "m", 9)],
        [decided("job-1", accepted=False), sent("job-1", "m", 9, "secagg.decline")],
        [decided("job-1", accepted=False), decided("job-1"), sent("job-1", "m", 9)],
    ],
)
def test_what_counts_as_approved(answered: Answered, entries: list[Entry]) -> None:
    assert answered(2, *entries)["en"].status == "clear"


def assessed(scope: str, valid_to: str) -> Entry:
    body = {"doc_sha256": "d0" * 32, "type": "DPIA", "scope": [scope], "valid_to": valid_to, "signatories": []}
    return Entry("assessment.recorded", body)


@pytest.mark.parametrize(
    ("scope", "valid_to", "covered"),
    [
        (PURPOSE, "2026-09-21", True),
        ("job-1", "2026-09-21T00:00:00Z", True),
        (PURPOSE, "2026-09-20", False),
        ("marketing", "2030-01-01", False),
        (PURPOSE, "for ever", False),
    ],
)
def test_an_assessment_covers_its_scope_until_its_day(
    answered: Answered, scope: str, valid_to: str, covered: bool
) -> None:
    pages = answered(7, assessed(scope, valid_to), decided("job-1"))
    assert pages["en"].status == ("clear" if covered else "attention")
    assert ("Accepted jobs without a valid assessment" in pages["en"].tables) is not covered


def test_an_assessment_after_the_decision_comes_too_late(answered: Answered) -> None:
    assert answered(7, decided("job-1"), assessed(PURPOSE, "2030-01-01"))["en"].status == "attention"


@pytest.mark.parametrize(("floor", "status"), [(4, "clear"), (5, "attention")])
def test_the_floor_is_the_jobs_own(answered: Answered, floor: int, status: str) -> None:
    body = {
        "protocol": "creditmesh-secagg/1", "position": 1, "cohort": "1111", "survivors": "1111", "dropouts": "0000",
        "threshold": 3, "commitments_sha256": "11" * 32, "revealed_sha256": "22" * 32, "aggregate_sha256": "33" * 32,
    }  # fmt: skip
    opened = Entry("secagg.round", body, PURPOSE, "job-1", 1)
    pages = answered(11, decided("job-1", min_cohort=floor), opened, code=1 if floor == 5 else 0)
    assert pages["en"].status == pages["zh"].status == status
    assert ("Records below the job's floor" in pages["en"].tables) is (floor == 5)


def test_votes_stand_in_for_sums_and_it_is_said(answered: Answered) -> None:
    vote = sent("job-1", "m", 9, "secagg.consent", cohort="11011")
    pages = answered(11, decided("job-1"), vote)
    assert pages["en"].status == "partial"
    assert pages["en"].sentences[0] == "4 banks, over 1 vote; none below the job's floor."
    assert "no record of the opened sums" in pages["en"].sentences[-1]


@pytest.mark.parametrize(("hours", "silent"), [(24, False), (26, True)])
def test_a_silence_is_longer_than_a_heartbeat(answered: Answered, hours: int, silent: bool) -> None:
    pages = answered(19, decided("job-1"), decided("job-2"), apart_us=hours * HOUR_US)
    assert pages["en"].status == ("partial" if silent else "clear")
    assert len(pages["en"].tables.get("Silences of more than 25 hours", [])) == (2 if silent else 0)


def test_a_log_that_ended_without_closing_is_found(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.tell(decided("job-1"))
    head = {"size": 2, "root": "00" * 32}
    body = {"software": "creditmesh", "config_sha256": "00" * 32, "prev": head, "unclean": True, "gap_s": 90}
    story.tell(Entry("log.opened", body))
    story.close()
    page = made_page(tmp_path / "r.html", story.bank)
    question = ReadPage(page, "en").questions[19]
    assert question.status == "attention"
    assert question.sentences[0].startswith(
        "2 starts of logging, 1 after an unclean end; the longest pause before a start was 90 seconds;"
    )
    assert question.tables["Starts of logging"][1][2:4] == ["ended without closing", "90"]
    assert ReadPage(page, "zh").questions[19].tables["日志启动记录"][1][2:4] == ["异常中断", "90"]


@pytest.mark.parametrize(
    ("due", "done", "word"),
    [
        ("2026-09-15", "2026-09-15T23:59:59Z", "in time"),
        ("2026-09-15", "2026-09-16", "late"),
        ("2026-09-15T12:00:00Z", "2026-09-15T13:00:00Z", "late"),
        ("soon", "2026-09-15", "dates cannot be compared"),
    ],
)
def test_an_erasure_is_judged_by_its_dates(answered: Answered, due: str, done: str, word: str) -> None:
    body = {
        "request_ref": "r", "type": "erasure", "received": "2026-09-01", "due": due, "done": done, "seqs": [],
        "method": "m",
    }  # fmt: skip
    pages = answered(18, Entry("erasure.done", body))
    assert pages["en"].tables["Erasures"][0][5] == word
    assert pages["en"].status == ("clear" if word == "in time" else "attention")


@pytest.mark.parametrize(
    ("severity", "more", "status", "untold"),
    [
        ("critical", {}, "attention", 1),
        ("high", {"notified_at": "2026-09-21T15:00:00Z"}, "attention", 0),
        ("medium", {}, "listed", 0),
    ],
)
def test_grave_alarms_ask_for_a_notice(
    answered: Answered, severity: str, more: dict[str, str], status: str, untold: int
) -> None:
    pages = answered(22, alarm("mismatch", severity, "x", **more))
    assert pages["en"].status == status
    assert f"for {untold} of these the record names no time" in pages["en"].sentences[0]


def test_a_job_with_noise_is_not_called_exact(answered: Answered) -> None:
    pages = answered(6, decided("job-1"), *spends(("8",)))
    assert pages["en"].tables["Decisions about jobs"][0][-2] == "4 with noise: question 4"


def test_spending_that_lies_is_found(answered: Answered) -> None:
    first, second = spends(("8", "8"))
    second = replace(second, body={**second.body, "eps_total": "0.1"})
    pages = answered(4, decided("job-1"), first, second, code=1)
    assert pages["en"].status == "attention"
    (row,) = pages["zh"].tables["与复算不符的记录"]
    assert row[0] == "数值不符" and row[1].startswith("eps_total 登记为 0.1，依据记录复算为 0.54588")


def test_a_cap_that_is_met_is_not_exceeded(answered: Answered) -> None:
    (only,) = spends(("8",))
    total = str(only.body["eps_total"])
    pages = answered(5, decided("job-1"), replace(only, body={**only.body, "cap": total}))
    assert pages["en"].status == "clear" and pages["en"].sentences[0] == "No: no record exceeds its cap."
    assert pages["zh"].sentences[0] == "否。没有任何记录突破上限。"
