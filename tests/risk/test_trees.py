"""The recipe: equal to pooled rows bit for bit, to the reference implementation on the same bins, and its cells."""

import json
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import trees as module
from risk.bank import bank_result
from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import DIMENSIONS, parse_dictionary
from risk.errors import InputError
from risk.forest import Forest, tree_codes
from risk.growing import Rules
from risk.job import JobOutcome, contribute
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.table import Table, concatenate
from tests.risk.rooms import books_of, number, pooled, room_dictionary, room_tables, train

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def trees_spec(dictionary: Any, members: int, **parameters: int) -> JobSpec:
    """Return a job of trees, small ones by default."""
    parsed = recipe("trees").parse_parameters({"trees": 8, **parameters})
    return JobSpec("trees", 1, parsed, dictionary, members, 1 << 16, 0, 300_000)


def files(outcome: JobOutcome) -> list[bytes]:
    """Return the three models' files."""
    return [encode_model(model) for model in (outcome.model, outcome.half_a, outcome.half_b)]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"bins": 5}, "unknown key 'bins'"),
        ({"depth": 0}, "1 to 8"),
        ({"trees": 8.0}, "whole number"),
        ({"min_split_rows": 199}, "'min_split_rows'.*200 to"),
        ({"min_bin_rows": 49}, "'min_bin_rows'.*50 to"),
        ({"confined": True}, "'confined'"),
        ({"confined": 3}, "'confined'.*0 to 2"),
    ],
)
def test_parameters_are_strict(parameters: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        recipe("trees").parse_parameters(parameters)


@settings(max_examples=8)
@given(
    st.lists(st.integers(150, 900), min_size=4, max_size=6),
    st.integers(0, 2**31),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_the_federation_equals_pooled_rows_bit_for_bit(
    sizes: list[int], seed: int, confined: int, staleness: int
) -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, len(sizes), confined=confined, staleness=staleness)
    books = books_of(room_tables(dictionary, sizes, seed), spec)
    apart, together = train(spec, books), train(spec, [pooled(books)])
    assert files(apart) == files(together)
    assert apart.metrics == together.metrics


@pytest.mark.parametrize("confined", [1, 2])
def test_a_confined_tree_stays_in_its_dimension_and_the_shares_add_up(confined: int) -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4, trees=20, confined=confined)
    tables = room_tables(dictionary, (1500, 1200, 900, 800), 3)
    forest = train(spec, books_of(tables, spec)).model
    assert isinstance(forest, Forest) and len(forest.trees) >= 5
    for tree in forest.trees:
        split = tree[tree[:, 3] > 0]
        assert len({forest.columns[int(column)].dimension for column in split[:, 0]}) == 1
    everyone = concatenate(tables)
    shares = forest.shares(everyone)
    assert np.array_equal(forest.logit(everyone), (forest.intercept + shares.sum(axis=1)) / 2.0**30)
    assert np.array_equal(forest.score(everyone), forest.offset_points + forest.subscores(everyone).sum(axis=1))
    assert np.count_nonzero(np.abs(shares).sum(axis=0)) >= 2


def test_one_row_at_a_time_scores_as_the_batch_does() -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4)
    tables = room_tables(dictionary, (900, 800, 700, 600), 5)
    model = train(spec, books_of(tables, spec)).model
    batch = model.logit(tables[0])
    for row in range(0, 900, 90):
        assert model.logit(tables[0].select(np.array([row])))[0] == batch[row]


def test_risk_follows_the_declared_direction() -> None:
    dictionary = room_dictionary(number("late_days", (0, 3650), "up", special=[-999, -1]))
    spec = trees_spec(dictionary, 4, trees=30, depth=4)
    model = train(spec, books_of(room_tables(dictionary, (2000, 1500, 1500, 1000), 9), spec)).model
    days = np.arange(0.0, 3651.0)
    rising = model.logit(Table("x", {"late_days": days}, np.zeros(len(days), dtype=np.int8)))
    assert np.all(np.diff(rising) >= 0.0) and rising[-1] > rising[0]


