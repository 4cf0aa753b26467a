"""The form of trees with differential privacy: a private scorecard, then rounds of random trees upon it.

It adds no noise and keeps no ledger; `risk.random_trees` draws the splits. Theory: a round is one sum, the residuals
and curvatures of the rows in every leaf of one tree a dimension, so a row changes one leaf of each tree. Its residual r
and three times its curvature p(1 - p) have a joint length of at most one: (1 - p)**2 (1 + 9 p**2) <= 1. Of a leaf as
much is taken as stands above sampling and noise together (best linear estimate under a prior variance of leaves), and
half of that, as the dimensions' trees are not orthogonal. The card, which finds what each field says alone for little,
has four fifths of the budget; the trees add what fields say together.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from math import fsum, isqrt

import numpy as np

from risk.binning import BinRules
from risk.book import Book
from risk.card import Scorecard
from risk.coding import decode_codings, encode_codings
from risk.dictionary import DIMENSIONS, Dictionary
from risk.elementary import sigmoid
from risk.forest import LEAF_BITS, Column, Forest, leaf_nodes, tree_codes
from risk.histogram import margin_steps, stack_trees, unstack_trees
from risk.model import Trained
from risk.private_bins import cell_release
from risk.private_calibration import calibrate_release
from risk.private_newton import newton_releases
from risk.private_scorecard import contribute_private, private_rounds
from risk.random_trees import card_columns, card_trees, draw_tree, risk_column, risk_order
from risk.recipe import Ask, EndedEarly
from risk.release import Release, noise_variance, opened_variance, word_bits
from risk.spec import JobSpec

__all__ = ["contribute_private_trees", "private_tree_releases", "private_tree_rounds"]

LEAVES = "leaves-"
ROW = 64
"""Grid units of a residual of one."""
CURVED = 3
"""How many times finer a curvature is counted than a residual."""
NOISIER = (9, 8)
"""Noise of the card's sums over that of a job whose whole budget they are: 64/81 of the budget."""
LEAF_VARIANCE = 0.02
STEP = 0.5
_MOST_LEAF = 1.0
_MOST_TREES = 1000
_RULES = BinRules(min_rows=50, min_share_ppm=50_000, min_class=5, max_bins=8, min_chi2=100, min_iv=50)


@dataclass(slots=True)
class _Grown:
    """Where the forest stands: the card it began with, its columns, its trees and its intercept, steps of 2**-30."""

    card: Scorecard
    columns: tuple[Column, ...]
    trees: list[np.ndarray]
    intercept: int


