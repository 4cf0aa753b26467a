"""What a validation asks of the members, and each member's part of it.

The sums: how many rows stand in every slot and frozen bin; scores of every group in 1 000 bins, without labels; labels
in the cells that those counts allow; where the rarer class of a group is large enough, the two sums over its bads that
`risk.score_figures` explains; and, of two models, how their scores go together. Theory: every entry is a count or a sum
of whole steps, so the members' sums are those of all rows in one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.book import Book
from risk.coding import Coding
from risk.comparison import PLACE_BITS, placements
from risk.errors import MisuseError
from risk.recipe import Ask
from risk.score_bins import SCORE_BINS, STEPS_PER_LOGIT, score_bins
from risk.score_figures import PD_STEPS, ScoreCounts, pd_steps, rank_steps
from risk.spec import JobSpec
from risk.validation_groups import Groups, slot_sizes
from risk.validation_plan import MONTHS, Plan, plan_of, selected_rows, training_split

__all__ = [
    "RANK_CLASS",
    "SUM_CLASS",
    "Pair",
    "Sizes",
    "ask_labels",
    "ask_pair",
    "ask_ranks",
    "ask_scores",
    "ask_sizes",
    "contribute_validation",
    "size_slots",
    "wanted_sums",
]

RANK_CLASS, SUM_CLASS = 10, 30
_FIRST = 12 * 1900


@dataclass(frozen=True, eq=False, slots=True)
class Sizes:
    """Hold the first sum: rows selected, rows held out beside, each model's training rows, slots, and frozen bins.

    slots: (n_slots,) int64. fields: per model, rows in each bin of every field of its reference.
    """

    selected: int
    beside: int
    train: tuple[int, ...]
    slots: np.ndarray
    fields: tuple[dict[str, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """Hold what a request on two models needs: cut-off bins, and the first bins of the grades but the first."""

    cut_offs: tuple[int, int]
    grades: tuple[tuple[int, ...], tuple[int, ...]]


def ask_sizes(spec: JobSpec, plan: Plan) -> Ask:
    """Return the request for rows in slots and frozen bins."""
    bins = sum(coding.bins for model in plan.models for coding in _frozen(model.reference))
    length = 2 + len(plan.models) + sum(slot_sizes(plan)) + bins
    return _ask(spec, plan, "sizes", length, (spec.max_rows, 1), {})


def size_slots(plan: Plan, sums: np.ndarray) -> Sizes:
    """Return the parts of the first sum."""
    count, slots = len(plan.models), sum(slot_sizes(plan))
    head, middle, tail = np.split(sums.astype(np.int64), [2 + count, 2 + count + slots])
    fields: list[dict[str, tuple[int, ...]]] = []
    place = 0
    for model in plan.models:
        found = {}
        for coding in _frozen(model.reference):
            found[coding.name] = tuple(tail[place : place + coding.bins].tolist())
            place += coding.bins
        fields.append(found)
    return Sizes(int(head[0]), int(head[1]), tuple(head[2:].tolist()), middle, tuple(fields))


def ask_scores(spec: JobSpec, plan: Plan, groups: Groups) -> Ask:
    """Return the request for the rows of every group in the score bins of every model."""
    length = len(plan.models) * groups.count * SCORE_BINS
    return _ask(spec, plan, "scores", length, (spec.max_rows, 1), {"groups": _slots(groups)})


def ask_labels(spec: JobSpec, plan: Plan, groups: Groups, cells: Sequence[np.ndarray]) -> Ask:
    """Return the request for bads; cells: per model and group, the cell of every score bin, (1000,) int64."""
    placed, used = [], 0
    for own in cells:
        placed.append(own + used)
        used += int(own.max()) + 1
    arrays = {"cells": np.concatenate(placed), "groups": _slots(groups)}
    return _ask(spec, plan, "labels", used, (spec.max_rows, 1), arrays)


def ask_ranks(spec: JobSpec, plan: Plan, groups: Groups, blocks: Sequence[ScoreCounts]) -> Ask | None:
    """Return the request for sums over the bads; None where no group has enough rows of both classes.

    blocks: counts per model and group, as far as they are known. A sum of ranks takes ten rows of the rarer class, a
    sum of PDs, which is asked of all rows and of the hold-out alone, thirty: with fewer the sums might tell which.
    """
    ranked, summed = wanted_sums(plan, groups, blocks)
    if not ranked:
        return None
    ranks = np.concatenate([rank_steps(blocks[place].rows) for place in ranked])
    arrays = {
        "groups": _slots(groups),
        "pd-blocks": np.array(summed, dtype=np.int64),
        "rank-blocks": np.array(ranked, dtype=np.int64),
        "ranks": ranks,
    }
    largest = max(int(ranks.max()), PD_STEPS if summed else 1)
    return _ask(spec, plan, "ranks", len(ranked) + len(summed), (spec.max_rows, largest), arrays)


def wanted_sums(plan: Plan, groups: Groups, blocks: Sequence[ScoreCounts]) -> tuple[list[int], list[int]]:
    """Return the blocks whose bads' ranks are asked, and those whose bads' PDs are."""
    whole = 2 if plan.beside else 1
    ranked = [place for place, block in enumerate(blocks) if block.rarer_class >= RANK_CLASS]
    summed = [place for place in ranked if place % groups.count < whole and blocks[place].rarer_class >= SUM_CLASS]
    return ranked, summed


def ask_pair(spec: JobSpec, plan: Plan, whole: Sequence[ScoreCounts], pair: Pair) -> Ask:
    """Return the request for how two models' scores go together; whole: counts of all rows by each.

    With fewer than thirty rows of a class no placement is asked: every one is 0.
    """
    arrays = {}
    enough = whole[0].rarer_class >= SUM_CLASS
    for name, counts, cut, grades in zip(("first", "second"), whole, pair.cut_offs, pair.grades, strict=True):
        nowhere = np.zeros(SCORE_BINS, dtype=np.int64)
        arrays[f"{name}-bad"], arrays[f"{name}-good"] = placements(counts) if enough else (nowhere, nowhere)
        grade = np.zeros(SCORE_BINS, dtype=np.int64)
        for start in grades:
            grade[start:] += 1
        arrays[f"{name}-grade"] = grade
        arrays[f"{name}-declined"] = (np.arange(SCORE_BINS) >= cut).astype(np.int64)
    length = 4 + 4 + (len(pair.grades[0]) + 1) * (len(pair.grades[1]) + 1)
    return _ask(spec, plan, "pair", length, (spec.max_rows, 1 << (2 * PLACE_BITS)), arrays)


def contribute_validation(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's part of one of the four sums, (ask.length,) int64."""
    plan = book.recall("validation-plan", 0, lambda: plan_of(book.spec))
    selected, beside = book.recall("validation-rows", 0, lambda: selected_rows(plan, book))
    slots = book.recall("validation-slots", 0, lambda: _row_slots(plan, book))
    if ask.name == "sizes":
        return _sizes(plan, book, (selected, beside), slots)
    scores = book.recall("validation-scores", 0, lambda: [score_bins(m.logit(book.table)) for m in plan.models])
    if ask.name == "pair":
        return _pair(ask, book.table.target, scores, selected)
    if ask.name not in ("scores", "labels", "ranks"):
        raise MisuseError("validation-ask", f"a validation has no request {ask.name!r}")
    counts = np.concatenate([_histogram(plan, ask, book, (selected, beside), slots, bins) for bins in scores])
    if ask.name == "scores":
        return counts.ravel()
    return _labels(ask, counts) if ask.name == "labels" else _ranks(ask, counts)


