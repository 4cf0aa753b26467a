"""Write the tables that one bank of the synthetic room might hold, and the connectors that map them to its fields.

    python -m creditmesh_demo.bank_tables FOLDER [--bank NAME] [--rows N] [--seed N]

It stands for no real bank. Theory: a row of the room is drawn first, and then records are made of which the row is the
summary: declarations that add up to its revenue, bills whose growth is its trend. So whoever builds the index from
these tables must find the row again, up to rounding, and can be checked against it. After every decision more records
follow that say something else, which must not matter.
"""

import argparse
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from creditmesh_demo.bank_records import TABLES, Firms
from creditmesh_demo.room import FIRST_YEAR, SCHEMA, draw, room_fields
from creditmesh_demo.room_banks import INSTITUTIONS

__all__ = ["CONNECTORS", "draw_firms", "main", "write_bank"]

CONNECTORS = Path(__file__).with_name("bank_connectors.toml")
# What this bank keeps in a database and not in files.
IN_DATABASE = ("bureau_reports", "bureau_status", "bureau_inquiries")


def draw_firms(bank: str, rows: int, seed: int) -> Firms:
    """Draw `rows` firms of a bank of the room, one application each."""
    chosen = next(each for each in INSTITUTIONS if each.name == bank)
    drawn = draw([replace(chosen, rows=rows)], seed)[0]
    rng = np.random.default_rng([seed, rows])
    days = rng.integers(2, 29, drawn.month.size)
    decided = [
        date(FIRST_YEAR + month // 12, month % 12 + 1, day)
        for month, day in zip(drawn.month.tolist(), days.tolist(), strict=True)
    ]
    outcome = np.where(drawn.accepted, drawn.bad.astype(np.float64), np.nan)
    return Firms(np.array(decided, dtype="datetime64[D]"), drawn.columns, outcome, rng)


def write_bank(folder: Path, firms: Firms) -> None:
    """Write tables, database, `schema.toml` and `connectors.toml` into an existing, empty folder."""
    (folder / "schema.toml").write_bytes(SCHEMA.read_bytes())
    (folder / "connectors.toml").write_bytes(CONNECTORS.read_bytes())
    tables = folder / "tables"
    tables.mkdir()
    levels = next(list(field["levels"]) for field in room_fields() if field["name"] == "industry")
    _applications(firms, levels).write_csv(tables / "applications.csv")
    _public_statistics(firms, levels).write_csv(tables / "public_statistics.csv")
    with sqlite3.connect(folder / "bureau.db") as database:
        for name, make in TABLES.items():
            if name in IN_DATABASE:
                _into(database, name, make, firms)
            else:
                make(firms).write_csv(tables / f"{name}.csv", float_precision=6)
    database.close()


def _applications(firms: Firms, levels: list[str]) -> pl.DataFrame:
    """Return one row per application; a rejected one has no outcome."""
    known = ~np.isnan(firms.outcome)
    return pl.DataFrame(
        {
            "application_id": [f"A{number:06d}" for number in range(firms.rows)],
            "firm_id": firms.ids,
            "applied_on": firms.decided - 3,
            "decided_on": firms.decided,
            "trade": _names(firms, levels),
            "amount": firms.columns["loan_amount"],
            "term": firms.columns["loan_term"],
            "accepted": known.astype(np.int8),
            "bad": np.where(known, firms.outcome, np.nan),
        }
    ).with_columns(pl.col("bad").fill_nan(None))


def _names(firms: Firms, levels: list[str]) -> list[str | None]:
    return [None if code != code else levels[int(code)] for code in firms.columns["industry"].tolist()]


def _public_statistics(firms: Firms, levels: list[str]) -> pl.DataFrame:
    """Return one index per industry and month of decision; a firm's own figure scatters around it."""
    frame = pl.DataFrame(
        {
            "industry": _names(firms, levels),
            "published_on": firms.decided.astype("datetime64[M]").astype("datetime64[D]"),
            "cycle_index": firms.columns["industry_cycle_index"],
        }
    )
    seen = frame.filter(pl.col("industry").is_not_null() & pl.col("cycle_index").is_not_nan())
    return seen.group_by("industry", "published_on").agg(pl.col("cycle_index").mean().round(3)).sort("published_on")


def _into(database: sqlite3.Connection, name: str, make: Callable[[Firms], pl.DataFrame], firms: Firms) -> None:
    frame = make(firms).with_columns(pl.selectors.date().cast(pl.String))
    columns = ", ".join(f'"{column}"' for column in frame.columns)
    database.execute(f'CREATE TABLE "{name}" ({columns})')
    marks = ", ".join("?" * frame.width)
    database.executemany(f'INSERT INTO "{name}" VALUES ({marks})', frame.rows())  # noqa: S608 (names of our own)
    database.execute(f'CREATE INDEX "{name}_firm" ON "{name}" (firm_id)')


def main(arguments: list[str] | None = None) -> int:
    """Write one bank's tables into a new folder."""
    parser = argparse.ArgumentParser(prog="creditmesh_demo.bank_tables", description="Write one synthetic bank.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bank", choices=[each.name for each in INSTITUTIONS], default="city_bank")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True)
    write_bank(options.folder, draw_firms(options.bank, options.rows, options.seed))
    print(f"{options.folder}: {options.rows} firms of {options.bank}; see connectors.toml there")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
