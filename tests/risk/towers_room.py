"""A small room for the towers' tests: five members, every kind of field, an interaction inside one dimension."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.recipe import Ask
from risk.spec import JobSpec
from risk.table import Table

__all__ = ["FEW", "books", "dictionary", "member_tables", "sum_of", "tower_spec"]

MEMBERS = ("amber", "birch", "cedar", "delta", "elm")
FEW = {"rounds": 3, "hidden": 4, "batch": 64}
"""Parameters that train quickly."""


def dictionary() -> Dictionary:
    """Return six fields in three dimensions; `scenario` has none."""

    def number(name: str, dimension: str, rising: str, **more: Any) -> dict[str, Any]:
        shape = {"type": "number", "unit": "CNY", "bounds": [-10, 10], "risk_when_rising": rising}
        return {"name": name, "dimension": dimension, "text": name, **shape, **more}

    fields = [
        number("turnover", "operating", "down"),
        number("margin", "operating", "free"),
        number("debt", "credit", "up", special=[-99.0]),
        {"name": "arrears", "dimension": "credit", "type": "flag", "risk_when_rising": "up", "text": "arrears"},
        number("balance", "behaviour", "down"),
        {
            "name": "trade",
            "dimension": "behaviour",
            "type": "category",
            "levels": ["a", "b", "c"],
            "risk_when_rising": "free",
            "text": "trade",
        },
    ]
    top = {"name": "towers-room", "version": 1, "title": "towers", "source": "made up", "field": fields}
    return parse_dictionary({**top, "target": {"field": "bad", "meaning": "1 = bad"}}, "schema.toml")


def member_tables(rows: int = 400) -> list[Table]:
    """Return one table a member; sizes differ, cells are missing, some debts are the special value."""
    tables = []
    for place, member in enumerate(MEMBERS):
        rng = np.random.default_rng([11, place])
        n = rows + 60 * place
        numbers = {name: rng.normal(0.1 * place, 1.0, n) for name in ("turnover", "margin", "debt", "balance")}
        arrears = (rng.random(n) < 0.2).astype(np.float64)
        trade = rng.integers(0, 3, n).astype(np.int16)
        logit = -1.0 - 0.8 * numbers["turnover"] + 0.9 * numbers["debt"] + 1.2 * arrears - 0.3 * numbers["balance"]
        logit += 1.5 * np.sign(numbers["turnover"]) * np.sign(numbers["margin"]) + 0.3 * trade
        target = (rng.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
        for values in numbers.values():
            values[rng.random(n) < 0.05] = np.nan
        numbers["debt"][rng.random(n) < 0.05] = -99.0
        trade[rng.random(n) < 0.05] = -1
        tables.append(Table(member, {**numbers, "arrears": arrears, "trade": trade}, target))
    return tables


def tower_spec(parameters: Mapping[str, Any] | None = None, members: int = len(MEMBERS)) -> JobSpec:
    """Return a job of the recipe `towers`; `FEW` parameters unless told otherwise."""
    towers = recipe("towers")
    parsed = towers.parse_parameters({**FEW, **(parameters or {})})
    return JobSpec("towers", towers.version, parsed, dictionary(), members, 4096, 7, 300_000)


def books(spec: JobSpec) -> list[Book]:
    """Return the members' books for a job."""
    return [Book(table, spec) for table in member_tables()]


def sum_of(ask: Ask, members: list[Book]) -> np.ndarray:
    """Return the plain sum of all members' parts."""
    towers = recipe("towers")
    return np.sum([towers.contribute(ask, book) for book in members], axis=0)
