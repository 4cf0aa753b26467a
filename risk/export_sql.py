"""A scorecard as one SQL expression, for a bank that scores inside its database.

It runs nothing. Theory: a score is an integer plus an integer per bin, so a CASE for each field gives the same points
in every database; the logit is the same sum in whole steps of 2**-30. An empty cell is NULL; a category holds the
level's text. A text that is no level and a number beyond its bounds count as missing, as everywhere else. Numbers are
written with an exponent: some databases read 0.1 as a decimal and round it otherwise than a float.
"""

from collections.abc import Sequence

import numpy as np

from risk.card import CardField, Scorecard

__all__ = ["sql_query"]

_STEPS = 1 << 30


def sql_query(card: Scorecard, table: str) -> str:
    """Return a SELECT of every row's `score` (integer), `logit` and `pd` (of bad) from a table; names are quoted."""
    points = [_case(item, item.points) for item in card.fields]
    steps = [_case(item, [-item.weight * woe for woe in item.woe]) for item in card.fields]
    score = "\n    + ".join([str(card.base_points), *points])
    # The first term makes the sum one of 64 bits: terms of 32 bits each can add to more.
    logit = "\n    + ".join([f"CAST({card.intercept << 10} AS BIGINT)", *steps])
    lines = [
        "SELECT scored.*, 1e0 / (1e0 + exp(-scored.logit)) AS pd",
        "FROM (",
        "  SELECT source.*,",
        f"    {score} AS score,",
        f"    CAST({logit} AS DOUBLE PRECISION) / {_number(_STEPS)} AS logit",
        f"  FROM {_name(table)} AS source",
        ") AS scored",
    ]
    return "\n".join(lines) + "\n"


def _case(item: CardField, values: Sequence[int]) -> str:
    """Return the CASE that maps a field to the value of its bin, on one line."""
    column, coding = f"source.{_name(item.name)}", item.coding
    arms = [f"WHEN {column} IS NULL THEN {values[-1]}"]
    for place, special in enumerate(coding.special):
        arms.append(f"WHEN {column} = {_number(special)} THEN {values[coding.ordinary + place]}")
    if coding.kind == "flag":
        arms += [f"WHEN {column} = {each} THEN {values[coding.codes(np.array([each]))[0]]}" for each in (0, 1)]
        return f"CASE {' '.join(arms)} ELSE {values[-1]} END"
    if coding.kind == "category":
        for place, group in enumerate(coding.groups):
            levels = ", ".join(_text(item.levels[level]) for level in group)
            arms.append(f"WHEN {column} IN ({levels}) THEN {values[place]}")
        return f"CASE {' '.join(arms)} ELSE {values[-1]} END"
    if coding.bounds is not None:
        low, high = map(_number, coding.bounds)
        arms.append(f"WHEN {column} < {low} OR {column} > {high} THEN {values[-1]}")
    arms += [f"WHEN {column} < {_number(cut)} THEN {values[place]}" for place, cut in enumerate(coding.cuts)]
    return f"CASE {' '.join(arms)} ELSE {values[coding.ordinary - 1]} END"


def _number(value: float) -> str:
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
