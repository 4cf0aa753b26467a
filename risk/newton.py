"""Newton's method for a logistic model on summed gradients and Hessians.

Features are WOE with the sign of risk, in whole steps of 2**-10, so a weight that agrees with the evidence is
positive. It holds neither bins nor points. Theory: the log-likelihood of a logistic model is a sum over rows, so
its gradient and Hessian are secure sums. Each row's residual and curvature is rounded to fixed point before it is
multiplied by whole numbers and added, hence the sums are exact integers and equal to pooled ones bit for bit. Weights
below zero are dropped one by one, the most negative first, each time solving the same quadratic model again.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from risk.binning import Binned
from risk.book import Book
from risk.coding import decode_codings, encode_codings
from risk.elementary import sigmoid, solve_positive
from risk.errors import InputError
from risk.recipe import Ask
from risk.spec import PARTS, JobSpec

__all__ = ["WEIGHT_BITS", "Fitted", "contribute_newton", "newton_rounds"]

WEIGHT_BITS = 20
_WOE_ONE = 1 << 10
_LOGIT_BITS = 30
_MOST_ROUNDS = 20
_DROP_STEP = 0.0625
_LAST_STEP = 2.0**-10
_MOST_STEP = 4.0
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Fitted:
    """Hold the logit of bad: intercept + sum of weight * (-WOE), in steps of 2**-20.

    weights: one per field given, 0 for a dropped one. dropped: places of the fields whose weight fell below zero, in
    the order of dropping. rounds: sums used. settled: whether the last step was below 2**-10.
    """

    intercept: int
    weights: tuple[int, ...]
    dropped: tuple[int, ...]
    rounds: int
    settled: bool


@dataclass(frozen=True, slots=True)
class _Scales:
    """Hold the fixed-point bits of residuals and curvatures, and the largest feature in steps."""

    residual_bits: int
    curvature_bits: int
    largest: int

    @property
    def row_bound(self) -> int:
        gradient = self.largest << self.residual_bits
        hessian = (self.largest * self.largest) << max(self.curvature_bits - 2, 0)
        return max(gradient, hessian)


def newton_rounds(
    spec: JobSpec, part: str, binned: Sequence[Binned], start: int, ridge: int
) -> Generator[Ask, np.ndarray, Fitted]:
    """Ask for gradient and Hessian until the weights settle; return them.

    binned: the fields in use, at least one. start: the intercept's first value in steps of 2**-20. ridge: penalty on
    squared weights, in hundredths of a row. Raises `InputError` where a sum cannot be held exactly in 63 bits.
    """
    scales = _scales(spec, binned)
    point = np.zeros(len(binned) + 1, dtype=np.int64)
    point[0] = start
    active = list(range(len(binned) + 1))
    dropped: list[int] = []
    largest_step = np.inf
    for number in range(1, _MOST_ROUNDS + 1):
        sums = yield _ask(spec, part, number, binned, point, scales)
        gradient, hessian = _unpack(sums, len(point), scales)
        here = point / float(1 << WEIGHT_BITS)
        gradient[1:] += ridge / 100.0 * here[1:]
        hessian[np.arange(1, len(point)), np.arange(1, len(point))] += ridge / 100.0
        hessian[0, 0] += 1e-6
        settling = largest_step <= _DROP_STEP
        step = _step(here, gradient, hessian, active)
        while settling and len(active) > 1:
            reached = (here + step)[active[1:]]
            worst = int(np.argmin(reached))
            if reached[worst] >= 0.0:
                break
            dropped.append(active.pop(worst + 1) - 1)
            step = _step(here, gradient, hessian, active)
        largest_step = float(np.max(np.abs(step)))
        if largest_step > _MOST_STEP:
            step *= _MOST_STEP / largest_step
        point = np.rint((here + step) * (1 << WEIGHT_BITS)).astype(np.int64)
        if settling and largest_step <= _LAST_STEP:
            return Fitted(int(point[0]), tuple(int(w) for w in point[1:]), tuple(dropped), number, True)
    return Fitted(int(point[0]), tuple(max(int(w), 0) for w in point[1:]), tuple(dropped), _MOST_ROUNDS, False)


def _step(here: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, active: list[int]) -> np.ndarray:
    """Return the step to the minimum of the quadratic model; weights that are not active go to zero."""
    step = -here
    step[active] = 0.0
    shifted = gradient.copy()
    for place in range(len(here)):
        if place not in active:
            shifted += hessian[:, place] * step[place]
    chosen = np.array(active)
    step[chosen] = solve_positive(hessian[np.ix_(chosen, chosen)], -shifted[chosen])
    return step


def _scales(spec: JobSpec, binned: Sequence[Binned]) -> _Scales:
    largest = max(_WOE_ONE, *(abs(steps) for item in binned for steps in item.woe))
    room = (2**62) // (spec.members * spec.max_rows)
    residual_bits = min((room // largest).bit_length() - 1, 26)
    curvature_bits = min((room // (largest * largest)).bit_length() - 1 + 2, 24)
    if residual_bits < 16 or curvature_bits < 8:
        raise InputError(
            "job-headroom",
            f"job: members x max_rows = {spec.members * spec.max_rows} leaves too few bits for exact sums; "
            "lower max_rows",
        )
    return _Scales(residual_bits, curvature_bits, largest)


def _ask(spec: JobSpec, part: str, number: int, binned: Sequence[Binned], point: np.ndarray, scales: _Scales) -> Ask:
    width = len(point)
    pairs = width * (width + 1) // 2
    residual, curvature = 1 << scales.residual_bits, 1 << max(scales.curvature_bits - 2, 0)
    return Ask(
        recipe=spec.label,
        part=part,
        name=f"newton-{number}",
        rows=PARTS[part],
        length=width + pairs,
        word_bits=64,
        bound=spec.max_rows * scales.row_bound,
        row_linf=scales.row_bound,
        row_l1=width * scales.largest * residual + pairs * scales.largest * scales.largest * curvature,
        parameters={"curvature_bits": scales.curvature_bits, "residual_bits": scales.residual_bits},
        arrays={
            "codings": encode_codings([item.coding for item in binned]),
            "weights": point,
            "woe": np.concatenate([np.array(item.woe, dtype=np.int64) for item in binned]),
        },
    )


def contribute_newton(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's gradient, then the upper triangle of its Hessian row by row, (ask.length,) int64."""
    key = (ask.rows, ask.arrays["codings"].tobytes(), ask.arrays["woe"].tobytes())
    features = book.recall("features", key, lambda: _features(ask, book))
    target = book.table.target[book.rows(ask.rows)].astype(np.float64)
    residual_bits, curvature_bits = (int(ask.parameters[name]) for name in ("residual_bits", "curvature_bits"))  # type: ignore[arg-type]
    width = len(ask.arrays["weights"])
    weights = ask.arrays["weights"].astype(np.float64)
    gradient = np.zeros(width, dtype=np.int64)
    hessian = np.zeros((width, width), dtype=np.int64)
    for first in range(0, len(target), _CHUNK):
        chunk = features[first : first + _CHUNK].astype(np.float64)
        # Whole numbers below 2**53, so that the order of the additions does not matter, here and below.
        logit = (chunk @ weights) * 2.0**-_LOGIT_BITS
        chance = sigmoid(logit)
        residual = np.rint((chance - target[first : first + _CHUNK]) * float(1 << residual_bits))
        curvature = np.rint(chance * (1.0 - chance) * float(1 << curvature_bits))
        gradient += (chunk.T @ residual).astype(np.int64)
        hessian += _weighted_square(chunk, curvature)
    return np.concatenate([gradient, hessian[np.triu_indices(width)]])


