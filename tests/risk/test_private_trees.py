"""Trees with differential privacy: what one row can change, what is announced, and what is learned beyond the card."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.accountant import epsilon_of
from privacy.guarantee import calibrated, planned_events
from risk.bank import bank_result
from risk.book import Book
from risk.catalogue import private_recipes, recipe
from risk.dictionary import Dictionary
from risk.forest import Forest
from risk.job import JobOutcome, contribute, releases, rounds
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc
from risk.recipe import Ask, EndedEarly
from risk.spec import JobSpec
from risk.split import Split
from risk.table import Table, concatenate
from tests.risk.private_rooms import prf_of, private_books, train_noisy
from tests.risk.rooms import flag, number, pooled, room_dictionary, room_tables

CARD = ["bin-counts", "newton-1", "newton-2", "calibrate-1"]
SIZES = (700, 500, 400, 300)


def tree_spec(multiplier: int = 1_000_000, dictionary: Dictionary | None = None, **parameters: int) -> JobSpec:
    """Return a job of four banks; two rounds of four trees unless told otherwise."""
    chosen = recipe("trees").parse_parameters({"trees": 8, **parameters})
    return JobSpec("trees", 1, chosen, dictionary or room_dictionary(), 4, 1 << 16, 0, 300_000, multiplier)


def asked(spec: JobSpec, seed: int = 3) -> tuple[list[Ask], list[Book], JobOutcome]:
    asks: list[Ask] = []
    books = private_books(room_tables(spec.dictionary, SIZES, seed), spec)
    return asks, books, train_noisy(spec, books, seed, asks)


def only(book: Book, rows: np.ndarray) -> Book:
    other = Book(book.table, book.spec, book.prf)
    object.__setattr__(other, "split", Split(rows, rows, rows, rows))
    return other


def test_it_is_listed() -> None:
    assert "trees" in private_recipes()


def test_every_request_carries_the_noise_that_was_announced() -> None:
    spec = tree_spec(1_700_000)
    asks, _, _ = asked(spec)
    announced = {release.name: release for release in releases(spec)}
    assert [ask.name for ask in asks] == [*CARD, "leaves-1", "leaves-2", "score-counts"] == list(announced)
    for ask in asks:
        release = announced[ask.name]
        # The card's weights are rounded down where they are announced, so its noise may be a little more.
        assert release.variance(spec.multiplier) <= ask.noise <= 1.002 * release.variance(spec.multiplier)
        assert (ask.row_l2_squared, ask.rows, ask.sampling_ppm) == (release.row_l2_squared, release.rows, 1_000_000)
        assert 0 < ask.row_l1 <= release.row_l1 and ask.row_l2_squared > 0
        assert spec.members * (ask.bound + 14 * (int(ask.noise**0.5) + 1) + 64) < 2 ** (ask.word_bits - 1)
        assert b'"noise"' in ask.encode()


@pytest.mark.parametrize("trees", [1, 8, 60, 500])
def test_the_training_releases_share_one_budget(trees: int) -> None:
    spent = {"train": 0.0, "holdout": 0.0}
    for release in releases(tree_spec(trees=trees)):
        spent[release.rows] += release.count * (1000 / release.weight) ** 2
    assert 0.99 < spent["train"] <= 1.0 and spent["holdout"] == 1.0


def test_what_is_announced_does_not_hang_on_the_multiplier() -> None:
    assert releases(tree_spec(1)) == releases(tree_spec(9_000_000))


def test_a_whole_job_costs_no_more_than_it_promises() -> None:
    spec = tree_spec(trees=60)
    promised = calibrated(releases(spec), "3", "0.000001")
    asks, _, _ = asked(replace(spec, multiplier=promised.multiplier))
    announced = epsilon_of(planned_events(releases(spec), promised.multiplier), promised.delta)
    paid = [replace(each, variance=ask.noise, row_l1=ask.row_l1)
            for each, ask in zip(planned_events(releases(spec), promised.multiplier), asks, strict=True)]  # fmt: skip
    assert 2.95 < epsilon_of(paid, promised.delta) <= announced <= 3.0


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**31), st.sampled_from([300_000, 2_000_000, 20_000_000]), st.floats(0.02, 0.9))
def test_no_row_changes_a_sum_by_more_than_declared(seed: int, multiplier: int, rate: float) -> None:
    """Each row alone: a part without rows is zero, so that part is what the row adds."""
    spec = tree_spec(multiplier)
    asks: list[Ask] = []
    tables = room_tables(spec.dictionary, (300, 200, 150, 100), seed, rate)
    train_noisy(spec, private_books(tables, spec), seed % 1000, asks)
    book = Book(tables[1].select(np.arange(12)), spec, prf_of("b"))
    leaves = [ask for ask in asks if ask.name.startswith("leaves-")]
    for ask in leaves:
        for row in range(book.table.rows):
            change = contribute(ask, only(book, np.array([row])))
            assert int(np.sum(change**2)) <= ask.row_l2_squared, ask.name
            assert int(np.sum(np.abs(change))) <= ask.row_l1
            assert int(np.max(np.abs(change))) <= ask.row_linf


@pytest.mark.parametrize("bad", [0, 1])
def test_no_chance_of_bad_breaks_the_declared_bounds(bad: int) -> None:
    """Every chance that a row can have, not only those that a room happens to show."""
    spec = tree_spec()
    asks, books, _ = asked(spec)
    ask = next(ask for ask in asks if ask.name == "leaves-1")
    one = books[0].table.select(np.array([0]))
    table = Table("x", one.columns, np.array([bad], dtype=np.int8))
    for intercept in range(-12 << 30, 12 << 30, 1 << 26):
        moved = replace(ask, parameters={**ask.parameters, "intercept": intercept})
        change = contribute(moved, only(Book(table, spec, prf_of("b")), np.array([0])))
        assert int(np.sum(change**2)) <= ask.row_l2_squared
        assert int(np.sum(np.abs(change))) <= ask.row_l1
        assert int(np.max(np.abs(change))) <= ask.row_linf


def test_banks_sums_equal_the_pooled_sum() -> None:
    spec = tree_spec()
    asks, books, _ = asked(spec)
    together = pooled_book(books)
    for ask in asks:
        assert np.array_equal(sum(contribute(ask, book) for book in books), contribute(ask, together)), ask.name


def pooled_book(books: list[Book]) -> Book:
    exact = [replace_spec(book, replace(book.spec, multiplier=0)) for book in books]
    together = pooled(exact)
    object.__setattr__(together, "spec", replace(books[0].spec, max_rows=1 << 18))
    return together


def replace_spec(book: Book, spec: JobSpec) -> Book:
    other = Book(book.table, spec)
    object.__setattr__(other, "split", book.split)
    return other


def test_requests_follow_from_the_sums_byte_for_byte() -> None:
    spec = tree_spec()
    found: list[list[bytes]] = []
    for _ in range(2):
        generator, sums = rounds(spec), np.random.default_rng(5)
        seen = [next(generator)]
        while seen[-1].name != "score-counts":
            seen.append(generator.send(sums.integers(-5, 40_000, seen[-1].length)))
        found.append([ask.encode() for ask in seen])
    assert found[0] == found[1] and len(found[0]) > len(CARD) + 1


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_of_pure_noise_end_with_a_model(sign: int) -> None:
    spec = tree_spec(50_000_000)
    rng = np.random.default_rng(7)
    generator = rounds(spec)
    ask = next(generator)
    try:
        while True:
            ask = generator.send(np.rint(rng.normal(sign, ask.noise**0.5, ask.length)).astype(np.int64))
    except StopIteration as stop:
        outcome = stop.value
    table = room_tables(spec.dictionary, (200,), 2)[0]
    assert np.isfinite(outcome.model.pd(table)).all()
    assert encode_model(decode_model(encode_model(outcome.model))) == encode_model(outcome.model)


def together_room(dictionary: Dictionary) -> list[Table]:
    """Return rows whose risk is high where exactly one of two flags is set: no field tells anything alone."""
    tables = room_tables(dictionary, (2500, 1500, 1000, 700), 11)
    for table in tables:
        rng = np.random.default_rng([3, table.rows])
        debt = rng.uniform(0, 10, table.rows)
        first = (rng.random(table.rows) < 0.4).astype(np.float64)
        second = (rng.random(table.rows) < 0.45).astype(np.float64)
        logit = -2.0 + 0.15 * debt + 0.3 * first + 0.3 * second + 2.0 * (first != second)
        columns = dict(table.columns) | {"debt": debt, "arrears": first, "rare": second}
        object.__setattr__(table, "columns", columns)
        object.__setattr__(table, "target", (rng.random(table.rows) < 1 / (1 + np.exp(-logit))).astype(np.int8))
    return tables


def test_it_learns_what_fields_say_together() -> None:
    dictionary = room_dictionary(number("debt", (0, 10), "up"), flag("arrears"), flag("rare"))
    tables = together_room(dictionary)
    spec = tree_spec(300_000, dictionary, trees=60)
    books = private_books(tables, spec)
    forest = train_noisy(spec, books, 1)
    scorecard = recipe("scorecard")
    other = replace(spec, recipe="scorecard", parameters=scorecard.parse_parameters({}))
    card = train_noisy(other, private_books(tables, other), 1)
    whole = concatenate([book.table.select(book.rows("holdout")) for book in books])
    ours, theirs = (auc(whole.target, outcome.model.logit(whole)) for outcome in (forest, card))
    assert ours is not None and theirs is not None and ours > theirs + 0.05
    assert forest.metrics is not None and forest.metrics.auc is not None
    assert abs(forest.metrics.auc - ours) < 4 * (forest.metrics.auc_deviation or 0.0) < 0.2
    assert abs(float(np.mean(forest.model.pd(whole))) - float(np.mean(whole.target))) < 0.03
    assert forest.half_a is forest.model is forest.half_b
    report = bank_result(books[0], forest).to_report()
    assert report["auc_own"] > 0.6 and report["auc_network"] > 0.6


@pytest.mark.parametrize("sums", range(8))
def test_a_spent_budget_keeps_what_was_learned(sums: int) -> None:
    spec = tree_spec(1_000_000)
    books = private_books(room_tables(spec.dictionary, SIZES, 4), spec)
    generator = rounds(spec)
    ask = next(generator)
    for _ in range(min(sums, 6)):
        ask = generator.send(np.sum([contribute(ask, book) for book in books], axis=0))
    if sums == 0:
        with pytest.raises(EndedEarly):
            generator.throw(EndedEarly())
        return
    last = np.sum([contribute(ask, book) for book in books], axis=0)
    with pytest.raises(StopIteration) as ended:
        generator.send(last) if sums == 7 else generator.throw(EndedEarly())
    outcome = ended.value.value
    assert isinstance(outcome.model, Forest) and outcome.model.columns
    used = len({column.dimension for column in outcome.model.columns})
    assert len(outcome.model.trees) == len(outcome.model.columns) + used * min(max(sums - 4, 0), 2)
    assert (outcome.metrics is None) == (sums < 7)


def test_the_statement_stands_in_the_model_file() -> None:
    statement: dict[str, str | int] = {"epsilon": "3", "delta": "0.000001", "multiplier": 1_000_000}
    spec = replace(tree_spec(), statement=statement)
    outcome = train_noisy(spec, private_books(room_tables(spec.dictionary, SIZES, 4), spec))
    kept = decode_model(encode_model(outcome.model))
    assert isinstance(kept, Forest) and kept.training["privacy"]["epsilon"] == "3"
