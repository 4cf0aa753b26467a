"""job.toml: plain values within bounds, and the hold-out share as an exact number of millionths."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.job_file import JobSettings, load_job
from privacy.errors import InputError
from tests.coordinator.operator import JOB


def load_text(tmp_path: Path, text: str) -> InputError:
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_job(path)
    assert "\n" not in caught.value.message
    return caught.value


def test_defaults_are_those_of_a_demo(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(JOB + '[parameters]\nbins = 5\nname = "x"\nsteps = [1, 2]\n', encoding="utf-8")

    job = load_job(path)

    assert job.job.schema_file == tmp_path / "schema.toml"
    assert (job.job.purpose, job.job.seed, job.job.holdout_ppm) == ("credit-risk-model", 0, 300_000)
    assert job.job.max_rows == 1_048_576
    assert job.parameters == {"bins": 5, "name": "x", "steps": [1, 2]}


@given(st.integers(50_000, 900_000))
def test_the_holdout_share_is_exact_in_millionths(ppm: int) -> None:
    job = JobSettings.model_validate({"recipe": "scorecard", "schema": "s", "holdout": float(f"{ppm / 1e6:.6f}")})

    assert job.holdout_ppm == ppm


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("holdout = 0.01", "job.holdout: found 0.01"),
        ("holdout = 0.95", "job.holdout: found 0.95"),
        ("holdout = nan", "job.holdout: found nan"),
        ("seed = -1", "job.seed: found -1"),
        ("seed = 2147483648", "job.seed"),
        ("seed = 99999999999999999999999999", "a very large integer"),
        ("seed = true", "job.seed: found true/false"),
        ("max_rows = 0", "job.max_rows: found 0"),
        ("max_rows = 16777217", "job.max_rows"),
        ('purpose = "credit risk"', "job.purpose"),
        ("code = 'import os'", "unknown key job.code"),
    ],
)
def test_refuses_a_setting_out_of_range(tmp_path: Path, line: str, says: str) -> None:
    assert says in load_text(tmp_path, f"{JOB}{line}\n").message


@pytest.mark.parametrize(
    "line", ["x = inf", "x = 9223372036854775808", "x = {y = 1}", "x = 2020-01-01", "X-Y = 1", "x = [[1]]"]
)
def test_parameters_are_plain_values(tmp_path: Path, line: str) -> None:
    assert "parameters: found a table" in load_text(tmp_path, f"{JOB}[parameters]\n{line}\n").message


def test_a_recipe_must_be_named(tmp_path: Path) -> None:
    assert load_text(tmp_path, '[job]\nschema = "s"\n').code == "key-missing"
    assert load_text(tmp_path, '[job]\nrecipe = "../x"\nschema = "s"\n').code == "key-value"
