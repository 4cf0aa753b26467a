"""Installed recipes, and torch staying out until it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from risk.catalogue import available_recipes, recipe
from risk.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_scorecard_is_always_there() -> None:
    assert available_recipes()[0] == "scorecard"
    assert (recipe("scorecard").name, recipe("scorecard").version) == ("scorecard", 1)
    assert available_recipes()[1] == "trees"
    assert (recipe("trees").name, recipe("trees").version) == ("trees", 1)


@pytest.mark.parametrize("name", ["", "forest", "Scorecard", "scorecard/1"])
def test_others_are_refused_with_what_is_installed(name: str) -> None:
    with pytest.raises(InputError, match="installed: scorecard"):
        recipe(name)


def test_torch_stays_out_until_towers_are_asked_for() -> None:
    code = "import sys, risk.job, risk.bank, risk.catalogue as c; c.available_recipes(); c.recipe('scorecard')\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'flwr', 'polars', 'sklearn', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
