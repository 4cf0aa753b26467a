"""Towers' form with differential privacy: a private scorecard, then noisy sums of clipped gradients with momentum.

It adds no noise and loads no torch; `risk.tower_gradients` does, at the member that answers. What decides a request
is whole numbers and element-wise float64 on a grid, so that members derive the same bytes; torch's rounding stays in a
bank's own part.

Theory: differentially private gradient descent (Abadi et al., 2016), one step a secure sum, the rows of each step drawn
apart by Poisson sampling; momentum and the grid are worked out from sums that are paid for. A row's gradient is clipped
to one grid unit less than its declared L2 and rounded to whole units; a row that rounding made longer is cut towards
zero, which lengthens no row, so the declared L2 holds for every row and needs no allowance for rounding. The network
starts as the scorecard; where the noise is loud beside the rows, steps shorten, and it stays near the scorecard.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from math import isqrt, sqrt
from typing import cast

import numpy as np

from risk.book import Book
from risk.card import Scorecard
from risk.errors import RefusalError
from risk.model import Trained
from risk.private_calibration import BINS, ROW, Histogram, fitted_line, score_cuts
from risk.private_calibration import STEPS as LOGIT_STEPS
from risk.recipe import Ask, EndedEarly
from risk.release import Release, opened_variance, word_bits
from risk.scorecard import ScorecardRecipe
from risk.spec import JobSpec
from risk.tower_gradients import gradient_sum
from risk.tower_inputs import tower_inputs
from risk.tower_model import Line, TowerModel, initial_weights, tower_outputs
from risk.tower_rows import asked_weights, member_rows, start_array
from risk.update import on_grid

__all__ = ["CLIP", "LENGTH", "SAMPLING_PPM", "STEPS", "contribute_private_towers", "private_tower_rounds",
           "tower_releases", "whole_rows"]  # fmt: skip

STEPS = 40
SAMPLING_PPM = 200_000
HIDDEN = 8
RATE = 1.0
MOMENTUM = 0.9
QUIET = 0.003
"""Deviation of the noise in one entry of the mean gradient up to which steps have their full length."""
CLIP = 2.0
"""L2 of the longest gradient of one row, in natural units."""
LENGTH = 1024
"""The same in grid units."""
CARD_WEIGHT = 1_155
"""0.75 of the budget of the training rows for the scorecard, whose noise grows by this, in thousandths."""
STEP_WEIGHT = 2_828
"""0.2 of the budget for the steps together: sampling rate times the root of steps / 0.2, in thousandths."""
LINE_WEIGHT = 4_473
"""0.05 of the budget for the line."""
STEP_NAME = "step-"
LINE = "calibrate-2"
_DIMENSIONS = 4


def tower_releases(spec: JobSpec) -> tuple[Release, ...]:
    """Return what training releases: the scorecard's sums under more noise, and the steps."""
    card = (replace(item, weight=item.weight * CARD_WEIGHT // 1000) for item in ScorecardRecipe().releases(spec))
    return (*card, _step_release(spec), _line_release())


def _line_release() -> Release:
    return Release(LINE, "train", ROW, ROW * ROW, 1, LINE_WEIGHT)


def _step_release(spec: JobSpec) -> Release:
    """Return the steps' release, its L1 at the most inputs there can be: a card has `max_bins` bins a field at most."""
    width = len(spec.dictionary.model_fields) * int(spec.parameters["max_bins"])
    most = 1 + width * (1 + HIDDEN) + 2 * HIDDEN * _DIMENSIONS
    longest = isqrt(most * LENGTH * LENGTH) + 1
    return Release(STEP_NAME, "train", longest, LENGTH * LENGTH, STEPS, STEP_WEIGHT, SAMPLING_PPM)


def private_tower_rounds(spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
    """Ask for the noisy sums of a scorecard and of the steps; `carry` is the middle and the spread of the logits.

    Ended early once the card's counts are there, it returns the network reached so far, and `carry` is None.
    """
    noisier = -(-spec.multiplier * CARD_WEIGHT // 1000)
    trained = yield from ScorecardRecipe().rounds(replace(spec, multiplier=noisier))
    card, carry = cast(Scorecard, trained.model), trained.carry
    inputs = tower_inputs(spec.dictionary, [item.coding for item in card.fields], card)
    weights = initial_weights(inputs.widths, HIDDEN, spec.seed)
    line, start = Line(), start_array(inputs, card)
    if carry is not None and inputs.fields:
        speed = {name: np.zeros(array.shape) for name, array in weights.items()}
        unit = CLIP / LENGTH / (max(int(card.training["rows"]), 1) * (SAMPLING_PPM / 1e6))
        try:
            for number in range(1, STEPS + 1):
                ask = _ask(spec, number, _arrays(start, weights))
                total = (yield ask) * unit
                rate = RATE * min(1.0, QUIET / (sqrt(opened_variance(spec, ask)) * unit))
                weights, speed = _stepped(weights, speed, total, rate)
            line, carry = yield from _calibrated(spec, _arrays(start, weights), carry)
        except EndedEarly:
            # The steps taken so far are paid for.
            carry = None
    training = {**card.training, "parameters": dict(spec.parameters), "part": "full"}
    return Trained(TowerModel(spec.label, card, inputs, weights, line, training), carry)


def _arrays(start: np.ndarray, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"start": start, **{f"weights.{name}": array for name, array in weights.items()}}


def _calibrated(
    spec: JobSpec, arrays: Mapping[str, np.ndarray], carry: tuple[float, float]
) -> Generator[Ask, np.ndarray, tuple[Line, tuple[float, float]]]:
    """Ask for the histogram of the training logits; return the line that puts them right, and where they lie then.

    Clipping shortens the gradients of surprising rows, which are bad loans more often than good ones, so what the steps
    reach ranks well and predicts too little.
    """
    cuts = score_cuts(*carry)
    release = _line_release()
    noise = release.variance(spec.multiplier)
    ask = Ask(
        recipe=spec.label,
        part="full",
        name=LINE,
        rows="train",
        length=2 * BINS,
        word_bits=word_bits(spec, spec.max_rows * ROW, noise),
        bound=spec.max_rows * ROW,
        row_linf=ROW,
        row_l1=release.row_l1,
        arrays={**arrays, "cuts": cuts},
        row_l2_squared=release.row_l2_squared,
        noise=noise,
    )
    sums = (yield ask) / float(ROW)
    found = fitted_line(Histogram(sums[:BINS], sums[BINS:], cuts), opened_variance(spec, ask) / (ROW * ROW))
    shift, slope = on_grid(np.array(found)).tolist()
    return Line(shift, slope), (carry[0] * slope + shift, carry[1] * slope)


def _ask(spec: JobSpec, number: int, arrays: Mapping[str, np.ndarray]) -> Ask:
    release = _step_release(spec)
    noise = release.variance(spec.multiplier)
    bound = spec.max_rows * LENGTH
    return Ask(
        recipe=spec.label,
        part="full",
        name=f"{STEP_NAME}{number}",
        rows="train",
        length=sum(array.size for name, array in arrays.items() if name != "start"),
        word_bits=word_bits(spec, bound, noise),
        bound=bound,
        row_linf=LENGTH,
        row_l1=release.row_l1,
        arrays=arrays,
        row_l2_squared=release.row_l2_squared,
        noise=noise,
        sampling_ppm=SAMPLING_PPM,
    )


def _stepped(
    weights: Mapping[str, np.ndarray], speed: Mapping[str, np.ndarray], gradient: np.ndarray, rate: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return weights, on the grid, and speed after one step down a noisy mean gradient, (n_weights,) float64."""
    moved, faster, place = {}, {}, 0
    for name in sorted(weights):
        part = gradient[place : place + weights[name].size].reshape(weights[name].shape)
        place += part.size
        faster[name] = MOMENTUM * speed[name] + part
        moved[name] = on_grid(weights[name] - rate * faster[name])
    return moved, faster


def contribute_private_towers(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's exact part of a sum that carries noise, (ask.length,) int64."""
    if ask.name == LINE:
        return _contribute_line(ask, book)
    if ask.name.startswith(STEP_NAME):
        return _contribute_step(ask, book)
    return ScorecardRecipe().contribute(ask, book)


def _contribute_step(ask: Ask, book: Book) -> np.ndarray:
    """Return the sum of clipped gradients in grid units."""
    rows = member_rows(ask, book)
    if not len(rows.target):
        return np.zeros(ask.length, dtype=np.int64)
    return gradient_sum(rows, asked_weights(ask), whole_rows)


def _contribute_line(ask: Ask, book: Book) -> np.ndarray:
    """Return goods, then bads, of every bin of the logit in grid units."""
    rows, weights = member_rows(ask, book), asked_weights(ask)
    logit = rows.start + tower_outputs(rows.inputs, weights, rows.codes).sum(axis=1) + weights["intercept"][0]
    place = np.searchsorted(ask.arrays["cuts"], np.floor(logit * LOGIT_STEPS).astype(np.int64), side="right")
    place += BINS * (rows.target == 1.0)
    return np.asarray(ROW * np.bincount(place, minlength=ask.length).astype(np.int64))


def whole_rows(gradients: np.ndarray) -> np.ndarray:
    """Return gradients in whole grid units, (n_rows, n_weights) int64, no row's L2 above `LENGTH`.

    gradients: (n_rows, n_weights) float64. Raises `RefusalError` where one is not a finite number.
    """
    if not bool(np.isfinite(gradients).all()):
        raise RefusalError("gradient-not-finite", "local training gave a gradient that is not a finite number")
    scaled = gradients * (LENGTH / CLIP)
    size = np.sqrt((scaled * scaled).sum(axis=1))
    scaled *= ((LENGTH - 1) / np.maximum(size, LENGTH - 1))[:, None]
    whole = np.rint(scaled).astype(np.int64)
    long = (whole * whole).sum(axis=1) > LENGTH * LENGTH
    whole[long] = np.trunc(scaled[long]).astype(np.int64)
    # No row is left above by now; this last look makes the bound hold whatever the floats did.
    whole[(whole * whole).sum(axis=1) > LENGTH * LENGTH] = 0
    return whole
