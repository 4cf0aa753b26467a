"""Which recipes are installed here.

A job names a recipe; no code comes over the network. `towers` is loaded when it is asked for, because it alone needs
torch. Theory: what can be trained is decided when the software is installed, and each bank's permit decides again.
"""

from importlib import import_module
from importlib.util import find_spec

from risk.errors import InputError
from risk.model import Recipe

__all__ = ["available_recipes", "private_recipes", "recipe"]

_NAMES = ("scorecard", "trees", "towers")


def available_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that can train a model here, without loading them."""
    towers = find_spec("risk.towers") is not None and find_spec("torch") is not None
    return _NAMES if towers else _NAMES[:2]


def private_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that have a form with differential privacy."""
    return available_recipes()


def recipe(name: str) -> Recipe:
    """Return the recipe of that name; raise `InputError` where there is none, or torch is not installed."""
    # Imported late: their model files are decoded through this module.
    if name == "scorecard":
        card: Recipe = import_module("risk.scorecard").ScorecardRecipe()
        return card
    if name == "trees":
        forest: Recipe = import_module("risk.trees").TreesRecipe()
        return forest
    if name == "validation":
        evaluation: Recipe = import_module("risk.validation").ValidationRecipe()
        return evaluation
    if name not in available_recipes():
        known = ", ".join((*available_recipes(), "validation"))
        raise InputError("recipe-unknown", f"recipe '{name}' is not installed here; installed: {known}")
    found: Recipe = import_module("risk.towers").TowersRecipe()
    return found
