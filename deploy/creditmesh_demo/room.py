"""Generate the synthetic data room of five institutions that a demo without a data room uses.

It stands for no real lender and no figure in it was observed; it exists so that the product can be tried where no data
are at hand. Real rooms are read by `creditmesh_demo.data_room`.

Theory: a firm has hidden traits (overall quality; operating, credit, behaviour and scenario strength; leverage, size,
age). Observed fields are noisy views of the traits. The log-odds of default are linear in the traits, plus four
interactions (concentrated buyers in a bad cycle, leverage on thin cash, a young firm that grows too fast, a seasonal
trade with weak operations) and noise that no field sees. Institutions differ by the mean of their traits, their mix of
industries, their bad rate, and by which sources they are connected to: a source is missing as a whole.
"""

import io
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from creditmesh_demo.room_draw import DRAWS, Draw

__all__ = ["INSTITUTIONS", "TRAITS", "Institution", "Rows", "draw", "room_fields", "write_room"]

SCHEMA = Path(__file__).with_name("room_schema.toml")

TRAITS = ("quality", "operating", "credit", "behaviour", "scenario", "leverage", "size", "age")

MONTHS = 24
FIRST_YEAR = 2023
FIELD_MISSING = 0.02
SOURCE_MISSING = 0.07

# By level of the field `industry`: the mean of its business cycle, and whether the trade is seasonal.
INDUSTRY_CYCLE = np.array([-0.1, 0.1, 0.2, -0.9, 0.1, -0.2, 0.5, -0.5, 0.0, 0.4])
SEASONAL = np.array([True, False, False, True, False, False, False, True, False, False])


@dataclass(frozen=True, slots=True)
class Institution:
    """Describe one synthetic lender.

    bad_rate: share of bad loans, 0 to 1. traits: shift of the mean of a trait, in standard deviations.
    industries: weights of the levels of `industry`, any scale. missing: probability that a source is absent for a firm.
    """

    name: str
    rows: int
    bad_rate: float
    traits: dict[str, float]
    industries: tuple[int, ...]
    missing: dict[str, float]


