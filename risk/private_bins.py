"""Bins and evidence from one noisy count of goods and bads, for a job with differential privacy.

One sum counts every row once in every field's public cells (`risk.grid`), goods and bads apart; all that follows is
worked out from that sum and costs nothing. It asks no label a second time and draws no noise.

Theory: a field's cells count a row with a whole number of grid units, more where a field has many cells, so that
noise of one size hurts all fields about alike (the error of n cells under amplitude a goes with n / a**2, hence a ~
n**(1/4)). Neighbours merge until a bin stands above its noise, violators of the declared direction are pooled, and
neighbours merge further whose rates differ by less than sampling and noise explain. Evidence is shrunk: a bin whose
log-odds are known with variance v keeps the share t / (t + v), where t, the variance between bins, is estimated from
all bins of the field and drawn to a prior value by its own uncertainty (Efron and Morris, 1973). Floats are added by
`fsum`, which rounds once: Python's own `sum` of floats differs between its versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, isqrt, sqrt

import numpy as np

from risk.binning import WOE_BITS, WOE_LIMIT, Binned, BinRules
from risk.book import Book
from risk.coding import Coding, decode_codings, encode_codings, unmerged
from risk.dictionary import Field
from risk.elementary import ln_steps
from risk.grid import public_cuts
from risk.recipe import Ask
from risk.release import Release, noise_variance, word_bits
from risk.spec import JobSpec

__all__ = [
    "COUNTS",
    "Noisy",
    "ask_cells",
    "cell_release",
    "contribute_cells",
    "private_bins",
    "public_codings",
    "totals",
]

COUNTS = "bin-counts"
WEIGHT = 1271
"""0.62 of the budget of the training rows."""
NUMBER_CELLS = 10
BETWEEN = 0.15
"""Variance of log-odds between the bins of a field before anything is known of it."""
LEAST_BETWEEN = 0.01
CLEAR = 2.0
"""A bin's rows must exceed this many standard deviations of their noise, else it has no evidence."""
FINE = 1 << 30


@dataclass(frozen=True, slots=True)
class Noisy:
    """Hold one field's noisy counts in rows: goods and bads of every cell, and the noise's variance of one count."""

    coding: Coding
    goods: tuple[float, ...]
    bads: tuple[float, ...]
    variance: float


@dataclass(frozen=True, slots=True)
class _Group:
    """Gather cells that are merged into one bin; goods and bads are noisy and may be negative."""

    goods: float
    bads: float
    places: tuple[int, ...]

    def joined(self, other: "_Group") -> "_Group":
        return _Group(self.goods + other.goods, self.bads + other.bads, self.places + other.places)

    @property
    def rows(self) -> float:
        return self.goods + self.bads

    @property
    def rate(self) -> float:
        return self.bads / max(self.rows, 1.0)


def public_codings(spec: JobSpec) -> tuple[Coding, ...]:
    """Return the finest coding of every model field, known before any row is seen."""
    return tuple(unmerged(field, public_cuts(field)) for field in spec.dictionary.model_fields)


def _amplitudes(codings: Sequence[Coding]) -> list[int]:
    """Return the grid units that one row adds to its cell of each field: 32 times the fourth root of its bins."""
    cells = [coding.bins if coding.kind == "category" else min(coding.bins, NUMBER_CELLS) for coding in codings]
    return [isqrt(isqrt(count << 20)) for count in cells]


def cell_release(spec: JobSpec) -> Release:
    """Return what the one count of a job releases."""
    amplitudes = _amplitudes(public_codings(spec))
    squared = sum(size * size for size in amplitudes)
    return Release(COUNTS, "train", sum(amplitudes), squared, 1, WEIGHT)


def ask_cells(spec: JobSpec, codings: Sequence[Coding]) -> Ask:
    """Return the request: for each field goods of every bin, then bads of every bin, in its amplitude's units."""
    release = cell_release(spec)
    amplitudes = _amplitudes(codings)
    noise = noise_variance(spec.multiplier, release.weight, release.row_l2_squared)
    bound = spec.max_rows * max(amplitudes)
    return Ask(
        recipe=spec.label,
        part="full",
        name=COUNTS,
        rows="train",
        length=2 * sum(coding.bins for coding in codings),
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=max(amplitudes),
        row_l1=release.row_l1,
        parameters={"amplitudes": tuple(amplitudes)},
        arrays={"codings": encode_codings(codings)},
        row_l2_squared=release.row_l2_squared,
        noise=noise,
    )


