"""Bins of equal evidence, from summed counts: merge rare ones, count labels, merge to a monotone table, take WOE.

It asks for counts only and decides on them only. Labels are asked on cells of at least `min_rows` rows; a missing
or special bin below that is counted together with the field's largest ordinary bin, so that no difference of sums
isolates it, and its WOE is 0.

Theory: weight of evidence WOE = ln(share of the goods / share of the bads); information value IV = sum of (share of
goods - share of bads) * WOE (Good, 1950; Siddiqi, 2006). Monotone bins by pool-adjacent-violators on bad rates
(Ayer et al., 1955); further merges take the neighbours whose bad rates differ least by chi-square (Kerber, 1992).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from risk.book import Book
from risk.coding import Coding, decode_codings, encode_codings
from risk.elementary import ln_steps
from risk.recipe import Ask
from risk.spec import PARTS, JobSpec

__all__ = [
    "WOE_BITS",
    "WOE_LIMIT",
    "BinRules",
    "Binned",
    "Counted",
    "ask_bads",
    "ask_rows",
    "bin_field",
    "contribute_counts",
    "label_cells",
    "merge_rare",
    "split_counts",
]

WOE_BITS = 10
WOE_LIMIT = 8 << WOE_BITS


@dataclass(frozen=True, slots=True)
class BinRules:
    """Say how bins may be formed.

    min_rows: fewest rows of a bin whose labels are counted. min_share_ppm: smallest share of a field's ordinary rows
    in a final bin, in millionths. min_class: fewest bads, and fewest goods, of a bin that has a WOE. max_bins: most
    ordinary bins. min_chi2: neighbours that differ by less than this chi-square are merged, in hundredths.
    min_iv: a field below this information value is dropped, in units of 1e-4.
    """

    min_rows: int = 50
    min_share_ppm: int = 50_000
    min_class: int = 5
    max_bins: int = 8
    min_chi2: int = 200
    min_iv: int = 50


@dataclass(frozen=True, slots=True)
class Counted:
    """Hold what the network counted of one field: rows and, where asked, bads of every bin of a coding.

    bads: None for a bin whose labels were not asked by themselves.
    """

    coding: Coding
    rows: tuple[int, ...]
    bads: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Binned:
    """Hold the final bins of one field with their evidence.

    woe: of every bin, in steps of 2**-10, at most 8 in size. iv: information value. reason: why the field cannot be
    used, or None.
    """

    coding: Coding
    rows: tuple[int, ...]
    bads: tuple[int | None, ...]
    woe: tuple[int, ...] = ()
    iv: float = 0.0
    reason: str | None = None


@dataclass(slots=True)
class _Bin:
    """Gather ordinary bins that are merged into one."""

    rows: int
    bads: int
    places: list[int] = field(default_factory=list)

    def joined(self, other: "_Bin") -> "_Bin":
        return _Bin(self.rows + other.rows, self.bads + other.bads, self.places + other.places)

    @property
    def rate(self) -> float:
        return self.bads / self.rows if self.rows else 0.0

    @property
    def rarer_class(self) -> int:
        return min(self.bads, self.rows - self.bads)


def ask_rows(spec: JobSpec, parts: Sequence[str], codings: Sequence[Coding]) -> Ask:
    """Return the request for unlabelled counts of every bin of every coding, federation by federation."""
    cells = np.arange(sum(coding.bins for coding in codings), dtype=np.int64)
    return _ask(spec, parts, "bin-rows", codings, cells)


def ask_bads(spec: JobSpec, parts: Sequence[str], codings: Sequence[Coding], cells: np.ndarray) -> Ask:
    """Return the request for counts of bad rows, federation by federation.

    cells: (sum of bins,) int64, the entry of a federation's counts that each bin is counted in (`label_cells`).
    """
    return _ask(spec, parts, "bin-bads", codings, cells)


def _ask(spec: JobSpec, parts: Sequence[str], name: str, codings: Sequence[Coding], cells: np.ndarray) -> Ask:
    # A row stands in the full federation and in one half.
    alone = len(parts) == 1
    return Ask(
        recipe=spec.label,
        part=parts[0] if alone else "full",
        name=name,
        rows=PARTS[parts[0]] if alone else "train",
        length=len(parts) * (int(cells.max()) + 1),
        word_bits=32,
        bound=spec.max_rows,
        row_linf=1,
        row_l1=min(len(parts), 2) * len(codings),
        parameters={"labels": int(name == "bin-bads"), "parts": tuple(parts)},
        arrays={"codings": encode_codings(codings), "cells": cells},
    )


def contribute_counts(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's counts in the asked cells, (ask.length,) int64."""
    raw = ask.arrays["codings"]
    codings, codes = book.recall("codes", raw.tobytes(), lambda: _codes(raw, book))
    parts: Any = ask.parameters["parts"]
    counts = np.zeros((len(parts), ask.length // len(parts)), dtype=np.int64)
    for part, counted in zip(parts, counts, strict=True):
        rows = book.rows(PARTS[part])
        if ask.parameters["labels"]:
            rows = rows[book.table.target[rows] == 1]
        bins = [np.bincount(column[rows], minlength=coding.bins) for coding, column in zip(codings, codes, strict=True)]
        np.add.at(counted, ask.arrays["cells"], np.concatenate(bins))
    return counts.ravel()


def _codes(raw: np.ndarray, book: Book) -> tuple[tuple[Coding, ...], list[np.ndarray]]:
    codings = decode_codings(raw)
    return codings, [coding.codes(book.table.columns[coding.name]) for coding in codings]


def split_counts(codings: Sequence[Coding], counts: np.ndarray, parts: int) -> list[list[tuple[int, ...]]]:
    """Return the counts of `ask_rows` by federation and field; parts: how many federations were asked."""
    ends = np.cumsum([coding.bins for coding in codings])[:-1]
    return [
        [tuple(int(count) for count in piece) for piece in np.split(counted, ends)]
        for counted in counts.reshape(parts, -1)
    ]


def merge_rare(coding: Coding, counts: Sequence[Sequence[int]], min_rows: int) -> list[list[int]]:
    """Return a partition of the ordinary bins in which every part has at least `min_rows` rows in every count.

    counts: one or more counts of the coding's bins (the two halves are merged alike). Neighbours of a number merge;
    rare levels of a category become one bin. Where all rows together are fewer, one part is left.
    """
    sizes = [min(count[place] for count in counts) for place in range(coding.ordinary)]
    if coding.kind == "category":
        return _merge_levels(sizes, [[count[place] for count in counts] for place in range(coding.ordinary)], min_rows)
    parts = [([place], [count[place] for count in counts]) for place in range(coding.ordinary)]
    while len(parts) > 1 and min(min(part[1]) for part in parts) < min_rows:
        place = min(range(len(parts)), key=lambda i: min(parts[i][1]))
        beside = [i for i in (place - 1, place + 1) if 0 <= i < len(parts)]
        other = min(beside, key=lambda i: min(parts[i][1]))
        left, right = sorted((place, other))
        rows = [a + b for a, b in zip(parts[left][1], parts[right][1], strict=True)]
        parts[left : right + 1] = [(parts[left][0] + parts[right][0], rows)]
    return [part[0] for part in parts]


def _merge_levels(sizes: list[int], counts: list[list[int]], min_rows: int) -> list[list[int]]:
    order = sorted(range(len(sizes)), key=lambda place: (-sizes[place], place))
    common = [place for place in order if sizes[place] >= min_rows]
    rare = order[len(common) :]
    while rare and common and min(sum(column) for column in zip(*(counts[i] for i in rare), strict=True)) < min_rows:
        rare.append(common.pop())
    return [[place] for place in sorted(common)] + ([sorted(rare)] if rare else [])


def label_cells(codings: Sequence[Coding], counts: Sequence[Sequence[Sequence[int]]], min_rows: int) -> np.ndarray:
    """Return the cell in which each bin's labels are counted, (sum of bins,) int64.

    counts: for each coding, one or more counts of its bins. A missing or special bin with fewer than `min_rows` rows
    in any of them shares the cell of the field's largest ordinary bin.
    """
    cells: list[int] = []
    used = 0
    for coding, seen in zip(codings, counts, strict=True):
        rows = [min(count[place] for count in seen) for place in range(coding.bins)]
        largest = max(range(coding.ordinary), key=lambda place: rows[place])
        places = list(range(used, used + coding.ordinary))
        used += coding.ordinary
        for place in range(coding.ordinary, coding.bins):
            alone = rows[place] >= min_rows
            places.append(used if alone else places[largest])
            used += int(alone)
        cells += places
    return np.array(cells, dtype=np.int64)


def bin_field(counted: Counted, direction: str, rules: BinRules) -> Binned:
    """Return the final bins of a field and their WOE, or the reason why it is dropped.

    direction: `up` when risk rises with the value, `down`, or `free`. Every ordinary bin of `counted` has bads.
    """
    coding = counted.coding
    ordinary = [_Bin(counted.rows[place], counted.bads[place] or 0, [place]) for place in range(coding.ordinary)]
    if coding.kind == "category":
        ordinary.sort(key=lambda item: (item.rate, item.places))
    if direction in ("up", "down"):
        ordinary = _pool_violators(ordinary, rising=direction == "up")
    total = sum(item.rows for item in ordinary)
    ordinary = _merge_small(ordinary, -(-total * rules.min_share_ppm // 1_000_000), rules.min_class)
    ordinary = _merge_alike(ordinary, rules)
    partition = [sorted(item.places) for item in ordinary]
    final = coding.merged(partition)
    rows = tuple(item.rows for item in ordinary) + counted.rows[coding.ordinary :]
    bads = tuple(item.bads for item in ordinary) + counted.bads[coding.ordinary :]
    if final.ordinary == 1:
        return Binned(final, rows, bads, reason="its bins merge to one")
    woe, iv = _evidence(rows, bads, rules.min_class)
    reason = "its information value is below the limit" if iv * 10_000 < rules.min_iv else None
    return Binned(final, rows, bads, woe, iv, reason)


def _pool_violators(bins: list[_Bin], rising: bool) -> list[_Bin]:
    pooled: list[_Bin] = []
    for item in bins:
        pooled.append(item)
        while len(pooled) > 1:
            # Cross-multiplied, so that the comparison of two rates is exact.
            left, right = pooled[-2].bads * pooled[-1].rows, pooled[-1].bads * pooled[-2].rows
            if (left < right) if rising else (left > right):
                break
            pooled[-2:] = [pooled[-2].joined(pooled[-1])]
    return pooled


def _merge_small(bins: list[_Bin], min_rows: int, min_class: int) -> list[_Bin]:
    while len(bins) > 1:
        small = [i for i, item in enumerate(bins) if item.rows < min_rows or item.rarer_class < min_class]
        if not small:
            break
        place = min(small, key=lambda i: (bins[i].rows, i))
        beside = [i for i in (place - 1, place + 1) if 0 <= i < len(bins)]
        other = min(beside, key=lambda i: (abs(bins[i].rate - bins[place].rate), i))
        left = min(place, other)
        bins[left : left + 2] = [bins[left].joined(bins[left + 1])]
    return bins


def _merge_alike(bins: list[_Bin], rules: BinRules) -> list[_Bin]:
    while len(bins) > 1:
        chi2 = [_chi2(left, right) for left, right in pairwise(bins)]
        place = min(range(len(chi2)), key=lambda i: (chi2[i], i))
        if len(bins) <= rules.max_bins and chi2[place] * 100.0 >= rules.min_chi2:
            break
        bins[place : place + 2] = [bins[place].joined(bins[place + 1])]
    return bins


def _chi2(left: _Bin, right: _Bin) -> float:
    rows, bads = left.rows + right.rows, left.bads + right.bads
    if bads in (0, rows):
        return 0.0
    difference = left.bads * right.rows - right.bads * left.rows
    return difference * difference * rows / (left.rows * right.rows * bads * (rows - bads))


def _evidence(rows: tuple[int, ...], bads: tuple[int | None, ...], min_class: int) -> tuple[tuple[int, ...], float]:
    """Return every bin's WOE in steps of 2**-10, 0 where a class is too rare, and the information value."""
    counted = [(row, bad) for row, bad in zip(rows, bads, strict=True) if bad is not None]
    all_bads = sum(bad for _, bad in counted)
    all_goods = sum(max(row - bad, 0) for row, bad in counted)
    woe, iv = [], 0.0
    for row, bad in zip(rows, bads, strict=True):
        good = 0 if bad is None else max(row - bad, 0)
        if bad is None or min(bad, good) < max(min_class, 1):
            woe.append(0)
            continue
        steps = ln_steps(good * all_bads, bad * all_goods, WOE_BITS)
        steps = max(-WOE_LIMIT, min(WOE_LIMIT, steps))
        woe.append(steps)
        iv += (good / all_goods - bad / all_bads) * steps / (1 << WOE_BITS)
    return tuple(woe), iv
