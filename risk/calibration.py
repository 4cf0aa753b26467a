"""The line that makes a network's scores mean what they say: two numbers, by Newton on summed curvature.

Averaged weights drift in calibration where members' bad rates differ; intercept and slope, fitted on all members'
training rows, take that back and leave every ranking as it is. It trains no weights. Theory: Platt's calibration
(1999) is a logistic regression on the raw logit, so gradient and Hessian are sums over rows; each row's entries are
rounded to fixed point before they are added. A prior at (0, 1) of a few rows keeps it finite.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from risk.elementary import sigmoid
from risk.errors import InputError
from risk.recipe import Ask
from risk.spec import PARTS, JobSpec
from risk.tower_model import Line
from risk.update import on_grid

__all__ = ["CALIBRATION_ROUNDS", "calibration_part", "calibration_rounds"]

CALIBRATION_ROUNDS = 3
_LOGIT_BITS = 8
_MOST_LOGIT = 16
_PRIOR_ROWS = 10.0
_SLOPES = (0.125, 8.0)
_LENGTH = 5


@dataclass(frozen=True, slots=True)
class _Scale:
    """Hold the fixed-point bits of residuals and curvatures."""

    bits: int

    @property
    def row_bound(self) -> int:
        return (_MOST_LOGIT << _LOGIT_BITS) ** 2 << max(self.bits - 2, 0)


def calibration_rounds(spec: JobSpec, part: str, arrays: Mapping[str, np.ndarray]) -> Generator[Ask, np.ndarray, Line]:
    """Ask for gradient and Hessian of the line three times; return the line on the grid of `on_grid`.

    arrays: what a member needs to compute its raw logits, passed on in every request. Raises `InputError` where a
    sum cannot be held in 63 bits.
    """
    scale = _scale(spec)
    line = np.array([0.0, 1.0])
    for number in range(1, CALIBRATION_ROUNDS + 1):
        sums = yield _ask(spec, part, number, {**arrays, "line": line}, scale)
        one = float(1 << scale.bits)
        logit = float(1 << _LOGIT_BITS)
        g0, g1 = float(sums[0]) / one, float(sums[1]) / (one * logit)
        h00, h01, h11 = float(sums[2]) / one, float(sums[3]) / (one * logit), float(sums[4]) / (one * logit * logit)
        g0, h00 = g0 + line[0], h00 + 1.0
        g1, h11 = g1 + _PRIOR_ROWS * (line[1] - 1.0), h11 + _PRIOR_ROWS
        determinant = h00 * h11 - h01 * h01
        step = np.array([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / determinant
        line = line - np.clip(step, -4.0, 4.0)
        line[1] = min(max(line[1], _SLOPES[0]), _SLOPES[1])
        line = on_grid(line)
    return Line(float(line[0]), float(line[1]))


def calibration_part(ask: Ask, raw: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return a member's gradient (2) and Hessian (3) of the line, (5,) int64.

    raw: (n_rows,) float64 logits before the line, clipped to 16 in size; target: (n_rows,) of 0 and 1.
    """
    one = float(1 << int(str(ask.parameters["bits"])))
    steps = np.rint(np.clip(raw, -_MOST_LOGIT, _MOST_LOGIT) * (1 << _LOGIT_BITS)).astype(np.int64)
    intercept, slope = ask.arrays["line"]
    chance = sigmoid(intercept + slope * (steps / float(1 << _LOGIT_BITS)))
    residual = np.rint((chance - target) * one).astype(np.int64)
    curvature = np.rint(chance * (1.0 - chance) * one).astype(np.int64)
    entries = (residual, residual * steps, curvature, curvature * steps, curvature * steps * steps)
    return np.array([int(entry.sum()) for entry in entries], dtype=np.int64)


def _scale(spec: JobSpec) -> _Scale:
    room = (2**62) // (spec.members * spec.max_rows)
    bits = min((room // (_MOST_LOGIT << _LOGIT_BITS) ** 2).bit_length() + 1, 24)
    if bits < 8:
        raise InputError(
            "job-headroom",
            f"job: members x max_rows = {spec.members * spec.max_rows} leaves too few bits for exact sums; "
            "lower max_rows",
        )
    return _Scale(bits)


def _ask(spec: JobSpec, part: str, number: int, arrays: Mapping[str, np.ndarray], scale: _Scale) -> Ask:
    logit = _MOST_LOGIT << _LOGIT_BITS
    one, quarter = 1 << scale.bits, 1 << max(scale.bits - 2, 0)
    return Ask(
        recipe=spec.label,
        part=part,
        name=f"calibrate-{number}",
        rows=PARTS[part],
        length=_LENGTH,
        word_bits=64,
        bound=spec.max_rows * scale.row_bound,
        row_linf=scale.row_bound,
        row_l1=one + one * logit + quarter + quarter * logit + quarter * logit * logit,
        parameters={"bits": scale.bits},
        arrays=arrays,
    )
