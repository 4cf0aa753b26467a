"""What the operator's commands print: documented JSON keys, UTC times, and the job exactly as it was checked."""

import json
from pathlib import Path

import pytest

from coordinator import commands
from coordinator.job_file import load_job
from coordinator.store import Member, ModelRecord, RoundRecord, Store
from privacy.errors import InputError
from risk.errors import InputError as RiskInputError
from tests.coordinator.operator import JOB, Operator, make_operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path)


def test_a_submitted_job_carries_settings_parameters_and_schema(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.submit(operator.config, operator.job, True) == 0
    job_id = json.loads(capsys.readouterr().out)["id"]

    store = Store(f"sqlite:///{operator.database}")
    job = store.job(job_id)
    store.close()
    assert set(job.spec) == {"job", "parameters", "schema"}
    assert job.spec["job"] == {
        "recipe": "scorecard",
        "purpose": "credit-risk-model",
        "seed": 0,
        "holdout_ppm": 300_000,
        "max_rows": 1_048_576,
        "approval_wait_s": 0,
    }
    assert job.spec["schema"]["name"] == "room"


def test_jobs_and_members_have_the_documented_keys(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(f"sqlite:///{operator.database}", now_us=lambda: 1_700_000_000_000_000)
    job = store.add_job("scorecard", {})
    store.record_round(RoundRecord(job, 1, 0, "sketch-1", "opened", (), 0, 0))
    store.add_model(ModelRecord("ab" * 32, job, "x"))
    store.close()

    commands.jobs(operator.config, True)
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": job,
            "recipe": "scorecard",
            "state": "queued",
            "reason": "",
            "created": "2023-11-14T22:13:20Z",
            "ended": None,
            "wish": "",
            "not_before": None,
            "history": [],
            "rounds": 1,
            "models": ["ab" * 32],
            "released": "pending",
        }
    ]
    commands.members(operator.config, True)
    assert json.loads(capsys.readouterr().out) == []
    commands.jobs(operator.config, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "recipe", "state", "rounds", "created", "ended", "released", "reason"]
    assert lines[1].split() == [job, "scorecard", "queued", "1", "2023-11-14T22:13:20Z", "pending"]


def test_a_released_model_is_shown_with_its_time(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(f"sqlite:///{operator.database}", now_us=lambda: 1_700_000_000_000_000)
    job = store.add_job("scorecard", {})
    store.add_job("scorecard", {})
    store.add_model(ModelRecord("ab" * 32, job, "x"))
    store.release_model("ab" * 32, job)
    store.close()

    commands.jobs(operator.config, True)
    assert [each["released"] for each in json.loads(capsys.readouterr().out)] == ["2023-11-14T22:13:20Z", None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (JOB.replace("scorecard", "oracle"), "recipe 'oracle' is not installed"),
        (JOB + "[parameters]\nmagic = 1\n", "magic"),
        (JOB.replace("schema.toml", "absent.toml"), "absent.toml"),
    ],
)
def test_a_job_that_cannot_run_is_not_queued(operator: Operator, text: str, says: str) -> None:
    operator.job.write_text(text, encoding="utf-8")

    with pytest.raises((InputError, RiskInputError), match=says):
        commands.submit(operator.config, operator.job, False)
    assert not operator.database.exists()


def test_the_schema_is_checked_before_a_job_is_queued(operator: Operator) -> None:
    operator.schema.write_text("name = 'x'\n", encoding="utf-8")

    with pytest.raises(RiskInputError, match=r"schema\.toml"):
        commands.spec_of(load_job(operator.job))


def test_founding_checks_name_and_address(tmp_path: Path) -> None:
    for name, listen in (("Demo", "127.0.0.1:0"), ("demo", "127.0.0.1")):
        with pytest.raises(InputError):
            commands.found(tmp_path / "new", name, listen, ())
    assert not (tmp_path / "new").exists()


def test_a_bank_is_suspended_and_let_in_again(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(f"sqlite:///{operator.database}")
    store.add_member(Member("alpha", "ab" * 32, 7))

    for status in ("suspended", "active"):
        assert commands.set_status(operator.config, "alpha", status) == 0
        assert capsys.readouterr().out == f"alpha is {status}\n"
        assert store.members()[0].status == status
    store.close()
    with pytest.raises(InputError, match="member beta is not enrolled"):
        commands.set_status(operator.config, "beta", "suspended")
