"""Models of one room in every form that can be put in service, and golden applicants for them."""

from functools import lru_cache

import numpy as np

from risk.card import Scorecard
from risk.catalogue import recipe
from risk.dictionary import Dictionary
from risk.forest import Forest
from risk.golden import golden_table
from risk.head import Head
from risk.model import Model
from risk.spec import JobSpec
from risk.table import Table
from risk.tower_inputs import tower_inputs
from risk.tower_model import Line, TowerModel, initial_weights
from tests.risk.rooms import books_of, category, flag, number, room_dictionary, room_tables, train

__all__ = ["DICTIONARY", "HEAD", "golden", "models", "rows_of"]

HEAD = Head(-0.113, 0.62, 0.41)
DICTIONARY: Dictionary = room_dictionary(
    number("turnover", (0, 1e12), "down", dimension="operating", source_system="tax", max_age_days=45),
    number("balance", (-400_000, 2_000_000), "down", source_system="bureau", max_age_days=30),
    number("late_days", (0, 3650), "up", special=[-999, -1], source_system="bureau", max_age_days=30),
    number("share", (0, 1), "free", text_zh="占比"),
    flag("arrears", "up", text_zh="欠税"),
    category("trade", 50, segment=True),
)


@lru_cache
def models() -> dict[str, Model]:
    """Return a scorecard, a forest, a forest that is not confined, a bank's own scorecard and towers."""
    tables = room_tables(DICTIONARY, (1500, 1200, 900, 800), 6)
    other = room_tables(DICTIONARY, (1500, 1200, 900, 800), 7)
    made: dict[str, Model] = {}
    wishes = {
        "scorecard": ("scorecard", {}, tables),
        "own": ("scorecard", {}, other),
        "trees": ("trees", {"trees": 25}, tables),
        "free": ("trees", {"trees": 10, "confined": 0, "depth": 4}, tables),
    }
    for name, (kind, parameters, rows) in wishes.items():
        spec = JobSpec(kind, 1, recipe(kind).parse_parameters(parameters), DICTIONARY, 4, 1 << 16, 0, 300_000)
        made[name] = train(spec, books_of(rows, spec)).model
    made["towers"] = _towers(made["scorecard"], made["trees"])
    return made


def golden(rows: int = 600) -> Table:
    """Return rows that visit every bin of every field, within the dictionary's bounds."""
    codings = []
    for model in models().values():
        if isinstance(model, Scorecard | Forest):
            codings += [item.coding for item in (model.fields if isinstance(model, Scorecard) else model.columns)]
    made = golden_table(codings, rows)
    columns = dict(made.columns)
    for field in DICTIONARY.model_fields:
        if field.name not in columns:
            shape = np.int16 if field.kind == "category" else np.float64
            columns[field.name] = np.full(made.rows, -1 if field.kind == "category" else np.nan, dtype=shape)
        if field.kind == "number":
            low, high = field.bounds or (0.0, 0.0)
            values = columns[field.name]
            usable = ((values >= low) & (values <= high)) | np.isin(values, field.special)
            columns[field.name] = np.where(usable, values, np.nan)
        if field.kind == "flag":
            columns[field.name] = np.where(np.isin(columns[field.name], (0.0, 1.0)), columns[field.name], np.nan)
    return Table("golden", columns, made.target)


def rows_of(table: Table) -> list[tuple[float | int | None, ...]]:
    """Return a table's rows as `risk.applicant` reads them."""
    rows = []
    for at in range(table.rows):
        row: list[float | int | None] = []
        for field in DICTIONARY.model_fields:
            value = table.columns[field.name][at]
            if field.kind == "category":
                row.append(int(value) if value >= 0 else None)
            else:
                row.append(None if np.isnan(value) else float(value))
        rows.append(tuple(row))
    return rows


def _towers(card: Model, forest: Model) -> TowerModel:
    assert isinstance(card, Scorecard) and isinstance(forest, Forest)
    codings = {column.coding.name: column.coding for column in forest.columns}
    codings |= {item.name: item.coding for item in card.fields}
    inputs = tower_inputs(DICTIONARY, [codings[name] for name in codings], card)
    weights = initial_weights(inputs.widths, 8, 3)
    rng = np.random.default_rng(4)
    for name in weights:
        if name.endswith((".output", ".line")):
            weights[name] = np.round(rng.normal(0.0, 0.05, weights[name].shape) * (1 << 24)) / (1 << 24)
    return TowerModel("towers/1", card, inputs, weights, Line(0.25, 0.875), {})