def _sizes(plan: Plan, book: Book, rows: tuple[np.ndarray, np.ndarray], slots: Sequence[np.ndarray]) -> np.ndarray:
    selected, beside = rows
    train = [0] * len(plan.models)
    if plan.selection in ("holdout", "out-of-time"):
        train = [len(training_split(model, book).train) for model in plan.models]
    pieces = [np.array([np.count_nonzero(selected), np.count_nonzero(beside), *train], dtype=np.int64)]
    for size, slot in zip(slot_sizes(plan), slots, strict=True):
        pieces.append(np.bincount(slot[selected], minlength=size))
    for model in plan.models:
        for coding in _frozen(model.reference):
            values = book.table.columns[coding.name][selected]
            pieces.append(np.bincount(coding.codes(values), minlength=coding.bins))
    return np.concatenate(pieces).astype(np.int64)


def _row_slots(plan: Plan, book: Book) -> list[np.ndarray]:
    """Return the slot of every row in each division, counted from 0 in each, (n_rows,) int64 each."""
    found = []
    if plan.dated:
        month = book.table.month
        dates = np.full(book.table.rows, -1) if month is None else month.astype(np.int64)
        place = dates - _FIRST
        found.append(np.where((place >= 0) & (place < MONTHS), place, MONTHS))
    for coding in plan.segments:
        found.append(coding.codes(book.table.columns[coding.name]).astype(np.int64))
    return found


