"""A recipe's parameters: whole numbers with a default, a smallest and a largest value.

All that train also know `train_until`, a month YYYYMM: later rows train nothing and are a test out of time. It stands
among the parameters only where it was named. It knows no recipe. Theory: a job file may leave out what it does not
change; what it names has to be known and in range, since a silent default for a misspelt key would train another model
than the one that was asked for.
"""

from collections.abc import Mapping
from typing import Any

from risk.errors import InputError
from risk.months import month_of

__all__ = ["TRAIN_UNTIL", "Limits", "parameters_in_range", "parameters_of"]

Limits = Mapping[str, tuple[int, int, int]]
"""Default, smallest and largest value by name."""

TRAIN_UNTIL = "train_until"


def parameters_of(recipe: str, limits: Limits, document: Mapping[str, Any]) -> dict[str, int | str]:
    """Return all parameters of a recipe; raise `InputError` for a key that it does not know or a value out of range."""
    for key in document:
        if key not in limits and key != TRAIN_UNTIL:
            known = ", ".join((*limits, TRAIN_UNTIL))
            raise InputError("parameter-unknown", f"[parameters]: unknown key '{key}'; {recipe} knows {known}")
    parsed = parameters_in_range(limits, document)
    if TRAIN_UNTIL in document:
        value = document[TRAIN_UNTIL]
        if type(value) is not int:
            raise InputError("parameter-range", f"[parameters]: '{TRAIN_UNTIL}' must be a month YYYYMM such as 200412")
        month_of(value, TRAIN_UNTIL)
        parsed[TRAIN_UNTIL] = value
    return parsed


def parameters_in_range(limits: Limits, document: Mapping[str, Any]) -> dict[str, int | str]:
    """Return the parameters that have limits, defaults filled in, and leave the document's other keys alone."""
    parsed: dict[str, int | str] = {}
    for key, (default, low, high) in limits.items():
        value = document.get(key, default)
        if type(value) is not int or not low <= value <= high:
            raise InputError("parameter-range", f"[parameters]: '{key}' must be a whole number, {low} to {high}")
        parsed[key] = value
    return parsed
