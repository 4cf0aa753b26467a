"""Weights of a scorecard from two noisy sums, for a job with differential privacy.

The first sum holds a gradient and a Hessian, the second a gradient at the point reached. It forms no bins and adds no
noise. A row's features are centred WOE in steps of 2**-10, shortened to a length that the noisy counts suggest; its
part is rounded to grid units whose L2 bound holds for every row (shortened length plus half a unit per entry).

Theory: one Newton step of logistic regression has the sensitivity of its clipped features. Of the step only as much is
taken as stands above the noise: with weights drawn about a prior of variance P and the gradient g = H d + error, the
best linear estimate is d = P H (H P H + R)^-1 g, R holding the error of sampling, of the gradient's noise, and of the
Hessian's own (Wiener, 1949; Gauss-Markov). No eigenvalue is needed, and a Hessian of pure noise gives no step.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isqrt, sqrt

import numpy as np

from risk.binning import Binned
from risk.book import Book
from risk.coding import decode_codings, encode_codings
from risk.elementary import ln_steps, sigmoid, solve_positive
from risk.newton import WEIGHT_BITS, Fitted
from risk.recipe import Ask, EndedEarly
from risk.release import Release, noise_variance, opened_variance, word_bits
from risk.spec import JobSpec

__all__ = [
    "NOISY_NEWTON",
    "PrivateFit",
    "card_logits",
    "contribute_noisy_newton",
    "newton_releases",
    "private_newton_rounds",
]

NOISY_NEWTON = ("newton-1", "newton-2")
WEIGHT = 2462
"""0.165 of the budget of the training rows for either sum."""
ROW_LENGTH = 512
"""L2 of one row's part in grid units, before rounding."""
HESSIAN_SHARE = 0.4
"""Share of the squared length that the Hessian has in the first sum."""
UNIT = 512
"""The intercept's feature, in steps of 2**-10."""
START = 0.5
WEIGHT_VARIANCE = 0.15
INTERCEPT_VARIANCE = 0.4
_STEP = 1 << 10
_LOGIT_BITS = 30
_CHUNK = 4096
_ROOT2 = sqrt(2.0)


@dataclass(frozen=True, slots=True)
class PrivateFit:
    """Hold the weights, and where the training rows' logits lie: middle and spread, in units of log-odds.

    arrays: what a member needs to compute the raw logits (`card_logits`).
    """

    fitted: Fitted
    middle: float
    spread: float
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False, slots=True)
class _Ground:
    """Hold what both sums stand on: centred WOE of every bin and its centre, steps; variances, natural units."""

    binned: tuple[Binned, ...]
    centred: tuple[np.ndarray, ...]
    centres: tuple[int, ...]
    variances: np.ndarray
    longest: int
    rows: float
    rate: float

    @property
    def width(self) -> int:
        return len(self.binned) + 1


def newton_releases(spec: JobSpec) -> tuple[Release, ...]:
    """Return what the two sums of a job release, at the most fields there can be."""
    return tuple(Release(name, "train", _row_l1(spec), _row_l2(spec) ** 2, 1, WEIGHT) for name in NOISY_NEWTON)


def _entries(width: int) -> int:
    return width + width * (width + 1) // 2


def _row_l2(spec: JobSpec) -> int:
    """Return the L2 of a rounded row: no entry moves by more than half a unit."""
    return ROW_LENGTH + (isqrt(_entries(len(spec.dictionary.model_fields) + 1)) + 1) // 2 + 1


def _row_l1(spec: JobSpec) -> int:
    entries = _entries(len(spec.dictionary.model_fields) + 1)
    return isqrt(entries * _row_l2(spec) ** 2) + 1


