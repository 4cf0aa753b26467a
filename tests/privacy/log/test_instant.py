"""Instants against the standard library's calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import MisuseError, VerificationError
from privacy.log.instant import format_utc, parse_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US = 253_402_300_799_999_999


@given(st.integers(0, LAST_US))
def test_agrees_with_the_library_both_ways(utc_us: int) -> None:
    text = (EPOCH + timedelta(microseconds=utc_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert format_utc(utc_us) == text
    assert parse_utc(text) == utc_us


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T00:00:00.000000Z", "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z",
     "2025-02-29T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z",
     "2026-01-01T00:00:60.000000Z", "2026-01-01T00:00:00.00000Z", "2026-01-01 00:00:00.000000Z",
     "2026-01-01T00:00:00.000000+00:00", "1969-12-31T23:59:59.999999Z", "２026-01-01T00:00:00.000000Z", ""],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_utc(text)
    assert caught.value.code == "time-malformed"


def test_times_outside_four_digit_years_are_a_misuse() -> None:
    for utc_us in (-1, LAST_US + 1):
        with pytest.raises(MisuseError):
            format_utc(utc_us)
