"""The operating logs of both shells: JSON lines, and no way in for a value of a row or a secret."""

import ast
import json
from pathlib import Path

import pytest

from coordinator import journal_line as coordinators
from node import journal_line as nodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", [coordinators, nodes])
def test_a_line_is_json_with_a_time(module: object, capsys: pytest.CaptureFixture[str]) -> None:
    module.say("job_ended", job="job-1", state="done")  # type: ignore[attr-defined]
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "job_ended" and line["t"].endswith("Z")


@pytest.mark.parametrize("module", [coordinators, nodes])
@pytest.mark.parametrize("key", ["row", "value", "features", "password", "seed", "borrower", "score", "payload"])
def test_an_unlisted_key_cannot_be_written(module: object, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError, match="allow-list"):
        module.say("leak", **{key: "4111 1111 1111 1111"})  # type: ignore[attr-defined]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("module", [coordinators, nodes])
def test_the_list_names_nothing_of_a_borrower_and_no_secret(module: object) -> None:
    never = (
        "row",
        "value",
        "feature",
        "field",
        "borrower",
        "customer",
        "score",
        "secret",
        "key",
        "password",
        "token",
        "text",
    )
    listed = module.ALLOWED  # type: ignore[attr-defined]
    assert [key for key in listed if any(word in key for word in never)] == []


def loggers(folder: str) -> list[str]:
    """List what writes to a terminal or a logger beside `say`, in the parts of a package that run as a service."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for item in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(item, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in item.names] + [getattr(item, "module", None) or ""]
                if "logging" in [name.split(".")[0] for name in names]:
                    found.append(f"{path.relative_to(ROOT)}:{item.lineno}")
    return found


@pytest.mark.parametrize("folder", ["coordinator", "node"])
def test_nothing_logs_beside_it(folder: str) -> None:
    assert loggers(folder) == []
