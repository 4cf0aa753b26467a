"""The recipe: parameters, what it learns from a known truth, and the two real rooms."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from risk.binning import BinRules
from risk.card import Scorecard
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.errors import InputError
from risk.ranking import auc
from risk.recipe import Ask
from risk.scorecard import own_rules
from risk.table import Table, concatenate
from tests.risk.rooms import books_of, category, number, room_dictionary, room_tables, spec_of, train

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"bins": 5}, "unknown key 'bins'"),
        ({"max_bins": 1}, "2 to 20"),
        ({"max_bins": 8.0}, "whole number"),
        ({"min_bin_rows": 49}, "'min_bin_rows'.*50 to"),
        ({"min_bin_bads": 4}, "'min_bin_bads'"),
        ({"ridge": True}, "'ridge'"),
        ({"pdo": "20"}, "'pdo'"),
    ],
)
def test_parameters_are_strict(parameters: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        recipe("scorecard").parse_parameters(parameters)


def test_defaults_are_filled_in() -> None:
    parsed = recipe("scorecard").parse_parameters({"pdo": 40})
    assert parsed["pdo"] == 40 and parsed["points"] == 600 and parsed["odds"] == 30
    assert recipe("scorecard").parse_parameters(parsed) == parsed


def test_it_ranks_nearly_as_well_as_the_hidden_quality() -> None:
    dictionary, sizes = room_dictionary(), (3000, 2500, 2000, 1500, 1000)
    spec = spec_of(dictionary, 5)
    books = books_of(room_tables(dictionary, sizes, 4), spec)
    quality = [np.random.default_rng([4, place]).normal(0.0, 1.0, size) for place, size in enumerate(sizes)]
    hidden = auc(np.concatenate([book.table.target for book in books]), -np.concatenate(quality)) or 0.0
    asks: list[Ask] = []
    outcome = train(spec, books, asks)
    assert len(asks) <= 40
    assert sum(ask.length * ask.word_bits // 8 for ask in asks) < 400_000
    assert outcome.metrics is not None
    assert hidden > 0.70 and outcome.metrics.auc is not None and outcome.metrics.auc > hidden - 0.05
    assert outcome.metrics.ece is not None and outcome.metrics.ece < 0.03
    card = outcome.model
    assert isinstance(card, Scorecard)
    assert all(item.weight > 0 for item in card.fields)
    late = next(item for item in card.fields if item.name == "late_days")
    ordinary = late.points[: late.coding.ordinary]
    assert list(ordinary) == sorted(ordinary, reverse=True), "points fall as risk rises"
    assert len(late.points) == late.coding.ordinary + 3


def test_a_column_missing_at_one_bank_is_used_for_the_others() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 4)
    card = train(spec, books_of(room_tables(dictionary, (900, 800, 700, 600), 4), spec)).model
    assert isinstance(card, Scorecard)
    turnover = next(item for item in card.fields if item.name == "turnover")
    assert turnover.rows[-1] > 500 and turnover.coding.ordinary >= 2


def test_fifty_levels_make_at_most_eight_bins() -> None:
    dictionary = room_dictionary(category("trade", 50))
    spec = spec_of(dictionary, 4)
    card = train(spec, books_of(room_tables(dictionary, (2000, 2000, 2000, 2000), 4), spec)).model
    assert isinstance(card, Scorecard)
    groups = card.fields[0].coding.groups
    assert 3 <= len(groups) <= 8 and sorted(level for group in groups for level in group) == list(range(50))


def test_own_rules_relax_for_small_books_only() -> None:
    rules = BinRules()
    assert own_rules(rules, 70).min_rows == 5
    assert own_rules(rules, 800).min_rows == 20
    assert own_rules(rules, 100_000).min_rows == rules.min_rows


def test_a_negative_weight_is_dropped_and_named() -> None:
    dictionary = room_dictionary(*(number(name, (-10, 10), "down") for name in ("good", "echo")))
    tables = []
    for place in range(4):
        rng = np.random.default_rng(place)
        good = rng.normal(0, 1, 2000)
        noise = rng.normal(0, 1, 2000)
        logit = -1.0 - 2.0 * good + 1.2 * noise
        target = (rng.random(2000) < 1 / (1 + np.exp(-logit))).astype(np.int8)
        columns = {"good": np.clip(good, -10, 10), "echo": np.clip(good + noise, -10, 10)}
        tables.append(Table(f"m{place}", columns, target))
    spec = spec_of(dictionary, 4)
    card = train(spec, books_of(tables, spec)).model
    assert isinstance(card, Scorecard)
    assert card.dropped == (("echo", "its weight is negative beside the others"),)


def shared_room(name: str) -> tuple[Dictionary, list[Table]]:
    """Return a real room read by polars, or skip."""
    folder = SHARED / name
    if not folder.exists():
        pytest.skip("the shared rooms are not on this machine")
    polars = pytest.importorskip("polars")
    dictionary = parse_dictionary(tomllib.loads((folder / "schema.toml").read_text("utf-8")), "schema.toml")
    tables = []
    for path in sorted(folder.glob("*.csv")):
        frame = polars.read_csv(path, infer_schema_length=0)
        columns = {}
        for field in dictionary.fields:
            if field.kind == "category":
                place = {level: number for number, level in enumerate(field.levels)}
                columns[field.name] = np.array([place.get(v, -1) for v in frame[field.name]], dtype=np.int16)
            else:
                numbers = frame[field.name].cast(polars.Float64).fill_null(float("nan"))
                columns[field.name] = numbers.to_numpy().astype(np.float64).copy()
        target = frame[dictionary.target.field].cast(polars.Int8).to_numpy().copy()
        tables.append(Table(path.stem, columns, target))
    return dictionary, tables


@pytest.mark.parametrize(("room", "least"), [("sba", 0.655), ("uci", 0.762)])
def test_the_real_rooms_reach_their_figure(room: str, least: float) -> None:
    dictionary, tables = shared_room(room)
    found = []
    for seed in range(5):
        spec = spec_of(dictionary, len(tables), seed=seed, max_rows=1 << 20)
        books = books_of(tables, spec)
        outcome = train(spec, books)
        rows = concatenate([book.table.select(book.rows("holdout")) for book in books])
        assert outcome.metrics is not None
        assert outcome.metrics.auc == pytest.approx(auc(rows.target, outcome.model.logit(rows)) or 0.0, abs=2e-3)
        found.append(outcome.metrics.auc or 0.0)
    assert float(np.mean(found)) >= least
