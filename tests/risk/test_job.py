"""A whole job: the federation equals pooled rows bit for bit on awkward rooms, and hostile rooms end."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.bank import bank_result
from risk.book import Book
from risk.card import Scorecard
from risk.dictionary import Dictionary
from risk.errors import InputError, MisuseError
from risk.job import JobOutcome, contribute, rounds
from risk.modelfile import encode_model
from risk.recipe import Ask
from risk.table import Table
from tests.risk.rooms import (
    books_of,
    category,
    flag,
    number,
    pooled,
    room_dictionary,
    room_tables,
    spec_of,
    train,
)


def files(outcome: JobOutcome) -> list[bytes]:
    """Return the three models' files."""
    return [encode_model(model) for model in (outcome.model, outcome.half_a, outcome.half_b)]


@settings(max_examples=12)
@given(
    st.lists(st.integers(110, 900), min_size=4, max_size=8),
    st.integers(0, 2**31),
    st.sampled_from([0.02, 0.1, 0.3, 0.7]),
)
def test_the_federation_equals_pooled_rows_bit_for_bit(sizes: list[int], seed: int, rate: float) -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, len(sizes), seed=seed % 97)
    books = books_of(room_tables(dictionary, sizes, seed, rate), spec)
    asks: list[Ask] = []
    pooled_asks: list[Ask] = []
    federated, together = train(spec, books, asks), train(spec, [pooled(books)], pooled_asks)
    assert files(federated) == files(together)
    assert federated.metrics == together.metrics
    assert [ask.encode() for ask in asks] == [ask.encode() for ask in pooled_asks]


def test_requests_are_the_same_bytes_in_two_runs_and_keep_their_promises() -> None:
    dictionary = room_dictionary()
    tables = room_tables(dictionary, (700, 500, 400, 300, 200), seed=5)
    spec = spec_of(dictionary, 5)
    first: list[Ask] = []
    second: list[Ask] = []
    assert files(train(spec, books_of(tables, spec), first)) == files(train(spec, books_of(tables, spec), second))
    assert [ask.encode() for ask in first] == [ask.encode() for ask in second]
    assert len({(ask.part, ask.name) for ask in first}) == len(first) <= 60
    for ask in first:
        assert spec.members * ask.bound < 2 ** (ask.word_bits - 1)
        assert 1 <= ask.length <= 2**26 and ask.recipe == "scorecard/1"
        for book in books_of(tables, spec):
            assert np.abs(contribute(ask, book)).max() <= ask.bound


def test_no_label_is_asked_on_fewer_than_fifty_rows() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 5)
    books = books_of(room_tables(dictionary, (500, 400, 300, 200, 150), seed=8), spec)
    asks: list[Ask] = []
    train(spec, books, asks)
    labelled = [ask for ask in asks if ask.parameters.get("labels") == 1]
    assert len(labelled) == 5
    for ask in labelled:
        unlabelled = Ask(
            **{name: getattr(ask, name) for name in FIELDS} | {"parameters": {**ask.parameters, "labels": 0}}
        )
        rows = np.sum([contribute(unlabelled, book) for book in books], axis=0)
        assert rows.min() >= 50
        for other in ("half-a", "half-b"):
            if ask.part in ("half-a", "half-b"):
                both = Ask(**{n: getattr(unlabelled, n) for n in FIELDS} | {"rows": other})
                assert np.sum([contribute(both, book) for book in books], axis=0).min() >= 50


FIELDS = (
    "recipe",
    "part",
    "name",
    "rows",
    "length",
    "word_bits",
    "bound",
    "row_linf",
    "row_l1",
    "parameters",
    "arrays",
)


def test_one_row_changes_no_sum_by_more_than_declared() -> None:
    dictionary = room_dictionary()
    tables = room_tables(dictionary, (400, 300, 300, 300), seed=13)
    spec = spec_of(dictionary, 4)
    asks: list[Ask] = []
    train(spec, books_of(tables, spec), asks)
    book = Book(tables[0], spec)
    for ask in asks:
        rows = book.rows(ask.rows)
        whole = contribute(ask, book)
        fewer = Book(tables[0], spec)
        cut = {"train": rows, "holdout": rows, "half_a": rows, "half_b": rows}
        object.__setattr__(fewer, "split", type(book.split)(**{name: value[1:] for name, value in cut.items()}))
        change = np.abs(whole - contribute(ask, fewer))
        assert change.max() <= ask.row_linf and change.sum() <= ask.row_l1, ask.name


def test_a_part_that_breaks_its_promise_is_our_bug() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 4)
    book = Book(room_tables(dictionary, (400,), seed=1)[0], spec)
    ask = next(rounds(spec))
    narrow = Ask(**{name: getattr(ask, name) for name in FIELDS} | {"bound": 1})
    with pytest.raises(MisuseError, match="above the request's bound"):
        contribute(narrow, book)