def contribute_cells(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's exact counts in grid units, (ask.length,) int64."""
    rows = book.rows(ask.rows)
    target = book.table.target[rows]
    pieces = []
    codings = decode_codings(ask.arrays["codings"])
    for coding, size in zip(codings, _amplitudes(codings), strict=True):
        codes = coding.codes(book.table.columns[coding.name][rows])
        for label in (0, 1):
            pieces.append(size * np.bincount(codes[target == label], minlength=coding.bins))
    return np.concatenate(pieces).astype(np.int64)


def noisy_counts(codings: Sequence[Coding], sums: np.ndarray, variance: float) -> list[Noisy]:
    """Return the counts field by field; variance: of the noise in the sum, squared grid units."""
    noisy, place = [], 0
    for coding, size in zip(codings, _amplitudes(codings), strict=True):
        halves = [[int(value) / size for value in sums[place + i * coding.bins :][: coding.bins]] for i in (0, 1)]
        place += 2 * coding.bins
        noisy.append(Noisy(coding, tuple(halves[0]), tuple(halves[1]), variance / (size * size)))
    return noisy


def totals(noisy: Sequence[Noisy]) -> tuple[float, float]:
    """Return the rows and the rate of bads of the training rows; every field counts all of them, the clearest most."""
    goods = bads = weight = 0.0
    for item in noisy:
        trust = 1.0 / max(item.variance * item.coding.bins, 1e-12)
        goods, bads, weight = goods + trust * fsum(item.goods), bads + trust * fsum(item.bads), weight + trust
    goods, bads = max(goods / weight, 1.0), max(bads / weight, 1.0)
    rows = goods + bads
    return rows, min(max(bads / rows, 0.001), 0.999)


def private_bins(
    spec: JobSpec, codings: Sequence[Coding], sums: np.ndarray, variance: float, rules: BinRules
) -> tuple[list[Binned], float, float]:
    """Return every field's bins with shrunk evidence or a reason, the rows, and the rate of bads.

    variance: of the noise that the opened sum holds, squared grid units. Fields come in the dictionary's order.
    """
    noisy = noisy_counts(codings, sums, variance)
    rows, rate = totals(noisy)
    fields = spec.dictionary.model_fields
    return [_bin(field, item, (rows, rate), rules) for field, item in zip(fields, noisy, strict=True)], rows, rate


def _bin(field: Field, noisy: Noisy, whole: tuple[float, float], rules: BinRules) -> Binned:
    coding = noisy.coding
    cells = [_Group(g, b, (place,)) for place, (g, b) in enumerate(zip(noisy.goods, noisy.bads, strict=True))]
    ordinary, others = cells[: coding.ordinary], cells[coding.ordinary :]
    if coding.kind == "category":
        ordinary = _merge_levels(ordinary, noisy.variance)
    else:
        ordinary = _merge_cells(ordinary, noisy.variance, whole[0] * rules.min_share_ppm / 1e6)
        if field.risk_when_rising in ("up", "down"):
            ordinary = _pool(ordinary, rising=field.risk_when_rising == "up")
        ordinary = _merge_alike(ordinary, noisy.variance, rules)
    final = coding.merged([sorted(group.places) for group in ordinary])
    groups = ordinary + others
    woe = _evidence(groups, noisy.variance, whole[1])
    rows = tuple(max(round(group.rows), 0) for group in groups)
    bads = tuple(min(max(round(group.bads), 0), count) for group, count in zip(groups, rows, strict=True))
    if final.ordinary == 1 and not any(woe[1:]):
        return Binned(final, rows, bads, reason="its bins merge to one")
    if not any(woe):
        return Binned(final, rows, bads, reason="its evidence does not stand above the noise")
    return Binned(final, rows, bads, woe, _information(groups, woe))


def _merge_levels(groups: list[_Group], variance: float) -> list[_Group]:
    """Put levels that do not stand above their noise into one bin."""
    clear = [group for group in groups if group.rows > CLEAR * sqrt(2.0 * variance)]
    faint = [group for group in groups if group.rows <= CLEAR * sqrt(2.0 * variance)]
    for group in faint[1:]:
        faint[0] = faint[0].joined(group)
    return clear + faint[:1]


def _merge_cells(groups: list[_Group], variance: float, least: float) -> list[_Group]:
    """Gather neighbours until each bin has enough rows and stands above its noise."""
    merged: list[_Group] = []
    gathered: _Group | None = None
    for group in groups:
        gathered = group if gathered is None else gathered.joined(group)
        if gathered.rows >= max(least, CLEAR * sqrt(2.0 * variance * len(gathered.places))):
            merged.append(gathered)
            gathered = None
    if gathered is not None:
        merged[-1:] = [merged[-1].joined(gathered)] if merged else [gathered]
    return merged


def _pool(groups: list[_Group], rising: bool) -> list[_Group]:
    pooled: list[_Group] = []
    for group in groups:
        pooled.append(group)
        while len(pooled) > 1:
            left, right = pooled[-2].rate, pooled[-1].rate
            if (left < right) if rising else (left > right):
                break
            pooled[-2:] = [pooled[-2].joined(pooled[-1])]
    return pooled


def _merge_alike(groups: list[_Group], variance: float, rules: BinRules) -> list[_Group]:
    while len(groups) > 1:
        chi2 = [_chi2(left, right, variance) for left, right in pairwise(groups)]
        place = min(range(len(chi2)), key=lambda i: (chi2[i], i))
        if len(groups) <= rules.max_bins and chi2[place] * 50.0 >= rules.min_chi2:
            break
        groups[place : place + 2] = [groups[place].joined(groups[place + 1])]
    return groups


def _chi2(left: _Group, right: _Group, variance: float) -> float:
    both = left.joined(right)
    rate = min(max(both.rate, 0.01), 0.99)
    spread = 0.0
    for group in (left, right):
        rows = max(group.rows, 1.0)
        noise = variance * len(group.places) * (rate * rate + (1.0 - rate) * (1.0 - rate))
        spread += rate * (1.0 - rate) / rows + noise / (rows * rows)
    difference = left.rate - right.rate
    return difference * difference / spread


def _evidence(groups: Sequence[_Group], variance: float, rate: float) -> tuple[int, ...]:
    """Return every bin's shrunk WOE in steps of 2**-10; 0 where a bin does not stand above its noise."""
    measured = []
    for group in groups:
        cells = len(group.places)
        if group.rows > CLEAR * sqrt(2.0 * variance * cells):
            known = group.rows * rate * (1.0 - rate)
            noise = variance * cells * (rate * rate + (1.0 - rate) * (1.0 - rate))
            measured.append((group, known, noise))
    between = _between([(group.bads - rate * group.rows, known, noise) for group, known, noise in measured])
    odds = (round(rate * FINE), FINE - round(rate * FINE))
    woe = {}
    for group, known, noise in measured:
        kept = between * known / (between * known + 1.0 + noise / known)
        shrunk = rate + kept * (group.rate - rate)
        bad = round(min(max(shrunk, 0.02 * rate), 1.0 - 0.02 * (1.0 - rate)) * FINE)
        steps = ln_steps((FINE - bad) * odds[0], bad * odds[1], WOE_BITS)
        woe[group.places] = max(-WOE_LIMIT, min(WOE_LIMIT, steps))
    return tuple(woe.get(group.places, 0) for group in groups)


def _between(measured: Sequence[tuple[float, float, float]]) -> float:
    """Return the variance of log-odds between bins: a moment estimate and the prior value, by their uncertainty.

    measured: of each bin its excess of bads over the overall rate, its information, and the variance of the noise in
    that excess.
    """
    weight = fsum(known * known for _, known, _ in measured)
    if weight <= 0.0:
        return BETWEEN
    estimate = fsum(excess * excess - known - noise for excess, known, noise in measured) / weight
    errors = [known + noise + BETWEEN * known * known for _, known, noise in measured]
    spread = 2.0 * fsum(error * error for error in errors)
    own = spread / (weight * weight)
    prior = BETWEEN * BETWEEN
    return min(max((estimate * prior + BETWEEN * own) / (prior + own), LEAST_BETWEEN), 1.0)


def _information(groups: Sequence[_Group], woe: Sequence[int]) -> float:
    goods, bads = (max(fsum(max(getattr(group, name), 0.0) for group in groups), 1.0) for name in ("goods", "bads"))
    total = 0.0
    for group, steps in zip(groups, woe, strict=True):
        total += (max(group.goods, 0.0) / goods - max(group.bads, 0.0) / bads) * steps / (1 << WOE_BITS)
    return max(total, 0.0)
