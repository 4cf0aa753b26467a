"""A node that dies at the worst moments: whatever opens is right, and the job goes on or ends with its reason."""

from pathlib import Path

import pytest

from tests.e2e.demo_run import demo, job_events, left_behind, read_report, refused_port, write_small_room

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for left processes in /proc"),
]


@pytest.mark.parametrize(
    ("number", "moment"), [(1, "before-upload"), (8, "before-upload"), (8, "after-upload"), (8, "before-reveal")]
)
def test_the_job_goes_on_without_the_dead(tmp_path: Path, number: int, moment: str) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    ended = demo("--data", room, "--out", out, "--kill", f"rural_bank@{number}:{moment}")

    assert (ended.code, ended.err) == (0, ""), ended.out
    assert "the process of rural_bank ended: killed by SIGKILL" in ended.out
    report = read_report(out)
    sums = report["privacy"]["sums"]
    assert f"self-check: {sums} opened sums equal the plain sums" in ended.out
    assert report["privacy"]["smallest_cohort"] == 4 and report["privacy"]["dropouts"] == 1
    lost = report["recipes"]["scorecard"]["members"]["rural_bank"]
    assert lost["rows_train"] > 0 and lost["auc_network"] is None and lost["chosen"] is None
    assert "can be computed by subtraction" in (out / "report.html").read_text("utf-8")
    cohorts = [event["survivors"] for event in job_events(out) if event["kind"] == "round-opened"]
    assert cohorts == sorted(cohorts, reverse=True) and cohorts[-1] == 4
    # Once its upload is there, four votes of five open the round with all five inside.
    assert number - 1 <= cohorts.count(5) <= number - (moment == "before-upload")
    assert left_behind(out) == [] and refused_port(out)


def test_in_a_room_of_four_any_loss_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room", banks=4), tmp_path / "out"

    ended = demo("--data", room, "--out", out, "--kill", "rural_bank@5:after-upload", "--compare-pooled")

    assert ended.code == 1
    assert "member lost: rural_bank" in ended.out and "at least 4 are needed" in ended.out
    report = read_report(out)
    recipe = report["recipes"]["scorecard"]
    assert recipe["network"]["auc"] is None and recipe["pooled"] is None
    assert report["timing"]["first_result_s"] is None
    assert "No model was trained" in (out / "report.html").read_text("utf-8")
    assert left_behind(out) == [] and refused_port(out)
