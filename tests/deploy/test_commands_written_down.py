"""Every command of ours that a unit, an image, the compose file or the runbook states is one that the program takes."""

import re
from pathlib import Path

import pytest

from tests.deploy.command_lines import complaint, in_shell

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
SAMPLE_LINES = [
    line.lstrip("# ").strip()
    for path in sorted((ROOT / "deploy" / "samples").glob("*.toml"))
    for line in path.read_text("utf-8").splitlines()
    if line.startswith("#   creditmesh-")
]


def test_the_runbook_has_commands_of_all_programs() -> None:
    found = [command[0] for line in LINES if (command := in_shell(line))]
    assert found.count("creditmesh-node") > 15
    assert found.count("creditmesh-coordinator") > 15
    assert "creditmesh-audit" in found


@pytest.mark.parametrize("line", [line for line in LINES + SAMPLE_LINES if "creditmesh-" in line])
def test_a_command_is_taken_by_its_program(line: str) -> None:
    command = in_shell(line)
    assert command is None or complaint(command) == ""


@pytest.mark.parametrize(
    "line",
    [
        "sudo -u creditmesh-node creditmesh-node rotat --config node.toml",
        "creditmesh-coordinator invite --config coordinator.toml",
        "docker compose run --rm bank-a join --data x --schema y",
        "creditmesh-audit verify",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    command = in_shell(line)
    assert command is not None
    assert complaint(command) != ""


def test_what_is_no_command_of_ours_is_left_alone() -> None:
    assert in_shell("systemctl restart creditmesh-node.service") is None
    assert in_shell("mv /var/lib/creditmesh-node /var/lib/creditmesh-node.old") is None


def test_files_that_the_runbook_names_exist() -> None:
    named = re.findall(r"\b((?:deploy|docs|requirements)/[\w./*-]*[\w*])", RUNBOOK)
    made = {"deploy/compose/rows/bank-a"}
    assert {name for name in named if not list(ROOT.glob(name))} <= made
    assert re.findall(r"\[project\]\nname = \"creditmesh\"\nversion = \"0.1.0\"", (ROOT / "pyproject.toml").read_text())
