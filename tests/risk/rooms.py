"""Random rooms that are awkward on purpose, and how tests train on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.job import JobOutcome, contribute, rounds
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.split import Split
from risk.table import Table, concatenate

__all__ = ["books_of", "category", "flag", "number", "pooled", "room_dictionary", "room_tables", "spec_of", "train"]


def number(name: str, bounds: Sequence[float] = (0, 1e12), rising: str = "up", **more: Any) -> dict[str, Any]:
    """Return the schema of a number."""
    shape = {"type": "number", "unit": "CNY", "bounds": list(bounds), "risk_when_rising": rising}
    return {"name": name, "dimension": "credit", "text": name, **shape, **more}


def flag(name: str, rising: str = "free", **more: Any) -> dict[str, Any]:
    """Return the schema of a flag."""
    shape = {"type": "flag", "risk_when_rising": rising}
    return {"name": name, "dimension": "behaviour", "text": name, **shape, **more}


def category(name: str, levels: int, **more: Any) -> dict[str, Any]:
    """Return the schema of a category."""
    shape = {"type": "category", "levels": [f"level {i}" for i in range(levels)], "risk_when_rising": "free"}
    return {"name": name, "dimension": "scenario", "text": name, **shape, **more}


def room_dictionary(*fields: Mapping[str, Any]) -> Dictionary:
    """Return a dictionary of these fields, or of a room with every kind of trouble."""
    chosen = fields or (
        number("turnover", (0, 1e12), "down", dimension="operating"),
        number("balance", (-400_000, 2_000_000), "down"),
        number("late_days", (0, 3650), "up", special=[-999, -1]),
        number("share", (0, 1), "free"),
        number("constant", (0, 10), "free"),
        number("nowhere", (0, 10), "up"),
        flag("arrears", "up"),
        flag("rare", "up"),
        category("trade", 50),
    )
    target = {"field": "bad", "meaning": "1 = bad"}
    document = {"name": "room", "version": 1, "title": "t", "source": "s", "target": target, "field": list(chosen)}
    return parse_dictionary(document, "schema.toml")


def room_tables(dictionary: Dictionary, sizes: Sequence[int], seed: int, rate: float = 0.2) -> list[Table]:
    """Return one table a member: heavy tails, repeated zeros, specials, missing cells, a column missing at one."""
    tables = []
    for place, size in enumerate(sizes):
        rng = np.random.default_rng([seed, place])
        quality = rng.normal(0.0, 1.0, size)
        columns = {field.name: _column(field.name, field.kind, rng, quality) for field in dictionary.fields}
        if place == 1 and "turnover" in columns:
            columns["turnover"][:] = np.nan
        logit = np.log(rate / (1.0 - rate)) - 0.9 * quality
        target = (rng.random(size) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
        tables.append(Table(f"member-{place}", columns, target))
    return tables


def _column(name: str, kind: str, rng: np.random.Generator, quality: np.ndarray) -> np.ndarray:
    size, noisy = len(quality), quality + rng.normal(0.0, 1.0, len(quality))
    if kind == "category":
        place = np.clip(np.rint(25 + 9 * noisy), -1, 49)
        return np.asarray(place, dtype=np.int16)
    made = {
        "turnover": np.minimum(np.exp(14.0 + 2.5 * noisy), 1e12),
        "balance": np.clip(np.rint(40_000.0 * noisy), -400_000, 2_000_000),
        "late_days": np.where(noisy > -0.8, 0.0, np.rint(np.exp(2.0 - noisy))),
        "share": 1.0 / (1.0 + np.exp(noisy)),
        "constant": np.full(size, 3.0),
        "nowhere": np.full(size, np.nan),
        "arrears": (noisy < -1.0).astype(np.float64),
        "rare": (rng.random(size) < 0.001).astype(np.float64),
    }
    values = made.get(name, noisy).astype(np.float64)
    values[rng.random(size) < 0.05] = np.nan
    if name == "late_days":
        values[rng.random(size) < 0.08] = -999.0
    return np.asarray(values)


def spec_of(dictionary: Dictionary, members: int, **more: Any) -> JobSpec:
    """Return a scorecard job."""
    values = {"max_rows": 1 << 16, "seed": 0, "holdout_ppm": 300_000, **more}
    parameters = recipe("scorecard").parse_parameters(values.pop("parameters", {}))
    return JobSpec("scorecard", 1, parameters, dictionary, members, **values)


def books_of(tables: Sequence[Table], spec: JobSpec) -> list[Book]:
    """Return one book a member."""
    return [Book(table, spec) for table in tables]


def pooled(books: Sequence[Book]) -> Book:
    """Return all rows in one book, with the members' own hold-out rows and halves."""
    book = Book(concatenate([one.table for one in books]), books[0].spec)
    starts = np.cumsum([0] + [one.table.rows for one in books])[:-1]
    names = ("train", "holdout", "half_a", "half_b", "later")
    parts = {n: np.concatenate([getattr(b.split, n) + s for b, s in zip(books, starts, strict=True)]) for n in names}
    object.__setattr__(book, "split", Split(**parts))
    return book


def train(spec: JobSpec, books: Sequence[Book], asks: list[Ask] | None = None) -> JobOutcome:
    """Run a whole job on plain sums, noting the requests."""

    def total(ask: Ask) -> np.ndarray:
        if asks is not None:
            asks.append(ask)
        return np.sum([contribute(ask, book) for book in books], axis=0)

    outcome: JobOutcome = run_plain(rounds(spec), total)
    return outcome
