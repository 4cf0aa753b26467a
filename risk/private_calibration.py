"""Intercept and slope of a private scorecard from one small noisy histogram of its training scores.

Two noisy Newton steps on shortened features rank well but need not mean what they say; goods and bads in 32 bins of
the logit, at a twentieth of the budget, put that right and leave every ranking as it is. It forms no bins of fields and
adds no noise. Theory: Platt's calibration (1999), a logistic regression on the logit; a bin's rows stand at its middle,
and the prior at slope 1 is as heavy as the noise is large.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import fsum

import numpy as np

from risk.book import Book
from risk.elementary import sigmoid, solve_positive
from risk.newton import WEIGHT_BITS
from risk.private_newton import PrivateFit, card_logits
from risk.recipe import Ask
from risk.release import Release, noise_variance, opened_variance, word_bits
from risk.spec import JobSpec

__all__ = [
    "BINS",
    "CALIBRATE",
    "Histogram",
    "calibrate_release",
    "contribute_calibrate",
    "fitted_line",
    "private_calibration",
    "score_cuts",
]

CALIBRATE = "calibrate-1"
BINS = 32
ROW = 512
"""Grid units that one row adds to one entry."""
WEIGHT = 4473
"""0.05 of the budget of the training rows."""
STEPS = 1 << 10
"""Steps of one unit of log-odds in a cut."""
_LOWEST, _WIDTH = -2.4, 0.2
_SHIFT_VARIANCE = 1.0
_SLOPE_VARIANCE = 0.1
_SLOPES = (0.25, 4.0)
_NEWTON = 12


@dataclass(frozen=True, eq=False, slots=True)
class Histogram:
    """Hold noisy goods and bads of the bins of one set of rows, (32,) float64, and their 31 cuts in steps of 2**-10."""

    goods: np.ndarray
    bads: np.ndarray
    cuts: np.ndarray

    @property
    def middles(self) -> np.ndarray:
        """Return the logit in the middle of every bin; an open bin is taken to be as wide as the others."""
        half = (int(self.cuts[1]) - int(self.cuts[0])) / 2.0
        return np.asarray(np.concatenate([[self.cuts[0] - half], self.cuts + half]) / STEPS)


def calibrate_release() -> Release:
    """Return what the histogram of the training scores releases."""
    return Release(CALIBRATE, "train", ROW, ROW * ROW, 1, WEIGHT)


def score_cuts(middle: float, spread: float) -> np.ndarray:
    """Return the 31 cuts of a histogram, (31,) int64, logit in steps of 2**-10.

    middle, spread: mean and standard deviation of the logits as far as they are known. Bad loans stretch the
    upper side, so that side has more bins.
    """
    width = max(round(spread * _WIDTH * STEPS), 1)
    first = round((middle + spread * _LOWEST) * STEPS)
    return first + width * np.arange(BINS - 1, dtype=np.int64)


def private_calibration(spec: JobSpec, fit: PrivateFit) -> Generator[Ask, np.ndarray, PrivateFit]:
    """Ask for the training scores' histogram and return the fit with its line put right."""
    release = calibrate_release()
    noise = noise_variance(spec.multiplier, release.weight, release.row_l2_squared)
    cuts = score_cuts(fit.middle, fit.spread)
    bound = spec.max_rows * ROW
    ask = Ask(
        recipe=spec.label,
        part="full",
        name=CALIBRATE,
        rows="train",
        length=2 * BINS,
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=ROW,
        row_l1=ROW,
        arrays={**fit.arrays, "cuts": cuts},
        row_l2_squared=release.row_l2_squared,
        noise=noise,
    )
    sums = (yield ask) / float(ROW)
    shift, slope = fitted_line(Histogram(sums[:BINS], sums[BINS:], cuts), opened_variance(spec, ask) / (ROW * ROW))
    fitted = fit.fitted
    moved = replace(
        fitted,
        intercept=round(fitted.intercept * slope + shift * (1 << WEIGHT_BITS)),
        weights=tuple(round(weight * slope) for weight in fitted.weights),
    )
    return replace(fit, fitted=moved, middle=fit.middle * slope + shift, spread=fit.spread * slope)


def contribute_calibrate(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's goods, then bads, of every bin in grid units, (ask.length,) int64."""
    rows = book.rows(ask.rows)
    place = np.searchsorted(ask.arrays["cuts"], card_logits(ask, book, rows) >> 20, side="right")
    place += BINS * (book.table.target[rows] == 1)
    return np.asarray(ROW * np.bincount(place, minlength=ask.length).astype(np.int64))


def fitted_line(seen: Histogram, variance: float) -> tuple[float, float]:
    """Return shift and slope of the logit that a noisy histogram calls for; variance: of the noise in one count."""
    middles = [float(value) for value in seen.middles]
    goods, bads = ([float(value) for value in counts] for counts in (seen.goods, seen.bads))
    shift, slope = 0.0, 1.0
    for _ in range(_NEWTON):
        chances = [float(value) for value in sigmoid(np.array([shift + slope * middle for middle in middles]))]
        residual = [(g + b) * p - b for g, b, p in zip(goods, bads, chances, strict=True)]
        curved = [max(g + b, 0.0) * p * (1.0 - p) for g, b, p in zip(goods, bads, chances, strict=True)]
        # A count of noise moves the gradient as a row would, so the prior outweighs what noise alone could do.
        noisy = 1.0 + variance * BINS / max(fsum(curved), 1.0)
        first = fsum(residual) + noisy * shift / _SHIFT_VARIANCE
        second = fsum(r * m for r, m in zip(residual, middles, strict=True)) + noisy * (slope - 1.0) / _SLOPE_VARIANCE
        crossed = fsum(c * m for c, m in zip(curved, middles, strict=True))
        squared = fsum(c * m * m for c, m in zip(curved, middles, strict=True))
        hessian = [[fsum(curved) + noisy / _SHIFT_VARIANCE, crossed], [crossed, squared + noisy / _SLOPE_VARIANCE]]
        step = solve_positive(np.array(hessian), np.array([first, second]))
        shift -= min(max(float(step[0]), -1.0), 1.0)
        slope = min(max(slope - min(max(float(step[1]), -0.5), 0.5), _SLOPES[0]), _SLOPES[1])
    return shift, slope
