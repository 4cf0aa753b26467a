"""Rooms with months and segments, models trained on them, and validation jobs over plain sums."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, Time
from risk.job import contribute, rounds
from risk.model import Model
from risk.modelfile import encode_model, model_digest
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.table import Table, concatenate
from risk.validation_plan import plan_of, selected_rows
from tests.risk.rooms import category, flag, number, room_dictionary, room_tables

__all__ = ["dated_dictionary", "dated_tables", "selected_table", "train_model", "validate", "validation_spec"]


def dated_dictionary() -> Dictionary:
    """Return a dictionary with a month and a segment field of every kind."""
    made = room_dictionary(
        number("turnover", (0, 1e12), "down", dimension="operating", segment=True),
        number("late_days", (0, 3650), "up", special=[-999, -1]),
        flag("arrears", "up", segment=True),
        category("trade", 50),
        category("region", 4, use="segment"),
    )
    return replace(made, time=Time("granted", "%Y-%m"))


def dated_tables(dictionary: Dictionary, sizes: Sequence[int], seed: int, months: int = 24) -> list[Table]:
    """Return one table a member; a region is rare, some rows have no date."""
    tables = []
    for place, table in enumerate(room_tables(dictionary, sizes, seed)):
        rng = np.random.default_rng([seed, place, 1])
        region = rng.choice([-1, 0, 1, 2, 3], table.rows, p=[0.1, 0.5, 0.3, 0.097, 0.003]).astype(np.int16)
        month = (12 * 2004 + rng.integers(0, months, table.rows)).astype(np.int32)
        month[rng.random(table.rows) < 0.02] = -1
        tables.append(Table(table.member, {**table.columns, "region": region}, table.target, month))
    return tables


def train_model(name: str, tables: Sequence[Table], dictionary: Dictionary, **parameters: int) -> Model:
    """Return the network's model of these members."""
    spec = JobSpec(name, 1, recipe(name).parse_parameters(parameters), dictionary, len(tables), 1 << 16, 0, 300_000)
    books = [Book(table, spec) for table in tables]
    model: Model = run_plain(rounds(spec), lambda ask: sum_of(ask, books)).model
    return model


def validation_spec(
    models: Sequence[Model], tables: Sequence[Table], dictionary: Dictionary, more: Mapping[str, Any]
) -> JobSpec:
    """Return a validation job of one or two models."""
    files = {model_digest(model): encode_model(model) for model in models}
    named = dict(zip(("model", "challenger"), files, strict=False))
    parameters = recipe("validation").parse_parameters({**named, **more})
    return JobSpec("validation", 1, parameters, dictionary, len(tables), 1 << 16, 0, 300_000, models=files)


def validate(spec: JobSpec, tables: Sequence[Table], asks: list[Ask] | None = None) -> Mapping[str, Any]:
    """Run a validation on plain sums and return its report, noting the requests."""
    books = [Book(table, spec) for table in tables]

    def total(ask: Ask) -> np.ndarray:
        if asks is not None:
            asks.append(ask)
        return sum_of(ask, books)

    report: Mapping[str, Any] = run_plain(rounds(spec), total).report
    return report


def sum_of(ask: Ask, books: Sequence[Book]) -> np.ndarray:
    """Return the plain sum of the members' parts."""
    return np.asarray(np.sum([contribute(ask, book) for book in books], axis=0))


def selected_table(spec: JobSpec, tables: Sequence[Table]) -> Table:
    """Return the selected rows of all members in one table."""
    plan = plan_of(spec)
    return concatenate([table.select(selected_rows(plan, Book(table, spec))[0]) for table in tables])