INSTITUTIONS = (
    Institution(
        "national_bank",
        12_000,
        0.035,
        {"size": 0.8, "age": 0.6, "quality": 0.2},
        (4, 8, 36, 8, 14, 8, 2, 3, 7, 10),
        {"platform_orders": 0.45, "pos_flow": 0.3, "supply_chain": 0.1, "owner_accounts": 0.1},
    ),
    Institution(
        "city_bank",
        7_000,
        0.068,
        {"size": 0.0, "age": 0.1},
        (2, 6, 10, 8, 12, 26, 4, 12, 4, 16),
        {"supply_chain": 0.3, "platform_orders": 0.35, "utility_bills": 0.1, "tax_invoices": 0.08},
    ),
    Institution(
        "rural_bank",
        4_000,
        0.096,
        {"size": -0.7, "operating": -0.1, "age": 0.2},
        (42, 12, 4, 8, 8, 10, 1, 5, 5, 5),
        {
            "platform_orders": 1.0,
            "supply_chain": 0.75,
            "tax_invoices": 0.35,
            "vat_declarations": 0.3,
            "pos_flow": 0.45,
            "social_security": 0.4,
            "bureau": 0.12,
        },
    ),
    Institution(
        "internet_bank",
        5_000,
        0.133,
        {"size": -1.0, "age": -0.9, "leverage": 0.3, "scenario": 0.2},
        (2, 4, 4, 2, 8, 16, 46, 8, 4, 6),
        {
            "utility_bills": 0.75,
            "vat_declarations": 0.5,
            "tax_invoices": 0.4,
            "social_security": 0.6,
            "supply_chain": 0.4,
            "bureau_and_vat": 0.5,
        },
    ),
    Institution(
        "leasing_company",
        1_500,
        0.09,
        {"size": 0.3, "leverage": 0.6},
        (2, 10, 48, 16, 4, 2, 0, 2, 12, 4),
        {"pos_flow": 0.6, "platform_orders": 0.6, "owner_accounts": 0.25},
    ),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Hold one institution's rows in the order of the file.

    columns: by field, (rows,) float64, NaN = missing; `industry` is the index of its level. bad: (rows,) int8.
    month: (rows,) int64, 0 = January of the first year.
    """

    columns: dict[str, np.ndarray]
    bad: np.ndarray
    month: np.ndarray


@cache
def room_fields() -> tuple[dict[str, Any], ...]:
    """Return the fields of `room_schema.toml` in its order."""
    return tuple(tomllib.loads(SCHEMA.read_text(encoding="utf-8"))["field"])


def draw(institution: Institution, seed: int) -> Rows:
    """Draw one institution's rows; the same seed and institution give the same rows."""
    rng = np.random.default_rng([seed, *institution.name.encode("ascii")])
    rows = institution.rows
    traits = _traits(rng, institution)
    month = rng.integers(0, MONTHS, rows)
    weights = np.array(institution.industries, dtype=np.float64)
    industry = rng.choice(weights.size, size=rows, p=weights / weights.sum())
    wave = 0.6 * np.sin(2 * np.pi * month / MONTHS)
    cycle = INDUSTRY_CYCLE[industry] + wave + 0.15 * rng.standard_normal(rows)
    columns = {"industry": industry.astype(np.float64), "industry_cycle_index": np.round(cycle, 3)}
    for field in room_fields():
        if field["name"] in DRAWS:
            columns[field["name"]] = _observe(rng, DRAWS[field["name"]], field["bounds"], traits)
    bad = _defaults(rng, traits, cycle, SEASONAL[industry], institution.bad_rate)
    _hide(rng, columns, institution.missing)
    return Rows(columns, bad, month)


def _traits(rng: np.random.Generator, institution: Institution) -> dict[str, np.ndarray]:
    rows = institution.rows
    quality = rng.standard_normal(rows)
    traits = {"quality": quality}
    for name in ("operating", "credit", "behaviour", "scenario"):
        traits[name] = 0.5 * quality + np.sqrt(0.75) * rng.standard_normal(rows)
    traits["leverage"] = -0.3 * quality + np.sqrt(0.91) * rng.standard_normal(rows)
    traits["size"] = 0.2 * quality + np.sqrt(0.96) * rng.standard_normal(rows)
    traits["age"] = 0.3 * traits["size"] + np.sqrt(0.91) * rng.standard_normal(rows)
    return {name: value + institution.traits.get(name, 0.0) for name, value in traits.items()}


def _observe(rng: np.random.Generator, how: Draw, bounds: list[float], traits: dict[str, np.ndarray]) -> np.ndarray:
    rows = traits["quality"].size
    noise = np.sqrt(1.0 - sum(weight * weight for weight in how.loadings.values()))
    signal = noise * rng.standard_normal(rows)
    for name, weight in how.loadings.items():
        signal += weight * traits[name]
    if how.shape == "normal":
        value = how.centre + how.spread * signal
    elif how.shape == "lognormal":
        value = how.centre * np.exp(how.spread * signal)
    elif how.shape == "share":
        value = 1.0 / (1.0 + np.exp(-(np.log(how.centre / (1.0 - how.centre)) + how.spread * signal)))
    elif how.shape == "count":
        rate = how.centre * np.exp(how.spread * signal - 0.5 * how.spread**2)
        value = rng.poisson(np.minimum(rate, bounds[1])).astype(np.float64)
    else:
        late = signal > np.quantile(signal, 1.0 - how.spread)
        value = np.where(late, how.centre * np.exp(0.9 * rng.standard_normal(rows)), 0.0)
    return np.round(np.clip(value, bounds[0], bounds[1]), how.decimals)


def _defaults(
    rng: np.random.Generator, traits: dict[str, np.ndarray], cycle: np.ndarray, seasonal: np.ndarray, bad_rate: float
) -> np.ndarray:
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
        + 0.25 * seasonal * np.maximum(-traits["operating"], 0)
        + 0.8 * rng.standard_normal(cycle.size)
    )
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(1.0 / (1.0 + np.exp(-(middle + risk)))) < bad_rate:
            low = middle
        else:
            high = middle
    chance = 1.0 / (1.0 + np.exp(-(low + risk)))
    return (rng.random(cycle.size) < chance).astype(np.int8)


def _hide(rng: np.random.Generator, columns: dict[str, np.ndarray], missing: dict[str, float]) -> None:
    rows = columns["industry"].size
    absent: dict[str, np.ndarray] = {}
    for field in room_fields():
        source = field["source_system"]
        if source not in absent:
            absent[source] = rng.random(rows) < missing.get(source, SOURCE_MISSING)
        gone = absent[source] | (rng.random(rows) < FIELD_MISSING)
        columns[field["name"]][gone] = np.nan


def write_room(folder: Path, seed: int, institutions: tuple[Institution, ...] = INSTITUTIONS) -> None:
    """Write `schema.toml` and one CSV per institution into an existing, empty folder."""
    (folder / "schema.toml").write_bytes(SCHEMA.read_bytes())
    for institution in institutions:
        (folder / f"{institution.name}.csv").write_bytes(_csv(draw(institution, seed)))


def _csv(rows: Rows) -> bytes:
    months = [f"{FIRST_YEAR + index // 12}-{index % 12 + 1:02d}" for index in range(MONTHS)]
    cells: list[list[str]] = [[months[index] for index in rows.month.tolist()]]
    for field in room_fields():
        values = rows.columns[field["name"]].tolist()
        if field["type"] == "category":
            cells.append(["" if value != value else field["levels"][int(value)] for value in values])
        else:
            decimals = DRAWS[field["name"]].decimals if field["name"] in DRAWS else 3
            pattern = f"%.{decimals}f"
            cells.append(["" if value != value else pattern % value for value in values])
    cells.append([str(value) for value in rows.bad.tolist()])
    text = io.StringIO()
    text.write(",".join(["month", *(field["name"] for field in room_fields()), "bad"]) + "\n")
    text.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))
    return text.getvalue().encode("utf-8")