def _histogram(
    plan: Plan,
    ask: Ask,
    book: Book,
    rows: tuple[np.ndarray, np.ndarray],
    slots: Sequence[np.ndarray],
    bins: np.ndarray,
) -> np.ndarray:
    """Return rows, or bads, of every group in the score bins of one model, (n_groups, 1000) int64."""
    of_slot = ask.arrays["groups"][1:]
    groups = int(ask.arrays["groups"][0])
    counts = np.zeros((groups, SCORE_BINS), dtype=np.int64)
    chosen = [mask if ask.name == "scores" else mask & (book.table.target == 1) for mask in rows]
    counts[0] = np.bincount(bins[chosen[0]], minlength=SCORE_BINS)
    if plan.beside:
        counts[1] = np.bincount(bins[chosen[1]], minlength=SCORE_BINS)
    start = 0
    for size, slot in zip(slot_sizes(plan), slots, strict=True):
        group = of_slot[start : start + size][slot]
        start += size
        inside = chosen[0] & (group >= 0)
        np.add.at(counts, (group[inside], bins[inside]), 1)
    return counts


def _labels(ask: Ask, counts: np.ndarray) -> np.ndarray:
    """Return bads in cells; counts: (n_blocks, 1000) int64 of bads."""
    part = np.zeros(ask.length, dtype=np.int64)
    np.add.at(part, ask.arrays["cells"], counts.ravel())
    return part


def _ranks(ask: Ask, counts: np.ndarray) -> np.ndarray:
    """Return twice the ranks, and then the PDs, of the bads of the asked blocks."""
    ranked, summed = counts[ask.arrays["rank-blocks"]], counts[ask.arrays["pd-blocks"]]
    ranks = (ranked * ask.arrays["ranks"].reshape(ranked.shape)).sum(axis=1)
    return np.concatenate([ranks, summed @ pd_steps()]).astype(np.int64)


def _pair(ask: Ask, target: np.ndarray, scores: Sequence[np.ndarray], selected: np.ndarray) -> np.ndarray:
    first, second = (bins[selected] for bins in scores)
    bad = target[selected] == 1
    arrays = ask.arrays
    moments = []
    for name, chosen in (("bad", bad), ("good", ~bad)):
        step = arrays[f"second-{name}"][second[chosen]] - arrays[f"first-{name}"][first[chosen]]
        moments += [int(step.sum()), int((step * step).sum())]
    swap = 2 * arrays["first-declined"][first] + arrays["second-declined"][second]
    wide = int(arrays["second-grade"].max()) + 1
    size = (int(arrays["first-grade"].max()) + 1) * wide
    grades = arrays["first-grade"][first] * wide + arrays["second-grade"][second]
    parts = [np.array(moments), np.bincount(swap, minlength=4), np.bincount(grades, minlength=size)]
    return np.concatenate(parts).astype(np.int64)


def _ask(
    spec: JobSpec, plan: Plan, name: str, length: int, entry: tuple[int, int], arrays: dict[str, np.ndarray]
) -> Ask:
    """Return a request; entry: rows of one member, and the most that one row adds to one entry."""
    parameters: dict[str, Any] = {"models": plan.digests, "steps_per_logit": STEPS_PER_LOGIT}
    divisions = 2 + len(slot_sizes(plan)) + sum(len(_frozen(model.reference)) for model in plan.models)
    return Ask(
        recipe=spec.label,
        part="full",
        name=name,
        rows="selected",
        length=length,
        word_bits=32 if entry[1] == 1 else 64,
        bound=entry[0] * entry[1],
        row_linf=entry[1],
        row_l1=len(plan.models) * divisions * (1 + 2 * entry[1]),
        parameters=parameters,
        arrays=arrays,
    )


def _slots(groups: Groups) -> np.ndarray:
    """Return the number of counted groups and the group of each slot, as one array."""
    return np.concatenate([[groups.count], groups.of_slot]).astype(np.int64)


def _frozen(reference: Any) -> tuple[Coding, ...]:
    return () if reference is None else tuple(coding for coding, _ in reference.fields)
