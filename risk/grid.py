"""Cuts of a number that are known before any row is seen, from the dictionary's bounds alone.

Used where every count carries noise: a sketch that finds cuts in the rows would spend privacy, and noisy cells can be
merged afterwards for nothing. Theory: nobody knows whether a field is spread evenly over its bounds or over decades, so
both grids are laid over each other: ten even steps of a round length, and 1, 2, 5 of the three upper decades with whole
decades below, on either side of zero.
"""

from decimal import Decimal
from fractions import Fraction

from risk.dictionary import Field

__all__ = ["public_cuts"]

EVEN_STEPS = 10
FINE_DECADES = 3
COARSE_DECADES = 8
_ROUND = (1, 2, 5, 10)


def public_cuts(field: Field) -> tuple[float, ...]:
    """Return the cuts of a number field, rising, strictly between its bounds; none for another kind of field."""
    if field.kind != "number" or field.bounds is None:
        return ()
    low, high = (Fraction(bound) for bound in field.bounds)
    if not low < high:
        return ()
    cuts = {float(cut) for cut in _even(low, high) | _decades(low, high)}
    return tuple(sorted(cut for cut in cuts if low < cut < high))


def _even(low: Fraction, high: Fraction) -> set[Fraction]:
    step = _round_up((high - low) / EVEN_STEPS)
    if low.denominator == 1 and 4 <= high - low <= 16:
        # So short a range between whole numbers is most often a count of months, grades or steps.
        step = Fraction(1)
    first = low // step + 1
    return {step * number for number in range(int(first), int(high / step) + 1)}


def _decades(low: Fraction, high: Fraction) -> set[Fraction]:
    top = max(abs(low), abs(high))
    upper = _exponent(top)
    sizes = {
        Fraction(10) ** exponent * digit
        for exponent in range(upper - COARSE_DECADES, upper + 1)
        for digit in ((1, 2, 5) if upper - exponent <= FINE_DECADES else (1,))
    }
    return {Fraction(0)} | sizes | {-size for size in sizes}


def _exponent(size: Fraction) -> int:
    """Return the exponent of ten of a positive number's first digit."""
    near = Decimal(float(size)).adjusted()
    # The nearest float may stand on the other side of a power of ten.
    while Fraction(10) ** (near + 1) <= size:
        near += 1
    while Fraction(10) ** near > size:
        near -= 1
    return near


def _round_up(size: Fraction) -> Fraction:
    unit = Fraction(10) ** _exponent(size)
    return next(unit * digit for digit in _ROUND if unit * digit >= size)
