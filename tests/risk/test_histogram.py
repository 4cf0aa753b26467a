"""What rows add to a tree level: packed words hold what they say, at the largest job too."""

import numpy as np
import pytest

from risk.catalogue import recipe
from risk.coding import encode_codings, unmerged
from risk.errors import InputError
from risk.forest import LEAF_BITS, tree_columns
from risk.histogram import Scales, Stage, ask_level, contribute_level, scales_of, stack_trees, unpack_level
from risk.spec import JobSpec
from tests.risk.rooms import books_of, room_dictionary, room_tables


def job(members: int, max_rows: int) -> JobSpec:
    """Return a job of trees."""
    return JobSpec("trees", 1, recipe("trees").parse_parameters({}), room_dictionary(), members, max_rows, 0, 300_000)


@pytest.mark.parametrize(("members", "max_rows"), [(4, 1000), (5, 1 << 20), (200, 1 << 16), (256, 1 << 17)])
def test_a_whole_job_s_sums_fit_their_bits(members: int, max_rows: int) -> None:
    scales = scales_of(job(members, max_rows))
    everybody = members * max_rows
    assert everybody << scales.gradient_bits < 1 << 53
    assert everybody * (1 << (scales.hessian_bits - 2)) < 1 << scales.shift
    assert (everybody << scales.shift) + (1 << scales.shift) < 1 << 63
    assert scales.hessian_bits >= 12


def test_too_large_a_job_is_refused_before_it_starts() -> None:
    with pytest.raises(InputError, match="lower max_rows"):
        scales_of(job(100, 1 << 24))


def test_a_level_counts_every_row_once_in_every_column() -> None:
    spec = job(4, 1 << 12)
    book = books_of(room_tables(spec.dictionary, (700, 10, 10, 10), 3), spec)[0]
    codings = tuple(unmerged(field, (10.0, 100.0)) for field in spec.dictionary.model_fields)
    columns = tree_columns(codings, spec.dictionary)
    grown = np.array([[3, 0, 0, 1, 2, 0], [0] * 6, [0] * 6], dtype=np.int64)
    scope, none, encoded = tuple(range(len(columns))), stack_trees(()), encode_codings(codings)
    stages = [
        Stage("full-1-0", "full", -(1 << LEAF_BITS), none, 0, grown, (1, 2), scope, encoded),
        Stage("half-b-1-0", "half-b", 0, none, 0, np.zeros((1, 6), dtype=np.int64), (0,), scope[2:4], encoded),
    ]
    by_part = {"full": columns, "half-b": columns}
    ask = ask_level(spec, "level-1-2", by_part, stages)
    part = contribute_level(ask, book)
    assert part.shape == (ask.length,) and np.abs(part).max() <= ask.bound
    pair, whole = unpack_level(part, spec, by_part, stages)
    rows, bads = len(book.rows("train")), int(book.table.target[book.rows("train")].sum())
    assert (pair.rows.sum(axis=(0, 2)) == rows).all()
    chance = 1.0 / (1.0 + np.exp(1.0))
    assert abs(pair.gradient.sum(axis=(0, 2))[0] - (rows * chance - bads)) < 1e-4
    assert abs(pair.hessian.sum(axis=(0, 2))[0] - rows * chance * (1 - chance)) < 1e-4
    assert (whole.rows[0].sum(axis=1) == len(book.rows("half-b"))).all()
    assert np.allclose(whole.hessian[0].sum(axis=1), 0.25 * len(book.rows("half-b")))


def test_a_level_of_trees_that_know_different_gradients() -> None:
    spec = job(4, 1 << 12)
    books = [books_of(room_tables(spec.dictionary, (700, 10, 10, 10), 3), spec)[0] for _ in range(2)]
    codings = tuple(unmerged(field, (10.0, 100.0)) for field in spec.dictionary.model_fields)
    columns = tree_columns(codings, spec.dictionary)
    split = np.array([[3, 0, 0, 1, 2, 0], [0] * 5 + [1 << 29], [0] * 5 + [-(1 << 29)]], dtype=np.int64)
    stacked, root, encoded = stack_trees((split, split)), np.zeros((1, 6), dtype=np.int64), encode_codings(codings)
    stages = [Stage(f"full-{seen}-0", "full", 0, stacked, seen, root, (0,), (0,), encoded) for seen in (0, 1, 2)]
    whole = contribute_level(ask_level(spec, "level-1", {"full": columns}, stages), books[0])
    apart = [
        contribute_level(ask_level(spec, "level-1", {"full": columns}, [stage]), books[1]) for stage in stages[::-1]
    ]
    assert np.array_equal(whole, np.concatenate(apart[::-1])) and not np.array_equal(apart[0], apart[1])


def test_scales_leave_room_for_the_count_above_the_hessian() -> None:
    scales = scales_of(job(5, 1 << 20))
    assert isinstance(scales, Scales) and scales.shift + (5 << 20).bit_length() <= 63
