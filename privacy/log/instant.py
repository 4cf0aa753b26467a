"""Instants: microseconds of two clocks, and their RFC 3339 spelling.

No clock is read here. The wall clock counts microseconds since 1970-01-01 UTC without leap seconds; the monotonic
clock counts from an arbitrary start within one boot. Dates follow the proleptic Gregorian calendar (days-from-civil
arithmetic over 400-year eras).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from privacy.errors import MisuseError, VerificationError

__all__ = ["Instant", "format_utc", "parse_utc"]

_UTC = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z", re.ASCII)
_DAY_US = 86_400_000_000
_YEAR_9999_END_US = 2_932_897 * _DAY_US


@dataclass(frozen=True, slots=True)
class Instant:
    """One reading of both clocks: UTC microseconds since 1970, and monotonic microseconds."""

    utc_us: int
    mono_us: int


def format_utc(utc_us: int) -> str:
    """Write UTC microseconds as `YYYY-MM-DDThh:mm:ss.ffffffZ`; years 1970 to 9999."""
    if not 0 <= utc_us < _YEAR_9999_END_US:
        raise MisuseError("time-out-of-range", "time is not between the years 1970 and 9999")
    days, rest = divmod(utc_us, _DAY_US)
    seconds, micros = divmod(rest, 1_000_000)
    era_day = days + 719_468
    era, day_of_era = divmod(era_day, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{year:04d}-{month:02d}-{day:02d}T{hours:02d}:{minutes:02d}:{seconds % 60:02d}.{micros:06d}Z"


def parse_utc(text: str) -> int:
    """Read what `format_utc` writes, and nothing else, as UTC microseconds.

    Raises:
        VerificationError: `time-malformed`.
    """
    found = _UTC.fullmatch(text)
    if found:
        hours, minutes, seconds, micros = (int(part) for part in found.groups()[1:])
        days = _days(found[1])
        if days is not None and hours < 24 and minutes < 60 and seconds < 60:
            return ((days * 24 + hours) * 60 + minutes) * 60_000_000 + seconds * 1_000_000 + micros
    raise VerificationError(
        "time-malformed", "time is not an existing UTC instant of the form YYYY-MM-DDThh:mm:ss.ffffffZ"
    )


@lru_cache(maxsize=64)
def _days(date: str) -> int | None:
    """Return the days from 1970 to a date `YYYY-MM-DD`, None when there is no such date from 1970 on."""
    year, month, day = (int(part) for part in date.split("-"))
    shifted_year = year - (month <= 2)
    era, year_of_era = divmod(shifted_year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    # A date that does not exist, such as 30 February, comes out as another date and is caught here.
    exists = 0 <= days * _DAY_US < _YEAR_9999_END_US and format_utc(days * _DAY_US).startswith(date)
    return days if exists else None
