"""A job with differential privacy: what one row can change, what is announced, and that it still ranks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk.bank import bank_result
from risk.book import Book
from risk.card import Scorecard
from risk.errors import MisuseError
from risk.job import contribute, releases, rounds
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc
from risk.recipe import Ask, EndedEarly, run_plain
from risk.spec import JobSpec
from risk.split import Split
from risk.table import concatenate
from tests.risk.private_rooms import prf_of, private_books, train_noisy
from tests.risk.rooms import category, flag, number, room_dictionary, room_tables, spec_of

NAMES = ["bin-counts", "newton-1", "newton-2", "calibrate-1", "score-counts"]
SIZES = (700, 500, 400, 300)


def private_spec(multiplier: int = 1_000_000, members: int = 4, **more: object) -> JobSpec:
    return replace(spec_of(room_dictionary(), members, **more), multiplier=multiplier)


def asked(spec: JobSpec, seed: int = 3) -> tuple[list[Ask], list[Book]]:
    asks: list[Ask] = []
    books = private_books(room_tables(spec.dictionary, SIZES, seed), spec)
    train_noisy(spec, books, seed, asks)
    return asks, books


def test_every_request_carries_noise_that_was_announced() -> None:
    spec = private_spec(1_700_000)
    asks, _ = asked(spec)
    announced = {release.name: release for release in releases(spec)}
    assert [ask.name for ask in asks] == NAMES == list(announced)
    for ask in asks:
        release = announced[ask.name]
        assert ask.noise == release.variance(spec.multiplier) > 0
        assert (ask.row_l2_squared, ask.rows, ask.sampling_ppm) == (release.row_l2_squared, release.rows, 1_000_000)
        assert 0 < ask.row_l1 <= release.row_l1 and ask.row_l2_squared > 0
        assert spec.members * (ask.bound + 14 * (int(ask.noise**0.5) + 1) + 64) < 2 ** (ask.word_bits - 1)
        assert b'"noise"' in ask.encode()


def test_the_training_releases_share_one_budget() -> None:
    spent = {"train": 0.0, "holdout": 0.0}
    for release in releases(private_spec()):
        spent[release.rows] += release.count * (1000 / release.weight) ** 2
    assert 0.99 < spent["train"] <= 1.0 and spent["holdout"] == 1.0


def test_what_is_announced_does_not_hang_on_the_multiplier() -> None:
    assert releases(private_spec(1)) == releases(private_spec(9_000_000))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**31), st.sampled_from([300_000, 2_000_000, 20_000_000]), st.floats(0.02, 0.9))
def test_no_row_changes_a_sum_by_more_than_declared(seed: int, multiplier: int, rate: float) -> None:
    """Each row alone, in a book of one row: a part without rows is zero, so that part is what the row adds."""
    spec = private_spec(multiplier, max_rows=2000)
    asks: list[Ask] = []
    tables = room_tables(spec.dictionary, (300, 200, 150, 100), seed, rate)
    train_noisy(spec, private_books(tables, spec), seed % 1000, asks)
    table = tables[1].select(np.arange(40))
    for ask in asks:
        book = Book(table, spec, prf_of("b"))
        for row in range(table.rows):
            one = np.array([row])
            object.__setattr__(book, "split", Split(one, one, one, one))
            change = contribute(ask, book)
            assert int(np.sum(change**2)) <= ask.row_l2_squared, ask.name
            assert int(np.sum(np.abs(change))) <= ask.row_l1
            assert int(np.max(np.abs(change))) <= ask.row_linf


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**31), st.integers(2, 30))
def test_no_borrower_changes_a_sum_by_more_than_declared(seed: int, borrowers: int) -> None:
    """With all rows, many or few, a borrower comes to the very books of a job and goes."""
    plain = private_spec(max_rows=2000)
    spec = replace(plain, dictionary=replace(plain.dictionary, borrower="firm"))
    asks: list[Ask] = []
    tables = [
        replace(table, borrower=np.arange(table.rows * 16, dtype=np.uint32).astype(np.uint8).reshape(-1, 16))
        for table in room_tables(spec.dictionary, (300, 200, 150, 100), seed)
    ]
    train_noisy(spec, private_books(tables, spec), seed % 1000, asks)
    whose = np.random.default_rng(seed).integers(0, borrowers, 150)
    table = replace(tables[2], borrower=np.repeat(whose.astype(np.uint8)[:, None], 16, axis=1))
    for gone in range(1, min(borrowers, 6)):
        before, after = (Book(rows, spec, prf_of("b")) for rows in (table, table.select(whose != gone)))
        for ask in asks:
            change = contribute(ask, before) - contribute(ask, after)
            assert int(np.sum(change**2)) <= ask.row_l2_squared, ask.name
            assert int(np.sum(np.abs(change))) <= ask.row_l1
            assert int(np.max(np.abs(change))) <= ask.row_linf


def test_a_part_is_the_sum_of_its_rows() -> None:
    spec = private_spec(max_rows=2000)
    asks, books = asked(spec)
    book = books[3]
    for ask in asks:
        rows = book.rows(ask.rows)
        whole = contribute(ask, book)
        first, second = (replace_rows(book, part) for part in (rows[: len(rows) // 3], rows[len(rows) // 3 :]))
        assert np.array_equal(whole, contribute(ask, first) + contribute(ask, second)), ask.name


def replace_rows(book: Book, rows: np.ndarray) -> Book:
    other = Book(book.table, book.spec, book.prf)
    object.__setattr__(other, "split", Split(rows, rows, rows, rows))
    return other


def test_requests_follow_from_the_sums_byte_for_byte() -> None:
    spec = private_spec()
    found: list[list[bytes]] = []
    for _ in range(2):
        generator, sums = rounds(spec), np.random.default_rng(5)
        seen = [next(generator)]
        while len(seen) < len(NAMES):
            seen.append(generator.send(sums.integers(-5, 40_000, seen[-1].length)))
        found.append([ask.encode() for ask in seen])
    assert found[0] == found[1]


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_of_pure_noise_end_with_a_model(sign: int) -> None:
    spec = private_spec(50_000_000)
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
    assert decode_model(encode_model(outcome.model)) == outcome.model


def test_with_little_noise_it_ranks_as_the_exact_scorecard_does() -> None:
    dictionary = room_dictionary(
        number("income", (0, 1e6), "down"), number("debt", (0, 10), "up"), flag("arrears", "up"), category("trade", 6)
    )
    spec = replace(spec_of(dictionary, 4), multiplier=100_000)
    tables = room_tables(dictionary, (2500, 1500, 1000, 700), 11)
    for table in tables:
        rng = np.random.default_rng([3, table.rows])
        income = np.exp(rng.normal(9, 1, table.rows))
        debt = rng.uniform(0, 10, table.rows)
        logit = -2.5 - 0.6 * (np.log(income) - 9) + 0.25 * debt
        columns = dict(table.columns) | {"income": income, "debt": debt}
        object.__setattr__(table, "columns", columns)
        object.__setattr__(table, "target", (rng.random(table.rows) < 1 / (1 + np.exp(-logit))).astype(np.int8))
    books = private_books(tables, spec)
    outcome = train_noisy(spec, books, 1)
    exact_books = private_books(tables, spec)
    exact = spec_of(dictionary, 4)
    for book in exact_books:
        object.__setattr__(book, "spec", exact)
    other = run_plain(rounds(exact), lambda ask: np.sum([contribute(ask, book) for book in exact_books], axis=0))
    whole = concatenate([book.table.select(book.rows("holdout")) for book in books])
    ours, theirs = (auc(whole.target, model.logit(whole)) for model in (outcome.model, other.model))
    assert ours is not None and theirs is not None and ours > theirs - 0.02 > 0.6
    assert outcome.metrics is not None and outcome.metrics.auc is not None
    assert abs(outcome.metrics.auc - ours) < 4 * (outcome.metrics.auc_deviation or 0.0) < 0.2
    assert abs(float(np.mean(outcome.model.pd(whole))) - float(np.mean(whole.target))) < 0.03
    assert outcome.half_a is outcome.model is outcome.half_b
    report = bank_result(books[0], outcome).to_report()
    assert report["auc_own"] > 0.6 and report["auc_network"] > 0.6


@pytest.mark.parametrize("sums", range(6))
def test_a_spent_budget_keeps_what_was_learned(sums: int) -> None:
    spec = private_spec(1_000_000)
    books = private_books(room_tables(spec.dictionary, SIZES, 4), spec)
    generator = rounds(spec)
    ask = next(generator)
    for _ in range(min(sums, 4)):
        ask = generator.send(np.sum([contribute(ask, book) for book in books], axis=0))
    if sums == 0:
        with pytest.raises(EndedEarly):
            generator.throw(EndedEarly())
        return
    last = np.sum([contribute(ask, book) for book in books], axis=0)
    with pytest.raises(StopIteration) as ended:
        generator.send(last) if sums == 5 else generator.throw(EndedEarly())
    outcome = ended.value.value
    assert isinstance(outcome.model, Scorecard) and outcome.model.fields
    assert outcome.model.training["rounds"] == min(sums - 1, 2)
    assert (outcome.metrics is None) == (sums < 5)


def test_the_statement_stands_in_the_model_file() -> None:
    statement: dict[str, str | int] = {"epsilon": "3", "delta": "0.000001", "multiplier": 1_000_000}
    spec = replace(private_spec(), statement=statement)
    outcome = train_noisy(spec, private_books(room_tables(spec.dictionary, SIZES, 4), spec))
    kept = decode_model(encode_model(outcome.model))
    assert isinstance(kept, Scorecard) and kept.training["privacy"] == {
        **statement,
        "unit": "one record at one bank",
    }


def test_the_statement_names_the_borrower_where_the_dictionary_does() -> None:
    plain = private_spec()
    spec = replace(plain, statement={"epsilon": "3"}, dictionary=replace(plain.dictionary, borrower="firm"))
    tables = room_tables(spec.dictionary, SIZES, 4)
    named = [replace(table, borrower=np.zeros((table.rows, 16), dtype=np.uint8)) for table in tables]
    kept = train_noisy(spec, private_books(named, spec)).model
    assert isinstance(kept, Scorecard)
    assert kept.training["privacy"] == {"epsilon": "3", "unit": "one borrower at one bank"}


def test_a_book_without_a_key_is_our_bug() -> None:
    spec = private_spec()
    with pytest.raises(MisuseError, match="keyed function"):
        Book(room_tables(spec.dictionary, (100,), 1)[0], spec)