def _weighted_square(chunk: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return chunk.T @ diag(curvature) @ chunk exactly, (p, p) int64.

    Products are split at bit 18, so that both matrix products add whole numbers below 2**53.
    """
    product = chunk * curvature[:, None]
    high = np.floor(product * 2.0**-18)
    low = product - high * 2.0**18
    total: np.ndarray = ((high.T @ chunk).astype(np.int64) << 18) + (low.T @ chunk).astype(np.int64)
    return total


def _features(ask: Ask, book: Book) -> np.ndarray:
    """Return the features in steps of 2**-10, (n_rows, 1 + fields) int16: one, then minus WOE."""
    rows = book.rows(ask.rows)
    codings = decode_codings(ask.arrays["codings"])
    features = np.empty((len(rows), len(codings) + 1), dtype=np.int16)
    features[:, 0] = _WOE_ONE
    place = 0
    for number, coding in enumerate(codings, start=1):
        woe = ask.arrays["woe"][place : place + coding.bins].astype(np.int16)
        place += coding.bins
        features[:, number] = -woe[coding.codes(book.table.columns[coding.name][rows])]
    return features


def _unpack(sums: np.ndarray, width: int, scales: _Scales) -> tuple[np.ndarray, np.ndarray]:
    gradient = sums[:width] / float(1 << (scales.residual_bits + 10))
    hessian = np.zeros((width, width), dtype=np.float64)
    hessian[np.triu_indices(width)] = sums[width:] / float(1 << (scales.curvature_bits + 20))
    return gradient, hessian + np.triu(hessian, 1).T
