"""Gradient histograms of growing trees: what is asked of a member's rows, and how it is packed into words.

It splits nothing. Theory: each row's gradient and Hessian of the logistic loss is rounded to fixed point before it is
added, from a margin that is a whole number of steps, by a sigmoid of + and x in fixed order; so the sums over banks
equal pooled ones bit for bit and can be replayed. A place has two 64-bit words: the gradient, and the number of rows
with the Hessian below it. One request carries a tree level of several forests: the full one and the two halves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    name: of the tree that grows, different from all others of a request. part: `full`, `half-a` or `half-b`.
    intercept: steps of 2**-30. trees: finished ones. growing: the tree so far. wanted: nodes whose sums are asked.
    scope: columns that are counted. codings: encoded (`risk.coding`).
    """

    name: str
    part: str
    intercept: int
    trees: Sequence[np.ndarray]
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
        "shift": scales.shift,
    }
    arrays = {}
    for stage in stages:
        arrays[f"codings-{stage.part}"] = stage.codings
        arrays[f"trees-{stage.part}"] = stack_trees(stage.trees)
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
    names, parts = (ask.parameters[key] for key in ("growing", "growing_parts"))
    stages = zip(names, parts, strict=True)  # type: ignore[arg-type]
    return np.concatenate([_contribute_tree(ask, book, str(name), str(part)) for name, part in stages])


def _contribute_tree(ask: Ask, book: Book, name: str, part: str) -> np.ndarray:
    raw = ask.arrays[f"codings-{part}"].tobytes()
    codes, places = book.recall(f"tree-codes-{part}", raw, lambda: _coded(raw, book, part))
    intercept = dict(zip(_parts(ask), ask.parameters["intercepts"], strict=True))[part]  # type: ignore[arg-type]
    key = (raw, intercept, ask.arrays[f"trees-{part}"].tobytes())
    gradient, hessian = book.recall(f"slopes-{part}", key, lambda: _slopes(ask, book, part, (codes, places)))
    growing, wanted, scope = (ask.arrays[f"{what}-{name}"] for what in ("growing", "wanted", "scope"))
    node = _reached(book, (name, key), growing, (codes, places))
    slot = np.full(len(growing), -1, dtype=np.int64)
    slot[wanted] = np.arange(len(wanted))
    here = slot[node] >= 0
    widths = places[scope] + 1
    starts = np.concatenate([[0], np.cumsum(widths)])
    cells = codes[here][:, scope] + (slot[node[here]] * starts[-1])[:, None] + starts[:-1]
    return _pack(cells, gradient[here], hessian[here], len(wanted) * int(starts[-1]), ask)


def _reached(
    book: Book, which: tuple[str, tuple[bytes, Any, bytes]], growing: np.ndarray, coded: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return every row's node in a growing tree, kept so that a level only moves rows on from the one above."""
    (name, key), (codes, places) = which, coded
    made = _Reached(np.zeros((0, _NODE_WORDS), dtype=np.int64), np.zeros(len(codes), dtype=np.int64))
    kept: _Reached = book.recall(f"reached-{name}", key, lambda: made)
    split = np.flatnonzero(kept.tree[:, 3])
    if len(kept.tree) > len(growing) or not np.array_equal(kept.tree[split], growing[split]):
        kept.node = np.zeros(len(codes), dtype=np.int64)
    kept.tree, kept.node = growing, leaf_nodes(growing, codes, places, kept.node)
    return kept.node


@dataclass(slots=True)
class _Reached:
    """The node of every row in a tree that grows, and the tree as it was then."""

    tree: np.ndarray
    node: np.ndarray


def _parts(ask: Ask) -> tuple[str, ...]:
    return tuple(str(part) for part in ask.parameters["parts"])  # type: ignore[union-attr]


def _coded(raw: bytes, book: Book, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of this part's rows in every column, and each column's number of places."""
    columns = tree_columns(decode_codings(np.frombuffer(raw, dtype=np.uint8)), book.spec.dictionary)
    codes = tree_codes(columns, book.table.select(book.rows(PARTS[part])))
    return codes, np.array([column.places for column in columns], dtype=np.int64)


def _pack(cells: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, size: int, ask: Ask) -> np.ndarray:
    """Return gradient and row-and-Hessian words of every cell, (2 * size,) int64."""
    flat, width = cells.ravel(), cells.shape[1]
    sums = [np.bincount(flat, np.repeat(each, width), size).astype(np.int64) for each in (gradient, hessian)]
    words = np.empty((size, 2), dtype=np.int64)
    words[:, 0] = sums[0]
    words[:, 1] = (np.bincount(flat, minlength=size).astype(np.int64) << int(ask.parameters["shift"])) + sums[1]  # type: ignore[arg-type]
    return words.ravel()


def _slopes(ask: Ask, book: Book, part: str, coded: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's gradient and Hessian in whole steps, (n_rows,) float64 each."""
    raw = ask.arrays[f"codings-{part}"].tobytes()
    steps = margin_steps(book, (part, raw), ask.arrays[f"trees-{part}"], coded)
    intercept: Any = dict(zip(_parts(ask), ask.parameters["intercepts"], strict=True))[part]  # type: ignore[arg-type]
    chance = sigmoid((steps + int(intercept)) / float(1 << LEAF_BITS))
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


def unpack_level(sums: np.ndarray, spec: JobSpec, columns: Columns, stages: Sequence[Stage]) -> list[list[Sums]]:
    """Return the sums of every wanted node, stage by stage."""
    scales = scales_of(spec)
    result, place = [], 0
    for stage in stages:
        widths = [columns[stage.part][number].places + 1 for number in stage.scope]
        most = max(column.places for column in columns[stage.part])
        nodes = []
        for _ in stage.wanted:
            words = sums[place : place + 2 * sum(widths)].reshape(-1, 2)
            place += 2 * sum(widths)
            nodes.append(_node_sums(words, widths, stage.scope, (scales, most)))
        result.append(nodes)
    return result


def _node_sums(words: np.ndarray, widths: Sequence[int], scope: tuple[int, ...], form: tuple[Scales, int]) -> Sums:
    scales, most = form
    shape = (len(widths), most + 1)
    column = np.repeat(np.arange(len(widths)), widths)
    position = np.concatenate([np.arange(width) for width in widths])
    # Missing stands last, whatever a column's own width.
    position[np.cumsum(widths) - 1] = most
    gradient, hessian, rows = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    gradient[column, position] = words[:, 0] / float(1 << scales.gradient_bits)
    hessian[column, position] = (words[:, 1] & ((1 << scales.shift) - 1)) / float(1 << scales.hessian_bits)
    rows[column, position] = words[:, 1] >> scales.shift
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
