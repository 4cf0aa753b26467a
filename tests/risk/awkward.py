"""A room whose names and levels are as awkward as a bank's: quotes, backslashes, Chinese, markup; and its models."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from risk.card import Scorecard
from risk.catalogue import recipe
from risk.curve import Curve
from risk.dictionary import Dictionary
from risk.forest import Forest
from risk.golden import golden_table
from risk.head import Curves, Head
from risk.model import Model
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.rooms import books_of, category, flag, number, room_dictionary, room_tables, train

__all__ = ["DICTIONARY", "HEAD", "TRADE", "applicants", "models", "plain_rows", "texts"]

TRADE = '行业 ("trade", it\'s)'
LEVELS = (
    'say "hi"', "it's", "back\\slash", "ends with \\", 'a\\"b', "制造业", "批发 零售", "<&>", "a,b", "  padded  ",
    "\ttab", "two\nlines", '"', "''", "é", "e\u0301", "%s {0} $1", "null", "NULL", "NaN", "0", "1.0", "true",
    "x'); DROP TABLE applicants; --",
)  # fmt: skip
_NAMES = {"trade": TRADE, "turnover": "营业额", "share": 'the "share"', "late_days": "late'days"}
HEAD = Head(
    -0.113, 0.62, 0.41, Curves(mixed=Curve("isotonic", 0.1, 1.0, ((-2.5, 0.4), (-1.0, -0.6), (0.3, 0.2)), 900, 300))
)


def _renamed() -> Dictionary:
    plain = room_dictionary(
        number("turnover", (0, 1e12), "down", dimension="operating"),
        number("balance", (-400_000, 2_000_000), "down"),
        number("late_days", (0, 3650), "up", special=[-999, -1]),
        number("share", (0, 1), "free"),
        flag("arrears", "up"),
        category("trade", 50),
    )
    fields = [
        replace(
            field,
            name=_NAMES.get(field.name, field.name),
            levels=(*LEVELS, *field.levels[len(LEVELS) :]) if field.levels else (),
        )
        for field in plain.fields
    ]
    return replace(plain, fields=tuple(fields))


DICTIONARY = _renamed()


@lru_cache
def models() -> dict[str, Model]:
    """Return the scorecard and the trees of one room, and another bank's scorecard called `own`."""
    made: dict[str, Model] = {}
    for name, kind, seed in (("scorecard", "scorecard", 6), ("trees", "trees", 6), ("own", "scorecard", 7)):
        parameters = recipe(kind).parse_parameters({"trees": 15} if kind == "trees" else {"min_iv": 0})
        spec = JobSpec(kind, 1, parameters, DICTIONARY, 4, 1 << 16, 0, 300_000)
        made[name] = train(spec, books_of(_tables(seed), spec)).model
    return made


def _tables(seed: int) -> list[Table]:
    names = {new: old for old, new in _NAMES.items()}
    plain = [replace(field, name=names.get(field.name, field.name)) for field in DICTIONARY.fields]
    tables = room_tables(replace(DICTIONARY, fields=tuple(plain)), (1500, 1200, 900, 800), seed)
    return [
        replace(table, columns={_NAMES.get(name, name): values for name, values in table.columns.items()})
        for table in tables
    ]


def applicants(rows: int = 10_000, infinite: bool = True) -> Table:
    """Return rows that visit every bin's edges of every model, missing and special values, and values not allowed."""
    codings = []
    for model in models().values():
        assert isinstance(model, Scorecard | Forest)
        codings += [item.coding for item in (model.fields if isinstance(model, Scorecard) else model.columns)]
    table = golden_table(codings, rows)
    if infinite:
        for place, field in enumerate(DICTIONARY.fields):
            if field.kind != "category" and field.name in table.columns:
                table.columns[field.name][rows - 40 + 2 * place] = np.inf
                table.columns[field.name][rows - 39 + 2 * place] = -np.inf
    return table


def texts(codes: np.ndarray) -> list[str | None]:
    """Return a category's levels: an unknown text where one is missing every second time, else None."""
    levels = DICTIONARY.field(TRADE).levels
    return [levels[code] if code >= 0 else ("no such trade" if n % 2 else None) for n, code in enumerate(codes)]


def plain_rows(table: Table) -> list[dict[str, float | str | None]]:
    """Return rows as a caller has them: None where empty, a level's text, an unknown text now and then."""
    columns: dict[str, list[float | str | None]] = {}
    for name, values in table.columns.items():
        if values.dtype == np.int16:
            columns[name] = list(texts(values))
        else:
            columns[name] = [None if np.isnan(value) else value for value in values.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