def private_newton_rounds(
    spec: JobSpec, binned: Sequence[Binned], rows: float, rate: float
) -> Generator[Ask, np.ndarray, PrivateFit]:
    """Ask for the two sums and return the weights, negative ones dropped; ended early, those reached so far.

    binned: the fields in use, at least one. rows, rate: of the training rows, as the noisy counts tell.
    """
    ground = _ground(binned, rows, rate)
    prior = np.full(ground.width, WEIGHT_VARIANCE)
    prior[0] = INTERCEPT_VARIANCE
    chance = round(rate * (1 << WEIGHT_BITS))
    start = ln_steps(chance, (1 << WEIGHT_BITS) - chance, WEIGHT_BITS)
    point = np.full(ground.width, round(START * (1 << WEIGHT_BITS)), dtype=np.int64)
    point[0] = start * _STEP // UNIT
    hessian, through = np.zeros((ground.width, ground.width)), 0.0
    reached = 0
    try:
        for name in NOISY_NEWTON:
            ask = _ask(spec, name, ground, point)
            sums = yield ask
            spread = opened_variance(spec, ask)
            if name == NOISY_NEWTON[0]:
                hessian, unit = _hessian(sums, ground)
                # The Hessian's error moves the gradient by its noise times the step, as long as the prior says.
                through = spread * unit * unit * fsum(prior.tolist())
            gradient_unit = ground.longest / _STEP / _shares(name)[0]
            gradient = sums[: ground.width] * gradient_unit
            step = _step(ground, hessian, gradient, prior, spread * gradient_unit * gradient_unit + through)
            point = np.rint(point + step * (1 << WEIGHT_BITS)).astype(np.int64)
            reached += 1
    except EndedEarly:
        # The weights reached so far are paid for.
        return _finish(ground, point, hessian, reached)
    return _finish(ground, point, hessian, reached)


