"""Gradient histograms of growing trees: what is asked of a member's rows, and how it is packed into words.

It splits nothing. Theory: each row's gradient and Hessian of the logistic loss is rounded to fixed point before it is
added, from a margin that is a whole number of steps, by a sigmoid of + and x in fixed order; so the sums over banks
equal pooled ones bit for bit and can be replayed. A place has two 64-bit words: the gradient, and the number of rows
with the Hessian below it. One request carries a tree level of several forests: the full one and the two halves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.book import Book
from risk.coding import decode_codings
from risk.elementary import sigmoid
from risk.errors import InputError
from risk.forest import LEAF_BITS, Column, leaf_nodes, tree_codes, tree_columns
from risk.growing import Sums
from risk.recipe import Ask
from risk.spec import PARTS, JobSpec

__all__ = [
    "Scales",
    "Stage",
    "ask_level",
    "contribute_level",
    "margin_steps",
    "scales_of",
    "stack_trees",
    "unpack_level",
    "unstack_trees",
]

_NODE_WORDS = 6
_LEAST_BITS = 12
_MOST_BITS = 24


@dataclass(frozen=True, slots=True)
class Scales:
    """Hold the fixed-point bits of gradients and of Hessians, and by how much row counts are shifted."""

    gradient_bits: int
    hessian_bits: int
    shift: int


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """Where one federation's forest stands.

    name: of the tree that grows, different from all others of a job. part: `full`, `half-a` or `half-b`.
    intercept: steps of 2**-30. trees: finished ones, stacked; seen: how many of them the gradients know. growing: the
    tree so far. wanted: nodes whose sums are asked. scope: columns that are counted. codings: encoded (`risk.coding`).
    """

    name: str
    part: str
    intercept: int
    trees: np.ndarray
    seen: int
    growing: np.ndarray
    wanted: tuple[int, ...]
    scope: tuple[int, ...]
    codings: np.ndarray


Columns = Mapping[str, Sequence[Column]]
"""The columns of each federation, by part."""


def scales_of(spec: JobSpec) -> Scales:
    """Return the scales that keep every sum of a job exact; raise `InputError` where too few bits are left."""
    rows = (spec.members * spec.max_rows).bit_length()
    hessian = min(62 - 2 * rows + 2, _MOST_BITS)
    if hessian < _LEAST_BITS:
        raise InputError(
            "job-headroom",
            f"job: members x max_rows = {spec.members * spec.max_rows} leaves {hessian} bits for a row's Hessian, "
            f"expected {_LEAST_BITS} or more; lower max_rows",
        )
    # Below 2**53 sums are whole numbers in float64, in whatever order they are added.
    return Scales(min(52 - rows, _MOST_BITS), hessian, rows + hessian - 2)


def ask_level(spec: JobSpec, name: str, columns: Columns, stages: Sequence[Stage]) -> Ask:
    """Return the request for one tree level of all stages that want sums."""
    scales = scales_of(spec)
    row = max(1 << scales.gradient_bits, (1 << scales.shift) + (1 << max(scales.hessian_bits - 2, 0)))
    length, touched = 0, 0
    for stage in stages:
        length += len(stage.wanted) * 2 * sum(columns[stage.part][n].places + 1 for n in stage.scope)
        touched += 2 * len(stage.scope)
    intercepts = {stage.part: stage.intercept for stage in stages}
    parameters: dict[str, int | str | tuple[int, ...] | tuple[str, ...]] = {
        "gradient_bits": scales.gradient_bits,
        "growing": tuple(stage.name for stage in stages),
        "growing_parts": tuple(stage.part for stage in stages),
        "hessian_bits": scales.hessian_bits,
        "intercepts": tuple(intercepts.values()),
        "parts": tuple(intercepts),
        "seen": tuple(stage.seen for stage in stages),
        "shift": scales.shift,
    }
    one = {stage.part: stage for stage in stages}
    arrays = {f"codings-{part}": stage.codings for part, stage in one.items()}
    arrays |= {f"trees-{part}": stage.trees for part, stage in one.items()}
    for stage in stages:
        arrays[f"growing-{stage.name}"] = stage.growing
        arrays[f"wanted-{stage.name}"] = np.array(stage.wanted, dtype=np.int64)
        arrays[f"scope-{stage.name}"] = np.array(stage.scope, dtype=np.int64)
    return Ask(
        recipe=spec.label,
        part="full",
        name=name,
        rows="train",
        length=length,
        word_bits=64,
        bound=spec.max_rows * row,
        row_linf=row,
        row_l1=touched * row,
        parameters=parameters,
        arrays=arrays,
    )


def contribute_level(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's histograms, (ask.length,) int64: stage by stage, node by node, column by column."""
    grounds = {part: _ground(ask, book, part) for part in _texts(ask, "parts")}
    names, parts = _texts(ask, "growing"), _texts(ask, "growing_parts")
    seen: list[int] = [int(count) for count in ask.parameters["seen"]]  # type: ignore[union-attr]
    named = zip(names, parts, seen, strict=True)
    words = [_contribute_tree(ask, grounds[part], name, count) for name, part, count in named]
    for ground in grounds.values():
        ground.kept.forget(set(names), set(seen))
    return np.concatenate(words)