def test_no_row_changes_a_sum_by_more_than_its_request_says() -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4, trees=4)
    books = books_of(room_tables(dictionary, (400, 400, 400, 400), 1), spec)
    asks: list[Ask] = []
    train(spec, books, asks)
    book = books[0]
    for ask in asks:
        whole = contribute(ask, book)
        assert np.abs(whole).max(initial=0) <= ask.bound
        rows = book.rows(ask.rows)
        for row in rows[:: max(len(rows) // 3, 1)]:
            alone = Book(book.table, spec)
            parts = {name: np.setdiff1d(getattr(book.split, name), [row]) for name in ("train", "holdout")}
            parts |= {name: np.setdiff1d(getattr(book.split, name), [row]) for name in ("half_a", "half_b")}
            object.__setattr__(alone, "split", replace(book.split, **parts))
            change = np.abs(whole - contribute(ask, alone))
            assert change.max(initial=0) <= ask.row_linf and change.sum() <= ask.row_l1


def test_a_small_node_is_not_split() -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4, trees=5, depth=6, min_weight=0)
    tables = room_tables(dictionary, (700, 600, 500, 400), 2)
    books = books_of(tables, spec)
    forest = train(spec, books).model
    assert isinstance(forest, Forest)
    codes = np.concatenate([tree_codes(forest.columns, b.table.select(b.rows("train"))) for b in books])
    for tree in forest.trees:
        rows = {0: np.arange(len(codes))}
        for node, (column, cut, missing_left, left, right, _) in enumerate(tree.tolist()):
            if left:
                assert len(rows[node]) >= 200
                code = codes[rows[node], column]
                missing = code == forest.columns[column].places
                goes = np.where(missing, missing_left == 1, code <= cut)
                rows[left], rows[right] = rows[node][goes], rows[node][~goes]
                assert len(rows[left]) and len(rows[right])


def test_a_model_file_holds_all_of_it_and_is_read_strictly() -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4)
    tables = room_tables(dictionary, (900, 800, 700, 600), 5)
    model = train(spec, books_of(tables, spec)).model
    again = decode_model(encode_model(model))
    assert encode_model(again) == encode_model(model)
    assert np.array_equal(again.logit(tables[1]), model.logit(tables[1]))
    document = model.to_document()
    for spoil in (
        lambda d: d.pop("trees"),
        lambda d: d["trees"][0][0].update(left=0.5),
        lambda d: d["trees"][0][0].update(left=0, right=0, column=999),
        lambda d: d["trees"][0][-1].update(left=1, right=2),
        lambda d: d["trees"][0].clear(),
        lambda d: d["columns"][0].update(dimension="luck"),
        lambda d: d["columns"][0]["order"].append([0]),
        lambda d: d.update(intercept=0.5),
    ):
        spoilt = json.loads(json.dumps(document))
        spoil(spoilt)
        with pytest.raises(InputError):
            recipe("trees").decode_model(spoilt)


def test_a_bank_gets_its_own_model_and_a_mix() -> None:
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4)
    books = books_of(room_tables(dictionary, (900, 800, 700, 300), 5), spec)
    result = bank_result(books[3], train(spec, books))
    assert result.auc_own and result.auc_network and result.auc_mixed
    assert min(result.head.network, result.head.own) >= 0.0


def test_a_hopeless_room_ends_with_a_model_of_no_trees() -> None:
    dictionary = room_dictionary(number("constant", (0, 10), "free"))
    spec = trees_spec(dictionary, 4)
    model = train(spec, books_of(room_tables(dictionary, (300, 300, 300, 300), 5), spec)).model
    table = room_tables(dictionary, (10,), 6)[0]
    assert len(np.unique(model.pd(table))) <= 2 and 0.0 < model.pd(table)[0] < 1.0