def _ground(binned: Sequence[Binned], rows: float, rate: float) -> _Ground:
    centred, centres, variances = [], [], []
    for item in binned:
        count = np.array(item.rows, dtype=np.int64)
        woe = np.array(item.woe, dtype=np.int64)
        total = max(int(count.sum()), 1)
        centre = int((count * woe).sum()) // total
        centred.append(woe - centre)
        centres.append(centre)
        variances.append(int((count * (woe - centre) ** 2).sum()) // total)
    longest = isqrt(UNIT * UNIT + sum(variances)) + 1
    natural = np.array([UNIT * UNIT, *variances], dtype=np.float64) / float(_STEP * _STEP)
    return _Ground(tuple(binned), tuple(centred), tuple(centres), natural, longest, rows, rate)


def _shares(name: str) -> tuple[float, float]:
    """Return the grid units of a gradient and of a Hessian of the longest row."""
    if name == NOISY_NEWTON[0]:
        return ROW_LENGTH * sqrt(1.0 - HESSIAN_SHARE), ROW_LENGTH * sqrt(HESSIAN_SHARE)
    return float(ROW_LENGTH), 0.0


def _ask(spec: JobSpec, name: str, ground: _Ground, point: np.ndarray) -> Ask:
    length_squared = _row_l2(spec) ** 2
    noise = noise_variance(spec.multiplier, WEIGHT, length_squared)
    bound = spec.max_rows * (ROW_LENGTH + 1)
    return Ask(
        recipe=spec.label,
        part="full",
        name=name,
        rows="train",
        length=_entries(ground.width) if name == NOISY_NEWTON[0] else ground.width,
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=ROW_LENGTH + 1,
        row_l1=_row_l1(spec),
        parameters={"longest": ground.longest},
        arrays=_arrays(ground, point),
        row_l2_squared=length_squared,
        noise=noise,
    )


def _arrays(ground: _Ground, point: np.ndarray) -> dict[str, np.ndarray]:
    codings = encode_codings([item.coding for item in ground.binned])
    return {"codings": codings, "weights": point, "woe": np.concatenate(ground.centred)}


def card_logits(ask: Ask, book: Book, rows: np.ndarray) -> np.ndarray:
    """Return the logits of some rows under a request's weights, (n_rows,) int64 in steps of 2**-30."""
    return np.asarray(_features(ask, book, rows).astype(np.int64) @ ask.arrays["weights"])


def contribute_noisy_newton(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's exact part in grid units, (ask.length,) int64: gradient, then Hessian's upper triangle."""
    rows = book.rows(ask.rows)
    target = book.table.target[rows].astype(np.float64)
    weights = ask.arrays["weights"].astype(np.float64)
    features = _features(ask, book, rows)
    longest = float(int(ask.parameters["longest"]))  # type: ignore[arg-type]
    gradient_units, hessian_units = _shares(ask.name)
    total = np.zeros(ask.length, dtype=np.int64)
    first, second = np.triu_indices(len(weights))
    scale = np.where(first == second, 1.0, _ROOT2) * (4.0 * hessian_units)
    for start in range(0, len(rows), _CHUNK):
        chunk = features[start : start + _CHUNK].astype(np.float64)
        # Whole numbers below 2**53: logit and squared length are exact in any order.
        chance = sigmoid((chunk @ weights) * 2.0**-_LOGIT_BITS)
        length = np.sqrt((chunk * chunk) @ np.ones(len(weights)))
        short = chunk / np.maximum(length, longest)[:, None]
        residual = target[start : start + _CHUNK] - chance
        part = [np.rint(short * (residual * gradient_units)[:, None])]
        if hessian_units:
            curvature = chance * (1.0 - chance)
            part.append(np.rint(short[:, first] * short[:, second] * scale * curvature[:, None]))
        total += np.concatenate(part, axis=1).astype(np.int64).sum(axis=0)
    return total


def _features(ask: Ask, book: Book, rows: np.ndarray) -> np.ndarray:
    """Return the features in steps of 2**-10, (n_rows, 1 + fields) int32: the unit, then minus centred WOE."""
    codings = decode_codings(ask.arrays["codings"])
    features = np.empty((len(rows), len(codings) + 1), dtype=np.int32)
    features[:, 0] = UNIT
    place = 0
    for number, coding in enumerate(codings, start=1):
        woe = ask.arrays["woe"][place : place + coding.bins].astype(np.int32)
        place += coding.bins
        features[:, number] = -woe[coding.codes(book.table.columns[coding.name][rows])]
    return features


def _hessian(sums: np.ndarray, ground: _Ground) -> tuple[np.ndarray, float]:
    """Return the Hessian of the first sum, and the natural size of one grid unit of its diagonal."""
    width, longest = ground.width, ground.longest / _STEP
    unit = longest * longest / (4.0 * _shares(NOISY_NEWTON[0])[1])
    first, second = np.triu_indices(width)
    hessian = np.zeros((width, width), dtype=np.float64)
    hessian[first, second] = sums[width:] * unit / np.where(first == second, 1.0, _ROOT2)
    return hessian + np.triu(hessian, 1).T, unit


def _step(ground: _Ground, hessian: np.ndarray, gradient: np.ndarray, prior: np.ndarray, noise: float) -> np.ndarray:
    """Return the best linear estimate of the step; noise: variance of the error of one entry of the gradient."""
    size = len(prior)
    inner = np.zeros((size, size))
    for place in range(size):
        # In fixed order and without BLAS: what is asked next hangs on every bit.
        inner += np.multiply.outer(hessian[:, place] * prior[place], hessian[place])
    sampling = ground.variances * (ground.rows * ground.rate * (1.0 - ground.rate))
    inner[np.arange(size), np.arange(size)] += sampling + noise
    solved = solve_positive(inner, gradient)
    step = np.zeros(size)
    for place in range(size):
        step += hessian[:, place] * solved[place]
    return np.asarray(prior * step)


def _finish(ground: _Ground, point: np.ndarray, hessian: np.ndarray, rounds: int) -> PrivateFit:
    weights = [max(int(value), 0) for value in point[1:]]
    dropped = tuple(place for place, value in enumerate(weights) if value == 0)
    fine = int(point[0]) * UNIT + sum(w * centre for w, centre in zip(weights, ground.centres, strict=True))
    fitted = Fitted((fine + _STEP // 2) // _STEP, tuple(weights), dropped, rounds, rounds == len(NOISY_NEWTON))
    natural = np.array(weights, dtype=np.float64) / float(1 << WEIGHT_BITS)
    apart = 0.0
    for place, weight in enumerate(natural, start=1):
        apart += float(weight * weight * ground.variances[place])
    together = 0.0
    for row, one in enumerate(natural, start=1):
        for column, other in enumerate(natural, start=1):
            together += float(one * other * hessian[row, column])
    # Correlated fields spread the score further than independent ones; the Hessian says how much.
    per_row = ground.rows * ground.rate * (1.0 - ground.rate)
    middle = int(point[0]) * UNIT / float(1 << _LOGIT_BITS)
    kept = np.array([point[0], *weights], dtype=np.int64)
    return PrivateFit(fitted, middle, sqrt(max(together / per_row, apart, 0.01)), _arrays(ground, kept))
