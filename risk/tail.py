"""Tail probabilities that the tests of model governance need.

It tests nothing itself. Theory: the regularised incomplete gamma and beta functions by their power series and
continued fractions (Abramowitz and Stegun 6.5.29, 6.5.31, 26.5.8; Lentz's evaluation), good to about 1e-8 with
ten million rows, better with fewer. They use
the machine's logarithms, so nothing that decides what is asked of the members may depend on them.
"""

import math
from collections.abc import Callable

from risk.errors import MisuseError

__all__ = ["beta_share", "chi_square_tail", "normal_tail"]

_STEPS = 20_000
_SMALL = 1e-300
_ENOUGH = 1e-15


def chi_square_tail(value: float, degrees: int) -> float:
    """Return the chance that a chi-square variable of so many degrees of freedom (at least 1) is above value >= 0."""
    if degrees < 1 or value < 0.0:
        raise MisuseError("tail-range", f"chi-square of {degrees} degrees at {value}")
    shape, x = degrees / 2.0, value / 2.0
    if x == 0.0:
        return 1.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        term = total = 1.0 / shape
        for step in range(1, _STEPS):
            term *= x / (shape + step)
            total += term
            if term < total * _ENOUGH:
                break
        return max(0.0, 1.0 - scale * total)

    def part(step: int) -> tuple[float, float]:
        return (1.0 if step == 1 else -(step - 1) * (step - 1 - shape)), x + 2.0 * step - 1.0 - shape

    return min(1.0, scale * _fraction(part))


def beta_share(value: float, first: float, second: float) -> float:
    """Return the chance that a beta variable of these two positive shapes is at most value, 0 to 1."""
    if min(first, second) <= 0.0:
        raise MisuseError("tail-range", f"beta of shapes {first} and {second}")
    if value <= 0.0 or value >= 1.0:
        return float(value >= 1.0)
    if value > (first + 1.0) / (first + second + 2.0):
        return 1.0 - beta_share(1.0 - value, second, first)
    logs = math.lgamma(first + second) - math.lgamma(first) - math.lgamma(second)
    scale = math.exp(logs + first * math.log(value) + second * math.log1p(-value)) / first

    def part(step: int) -> tuple[float, float]:
        if step == 1:
            return 1.0, 1.0
        half, odd = divmod(step - 1, 2)
        if odd:
            top = -(first + half) * (first + second + half) * value
            return top / ((first + 2.0 * half) * (first + 2.0 * half + 1.0)), 1.0
        top = half * (second - half) * value
        return top / ((first + 2.0 * half - 1.0) * (first + 2.0 * half)), 1.0

    return min(1.0, max(0.0, scale * _fraction(part)))


def normal_tail(value: float) -> float:
    """Return the chance that a standard normal variable is above value."""
    return 0.5 * math.erfc(value / math.sqrt(2.0))


def _fraction(part: Callable[[int], tuple[float, float]]) -> float:
    """Return a1 / (b1 + a2 / (b2 + ...)); part gives (a, b) of step 1, 2, ..."""
    result, upper, lower = _SMALL, _SMALL, 0.0
    for step in range(1, _STEPS):
        top, bottom = part(step)
        lower = 1.0 / ((bottom + top * lower) or _SMALL)
        upper = (bottom + top / upper) or _SMALL
        change = upper * lower
        result *= change
        if abs(change - 1.0) < _ENOUGH:
            break
    return result
