"""The model in service is judged by matured decisions of its own, and each rule fires for its own reason alone."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from coordinator.commands import spec_of
from coordinator.job_file import load_job
from node.cli import main
from node.config import NodeConfig
from node.monitor import Monitored, monitor
from node.monitor_page import monitor_page
from node.proposal import propose
from node.source import read_table
from risk.bank import own_models
from risk.book import Book
from risk.catalogue import recipe
from risk.spec import JobSpec
from tests.node.decisions import keep, override, row_of
from tests.node.wheel import Wheel, make_wheel

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = datetime(2024, 11, 1)  # noqa: DTZ001


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return make_wheel(tmp_path)


def fired(found: Monitored) -> set[str]:
    return {rule["name"] for rule in found.report["rules"] if rule["fired"]}


def quiet(wheel: Wheel) -> NodeConfig:
    return wheel.settings(new_outcomes="100000")


def test_where_nothing_has_changed_no_rule_fires_and_nothing_is_proposed(wheel: Wheel) -> None:
    wheel.decide("a", 600, FIRST)

    found = monitor(quiet(wheel), NOW)

    assert fired(found) == set() and not found.retrain
    assert propose(quiet(wheel), found, NOW) is None
    assert not (wheel.folder / "state" / "proposals").exists()
    shown = found.report["performance"]
    assert (shown["rows"], found.report["matured"]) == (600, 600)
    assert 0.7 < shown["auc"] < 0.95 and shown["p_value"] > 0.01
    assert found.report["drift"]["score"]["psi"] < 0.1


def test_drift_of_the_applicants_fires_by_psi(wheel: Wheel) -> None:
    wheel.decide("a", 600, FIRST, moved=0.9)

    found = monitor(quiet(wheel), NOW)

    assert "score-drift" in fired(found)
    assert {each["name"] for each in found.report["drift"]["fields"] if each["band"] == "act"} >= {"cash", "debt"}


def test_a_score_that_ranks_no_more_fires_by_auc(wheel: Wheel) -> None:
    wheel.decide("a", 600, FIRST, noise=True)

    found = monitor(quiet(wheel), NOW)

    assert "ranking" in fired(found) and "score-drift" not in fired(found)
    assert found.report["performance"]["auc"] == pytest.approx(0.5, abs=0.1)


def test_pds_that_are_too_low_fire_by_calibration_alone(wheel: Wheel) -> None:
    wheel.decide("a", 600, FIRST, doubled=0.5)

    found = monitor(quiet(wheel), NOW)

    assert fired(found) == {"calibration"}
    assert any(each["finding"] == "PD too low" for each in found.report["grades"])


def test_outcomes_of_young_loans_do_not_count(wheel: Wheel) -> None:
    wheel.decide("a", 300, FIRST)
    wheel.decide("young", 300, datetime(2025, 6, 2), noise=True)  # noqa: DTZ001

    found = monitor(quiet(wheel), NOW)

    assert found.report["outcomes"] == {"known": 600, "matured": 300, "waiting": 0}
    assert found.report["performance"]["rows"] == 300 and "ranking" not in fired(found)


def test_a_day_decides_whether_a_loan_is_matured(wheel: Wheel) -> None:
    wheel.decide("a", 1, datetime(2025, 6, 1))  # noqa: DTZ001

    assert monitor(quiet(wheel), NOW).report["matured"] == 1
    assert monitor(quiet(wheel), NOW - timedelta(days=1)).report["matured"] == 0


def test_decisions_of_another_model_are_counted_and_left_out(wheel: Wheel) -> None:
    wheel.decide("a", 200, FIRST)
    wheel.decide("old", 400, FIRST, noise=True, model_sha256="ab" * 32)

    found = monitor(quiet(wheel), NOW)

    assert found.report["other_models"] == {"ab" * 32: 400}
    assert found.report["decisions"] == 200


def test_overrides_are_told_with_their_outcomes(wheel: Wheel) -> None:
    names = wheel.decide("a", 200, FIRST, outcome="refer")
    for name in names[:50]:
        override(wheel.folder / "state", name, datetime(2025, 6, 1), "refer", "approve")  # noqa: DTZ001
    override(wheel.folder / "state", names[60], datetime(2025, 6, 1), "refer", "decline")  # noqa: DTZ001

    found = monitor(quiet(wheel), NOW).report["overrides"]

    assert (found["decisions"], found["rate"]) == (51, 51 / 200)
    assert found["directions"] == {"refer->approve": 50, "refer->decline": 1}
    assert found["approved_by_people"]["matured"] == 50 and found["approved_by_model"]["matured"] == 0


def test_too_few_rows_fire_nothing(wheel: Wheel) -> None:
    wheel.decide("a", 60, FIRST, noise=True, moved=2.0)

    found = monitor(quiet(wheel), NOW)

    assert fired(found) == set()
    assert [rule["value"] for rule in found.report["rules"]][:3] == [None, None, None]


def test_a_proposal_holds_a_job_that_the_coordinator_takes_and_a_table_to_train_on(wheel: Wheel) -> None:
    names = wheel.decide("a", 400, FIRST)
    settings = wheel.settings(new_outcomes="300")

    found = monitor(settings, NOW)
    folder = propose(settings, found, NOW)

    assert fired(found) == {"new-outcomes"} and folder is not None
    assert sorted(path.name for path in folder.iterdir()) == [
        *("job.toml", "lineage.parquet", "manifest.json", "proposal.json", "schema.toml", "table.parquet"),
    ]
    job = load_job(folder / "job.toml")
    assert (job.job.recipe, job.job.seed, job.job.holdout_ppm) == ("scorecard", 3, 300_000)
    assert spec_of(job)["parameters"] == dict(wheel.model.training["parameters"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["rows_before"], manifest["rows_added"]) == (1500, 400)
    table = read_table(folder / "table.parquet", wheel.dictionary, "bank")
    assert table.rows == 1900
    spec = JobSpec("scorecard", 1, recipe("scorecard").parse_parameters({}), wheel.dictionary, 4, 1 << 16, 3, 300_000)
    assert own_models(Book(table, spec)).full.training["rows"] > wheel.model.training["rows"]
    last = pl.read_parquet(folder / "table.parquet").tail(400)
    assert last["amount"].to_list() == [10.0] * 400 and last["whose"].null_count() == 400
    assert set(pl.read_parquet(folder / "lineage.parquet")["application"]) == set(names)


def test_once_trained_on_an_outcome_is_not_new_and_no_row_comes_twice(wheel: Wheel) -> None:
    wheel.decide("a", 400, FIRST)
    settings = wheel.settings(new_outcomes="300")
    folder = propose(settings, monitor(settings, NOW), NOW)
    assert folder is not None
    moved = wheel.settings(new_outcomes="300", table=str(folder / "table.parquet"))

    assert fired(monitor(moved, NOW)) == set()
    wheel.decide("bb", 350, FIRST)
    again = propose(moved, monitor(moved, NOW), NOW + timedelta(days=1))

    assert again is not None
    manifest = json.loads((again / "manifest.json").read_text())
    assert (manifest["rows_before"], manifest["rows_added"]) == (1900, 350)


def test_refused_applications_join_the_table_without_a_target(wheel: Wheel) -> None:
    wheel.decide("a", 300, FIRST)
    keep(wheel.folder / "state", [
        row_of(f"no{n}", FIRST, {"cash": -3.0, "debt": 1.5}, outcome="decline", model_sha256=wheel.sha256)
        for n in range(40)
    ])  # fmt: skip
    settings = wheel.settings(new_outcomes="300")

    folder = propose(settings, monitor(settings, NOW), NOW)

    assert folder is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["rows_added"], manifest["rejected_added"]) == (300, 40)
    last = pl.read_parquet(folder / "table.parquet").tail(40)
    assert last["accepted"].to_list() == [0.0] * 40 and last["bad"].null_count() == 40
    assert read_table(folder / "table.parquet", wheel.dictionary, "bank").rows == 1800
    assert pl.read_parquet(folder / "lineage.parquet").height == 340


def test_what_the_model_could_not_use_is_missing_in_the_grown_table(wheel: Wheel) -> None:
    reply = {"data_used": [{"source": "s", "missing": {"debt": "too-old"}}]}
    wheel.decide("a", 300, FIRST, answer=json.dumps(reply).encode())
    settings = wheel.settings(new_outcomes="300")

    folder = propose(settings, monitor(settings, NOW), NOW)

    assert folder is not None
    last = pl.read_parquet(folder / "table.parquet").tail(300)
    assert last["debt"].null_count() == 300 and last["cash"].null_count() == 0


def test_the_page_is_whole_bilingual_and_without_scripts(wheel: Wheel) -> None:
    wheel.decide("a", 300, FIRST, grade="<b>A</b>")

    page = monitor_page("bank", monitor(quiet(wheel), NOW).report)

    assert page.count("<svg") == 4 and page.count("<table") >= 7
    assert "漂移" in page and "Drift" in page
    assert "<script" not in page and "<b>A</b>" not in page and "&lt;b&gt;A&lt;/b&gt;" in page
    assert not re.search(r"(src|href)=", page) and "nan" not in page


def test_the_command_prints_rules_and_proposes(wheel: Wheel, capsys: pytest.CaptureFixture[str]) -> None:
    wheel.settings(new_outcomes="100")
    command = ["monitor", "--config", str(wheel.folder / "node.toml")]
    assert main(command) == 0
    assert "nothing to propose" in capsys.readouterr().out
    wheel.decide("a", 120, FIRST)

    assert main([*command, "--out", str(wheel.folder / "report.html")]) == 0
    assert "FIRES  matured outcomes" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proposal"]
    (wheel.folder / "state" / "serving.json").unlink()
    assert main(command) == 2
    assert "no model is in service" in capsys.readouterr().err
