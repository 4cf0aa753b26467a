"""Generate the synthetic data room of five institutions that a demo without a data room uses.

It stands for no real lender and no figure in it was observed; it exists so that the product can be tried where no data
are at hand. Real rooms are read by `creditmesh_demo.room_folder`.

Theory: the log-odds of default are linear in a firm's hidden traits (`creditmesh_demo.room_firms`), plus four
interactions (concentrated buyers in a bad cycle, leverage on thin cash, a young firm that grows too fast, a seasonal
trade with weak operations) and risk that no field shows. Each institution turned away the applications that looked
worst to it, on a rough view of some traits; those rows have every field and no outcome. Institutions differ as
`creditmesh_demo.room_banks` says; a source is missing as a whole.
"""

import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from creditmesh_demo.room_banks import INSTITUTIONS, Institution
from creditmesh_demo.room_draw import DRAWS
from creditmesh_demo.room_firms import MONTHS, Firms, draw_firms, observe, share_firms

__all__ = ["Rows", "draw", "room_fields", "write_room"]

SCHEMA = Path(__file__).with_name("room_schema.toml")

FIRST_YEAR = 2023
FIELD_MISSING = 0.02
SOURCE_MISSING = 0.07
# A source that is missing more or less often at every institution; with FIELD_MISSING, 30 % of visits are not there.
MISSING_EVERYWHERE = {"account_manager": 0.2857, "loan_application": 0.0}
NEVER_MISSING = ("loan_amount", "loan_term", "owner_id_hash")

# Sources inside an institution: of a firm that borrows at two, each sees its own.
INSIDE = ("settlement_flow", "pos_flow", "owner_accounts", "account_manager", "loan_application")
TERMS = np.array([6.0, 12.0, 18.0, 24.0, 36.0])
TERM_SHARES = (0.15, 0.45, 0.1, 0.2, 0.1)

# By level of the field `industry`: whether the trade is seasonal.
SEASONAL = np.array([True, False, False, True, False, False, False, True, False, False])


@dataclass(frozen=True, slots=True)
class Rows:
    """Hold one institution's applications in the order of the file.

    columns: by field, (rows,) float64, NaN = missing; `industry` is the index of its level. accepted: (rows,) bool.
    bad: (rows,) int8, of a rejected application what would have been, which no file has. month: (rows,) int64, 0 =
    January of the first year. firm: (rows,) int64, hash of the firm.
    """

    columns: dict[str, np.ndarray]
    accepted: np.ndarray
    bad: np.ndarray
    month: np.ndarray
    firm: np.ndarray


@cache
def room_fields() -> tuple[dict[str, Any], ...]:
    """Return the fields of `room_schema.toml` in its order."""
    return tuple(tomllib.loads(SCHEMA.read_text(encoding="utf-8"))["field"])


def draw(institutions: Sequence[Institution], seed: int) -> list[Rows]:
    """Draw every institution's applications; the same seed and institutions give the same rows."""
    outside = {
        field["name"]: field["bounds"]
        for field in room_fields()
        if field["name"] in DRAWS and field["source_system"] not in INSIDE
    }
    streams = [np.random.default_rng([seed, *bank.name.encode("ascii")]) for bank in institutions]
    books: list[Firms] = []
    for rng, bank in zip(streams, institutions, strict=True):
        applications = round(bank.rows / (1.0 - bank.turned_away))
        first = sum(len(book.firm) for book in books)
        books.append(draw_firms(rng, bank, applications, outside, first))
    hashes = share_firms(np.random.default_rng([seed, 0]), books, seed)
    banks = zip(streams, institutions, books, hashes, strict=True)
    return [_rows(rng, bank, firms, firm, owner) for rng, bank, firms, (firm, owner) in banks]


def _rows(
    rng: np.random.Generator, institution: Institution, firms: Firms, firm: np.ndarray, owner: np.ndarray
) -> Rows:
    columns = {name: values.copy() for name, values in firms.seen.items()}
    columns["industry"] = firms.industry.astype(np.float64)
    columns["industry_cycle_index"] = np.round(firms.cycle, 3)
    columns["loan_term"] = rng.choice(TERMS, size=len(firm), p=TERM_SHARES)
    columns["owner_id_hash"] = owner.astype(np.float64)
    for field in room_fields():
        if field["name"] not in columns:
            columns[field["name"]] = observe(rng, DRAWS[field["name"]], field["bounds"], firms.traits)
    accepted = _accepted(rng, firms.traits, institution.rows)
    bad = _defaults(firms, accepted, institution.bad_rate)
    _hide(rng, columns, institution.missing)
    return Rows(columns, accepted, bad, firms.month, firm)


