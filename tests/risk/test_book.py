"""A member's book: it keeps what was derived, and refuses what the job does not allow."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from risk.book import Book
from risk.errors import InputError, MisuseError, RefusalError
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.private_rooms import prf_of
from tests.risk.rooms import room_dictionary, room_tables, spec_of

DICTIONARY = room_dictionary()
TABLE = room_tables(DICTIONARY, (120,), 1)[0]


def test_too_many_rows_and_absent_columns() -> None:
    assert len(Book(TABLE, spec_of(DICTIONARY, 4, max_rows=120)).rows("train")) == 84
    with pytest.raises(RefusalError, match="120 rows, the job allows 119"):
        Book(TABLE, spec_of(DICTIONARY, 4, max_rows=119))
    columns = {name: values for name, values in TABLE.columns.items() if name != "share"}
    with pytest.raises(MisuseError, match="'share'"):
        Book(Table(TABLE.member, columns, TABLE.target), spec_of(DICTIONARY, 4))


def test_one_row_a_borrower_counts_in_a_job_with_noise_and_every_row_in_an_exact_one() -> None:
    named = replace(DICTIONARY, borrower="firm")
    digests = np.repeat(np.arange(1, 41, dtype=np.uint8), 3)[:, None].repeat(16, axis=1)
    table = replace(TABLE, borrower=digests)
    exact, plain = Book(table, spec_of(named, 4)), Book(TABLE, spec_of(DICTIONARY, 4))
    for name in ("train", "holdout", "half-a", "half-b"):
        np.testing.assert_array_equal(exact.rows(name), plain.rows(name))
    noisy = spec_of(named, 4, multiplier=1_000_000)
    assert (noisy.unit, spec_of(DICTIONARY, 4).unit) == ("borrower", "record")
    book = Book(table, noisy, prf_of("b"))
    counted = np.concatenate([book.rows("train"), book.rows("holdout")])
    assert sorted(digests[counted, 0]) == list(range(1, 41))
    with pytest.raises(RefusalError, match="no column 'firm'"):
        Book(TABLE, noisy, prf_of("b"))


def test_one_thing_of_a_kind_is_kept() -> None:
    book = Book(TABLE, spec_of(DICTIONARY, 4))
    built: list[str] = []

    def build(what: str) -> str:
        built.append(what)
        return what

    for key in ("a", "a", "b", "b", "a"):
        assert book.recall("codes", key, partial(build, key)) == key
    assert built == ["a", "b", "a"]
    assert book.recall("keys", "a", lambda: build("other kind")) == "other kind"


@pytest.mark.parametrize(
    "change",
    [
        {"members": 0},
        {"members": 257},
        {"max_rows": 0},
        {"max_rows": 2**24 + 1},
        {"seed": -1},
        {"holdout_ppm": 900_001},
        {"multiplier": -1},
        {"multiplier": 10**9 + 1},
        {"members": 128, "max_rows": 2**24},
    ],
)
def test_jobs_out_of_range_are_refused(change: dict[str, int]) -> None:
    values: dict[str, Any] = {"members": 4, "max_rows": 1000, "seed": 0, "holdout_ppm": 300_000, **change}
    with pytest.raises(InputError, match="job: "):
        JobSpec("scorecard", 1, {}, DICTIONARY, **values)


def test_a_job_names_its_recipe_and_share() -> None:
    spec = spec_of(DICTIONARY, 4)
    assert (spec.label, spec.holdout) == ("scorecard/1", 0.3)
    assert np.isclose(spec_of(DICTIONARY, 4, holdout_ppm=0).holdout, 0.0)
