"""What both shells write for operators: JSON lines whose keys are on a list; nothing else can be written."""

import importlib
import json
from typing import Any

import pytest


@pytest.fixture(params=["node", "coordinator"])
def journal(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"{request.param}.journal_line")


def test_a_line_is_one_json_object_in_utc(journal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    journal.say("job_ended", job="job-1", reason="第一行\nsecond line")

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["job"], entry["reason"]) == ("job_ended", "job-1", "第一行\nsecond line")
    assert entry["t"].endswith("Z")
    assert captured.out == ""


@pytest.mark.parametrize("key", ["value", "row", "words", "Job", "t", "key"])
def test_a_key_that_is_not_listed_cannot_be_written(journal: Any, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError, match=key):
        journal.say("job_ended", job="job-1", **{key: 7})

    assert capsys.readouterr().err == ""


def test_no_listed_key_could_carry_a_row(journal: Any) -> None:
    assert not journal.ALLOWED & {"row", "rows", "value", "values", "target", "vector", "words", "key", "secret"}