@dataclass(slots=True)
class _Reached:
    """The node of every row in a tree that grows, and the tree as it was then."""

    tree: np.ndarray
    node: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class _Slopes:
    """Gradient and Hessian of every row in whole steps, (n_rows,) float64 each, after the trees in `known`."""

    known: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


@dataclass(slots=True)
class _Kept:
    """What a member keeps of a federation's rows from one level to the next.

    slopes: by the number of trees that they know. reached: by the growing tree's name.
    """

    slopes: dict[int, _Slopes] = field(default_factory=dict)
    reached: dict[str, _Reached] = field(default_factory=dict)

    def forget(self, growing: set[str], seen: set[int]) -> None:
        """Drop what no tree of the last request stands on."""
        self.slopes = {count: found for count, found in self.slopes.items() if count in seen}
        self.reached = {name: found for name, found in self.reached.items() if name in growing}


@dataclass(frozen=True, eq=False, slots=True)
class _Ground:
    """A federation's rows at a member: their places by row and by column, and what is kept from level to level."""

    book: Book
    part: str
    raw: bytes
    codes: np.ndarray
    turned: np.ndarray
    places: np.ndarray
    intercept: int
    stacked: np.ndarray
    kept: _Kept


def _ground(ask: Ask, book: Book, part: str) -> _Ground:
    raw = ask.arrays[f"codings-{part}"].tobytes()
    codes, turned, places = book.recall(f"tree-codes-{part}", raw, lambda: _coded(raw, book, part))
    intercepts: Any = ask.parameters["intercepts"]
    intercept = int(intercepts[_texts(ask, "parts").index(part)])
    kept = book.recall(f"tree-rows-{part}", (raw, intercept), _Kept)
    return _Ground(book, part, raw, codes, turned, places, intercept, ask.arrays[f"trees-{part}"], kept)


def _contribute_tree(ask: Ask, ground: _Ground, name: str, seen: int) -> np.ndarray:
    gradient, hessian = _slopes(ask, ground, seen)
    growing, wanted, scope = (ask.arrays[f"{what}-{name}"] for what in ("growing", "wanted", "scope"))
    node = _reached(ground, name, growing)
    slot = np.full(len(growing), -1, dtype=np.int64)
    slot[wanted] = np.arange(len(wanted))
    place = slot.take(node)
    rows = np.flatnonzero(place >= 0)
    starts = np.concatenate([[0], np.cumsum(ground.places[scope] + 1)])
    cells = ground.turned[scope].take(rows, axis=1) + (starts[:-1, None] + place.take(rows) * starts[-1])
    return _pack(cells, gradient.take(rows), hessian.take(rows), len(wanted) * int(starts[-1]), ask)


def _reached(ground: _Ground, name: str, growing: np.ndarray) -> np.ndarray:
    """Return every row's node in a growing tree, kept so that a level only moves rows on from the one above."""
    rows = len(ground.codes)
    kept = ground.kept.reached.get(name)
    if kept is None:
        kept = _Reached(np.zeros((0, _NODE_WORDS), dtype=np.int64), np.zeros(rows, dtype=np.int64))
    split = np.flatnonzero(kept.tree[:, 3])
    if len(kept.tree) > len(growing) or not np.array_equal(kept.tree[split], growing[split]):
        kept.node = np.zeros(rows, dtype=np.int64)
    node = leaf_nodes(growing, ground.codes, ground.places, kept.node)
    ground.kept.reached[name] = _Reached(growing, node)
    return node


def _texts(ask: Ask, name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in ask.parameters[name])  # type: ignore[union-attr]


