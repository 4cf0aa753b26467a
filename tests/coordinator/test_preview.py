"""The plan of a job: exact where it can be, an estimate where it says so, and nothing is queued."""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli import main
from coordinator.preview import preview
from coordinator.store import Store
from coordinator.toml_file import read_document
from privacy.roster import Roster
from risk.errors import InputError
from tests.coordinator.operator import make_operator


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    schema = read_document(make_operator(tmp_path).schema)
    job = {"recipe": "scorecard", "purpose": "credit-risk-model", "seed": 0, "holdout_ppm": 300_000, "max_rows": 4096}
    return {"job": job, "parameters": {}, "schema": schema}


def test_a_scorecard_is_rehearsed_to_its_end(spec: dict[str, Any]) -> None:
    made = preview(spec, 5, 4)
    assert made.complete and made.rounds is not None and 10 < made.rounds < 100
    assert made.bytes_per_member is not None and made.bytes_per_member > 10_000
    assert (made.epsilon, made.noise) == (None, 0)
    assert made == preview(spec, 5, 4)


@pytest.mark.parametrize(("members", "seats"), [(0, 4), (5, 5), (9, 9), (1000, 256)])
def test_the_cohort_is_the_protocols_own(spec: dict[str, Any], members: int, seats: int) -> None:
    made = preview(spec, members, 4)
    roster = Roster(tuple(f"m{number:03d}" for number in range(seats)))
    assert (made.members, made.smallest_cohort) == (seats, roster.smallest_cohort)


def test_a_promise_costs_noise(spec: dict[str, Any]) -> None:
    loose, tight = (
        preview({**spec, "privacy": {"epsilon": epsilon, "delta": "0.000001"}}, 5, 4) for epsilon in ("8", "2")
    )
    assert 0 < loose.noise < tight.noise
    assert tight.epsilon == "2"


def test_a_bad_parameter_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="unknown key"):
        preview({**spec, "parameters": {"nonsense": 1}}, 5, 4)


def test_the_command_prints_it_and_queues_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    operator = make_operator(tmp_path)
    assert main(["submit", str(operator.job), "--preview", "--json", "--config", str(operator.config)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["recipe"] == "scorecard" and made["rounds"] > 0
    store = Store(f"sqlite:///{operator.database}")
    assert store.jobs() == []
    store.close()
