"""How many trees a forest keeps: each half's forest is judged on the rows of the other half.

It trains nothing. Theory: early stopping on rows that a forest has not seen. Scores after every fifth tree are counted
in 64 bins, without labels first; labels are asked on runs of bins with 50 rows or more. The number with the least
deviance of these groups is kept; its PDs are the groups' mean scores.
"""

from collections.abc import Generator, Mapping
from math import fsum

import numpy as np

from risk.book import Book
from risk.elementary import ln, sigmoid
from risk.forest import LEAF_BITS, Forest, leaf_nodes, tree_codes
from risk.modelfile import decode_model, encode_model
from risk.recipe import Ask
from risk.spec import JobSpec

__all__ = ["STEP", "best_count", "contribute_prefixes", "prefix_rounds"]

STEP = 5
_BINS = 64
_BINS_PER_LOGIT = 8
_MIN_ROWS = 50
_OTHER = {"half-a": "half-b", "half-b": "half-a"}


def prefix_rounds(
    spec: JobSpec, forests: Mapping[str, Forest]
) -> Generator[Ask, np.ndarray, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Ask for the two histograms; return (rows, bads, mean PD) of the groups of scores after 5, 10, ... trees."""
    count = min(len(forest.trees) for forest in forests.values())
    steps = max(count // STEP, 1)
    each = np.arange(len(forests) * steps * _BINS, dtype=np.int64)
    models = {part: np.frombuffer(encode_model(forest), dtype=np.uint8) for part, forest in forests.items()}
    rows = yield _ask(spec, "prefix-rows", steps, models, each)
    cells = np.concatenate([np.empty(0, dtype=np.int64), *_runs(rows.reshape(-1, _BINS))])
    bads = yield _ask(spec, "prefix-bads", steps, models, cells)
    centres = sigmoid((np.arange(_BINS) - _BINS // 2 + 0.5) / _BINS_PER_LOGIT)
    result = []
    blocks = zip(rows.reshape(-1, _BINS), cells.reshape(-1, _BINS), strict=True)
    for counted, own in blocks:
        first, last = int(own[0]), int(own[-1])
        merged, weight = np.zeros(last - first + 1, dtype=np.int64), np.zeros(last - first + 1)
        np.add.at(merged, own - first, counted)
        np.add.at(weight, own - first, counted * centres)
        result.append((merged, bads[first : last + 1], weight / np.maximum(merged, 1)))
    return [_joined(result, step, steps) for step in range(steps)]


def best_count(histograms: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> int:
    """Return the number of trees whose scores have the least deviance, the smaller of equals."""
    deviance = [_deviance(*histogram) for histogram in histograms]
    return (deviance.index(min(deviance)) + 1) * STEP


def _deviance(rows: np.ndarray, bads: np.ndarray, chance: np.ndarray) -> float:
    """Return the mean negative log-likelihood of the groups, by correctly rounded logarithms and an exact sum."""
    terms = []
    for row, bad, mean in zip(rows.tolist(), bads.tolist(), np.clip(chance, 1e-6, 1.0 - 1e-6).tolist(), strict=True):
        terms += [-bad * ln(*mean.as_integer_ratio()), -(row - bad) * ln(*(1.0 - mean).as_integer_ratio())]
    return fsum(terms) / max(int(rows.sum()), 1)


def contribute_prefixes(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's counts of rows, or of bads, in the asked cells, (ask.length,) int64."""
    counts = np.zeros(ask.length, dtype=np.int64)
    steps, cells = int(ask.parameters["steps"]), ask.arrays["cells"]  # type: ignore[arg-type]
    for turn, part in enumerate(("half-a", "half-b")):
        rows = book.rows(_OTHER[part])
        raw = ask.arrays[f"model-{part}"].tobytes()
        bins = book.recall(f"prefix-{part}", raw, lambda raw=raw, rows=rows: _bins(raw, book, rows, steps))  # type: ignore[misc]
        chosen = book.table.target[rows] == 1 if ask.parameters["labels"] else np.ones(len(rows), dtype=bool)
        for step in range(steps):
            np.add.at(counts, cells[bins[step, chosen] + (turn * steps + step) * _BINS], 1)
    return counts


def _bins(raw: bytes, book: Book, rows: np.ndarray, steps: int) -> np.ndarray:
    """Return the score bin of every row after 5, 10, ... trees, (steps, n_rows) int64."""
    forest = decode_model(raw)
    assert isinstance(forest, Forest)  # the request carries a forest
    codes = tree_codes(forest.columns, book.table.select(rows))
    places = np.array([column.places for column in forest.columns], dtype=np.int64)
    margin = np.full(len(rows), forest.intercept, dtype=np.int64)
    bins = np.empty((steps, len(rows)), dtype=np.int64)
    for number, tree in enumerate(forest.trees[: max(steps * STEP, 1)], start=1):
        margin += tree[leaf_nodes(tree, codes, places), 5]
        if number % STEP == 0 or number == len(forest.trees):
            logit = margin / float(1 << LEAF_BITS)
            place = np.floor(logit * _BINS_PER_LOGIT).astype(np.int64) + _BINS // 2
            bins[min((number - 1) // STEP, steps - 1)] = np.clip(place, 0, _BINS - 1)
    return bins


def _ask(spec: JobSpec, name: str, steps: int, models: Mapping[str, np.ndarray], cells: np.ndarray) -> Ask:
    return Ask(
        recipe=spec.label,
        part="full",
        name=name,
        rows="train",
        length=int(cells.max()) + 1,
        word_bits=32,
        bound=spec.max_rows,
        row_linf=1,
        row_l1=steps,
        parameters={"labels": int(name == "prefix-bads"), "steps": steps},
        arrays={"cells": cells, **{f"model-{part}": raw for part, raw in models.items()}},
    )


def _runs(rows: np.ndarray) -> list[np.ndarray]:
    """Return the cell of every bin of every block, numbered through: runs of neighbours with enough rows."""
    blocks, used = [], 0
    for counted in rows:
        cells, cell, gathered, left = np.zeros(_BINS, dtype=np.int64), used, 0, int(counted.sum())
        for place, count in enumerate(counted):
            cells[place] = cell
            gathered, left = gathered + int(count), left - int(count)
            if gathered >= _MIN_ROWS and left >= _MIN_ROWS:
                cell, gathered = cell + 1, 0
        blocks.append(cells)
        used = int(cells[-1]) + 1
    return blocks


def _joined(
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]], step: int, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one step's groups of both halves."""
    chosen = blocks[step::steps]
    rows, bads, chance = (np.concatenate([block[i] for block in chosen]) for i in range(3))
    return rows, bads, chance