def test_an_uninstalled_recipe_or_version_is_refused() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 4)
    for recipe, version in (("scorecard", 9), ("oracle", 1)):
        other = type(spec)(recipe, version, spec.parameters, dictionary, 4, 1 << 16, 0, 300_000)
        with pytest.raises(InputError, match="installed"):
            next(rounds(other))


def one_class(tables: list[Table]) -> list[Table]:
    """Return the tables with a single good row left at the last member."""
    last = tables[-1]
    target = np.ones(last.rows, dtype=np.int8)
    target[0] = 0
    return [*tables[:-1], Table(last.member, last.columns, target)]


def all_good(tables: list[Table]) -> list[Table]:
    """Return the tables without a bad row anywhere."""
    return [Table(table.member, table.columns, np.zeros_like(table.target)) for table in tables]


def few_bads(tables: list[Table]) -> list[Table]:
    """Return the tables with one bad row at each member."""
    return [Table(t.member, t.columns, (np.arange(t.rows) == 0).astype(np.int8)) for t in tables]


HOSTILE: dict[str, tuple[Dictionary, tuple[int, ...], Callable[[list[Table]], list[Table]]]] = {
    "one class at a small bank": (room_dictionary(), (400, 300, 300, 40), one_class),
    "no bad row at all": (room_dictionary(), (300, 300, 300, 300), all_good),
    "one bad row each": (room_dictionary(), (300, 300, 300, 300), few_bads),
    "nothing but a constant": (room_dictionary(number("constant", (0, 10), "free")), (300, 300, 300, 300), list),
    "nothing but missing": (room_dictionary(number("nowhere", (0, 10), "up")), (300, 300, 300, 300), list),
    "flags only": (room_dictionary(flag("arrears", "up"), flag("rare", "up")), (300, 300, 300, 300), list),
    "one category": (room_dictionary(category("trade", 50)), (300, 300, 300, 300), list),
    "hardly any rows": (room_dictionary(), (12, 11, 10, 9), list),
    "wrong direction": (room_dictionary(number("turnover", (0, 1e12), "up")), (500, 300, 300, 300), list),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rooms_end_with_a_model_and_reasons(name: str) -> None:
    dictionary, sizes, change = HOSTILE[name]
    tables = change(room_tables(dictionary, sizes, seed=21))
    spec = spec_of(dictionary, len(sizes))
    books = books_of(tables, spec)
    outcome, together = train(spec, books), train(spec, [pooled(books)])
    assert files(outcome) == files(together)
    model = outcome.model
    assert isinstance(model, Scorecard)
    assert sorted([item.name for item in model.fields] + [field for field, _ in model.dropped]) == sorted(
        field.name for field in dictionary.model_fields
    )
    assert all(reason for _, reason in model.dropped)
    for book in books:
        result = bank_result(book, outcome)
        report = result.to_report()
        assert report["chosen"] in ("own", "network", "mixed")
        assert all(value is None or 0.0 <= value <= 1.0 for key, value in report.items() if key[:3] in ("auc", "ks_"))
        assert np.isfinite(model.pd(book.table)).all() and np.isfinite(result.own.pd(book.table)).all()


def test_a_constant_a_missing_and_a_contradicting_field_are_named() -> None:
    dictionary = room_dictionary(
        number("turnover", (0, 1e12), "down"),
        number("balance", (-400_000, 2_000_000), "up"),
        number("constant", (0, 10), "free"),
        number("nowhere", (0, 10), "up"),
    )
    spec = spec_of(dictionary, 4)
    model = train(spec, books_of(room_tables(dictionary, (900, 700, 500, 300), seed=2), spec)).model
    assert isinstance(model, Scorecard)
    assert dict(model.dropped) == {
        "balance": "its bins merge to one",
        "constant": "too few rows outside one bin",
        "nowhere": "it is missing in every row",
    }


def test_a_member_lost_between_two_sums_does_no_harm() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 5)
    books = books_of(room_tables(dictionary, (500, 400, 300, 200, 150), seed=8), spec)
    for lost_at in range(1, 30, 3):
        generator = rounds(spec)
        ask = next(generator)
        number_of_sums = 0
        try:
            while True:
                number_of_sums += 1
                present = books if number_of_sums < lost_at else books[1:]
                ask = generator.send(np.sum([contribute(ask, book) for book in present], axis=0))
        except StopIteration as stop:
            assert isinstance(stop.value, JobOutcome)
            assert np.isfinite(stop.value.model.pd(books[0].table)).all()