@pytest.mark.parametrize(
    ("depth", "confined", "staleness"),
    [*product((3, 5), (0, 1, 2), (0,)), (3, 2, 1), (3, 2, 2), (5, 2, 1), (5, 2, 4), (3, 0, 1)],
)
def test_it_equals_the_reference_implementation_on_the_same_bins(depth: int, confined: int, staleness: int) -> None:
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed, so trees cannot be compared with it")
    dictionary = room_dictionary()
    spec = trees_spec(dictionary, 4, trees=40, depth=depth, confined=confined, choose_count=0)
    rules = Rules(depth, 1.0, 1.0, 0.1, 1, 1, confined > 0, confined == 2)
    books = books_of(room_tables(dictionary, (3000, 2500, 2000, 1500), 8), spec)

    def total(ask: Ask) -> np.ndarray:
        return np.sum([contribute(ask, book) for book in books], axis=0)

    forest: Forest = run_plain(module._forest_rounds(spec, rules, staleness), total)["full"]
    table = concatenate([book.table.select(book.rows("train")) for book in books])
    codes = tree_codes(forest.columns, table).astype(np.float32)
    for place, column in enumerate(forest.columns):
        codes[codes[:, place] == column.places, place] = np.nan
    groups = [[n for n, column in enumerate(forest.columns) if column.dimension == name] for name in DIMENSIONS]
    there = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": depth,
        "eta": 0.1,
        "lambda": 1.0,
        "min_child_weight": 1.0,
        "max_bin": 256,
        "base_score": float(1.0 / (1.0 + np.exp(-forest.intercept / 2.0**30))),
        "monotone_constraints": tuple(column.rising for column in forest.columns),
        "nthread": 1,
    }
    if confined == 1:
        there["interaction_constraints"] = str([group for group in groups if group])
    blocks = [group for group in groups if group] if confined == 2 else [list(range(len(forest.columns)))]
    unseen = -(-depth // -(-depth // (staleness + 1))) - 1
    there_pd = _boosted(xgboost, there, (codes, table.target), blocks, unseen)
    assert np.abs(there_pd - forest.pd(table)).max() <= 1e-6


def _boosted(
    xgboost: Any, there: dict[str, Any], rows: tuple[np.ndarray, np.ndarray], blocks: list[list[int]], unseen: int
) -> np.ndarray:
    """Boost by the reference, 40 trees in all: one of each block on gradients that miss the last `unseen` steps."""
    (codes, target), chance = rows, there["base_score"]
    margins, left = [np.full(len(codes), np.log(chance / (1.0 - chance)))], 40
    while left:
        known, added = margins[max(len(margins) - 1 - unseen, 0)], np.zeros(len(codes))
        for block in blocks[:left]:
            matrix = xgboost.DMatrix(codes[:, block], target.astype(np.float32), base_margin=known)
            signs = tuple(there["monotone_constraints"][n] for n in block)
            grown = xgboost.train({**there, "monotone_constraints": signs}, matrix, num_boost_round=1)
            added += grown.predict(matrix, output_margin=True) - known
            left -= 1
        margins.append(margins[-1] + added)
    return np.asarray(1.0 / (1.0 + np.exp(-margins[-1])))


@pytest.mark.slow
@pytest.mark.parametrize(("room", "least"), [("uci", 0.773), ("sba", 0.665)])
def test_the_real_rooms_rank_as_well_as_they_should(room: str, least: float) -> None:
    folder = SHARED / room
    if not folder.is_dir():
        pytest.skip(f"{folder.name}: the real rooms are not beside this project")
    from node.source import read_table

    dictionary = parse_dictionary(tomllib.loads((folder / "schema.toml").read_text("utf-8")), "schema.toml")
    tables = [read_table(path, dictionary, path.stem) for path in sorted(folder.glob("*.csv"))]
    parsed, areas = recipe("trees").parse_parameters({}), []
    for seed in range(5):
        books = books_of(tables, JobSpec("trees", 1, parsed, dictionary, len(tables), 1 << 20, seed, 300_000))
        model = train(books[0].spec, books).model
        held = concatenate([book.table.select(book.rows("holdout")) for book in books])
        areas.append(auc(held.target, model.logit(held)))
    assert np.mean([area for area in areas if area is not None]) >= least
