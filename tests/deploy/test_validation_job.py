"""The sample of a validation job is one that a coordinator takes."""

from pathlib import Path

from coordinator.job_file import load_job
from risk.catalogue import recipe

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "samples" / "validation-job.toml"


def test_the_sample_is_read_as_it_stands(tmp_path: Path) -> None:
    copy = tmp_path / SAMPLE.name
    copy.write_text(SAMPLE.read_text("utf-8"), "utf-8")
    (tmp_path / "schema.toml").touch()
    job = load_job(copy)
    parsed = recipe(job.job.recipe).parse_parameters(job.parameters)
    assert (job.job.recipe, parsed["rows"], parsed["least_rows"]) == ("validation", "holdout", 100)
    # What stands in a comment is a parameter too.
    named = [
        line.removeprefix("# ").partition(" = ")[0] for line in copy.read_text("utf-8").splitlines() if " = " in line
    ]
    assert set(named) - {"recipe", "schema"} == set(parsed)
