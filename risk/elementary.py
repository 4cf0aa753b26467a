"""Elementary functions whose every bit is the same on every machine.

Built from IEEE 754 addition, multiplication and division in a fixed order, or correctly rounded by `decimal`; no
libm and no BLAS, whose last bits differ between processors and would make two honest members derive different
requests. It is no replacement for a numerical library: ranges are those that a credit model needs.

Theory: exp by Cody and Waite's two-part range reduction and a Taylor polynomial of degree 13 on |r| <= ln(2)/2,
truncation below 2**-57; Cholesky's factorisation in right-looking order, with element-wise updates only.
"""

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np

from risk.errors import MisuseError

__all__ = ["exp", "ln", "ln_steps", "sigmoid", "sigmoid_of", "solve_positive"]

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 leading bits of ln 2, so that k * _LN2_HIGH is exact for |k| < 2**20
_LN2_LOW = 1.90821492927058770002e-10
_FACTORIALS = (1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800)
_COEFFICIENTS = tuple(1.0 / factorial for factorial in _FACTORIALS)
_LIMIT = 700.0
_DECIMAL = Context(prec=40, rounding=ROUND_HALF_EVEN)


def exp(values: np.ndarray) -> np.ndarray:
    """Return e to the power of values, float64 of the same shape; arguments are clipped to [-700, 700]."""
    x = np.clip(np.asarray(values, dtype=np.float64), -_LIMIT, _LIMIT)
    k = np.rint(x * _LOG2_E)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = np.full_like(r, _COEFFICIENTS[-1])
    for coefficient in _COEFFICIENTS[-2::-1]:
        total *= r
        total += coefficient
    power = ((k.astype(np.int64) + 1023) << 52).view(np.float64)
    return np.asarray(total * power)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)), float64 of the same shape, within 4 units in the last place."""
    x = np.asarray(values, dtype=np.float64)
    small = exp(-np.abs(x))
    return np.asarray(np.where(x >= 0.0, 1.0, small) / (1.0 + small))


def sigmoid_of(value: float) -> float:
    """Return what `sigmoid` returns for an array of this one number, bit for bit, without an array."""
    x = max(-abs(value), -_LIMIT)
    k = round(x * _LOG2_E)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = _COEFFICIENTS[-1]
    for coefficient in _COEFFICIENTS[-2::-1]:
        total = total * r + coefficient
    small = math.ldexp(total, k)
    return (1.0 if value >= 0.0 else small) / (1.0 + small)


def ln(numerator: int, denominator: int = 1) -> float:
    """Return the natural logarithm of a positive ratio of integers, correctly rounded to float64 (40 digits)."""
    return float(_ln(numerator, denominator))


def ln_steps(numerator: int, denominator: int, bits: int) -> int:
    """Return ln(numerator / denominator) in steps of 2**-bits, rounded half to even."""
    steps = _DECIMAL.multiply(_ln(numerator, denominator), Decimal(1 << bits))
    return int(steps.to_integral_value(rounding=ROUND_HALF_EVEN))


def _ln(numerator: int, denominator: int) -> Decimal:
    if numerator <= 0 or denominator <= 0:
        raise MisuseError("ln-range", "a logarithm needs a positive ratio")
    return _DECIMAL.ln(_DECIMAL.divide(Decimal(numerator), Decimal(denominator)))


def solve_positive(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return x with matrix @ x = right for a symmetric positive definite matrix.

    matrix: (p, p) float64; right: (p,) float64; the result is (p,) float64. Only the lower triangle is read. Raises
    `MisuseError` where a pivot is not positive.
    """
    work = np.array(matrix, dtype=np.float64)
    x = np.array(right, dtype=np.float64)
    size = len(x)
    # Jacobi scaling by powers of two keeps the pivots comparable and loses no bit.
    scale = np.array([2.0 ** -(np.frexp(work[i, i])[1] // 2) if work[i, i] > 0.0 else 1.0 for i in range(size)])
    work *= np.multiply.outer(scale, scale)
    x *= scale
    for j in range(size):
        if not work[j, j] > 0.0:
            raise MisuseError("cholesky-pivot", f"pivot {j} of {size} is not positive")
        work[j:, j] /= np.sqrt(work[j, j])
        below = work[j + 1 :, j]
        work[j + 1 :, j + 1 :] -= np.multiply.outer(below, below)
    for j in range(size):
        x[j] /= work[j, j]
        x[j + 1 :] -= x[j] * work[j + 1 :, j]
    for j in range(size - 1, -1, -1):
        x[j] /= work[j, j]
        x[:j] -= x[j] * work[j, :j]
    return np.asarray(x * scale)
