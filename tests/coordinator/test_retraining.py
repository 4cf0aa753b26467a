"""What validations found is listed by rule, and a job file written from it is the job that made the model."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from coordinator import commands
from coordinator.cli import main
from coordinator.job_file import load_job
from coordinator.retraining import findings, write_job
from coordinator.store import ModelRecord, Store
from privacy.errors import InputError
from risk.modelfile import model_digest
from tests.coordinator.operator import Operator, make_operator
from tests.risk.validation_rooms import dated_dictionary, dated_tables, train_model, validate, validation_spec


@pytest.fixture(scope="module")
def reports() -> dict[str, Any]:
    """Return what a real validation says of a model on its own members, and on members that are not like them."""
    dictionary = dated_dictionary()
    tables = dated_tables(dictionary, [700] * 4, 1)
    model = train_model("scorecard", tables, dictionary)
    others = dated_tables(dictionary, [700] * 4, 2)
    for table in others:
        table.columns["turnover"][:] = 10.0
        table.target[:] = 1 - table.target
    quiet = validate(validation_spec([model], tables, dictionary, {"rows": "all"}), tables)
    loud = validate(validation_spec([model], others, dictionary, {"rows": "all"}), others)
    return {"model": model_digest(model), "quiet": quiet, "loud": loud}


def operator_with(folder: Path, reports: dict[str, Any], *names: str) -> tuple[Operator, str, list[str]]:
    """Make a coordinator that trained the model by a job of its own and validated it."""
    operator = make_operator(folder)
    text = operator.schema.read_text().replace('text = "yearly turnover"', 'text = "turnover, \\"net\\" \\\\ 年收入"')
    operator.schema.write_text(text, encoding="utf-8")
    operator.job.write_text(operator.job.read_text() + "holdout = 0.25\nseed = 9\n[parameters]\nmax_bins = 6\n")
    store = Store(f"sqlite:///{operator.database}")
    trained = store.add_job("scorecard", commands.spec_of(load_job(operator.job)))
    store.add_model(ModelRecord(reports["model"], trained, "x"))
    jobs = [store.add_job("validation", {}) for _ in names]
    for job in (trained, *jobs):
        for state in ("joining", "running", "done"):
            store.set_job_state(job, state)
    store.close()
    released = reports["quiet"]["models"]["champion"]["scores"]["auc"] + 0.002
    outcomes = {trained: {"metrics": {"auc": released, "rows": 900, "bads": 180}}}
    outcomes |= {job: {"validation": reports[name]} for job, name in zip(jobs, names, strict=True)}
    for job, outcome in outcomes.items():
        place = folder / "jobs" / job
        place.mkdir(parents=True)
        (place / "outcome.json").write_text(json.dumps(outcome))
    return operator, trained, jobs


def listed(operator: Operator, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["retraining", "--json", "--config", str(operator.config)]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_each_validation_is_held_to_the_rules(
    tmp_path: Path, reports: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    operator, trained, jobs = operator_with(tmp_path, reports, "quiet", "loud")

    quiet, loud = listed(operator, capsys)

    assert [quiet["job"], loud["job"]] == jobs and quiet["trained_by"] == trained
    assert not quiet["retrain"] and {rule["name"] for rule in quiet["rules"]} == {
        *("score-drift", "ranking", "calibration"),
    }
    assert loud["retrain"] and all(rule["fired"] for rule in loud["rules"])
    assert main(["retraining", "--config", str(operator.config)]) == 0
    assert "TRAIN AGAIN" in capsys.readouterr().out


def test_the_job_that_is_written_is_the_one_that_made_the_model(tmp_path: Path, reports: dict[str, Any]) -> None:
    operator, trained, jobs = operator_with(tmp_path, reports, "loud")
    out = tmp_path / "again"

    assert main(["retraining", "--config", str(operator.config), "--job", jobs[0], "--out", str(out)]) == 0

    store = Store(f"sqlite:///{operator.database}")
    assert commands.spec_of(load_job(out / "job.toml")) == store.job(trained).spec
    store.close()
    assert tomllib.loads((out / "schema.toml").read_text()) == tomllib.loads(operator.schema.read_text())
    assert main(["retraining", "--config", str(operator.config), "--job", jobs[0], "--out", str(out)]) == 2


def test_what_is_wrong_is_told_in_one_line(
    tmp_path: Path, reports: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    operator, _, jobs = operator_with(tmp_path, {**reports, "model": "cd" * 32}, "loud")
    config = ["--config", str(operator.config)]

    assert main(["retraining", *config, "--job", "nobody", "--out", str(tmp_path / "x")]) == 2
    assert main(["retraining", *config, "--job", jobs[0]]) == 2
    assert main(["retraining", *config, "--job", jobs[0], "--out", str(tmp_path / "x")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "no validation of this id" in lines[0] and "was not trained by a job" in lines[2]
    assert not (tmp_path / "x").exists()


def test_a_validation_that_failed_or_left_nothing_is_not_listed(tmp_path: Path, reports: dict[str, Any]) -> None:
    from coordinator import config

    operator, _, jobs = operator_with(tmp_path, reports, "loud", "quiet")
    (tmp_path / "jobs" / jobs[0] / "outcome.json").write_text("{")
    store = Store(f"sqlite:///{operator.database}")
    store.add_job("validation", {})
    store.close()

    found = findings(config.load(operator.config))

    assert [each.job for each in found] == [jobs[1]]
    with pytest.raises(InputError, match="never overwritten"):
        write_job(found[0], tmp_path)
