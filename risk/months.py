"""Months as whole numbers: 12 * year + month - 1 inside, YYYYMM in a job file, YYYY-MM in a report.

It reads no clock. Theory: one number a month makes before, after and how long plain arithmetic.
"""

from risk.errors import InputError

__all__ = ["FIRST_YEAR", "LAST_YEAR", "month_of", "month_text"]

FIRST_YEAR, LAST_YEAR = 1900, 2100


def month_of(text: int, what: str) -> int:
    """Return the month of a whole number YYYYMM as 12 * year + month - 1; raise `InputError` for any other."""
    year, month = divmod(text, 100)
    if not FIRST_YEAR <= year <= LAST_YEAR or not 1 <= month <= 12:
        raise InputError("month-form", f"[parameters]: '{what}' is {text}, expected a month YYYYMM such as 200412")
    return 12 * year + month - 1


def month_text(month: int) -> str:
    """Return a month, 12 * year + month - 1, as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
