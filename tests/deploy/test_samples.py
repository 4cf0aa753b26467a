"""The sample settings are read by the product's own loaders, as they stand and with every comment taken at its word."""

import re
from pathlib import Path

import pytest

from coordinator import config as coordinator_config
from coordinator.job_file import load_job
from node import config as node_config
from risk.catalogue import recipe

SAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "samples"
LOADERS = {"coordinator": coordinator_config.load, "node": node_config.load, "job": load_job}


def uncommented(name: str, folder: Path) -> Path:
    """Write the sample with each `# key = value` and `# [section]` in force, a second one of a key left out."""
    lines: list[str] = []
    seen: set[str] = set()
    for line in (SAMPLES / f"{name}.toml").read_text("utf-8").splitlines():
        bare = re.sub(r"^# (?=\[?[a-z0-9_]+(\]| = ))", "", line)
        key = re.match(r"([a-z0-9_]+) = ", bare)
        if bare.startswith("["):
            seen = set()
        if key is None or key.group(1) not in seen:
            lines.append(bare)
            seen |= {key.group(1)} if key else set()
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("name", LOADERS)
def test_a_sample_is_read_as_it_stands(name: str) -> None:
    assert LOADERS[name](SAMPLES / f"{name}.toml") is not None


@pytest.mark.parametrize("name", LOADERS)
def test_what_a_sample_says_in_comments_is_read_too(name: str, tmp_path: Path) -> None:
    settings = LOADERS[name](uncommented(name, tmp_path))
    if name != "job":
        sections = set(re.findall(r"^(?:# )?\[([a-z]+)\]", (SAMPLES / f"{name}.toml").read_text("utf-8"), re.MULTILINE))
        assert sections == set(type(settings).model_fields)


def test_defaults_in_comments_are_the_products(tmp_path: Path) -> None:
    plain, told = (node_config.load(path) for path in (SAMPLES / "node.toml", uncommented("node", tmp_path)))
    assert (plain.permit, plain.monitoring) == (told.permit, told.monitoring)
    first, second = (
        coordinator_config.load(path) for path in (SAMPLES / "coordinator.toml", uncommented("coordinator", tmp_path))
    )
    assert first.policy == second.policy
    job, said = load_job(SAMPLES / "job.toml"), load_job(uncommented("job", tmp_path))
    parse = recipe(job.job.recipe).parse_parameters
    assert parse(job.parameters) == parse(said.parameters)
    assert len(said.parameters) == len(parse(job.parameters))
    assert job.job.model_dump(exclude={"schema_file"}) == said.job.model_dump(exclude={"schema_file"})