def private_tree_releases(spec: JobSpec) -> tuple[Release, ...]:
    """Return what training releases: the card's sums with more noise, and one sum a round."""
    more, whole = NOISIER
    card = (cell_release(spec), *newton_releases(spec), calibrate_release())
    return (*(replace(each, weight=each.weight * more // whole) for each in card), *_leaf_releases(spec))


def _leaf_releases(spec: JobSpec) -> list[Release]:
    trees, rounds = len(_dimensions(spec.dictionary)), _rounds(spec)
    more, whole = NOISIER
    # The rounds share what the card leaves, 1 - (whole / more)**2.
    weight = isqrt(rounds * 10**6 * more * more // (more * more - whole * whole)) + 1
    # Rounding moves an entry by half a unit at most, so both entries of a tree move by less than one.
    return [
        Release(f"{LEAVES}{number}", "train", trees * _row_l1(), trees * (ROW + 1) ** 2, 1, weight)
        for number in range(1, rounds + 1)
    ]


def _row_l1() -> int:
    """Return a row's L1 in one tree: |r| + 3 p(1 - p) <= 4/3, and a half of rounding for each entry."""
    return 4 * ROW // 3 + 2


def _dimensions(dictionary: Dictionary) -> list[str]:
    return [name for name in DIMENSIONS if any(field.dimension == name for field in dictionary.model_fields)]


def _rounds(spec: JobSpec) -> int:
    """Return how many sums of leaves are asked: one tree a dimension, as many trees as the job says in all."""
    most = _MOST_TREES - len(spec.dictionary.model_fields)
    return max(min(int(spec.parameters["trees"]), most) // len(_dimensions(spec.dictionary)), 1)


def private_tree_rounds(spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
    """Ask for the noisy sums of a forest; `carry` is the middle and the spread of the logits.

    Ended early once the card's counts are there, it returns the forest reached so far, and `carry` is None.
    """
    more, whole = NOISIER
    noisier = replace(spec, multiplier=-(-spec.multiplier * more // whole))
    trained = yield from private_rounds(noisier, _RULES)
    card = trained.model
    assert isinstance(card, Scorecard)  # private_rounds makes nothing else
    columns = card_columns(card, spec.dictionary)
    grown = _Grown(card, columns, card_trees(card), card.intercept << (LEAF_BITS - 20))
    carry = trained.carry
    try:
        # Ended early, or a card without a field: there is nothing to grow on.
        for release in _leaf_releases(spec) if carry is not None and columns else ():
            batch = _draw(spec, grown, release.name)
            ask = _ask(spec, grown, batch, release)
            sums = yield ask
            _take(grown, batch, sums, opened_variance(spec, ask) / (ROW * ROW))
    except EndedEarly:
        # The trees grown so far are paid for.
        carry = None
    return Trained(_forest(spec, grown), carry)


def _draw(spec: JobSpec, grown: _Grown, name: str) -> list[np.ndarray]:
    """Return one empty tree for every dimension that the card uses; random splits are a level deeper than chosen."""
    depth = int(spec.parameters["depth"]) + 1
    trees = []
    for dimension in DIMENSIONS:
        own = [number for number, column in enumerate(grown.columns) if column.dimension == dimension]
        if own:
            trees.append(draw_tree(f"{spec.seed}|{name}|{dimension}", grown.card, own, depth))
    return trees


def _ask(spec: JobSpec, grown: _Grown, batch: Sequence[np.ndarray], release: Release) -> Ask:
    noise = noise_variance(spec.multiplier, release.weight, release.row_l2_squared)
    bound = spec.max_rows * ROW
    orders = [risk_order(item) for item in grown.card.fields]
    return Ask(
        recipe=spec.label,
        part="full",
        name=release.name,
        rows="train",
        length=2 * sum(_leaves(tree) for tree in batch),
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=ROW,
        row_l1=release.row_l1,
        parameters={"intercept": grown.intercept, "row": ROW},
        arrays={
            "batch": stack_trees(batch),
            "codings": encode_codings([item.coding for item in grown.card.fields]),
            "orders": np.array([place for order in orders for place in order], dtype=np.int64),
            "trees": stack_trees(grown.trees),
        },
        row_l2_squared=release.row_l2_squared,
        noise=noise,
    )


def _leaves(tree: np.ndarray) -> int:
    return (len(tree) + 1) // 2


def _take(grown: _Grown, batch: Sequence[np.ndarray], sums: np.ndarray, variance: float) -> None:
    """Give the leaves of a batch their values and add it; variance: of the noise in a residual, squared rows."""
    entries = [float(value) / ROW for value in sums.tolist()]
    residuals, curved = entries[0::2], [value / CURVED for value in entries[1::2]]
    # Every tree counts every row, so their mean tells of all rows together; that part is taken once.
    rows = max(fsum(curved) / len(batch), 1.0)
    shift = _best(fsum(residuals) / len(batch), rows, variance * len(residuals) / len(batch) ** 2)
    grown.intercept += round(shift * (1 << LEAF_BITS))
    first = 0
    for tree in batch:
        values = []
        for place in range(first, first + _leaves(tree)):
            weight = max(curved[place], 1.0)
            values.append(STEP * _best(residuals[place] - shift * weight, weight, variance))
        first += _leaves(tree)
        filled = tree.copy()
        filled[len(tree) - _leaves(tree) :, 5] = [round(value * (1 << LEAF_BITS)) for value in values]
        grown.trees.append(filled)


def _best(residual: float, curved: float, variance: float) -> float:
    """Return the best linear estimate of a leaf from its residual, which sampling and noise blur."""
    value = LEAF_VARIANCE * curved * residual / (LEAF_VARIANCE * curved * curved + curved + variance)
    return min(max(value, -_MOST_LEAF), _MOST_LEAF)


def _forest(spec: JobSpec, grown: _Grown) -> Forest:
    card = grown.card
    return Forest(
        recipe=spec.label,
        columns=grown.columns,
        trees=tuple(grown.trees),
        intercept=grown.intercept,
        confined=True,
        scaling=card.scaling,
        dropped=card.dropped,
        dictionary=card.dictionary,
        training={**card.training, "rounds": len(grown.trees)},
    )


def contribute_private_trees(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's exact part of a sum that carries noise, (ask.length,) int64.

    Of the leaves' sums: residual, then curvature of every leaf, tree by tree.
    """
    if not ask.name.startswith(LEAVES):
        return contribute_private(ask, book)
    rows, unit = book.rows(ask.rows), int(str(ask.parameters["row"]))
    key = ask.arrays["codings"].tobytes() + ask.arrays["orders"].tobytes()
    codes, places = book.recall("random-codes", key, lambda: _coded(ask, book, rows))
    steps = margin_steps(book, ("random", key), ask.arrays["trees"], (codes, places))
    chance = sigmoid((steps + int(str(ask.parameters["intercept"]))) / float(1 << LEAF_BITS))
    residual = np.rint((book.table.target[rows] - chance) * float(unit))
    curved = np.rint(chance * (1.0 - chance) * float(CURVED * unit))
    pieces = []
    for tree in unstack_trees(ask.arrays["batch"]):
        leaf = leaf_nodes(tree, codes, places) - (len(tree) - _leaves(tree))
        # Whole numbers below 2**53, so that the order of the additions does not matter.
        pieces += [np.bincount(leaf, each, _leaves(tree)).astype(np.int64) for each in (residual, curved)]
    return np.concatenate([np.column_stack(pair).ravel() for pair in zip(pieces[0::2], pieces[1::2], strict=True)])


def _coded(ask: Ask, book: Book, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the rows in every column, and each column's number of places."""
    columns, first = [], 0
    for coding in decode_codings(ask.arrays["codings"]):
        order = ask.arrays["orders"][first : first + coding.bins].tolist()
        first += coding.bins
        columns.append(risk_column(coding, order, book.spec.dictionary))
    places = np.array([column.places for column in columns], dtype=np.int64)
    return tree_codes(columns, book.table.select(rows)), places