def _accepted(rng: np.random.Generator, traits: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Return which applications an institution accepted by its rough view of them, (rows,) bool, `count` of them."""
    looks = 0.5 * traits["credit"] + 0.3 * traits["behaviour"] + 0.3 * traits["operating"] - 0.2 * traits["leverage"]
    looks = looks + rng.standard_normal(looks.size)
    accepted = np.zeros(looks.size, dtype=bool)
    accepted[np.argsort(-looks, kind="stable")[:count]] = True
    return accepted


def _defaults(firms: Firms, accepted: np.ndarray, bad_rate: float) -> np.ndarray:
    """Return which firms default, (rows,) int8, with that expected rate among the accepted ones."""
    traits, cycle = firms.traits, firms.cycle
    risk: np.ndarray = (
        -0.42 * traits["operating"]
        - 0.50 * traits["credit"]
        - 0.46 * traits["behaviour"]
        - 0.34 * traits["scenario"]
        + 0.30 * traits["leverage"]
        - 0.16 * traits["size"]
        - 0.24 * traits["age"]
        - 0.30 * cycle
        + 0.35 * np.maximum(-traits["scenario"], 0) * np.maximum(-cycle, 0)
        + 0.30 * np.maximum(traits["leverage"], 0) * np.maximum(-traits["behaviour"], 0)
        + 0.25 * np.maximum(-traits["age"], 0) * np.maximum(traits["scenario"] - 1, 0)
        + 0.25 * SEASONAL[firms.industry] * np.maximum(-traits["operating"], 0)
        + firms.unseen
    )
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(1.0 / (1.0 + np.exp(-(middle + risk[accepted])))) < bad_rate:
            low = middle
        else:
            high = middle
    chance = 1.0 / (1.0 + np.exp(-(low + risk)))
    return (firms.luck < chance).astype(np.int8)


def _hide(rng: np.random.Generator, columns: dict[str, np.ndarray], missing: dict[str, float]) -> None:
    rows = columns["industry"].size
    absent: dict[str, np.ndarray] = {}
    for field in room_fields():
        source = field["source_system"]
        if source not in absent:
            chance = MISSING_EVERYWHERE.get(source, missing.get(source, SOURCE_MISSING))
            absent[source] = rng.random(rows) < chance
        if field["name"] not in NEVER_MISSING:
            gone = absent[source] | (rng.random(rows) < FIELD_MISSING)
            columns[field["name"]][gone] = np.nan


def write_room(folder: Path, seed: int, institutions: Sequence[Institution] = INSTITUTIONS) -> None:
    """Write `schema.toml` and one CSV per institution into an existing, empty folder."""
    (folder / "schema.toml").write_bytes(SCHEMA.read_bytes())
    for institution, rows in zip(institutions, draw(institutions, seed), strict=True):
        (folder / f"{institution.name}.csv").write_bytes(_csv(rows))


def _csv(rows: Rows) -> bytes:
    months = [f"{FIRST_YEAR + index // 12}-{index % 12 + 1:02d}" for index in range(MONTHS)]
    cells: list[list[str]] = [
        [months[index] for index in rows.month.tolist()],
        [str(one) for one in rows.firm.tolist()],
    ]
    for field in room_fields():
        values = rows.columns[field["name"]].tolist()
        if field["type"] == "category":
            cells.append(["" if value != value else field["levels"][int(value)] for value in values])
        else:
            pattern = f"%.{_decimals(field['name'])}f"
            cells.append(["" if value != value else pattern % value for value in values])
    cells.append(["1" if accepted else "0" for accepted in rows.accepted.tolist()])
    outcome = zip(rows.accepted.tolist(), rows.bad.tolist(), strict=True)
    cells.append([str(bad) if accepted else "" for accepted, bad in outcome])
    text = io.StringIO()
    names = [field["name"] for field in room_fields()]
    text.write(",".join(["month", "firm_id_hash", *names, "accepted", "bad"]) + "\n")
    text.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))
    return text.getvalue().encode("utf-8")


def _decimals(name: str) -> int:
    if name in DRAWS:
        return max(DRAWS[name].decimals, 0)
    return 3 if name == "industry_cycle_index" else 0
