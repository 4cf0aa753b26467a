"""A scorecard as one SQL expression, for a bank that scores inside its database.

It runs nothing. Theory: a score is an integer plus an integer per bin, so a CASE for each field gives the same points
in every database; the logit is the same sum in whole steps of 2**-30. An empty cell is NULL; a category holds the
level's text, and a text that is no level counts as missing, as everywhere else.
"""

from collections.abc import Sequence

from risk.card import CardField, Scorecard

__all__ = ["sql_query"]

_STEPS = 1 << 30


def sql_query(card: Scorecard, table: str) -> str:
    """Return a SELECT of every row's `score` (integer), `logit` and `pd` (of bad) from a table; names are quoted."""
    points = [_case(item, item.points) for item in card.fields]
    steps = [_case(item, [-item.weight * woe for woe in item.woe]) for item in card.fields]
    score = "\n    + ".join([str(card.base_points), *points])
    logit = "\n    + ".join([str(card.intercept << 10), *steps])
    lines = [
        "SELECT scored.*, 1.0 / (1.0 + exp(-scored.logit)) AS pd",
        "FROM (",
        "  SELECT source.*,",
        f"    {score} AS score,",
        f"    ({logit}) * 1.0 / {_STEPS} AS logit",
        f"  FROM {_name(table)} AS source",
        ") AS scored",
    ]
    return "\n".join(lines) + "\n"


def _case(item: CardField, values: Sequence[int]) -> str:
    """Return the CASE that maps a field to the value of its bin, on one line."""
    column, coding = f"source.{_name(item.name)}", item.coding
    arms = [f"WHEN {column} IS NULL THEN {values[-1]}"]
    for place, special in enumerate(coding.special):
        arms.append(f"WHEN {column} = {special!r} THEN {values[coding.ordinary + place]}")
    if coding.kind == "category":
        for place, group in enumerate(coding.groups):
            levels = ", ".join(_text(item.levels[level]) for level in group)
            arms.append(f"WHEN {column} IN ({levels}) THEN {values[place]}")
        return f"CASE {' '.join(arms)} ELSE {values[-1]} END"
    arms += [f"WHEN {column} < {cut!r} THEN {values[place]}" for place, cut in enumerate(coding.cuts)]
    return f"CASE {' '.join(arms)} ELSE {values[coding.ordinary - 1]} END"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
