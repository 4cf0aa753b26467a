"""Poisson sampling: every row by itself, afresh for each upload, whatever recipe answers."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.book import Book
from risk.errors import MisuseError
from risk.job import contribute
from risk.recipe import Ask
from risk.sampling import drawn_rows, for_upload, sampled
from risk.spec import JobSpec
from tests.risk.private_rooms import prf_of, private_books, train_noisy
from tests.risk.rooms import room_dictionary, room_tables, spec_of

UPLOAD = bytes(range(32))


def counting(rate: int = 200_000) -> tuple[Ask, Book]:
    """Return a count of all rows, made a sampled request, and a book."""
    spec: JobSpec = replace(spec_of(room_dictionary(), 4), multiplier=1_000_000)
    books = private_books(room_tables(spec.dictionary, (900, 500, 400, 300), 3), spec)
    asks: list[Ask] = []
    train_noisy(spec, books, 3, asks)
    return replace(asks[0], sampling_ppm=rate), books[0]


def test_no_recipe_can_forget_to_draw() -> None:
    ask, book = counting()
    whole = contribute(replace(ask, sampling_ppm=1_000_000), book)
    part = contribute(ask, for_upload(book, UPLOAD))
    drawn = sampled(for_upload(book, UPLOAD), ask)
    assert 0 < part.sum() < whole.sum()
    assert np.array_equal(part, contribute(replace(ask, sampling_ppm=1_000_000), drawn))
    assert set(drawn.rows("train")) < set(book.rows("train")) and set(drawn.rows("holdout")) < set(book.rows("holdout"))


def test_an_upload_draws_again_and_a_replay_draws_the_same() -> None:
    ask, book = counting()
    first, again, other = (sampled(for_upload(book, upload), ask) for upload in (UPLOAD, UPLOAD, UPLOAD[::-1]))
    elsewhere = sampled(for_upload(replace_prf(book), UPLOAD), ask)
    next_one = sampled(for_upload(book, UPLOAD), replace(ask, name="bin-counts-2"))
    assert np.array_equal(first.rows("train"), again.rows("train"))
    for drawn in (other, elsewhere, next_one):
        assert not np.array_equal(first.rows("train"), drawn.rows("train"))


def replace_prf(book: Book) -> Book:
    other = Book(book.table, book.spec, prf_of("another bank"))
    object.__setattr__(other, "split", book.split)
    return other


def test_what_was_kept_of_all_rows_is_not_used_for_the_drawn_ones() -> None:
    _, book = counting()
    book.recall("codes", "key", lambda: "of all rows")
    drawn = sampled(for_upload(book, UPLOAD), counting()[0])
    assert drawn.recall("codes", "key", lambda: "of the drawn rows") == "of the drawn rows"
    assert book.recall("codes", "key", lambda: "built again") == "of all rows"


def test_without_an_upload_or_a_key_nothing_is_drawn() -> None:
    ask, book = counting()
    with pytest.raises(MisuseError, match="upload"):
        contribute(ask, book)
    with pytest.raises(MisuseError, match="16 or more"):
        for_upload(book, b"short")
    exact = Book(book.table, replace(book.spec, multiplier=0))
    with pytest.raises(MisuseError, match="keyed function"):
        contribute(ask, for_upload(exact, UPLOAD))
    assert UPLOAD.hex() not in repr(for_upload(book, UPLOAD)) and str(UPLOAD) not in repr(for_upload(book, UPLOAD))


@settings(max_examples=30)
@given(st.integers(1, 999_999), st.integers(0, 2**32))
def test_so_many_rows_are_drawn_as_the_rate_says(rate: int, seed: int) -> None:
    """Seven standard deviations: a fair draw fails once in 10^11."""
    rows = 4000
    drawn = drawn_rows(rows, rate, seed.to_bytes(8, "big"), prf_of("bank"))
    chance = rate / 1e6
    spread = math.sqrt(rows * chance * (1.0 - chance))
    assert drawn.shape == (rows,) and abs(int(drawn.sum()) - rows * chance) <= 7.0 * spread + 7.0


def test_rows_are_drawn_by_themselves() -> None:
    """Over many drawings neighbours are drawn together as often as chance has it."""
    drawn = np.stack(
        [drawn_rows(64, 300_000, bytes([turn // 256, turn % 256]), prf_of("bank")) for turn in range(3000)]
    )
    share = drawn.mean(axis=0)
    assert float(np.abs(share - 0.3).max()) < 7 * math.sqrt(0.21 / 3000)
    together = np.cov(drawn.T.astype(np.float64))
    assert float(np.abs(together - np.diag(np.diag(together))).max()) < 7 * 0.21 / math.sqrt(3000)


@pytest.mark.parametrize("rows", range(9))
def test_more_rows_leave_those_before_as_they_were(rows: int) -> None:
    assert np.array_equal(
        drawn_rows(rows, 500_000, b"x", prf_of("b")), drawn_rows(9, 500_000, b"x", prf_of("b"))[:rows]
    )
