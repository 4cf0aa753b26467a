"""Jobs that promise an epsilon: from the job file to the outcome, and what is left when a bank's cap ends one."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator import commands
from coordinator.job_file import load_job
from coordinator.store import Job
from privacy.guarantee import guarantee_of
from risk.modelfile import decode_model
from tests.coordinator.operator import JOB, make_operator
from tests.coordinator.test_clerk import SCHEMA, Desk, make
from tests.coordinator.test_job_file import load_text
from tests.node.test_budget import lose_at_upload

__all__ = ["make"]

ASKED = {"epsilon": "3", "delta": "0.000001"}


def queued(desk: Desk, recipe: str = "scorecard", epsilon: str = "3") -> Job:
    """Queue a job with noise, and nothing else."""
    job = {"recipe": recipe, "purpose": "credit-risk-model", "seed": 0, "holdout_ppm": 300_000, "max_rows": 4096}
    spec = {"job": job, "parameters": {}, "schema": tomllib.loads(SCHEMA), "privacy": {**ASKED, "epsilon": epsilon}}
    return desk.store.job(desk.store.add_job(recipe, spec))


def test_a_job_file_asks_for_epsilon(tmp_path: Path) -> None:
    operator = make_operator(tmp_path)
    assert "privacy" not in commands.spec_of(load_job(operator.job))
    operator.job.write_text(JOB + '[privacy]\nepsilon = "3"\n')
    assert commands.spec_of(load_job(operator.job))["privacy"] == ASKED


@pytest.mark.parametrize(
    "line", ['epsilon = 3', 'epsilon = "3.0"', 'epsilon = "-1"', 'epsilon = "3"\ndelta = "1e-6"', 'delta = "0.1"',
             'epsilon = "3"\nnoise = 1']
)  # fmt: skip
def test_an_epsilon_of_another_form_is_one_line(tmp_path: Path, line: str) -> None:
    assert "privacy" in load_text(tmp_path, f"{JOB}[privacy]\n{line}\n").message


@pytest.mark.parametrize("recipe", ["scorecard", "trees"])
def test_the_outcome_says_what_was_promised(make: Callable[..., Desk], recipe: str) -> None:
    desk = make()
    outcome = desk.play(queued(desk, recipe))
    assert (outcome["state"], outcome["reason"]) == ("done", "")
    promised = guarantee_of(outcome["dp"])
    assert (promised.epsilon, promised.delta) == ("3", "0.000001")
    model = json.loads((desk.settings.state.dir / "models" / f"{outcome['model_sha256']}.json").read_bytes())
    assert model["model"]["training"]["privacy"]["multiplier"] == promised.multiplier


@pytest.mark.parametrize(("recipe", "asked", "says"), [
    ("trees", "1000", "epsilon up to 100"), ("scorecard", "1000", "epsilon up to 100"),
    ("scorecard", "0", "epsilon is 0"),
])  # fmt: skip
def test_a_job_that_cannot_be_priced_ends_before_it_begins(
    make: Callable[..., Desk], recipe: str, asked: str, says: str
) -> None:
    desk = make()
    outcome = desk.play(queued(desk, recipe, asked))
    assert outcome["state"] == "failed" and says in outcome["reason"]
    assert all(not node.spends for node in desk.network.nodes.values())


def test_a_cap_that_ends_a_job_leaves_the_model_so_far(make: Callable[..., Desk]) -> None:
    """Every bank's cap fits the plan and no repeat; one that dies makes them repeat."""
    desk = make(count=4, epsilon_cap="3.05")
    lost = desk.network.nodes["bank-002"]
    lose_at_upload(lost, 4)

    async def bring_back(_desk: Desk, _clerk: Any) -> None:
        def back(outgoing: Any) -> bool:
            if not lost.alive and (outgoing.kind, outgoing.round) == ("secagg.upload", 4):
                lost.start()
            return True

        desk.network.nodes["bank-003"].before_send = back

    outcome = desk.play(queued(desk), bring_back)
    assert outcome["state"] == "failed" and "stopped: refused" in outcome["reason"] and "cap" not in outcome["reason"]
    kept = (desk.settings.state.dir / "models" / f"{outcome['model_sha256']}.json").read_bytes()
    assert decode_model(kept) and outcome["metrics"] is None
    assert (desk.sealed, desk.released, outcome["released"]) == ([], [], False)
