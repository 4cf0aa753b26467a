"""A scorecard and a challenger trained over real processes, then evaluated by a job that looks at both by digest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator import commands
from coordinator.toml_file import read_document
from node.config import load
from node.replay import replay_round
from node.source import read_table
from privacy.errors import InputError
from risk.dictionary import Dictionary, parse_dictionary
from risk.modelfile import decode_model
from risk.split import split
from risk.table import concatenate
from tests.e2e.consortium_room import SCHEMA, ConsortiumRoom
from tests.risk.pooled_report import check_report

pytestmark = pytest.mark.slow

MORE = """
[[field]]
name = "region"
dimension = "scenario"
type = "category"
levels = ["north", "south", "isle"]
risk_when_rising = "free"
use = "segment"
text = "where the borrower is"
"""
JOB = '[job]\nrecipe = "{recipe}"\nschema = "schema.toml"\n[parameters]\n{parameters}'


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsortiumRoom]:
    made = ConsortiumRoom(tmp_path_factory.mktemp("four"), 4, recipes=("scorecard", "validation"))
    time = '[time]\nfield = "granted"\nformat = "%Y-%m"\n'
    head, _, tail = SCHEMA.partition("[[field]]")
    segment = tail.replace('text = "was late before"', 'text = "was late before"\nsegment = true')
    (made.folder / "schema.toml").write_text(f"{head}{time}[[field]]{segment}{MORE}")
    for place, path in enumerate(made.tables.values()):
        _add_columns(path, place)
    with made:
        made.start()
        yield made


def _add_columns(path: Path, seed: int) -> None:
    random = np.random.default_rng([seed, 7])
    lines = path.read_text().splitlines()
    months = random.integers(0, 18, len(lines) - 1)
    regions = random.choice(["north", "south", "isle"], len(lines) - 1, p=[0.59, 0.4, 0.01])
    rows = [f"{a},{2005 + m // 12}-{m % 12 + 1:02d},{b}" for a, m, b in zip(lines[1:], months, regions, strict=True)]
    path.write_text("\n".join([f"{lines[0]},granted,region", *rows]) + "\n")


def _run(room: ConsortiumRoom, recipe: str, parameters: str = "") -> tuple[str, dict[str, Any]]:
    (room.folder / "job.toml").write_text(JOB.format(recipe=recipe, parameters=parameters))
    job = room.submit()
    outcome = room.outcome(job)
    assert (outcome["state"], outcome["reason"]) == ("done", "")
    room.results(job, room.names)
    return job, outcome


def _dictionary(room: ConsortiumRoom) -> Dictionary:
    return parse_dictionary(read_document(room.folder / "schema.toml"), "schema.toml")


def test_a_validation_equals_a_plain_computation_on_all_rows(room: ConsortiumRoom) -> None:
    digests = [_run(room, "scorecard", text)[1]["model_sha256"] for text in ("", "max_bins = 3")]
    named = f'model = "{digests[0]}"\nchallenger = "{digests[1]}"\nperiod_rows = 200\n'
    job, outcome = _run(room, "validation", named)

    dictionary = _dictionary(room)
    tables = [read_table(path, dictionary, name) for name, path in room.tables.items()]
    files = [(room.run.coordinator / "models" / f"{digest}.json").read_bytes() for digest in digests]
    models = [decode_model(raw) for raw in files]
    held = concatenate([table.select(split(table.target, table.member, 0, 0.3).holdout) for table in tables])
    report = outcome["validation"]
    check_report(report, models, held, dictionary)
    assert report["models"]["champion"]["same_rows"] is report["models"]["challenger"]["same_rows"] is True
    assert len(report["models"]["champion"]["stability"]) >= 6
    region = report["models"]["champion"]["fairness"][1]
    assert region["field"] == "region" and {"level": "isle", "withheld": True} in region["segments"]

    assert outcome["model_sha256"] is None and outcome["metrics"] is None and outcome["sums"] == 5
    room.check_sums(job)
    # A bank can recompute what it sent of the models it keeps, long after.
    own_settings = load(room.run.nodes["bank-1"] / "node.toml")
    assert [replay_round(own_settings, job, number).state for number in (1, 3, 4)] == ["matched"] * 3
    for name, table in zip(room.names, tables, strict=True):
        result = json.loads((room.run.nodes[name] / "jobs" / job / "result.json").read_text())
        assert result["validation"]["network"] == report and "models" not in result
        own = table.select(split(table.target, table.member, 0, 0.3).holdout)
        check_report(result["validation"]["own"], models, own, dictionary)


def test_rows_that_overlap_those_of_an_earlier_validation_are_refused_by_every_bank(room: ConsortiumRoom) -> None:
    _, trained = _run(room, "scorecard", "max_bins = 5")
    months = f'model = "{trained["model_sha256"]}"\nrows = "months"\nmonth_from = 200501\nmonth_to = {{}}\n'
    _run(room, "validation", months.format(200512))
    (room.folder / "job.toml").write_text(JOB.format(recipe="validation", parameters=months.format(200601)))
    outcome = room.outcome(room.submit())
    assert outcome["state"] == "failed" and outcome["left_out"] == dict.fromkeys(room.names, "validation-window")


def test_a_model_that_nobody_keeps_is_refused_before_the_job_is_queued(room: ConsortiumRoom) -> None:
    (room.folder / "job.toml").write_text(JOB.format(recipe="validation", parameters=f'model = "{"0" * 64}"'))
    before = room.history().jobs()
    with pytest.raises(InputError, match="there is no model"):
        commands.submit(room.settings, room.folder / "job.toml", True)
    assert room.history().jobs() == before


def test_a_bank_without_the_model_is_left_out(room: ConsortiumRoom) -> None:
    _, trained = _run(room, "scorecard", "max_bins = 4")
    digest = trained["model_sha256"]
    (room.run.nodes["bank-3"] / "models" / f"{digest}.json").unlink()
    named = f'model = "{digest}"\nperiod_rows = 200\n'
    (room.folder / "job.toml").write_text(JOB.format(recipe="validation", parameters=named))
    outcome = room.outcome(room.submit())
    assert outcome["state"] == "failed" and list(outcome["left_out"]) == ["bank-3"]
    assert "validation" not in outcome