def _coded(raw: bytes, book: Book, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of this part's rows in every column, by row and by column, and each column's places."""
    columns = tree_columns(decode_codings(np.frombuffer(raw, dtype=np.uint8)), book.spec.dictionary)
    codes = tree_codes(columns, book.table.select(book.rows(PARTS[part])))
    return codes, np.ascontiguousarray(codes.T), np.array([column.places for column in columns], dtype=np.int64)


def _pack(cells: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, size: int, ask: Ask) -> np.ndarray:
    """Return gradient and row-and-Hessian words of every cell, (2 * size,) int64; cells: (n_columns, n_rows)."""
    flat, columns = cells.ravel(), len(cells)
    words = np.empty((size, 2), dtype=np.int64)
    words[:, 0] = np.bincount(flat, np.tile(gradient, columns), size)
    words[:, 1] = np.bincount(flat, minlength=size) << int(ask.parameters["shift"])  # type: ignore[arg-type]
    words[:, 1] += np.bincount(flat, np.tile(hessian, columns), size).astype(np.int64)
    return words.ravel()


def _slopes(ask: Ask, ground: _Ground, seen: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's gradient and Hessian in whole steps, (n_rows,) float64 each, after the first `seen` trees."""
    known = ground.stacked[: int(np.searchsorted(ground.stacked[:, 0], seen))]
    kept = ground.kept.slopes.get(seen)
    if kept is None or not np.array_equal(kept.known, known):
        kept = _Slopes(known, *_fresh_slopes(ask, ground, known))
        ground.kept.slopes[seen] = kept
    return kept.gradient, kept.hessian


def _fresh_slopes(ask: Ask, ground: _Ground, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    book, part = ground.book, ground.part
    steps = margin_steps(book, (part, ground.raw), known, (ground.codes, ground.places))
    chance = sigmoid((steps + ground.intercept) / float(1 << LEAF_BITS))
    target = book.table.target[book.rows(PARTS[part])]
    gradient = np.rint((chance - target) * float(1 << int(ask.parameters["gradient_bits"])))  # type: ignore[arg-type]
    hessian = np.rint(chance * (1.0 - chance) * float(1 << int(ask.parameters["hessian_bits"])))  # type: ignore[arg-type]
    return gradient, hessian


def margin_steps(
    book: Book, ground: tuple[str, bytes], stacked: np.ndarray, coded: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return what these trees add to every row's logit, (n_rows,) int64, kept so that only new trees are walked.

    ground: a name, and bytes that stand for all that `coded` was made from. coded: places of the rows in every column
    (`tree_codes`), and each column's number of places.
    """
    codes, places = coded
    raw = stacked.tobytes()
    kept = _Margin(b"", 0, np.zeros(len(codes), np.int64))
    margin: _Margin = book.recall(f"margin-{ground[0]}", ground[1], lambda: kept)
    if not raw.startswith(margin.trees):
        margin.trees, margin.count = b"", 0
        margin.steps = np.zeros(len(codes), dtype=np.int64)
    trees = unstack_trees(stacked)
    for tree in trees[margin.count :]:
        margin.steps = margin.steps + tree[leaf_nodes(tree, codes, places), 5]
    margin.trees, margin.count = raw, len(trees)
    return margin.steps


@dataclass(slots=True)
class _Margin:
    """The logit of every row without the intercept, after `count` trees whose bytes are kept to compare."""

    trees: bytes
    count: int
    steps: np.ndarray


def unpack_level(sums: np.ndarray, spec: JobSpec, columns: Columns, stages: Sequence[Stage]) -> list[Sums]:
    """Return the sums of every stage's wanted nodes."""
    scales, result, place = scales_of(spec), [], 0
    for stage in stages:
        widths = [columns[stage.part][number].places + 1 for number in stage.scope]
        most = max(column.places for column in columns[stage.part])
        size = 2 * len(stage.wanted) * sum(widths)
        words = sums[place : place + size].reshape(len(stage.wanted), -1, 2)
        place += size
        result.append(_node_sums(words, widths, stage.scope, (scales, most)))
    return result


def _node_sums(words: np.ndarray, widths: Sequence[int], scope: tuple[int, ...], form: tuple[Scales, int]) -> Sums:
    scales, most = form
    column = np.repeat(np.arange(len(widths)), widths)
    position = np.concatenate([np.arange(width) for width in widths])
    # Missing stands last, whatever a column's own width.
    position[np.cumsum(widths) - 1] = most
    shape = (len(words), len(widths), most + 1)
    gradient, hessian, rows = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    gradient[:, column, position] = words[:, :, 0] / float(1 << scales.gradient_bits)
    hessian[:, column, position] = (words[:, :, 1] & ((1 << scales.shift) - 1)) / float(1 << scales.hessian_bits)
    rows[:, column, position] = words[:, :, 1] >> scales.shift
    return Sums(gradient, hessian, rows, scope)


def stack_trees(trees: Sequence[np.ndarray]) -> np.ndarray:
    """Return trees one after the other, (nodes, 7) int64: the tree's number, then the node."""
    if not trees:
        return np.zeros((0, _NODE_WORDS + 1), dtype=np.int64)
    numbered = [np.column_stack([np.full(len(tree), number), tree]) for number, tree in enumerate(trees)]
    return np.ascontiguousarray(np.concatenate(numbered), dtype=np.int64)


def unstack_trees(stacked: np.ndarray) -> list[np.ndarray]:
    """Return the trees of `stack_trees`."""
    ends = np.flatnonzero(np.diff(stacked[:, 0])) + 1
    return [piece[:, 1:] for piece in np.split(stacked, ends)] if len(stacked) else []
