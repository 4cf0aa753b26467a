"""A bank with a trained scorecard in service, its decisions and their outcomes, all drawn."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from node import config, model_store
from node.config import NodeConfig
from node.outcome_store import Outcome, OutcomeStore
from node.serving import InService, Serving, install
from node.source import read_table
from risk.applicant import RecordReader, table_of
from risk.bank import own_models
from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.metrics import freeze
from risk.model import Model
from risk.modelfile import encode_model
from risk.spec import JobSpec
from tests.node.decisions import keep, row_of

__all__ = ["Wheel", "make_wheel"]

SCHEMA = """
name = "wheel"
version = 1
title = "a room"
source = "made for tests"
[target]
field = "bad"
meaning = "1 = bad"
window_months = 12
[time]
field = "month"
format = "%Y-%m"
[accepted]
field = "accepted"
[borrower]
field = "whose"
[[field]]
name = "cash"
dimension = "behaviour"
type = "number"
unit = "days"
bounds = [-1000, 1000]
risk_when_rising = "down"
text = "cash"
[[field]]
name = "debt"
dimension = "credit"
type = "number"
unit = "ratio"
bounds = [-1000, 1000]
risk_when_rising = "up"
text = "debt"
[[field]]
name = "trade"
dimension = "scenario"
type = "category"
levels = ["retail", "farm", "craft"]
risk_when_rising = "free"
text = "trade"
[[field]]
name = "amount"
dimension = "scenario"
type = "number"
unit = "CNY"
bounds = [0, 100]
risk_when_rising = "free"
text = "amount"
use = "segment"
"""
NODE = """
[member]
id = "bank"
[coordinator]
endpoint = "127.0.0.1:9"
[tls]
ca = "a"
certificate = "b"
key = "c"
[identity]
key = "d"
peers = "e"
[source]
table = "table.csv"
schema = "schema.toml"
[state]
dir = "state"
"""


@dataclass(frozen=True, eq=False)
class Wheel:
    """The bank's folder, the model in service and its digest."""

    folder: Path
    dictionary: Dictionary
    model: Model
    sha256: str

    def settings(self, **changed: str) -> NodeConfig:
        """Return the node's settings; changed: lines of `[monitoring]`, or `table` for `[source]`."""
        text = NODE.replace("table.csv", changed.pop("table", "table.csv"))
        lines = "".join(f"{name} = {value}\n" for name, value in changed.items())
        path = self.folder / "node.toml"
        path.write_text(f"{text}\n[monitoring]\n{lines}")
        return config.load(path)

    def decide(self, name: str, count: int, first: datetime, *, moved: float = 0.0, noise: bool = False,
               doubled: float = 1.0, **more: Any) -> list[str]:  # fmt: skip
        """Decide `count` applications from a day on, one a day in turn over 150 days, and let their outcomes be known.

        moved: shift of both fields. noise: outcomes that have nothing to do with the fields. doubled: factor of the
        PDs that are answered.
        """
        rng = np.random.default_rng([count, len(name), 5])
        records, bad = draw(rng, count, moved)
        reader = RecordReader(self.dictionary)
        table = table_of(self.dictionary.model_fields, [reader.read(each, {}).values for each in records])
        pd = np.clip(self.model.pd(table) * doubled, 0.001, 0.999)
        if noise:
            bad = rng.permutation(bad)
        grades = np.digitize(pd, [0.1, 0.25, 0.5])
        rows, outcomes = [], []
        for place, record in enumerate(records):
            when = first + timedelta(days=place % 150)
            application = f"{name}{place}"
            values = {"pd": float(pd[place]), "grade": f"G{grades[place]}", "model_sha256": self.sha256, **more}
            rows.append(row_of(application, when, record, **values))
            ended = (when + timedelta(days=300)).date().isoformat()
            outcomes.append(Outcome(application, "bad" if bad[place] else "repaid", ended))
        keep(self.folder / "state", rows)
        store = OutcomeStore(self.folder / "state")
        store.add(outcomes, 1, "0" * 64)
        store.close()
        return [row.application_id for row in rows]


def draw(rng: np.random.Generator, count: int, moved: float = 0.0) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return applicants and whether each turned bad."""
    cash, debt = rng.normal(moved, 1.0, count), rng.normal(-moved, 1.0, count)
    trade = rng.integers(0, 3, count)
    logit = -1.2 - 1.1 * cash + 0.9 * debt + 0.4 * (trade == 1)
    bad = rng.random(count) < 1.0 / (1.0 + np.exp(-logit))
    names = ("retail", "farm", "craft")
    records = [
        {"cash": round(c, 4), "debt": round(d, 4), "trade": names[t], "amount": 10}
        for c, d, t in zip(cash.tolist(), debt.tolist(), trade.tolist(), strict=True)
    ]
    return records, bad


def make_wheel(folder: Path) -> Wheel:
    """Write table, schema and settings, train a scorecard on the table, and put it in service."""
    rng = np.random.default_rng(7)
    records, bad = draw(rng, 1500)
    months = [f"20{20 + place % 3}-0{1 + place % 9}" for place in range(1500)]
    frame = pl.DataFrame(records).with_columns(
        pl.Series("month", months), pl.Series("bad", bad.astype(np.int8)), pl.lit(1).alias("accepted"),
        pl.Series("whose", [f"firm{place}" for place in range(1500)]),
    )  # fmt: skip
    frame.write_csv(folder / "table.csv")
    (folder / "schema.toml").write_text(SCHEMA)
    dictionary = parse_dictionary(tomllib.loads(SCHEMA), "schema.toml")
    spec = JobSpec("scorecard", 1, recipe("scorecard").parse_parameters({}), dictionary, 4, 1 << 16, 3, 300_000)
    book = Book(read_table(folder / "table.csv", dictionary, "bank"), spec)
    model = freeze(own_models(book).full, book)
    state = folder / "state"
    state.mkdir(mode=0o700)
    sha256 = model_store.put(state, encode_model(model))
    install(state, dictionary, Serving(InService("network", "scorecard", sha256, None, None)))
    return Wheel(folder, dictionary, model, sha256)
