"""What the terminal shows where there is no screen: plain lines, once each, and a table that lines up."""

import pytest
from creditmesh_demo.job_history import JobEvent
from creditmesh_demo.progress import Screen
from creditmesh_demo.report import judge_job

from tests.deploy.plain import PlainRun


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_every_step_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    for number, name in enumerate(("sketch-1", "sketch-2", "bin-rows", "newton-1", "newton-2"), start=1):
        screen.event("scorecard", JobEvent(number, "round-opened", {"number": number, "name": name, "survivors": 5}))

    assert said(capsys) == [
        "  scorecard: cutting fields into bins",
        "  scorecard: counting good and bad loans per bin",
        "  scorecard: fitting weights",
    ]


def test_losses_are_said_with_what_they_mean(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.event("scorecard", JobEvent(1, "member-left-out", {"member": "tiny", "code": "rows-too-few"}))
    screen.event("scorecard", JobEvent(2, "job-paused", {"lost": ["alpha"], "rejoin_s": 2.0}))
    screen.event("scorecard", JobEvent(3, "members-excluded", {"lost": ["alpha"], "reasons": "alpha was lost"}))
    lines = said(capsys)

    assert "tiny does not take part: rows-too-few" in lines[0]
    assert "lost alpha; waiting 2 s" in lines[1]
    assert "computed by subtraction" in lines[2]


def test_result_table_lines_up_and_ends_with_the_market(
    plain_run: PlainRun, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = judge_job(plain_run.record.jobs[0], plain_run.tables, compare_pooled=False)
    Screen().result(judged)
    lines = [line for line in said(capsys) if line]

    assert lines[0].startswith("scorecard: AUC on hold-out rows")
    rows = [line for line in lines[1:] if set(line) > {" ", "-"} or line.strip()[0] != "-"]
    assert [line.split()[0] for line in rows] == ["bank", *plain_run.tables, "mean", "market"]
    assert len({len(line) for line in rows[1:-2]}) == 1
    network = judged.record.outcome["metrics"]["auc"]
    assert f"{network:.3f}" in rows[-1]
