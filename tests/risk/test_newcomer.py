"""A newcomer's curve: the same hold-out for every size, the network at the start, and never worse off by much."""

import numpy as np

from risk.newcomer import newcomer_steps, with_rows
from tests.risk.rooms import books_of, room_dictionary, room_tables, spec_of, train


def test_fewer_rows_keep_the_hold_out_and_the_share_of_bads() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 4)
    book = books_of(room_tables(dictionary, (2000, 10, 10, 10), 3), spec)[0]
    rate = book.table.target[book.rows("train")].mean()
    before: set[int] = set()
    for size in (50, 100, 300, 1000):
        small = with_rows(book, size)
        train_rows = small.rows("train")
        assert len(train_rows) == size and set(train_rows) <= set(book.rows("train"))
        assert np.array_equal(small.rows("holdout"), book.rows("holdout"))
        assert abs(small.table.target[train_rows].mean() - rate) <= 1 / size
        halves = np.sort(np.concatenate([small.rows("half-a"), small.rows("half-b")]))
        assert np.array_equal(halves, train_rows)
        # What the lender had with fewer rows it still has.
        assert before <= set(train_rows.tolist())
        before = set(train_rows.tolist())


def test_a_newcomer_starts_from_the_network_and_moves_to_its_own() -> None:
    dictionary = room_dictionary()
    tables = room_tables(dictionary, (3000, 2500, 2000, 2000, 3000), 4)
    spec = spec_of(dictionary, 4)
    network = train(spec, books_of(tables[:4], spec)).model
    book = books_of(tables[4:], spec)[0]
    steps = newcomer_steps(book, network, (50, 300, 2100, 10**6))
    assert [step.rows for step in steps] == [50, 300, 2100]
    assert all(step.own and step.network and step.taken for step in steps)
    assert len({step.network for step in steps}) == 1
    first, last = steps[0], steps[-1]
    assert first.own is not None and last.own is not None and last.own > first.own
    for step in steps:
        assert step.taken is not None and step.own is not None and step.network is not None
        assert step.taken >= max(step.own, step.network) - 0.03


def test_a_book_without_bads_has_no_step() -> None:
    dictionary = room_dictionary()
    spec = spec_of(dictionary, 4)
    tables = room_tables(dictionary, (900, 800, 700, 600), 4)
    network = train(spec, books_of(tables, spec)).model
    clean = type(tables[0])("clean", tables[0].columns, np.zeros(900, dtype=np.int8))
    assert newcomer_steps(books_of([clean], spec)[0], network, (50, 100)) == ()
