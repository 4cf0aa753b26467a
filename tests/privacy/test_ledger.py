"""The ledger: what was reserved counts, the cap holds to the last release, and no line can be changed unnoticed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accountant import PrivacyEvent, epsilon_of, epsilon_of_jobs
from privacy.errors import MisuseError, RefusalError, VerificationError
from privacy.ledger import Cap, Ledger, Release

DAY = 86_400_000_000
EVENT = PrivacyEvent("train", 10_000, 30, 900)
RELEASE = Release("job-1", 1, 1, 1, "newton-1", "a" * 64, "d" * 64, EVENT)
WIDE = Cap("1000", "0.000001", 365)


def cap_for(count: int) -> Cap:
    """A cap that so many releases just fit under."""
    return Cap(f"{epsilon_of([replace(EVENT, count=count)], WIDE.delta) + 1e-9:.12f}", WIDE.delta, 10)


def filled(*releases: Release, cap: Cap = WIDE, start: int = 0, step: int = 1) -> tuple[Ledger, list[bytes]]:
    """A ledger with these releases reserved, and its lines."""
    ledger, lines = Ledger("bank-a/privacy-log"), []
    for number, release in enumerate(releases):
        _, line = ledger.reserve(release, cap, start + number * step)
        ledger.take(line)
        lines.append(line)
    return ledger, lines


def test_the_cap_holds_to_the_last_release() -> None:
    cap = cap_for(3)
    ledger, _ = filled(RELEASE, replace(RELEASE, epoch=2), replace(RELEASE, position=9), cap=cap)
    before = (ledger.head, ledger.lines)
    with pytest.raises(RefusalError) as caught:
        ledger.reserve(replace(RELEASE, job="job-2"), cap, 5)
    assert caught.value.code == "budget-cap"
    assert (ledger.head, ledger.lines) == before == (ledger.head, 3)
    assert ledger.epsilon(cap, 5) <= float(cap.epsilon)


def test_a_repeated_attempt_is_charged_again() -> None:
    ledger, _ = filled(RELEASE)
    made, _ = ledger.reserve(RELEASE, WIDE, 1)
    assert made.epsilon_total == epsilon_of([replace(EVENT, count=2)], WIDE.delta)
    assert made.epsilon_step == epsilon_of([EVENT], WIDE.delta)


def test_a_clock_that_jumps_ahead_and_comes_back_frees_nothing() -> None:
    cap = cap_for(3)
    ledger, _ = filled(RELEASE, RELEASE, RELEASE, cap=cap)
    spent = ledger.epsilon(cap, 5)
    assert ledger.epsilon(cap, 400 * DAY) == 0.0
    assert ledger.epsilon(cap, 5) == spent
    with pytest.raises(RefusalError) as caught:
        ledger.reserve(RELEASE, cap, 5)
    assert caught.value.code == "budget-cap"


def test_what_was_never_sent_counts_like_what_was() -> None:
    ledger, _ = filled(RELEASE, RELEASE)
    before = ledger.epsilon(WIDE, 5)
    ledger.take(ledger.spend(0))
    assert ledger.sent == {0} and ledger.epsilon(WIDE, 5) == before
    for number in (0, 2, -1):
        with pytest.raises(MisuseError):
            ledger.spend(number)


def test_a_proposal_changes_nothing_until_it_is_taken() -> None:
    ledger, _ = filled(RELEASE)
    ledger.reserve(RELEASE, WIDE, 1)
    assert ledger.epsilon(WIDE, 1) == epsilon_of([EVENT], WIDE.delta)


def test_the_period_slides_and_the_clock_cannot_go_back() -> None:
    ledger, _ = filled(RELEASE, RELEASE, start=100 * DAY, step=DAY)
    ten = Cap("1000", WIDE.delta, 10)
    one = epsilon_of([EVENT], WIDE.delta)
    assert ledger.epsilon(ten, 105 * DAY) > one
    made, _ = ledger.reserve(RELEASE, ten, 90 * DAY)
    assert made.utc_us == 101 * DAY
    assert ledger.epsilon(ten, 110 * DAY + 1) == one
    made, _ = ledger.reserve(RELEASE, ten, 120 * DAY)
    assert (made.first, made.epsilon_total) == (2, one)
    assert ledger.jobs(ten, 120 * DAY) == ()


def test_jobs_add_up_and_holdout_rows_pay_in_parallel() -> None:
    held = replace(RELEASE, event=replace(EVENT, rows="holdout"))
    other = replace(RELEASE, job="job-2")
    ledger, _ = filled(RELEASE, held, other)
    assert ledger.epsilon(WIDE, 3, "job-1") == epsilon_of([EVENT], WIDE.delta)
    assert ledger.epsilon(WIDE, 3) == epsilon_of_jobs({"job-1": [EVENT], "job-2": [EVENT]}, WIDE.delta)
    assert ledger.jobs(WIDE, 3) == ("job-1", "job-2")
    assert ledger.epsilon(WIDE, 3, "job-9") == 0.0


def test_a_borrower_of_several_banks_is_a_group() -> None:
    ledger, _ = filled(RELEASE)
    group = PrivacyEvent("train", EVENT.variance, 3 * EVENT.row_l1, 9 * EVENT.row_l2_squared)
    assert ledger.epsilon(WIDE, 1, banks=3) == epsilon_of([group], WIDE.delta)


def test_a_forecast_holds_what_the_job_has_released_already() -> None:
    plan = [replace(EVENT, count=4)]
    empty, _ = filled()
    begun, _ = filled(RELEASE, RELEASE)
    beside, _ = filled(replace(RELEASE, job="job-0"))
    four, five = (epsilon_of([replace(EVENT, count=count)], WIDE.delta) for count in (4, 5))
    assert empty.forecast("job-1", plan, WIDE, 1) == begun.forecast("job-1", plan, WIDE, 1) == four
    assert beside.forecast("job-1", plan, WIDE, 1) == five
    more, _ = filled(*[RELEASE] * 5)
    assert more.forecast("job-1", plan, WIDE, 1) == five


def test_one_release_a_line() -> None:
    with pytest.raises(MisuseError):
        Ledger("x").reserve(replace(RELEASE, event=replace(EVENT, count=2)), WIDE, 0)


@settings(max_examples=60)
@given(st.integers(0, 2), st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_a_changed_or_missing_line_is_noticed(at: int, place: int, value: int, drop: bool) -> None:
    releases = [replace(RELEASE, round=number) for number in range(4)]
    whole, lines = filled(*releases)
    changed = bytearray(lines[at])
    changed[place % len(changed)] = value
    if not drop and bytes(changed) == lines[at]:
        return
    shown = lines[:at] + ([] if drop else [bytes(changed)]) + lines[at + 1 :]
    ledger = Ledger("bank-a/privacy-log")
    with pytest.raises(VerificationError):
        list(map(ledger.take, shown))
    assert ledger.head != whole.head


def test_a_ledger_belongs_to_one_log() -> None:
    _, lines = filled(RELEASE)
    with pytest.raises(VerificationError):
        Ledger("bank-b/privacy-log").take(lines[0])


NORMS = st.integers(1, 10**9)


@settings(max_examples=25)
@given(NORMS, st.integers(1, 2**100), st.integers(1, 10**6), st.sampled_from(["train", "holdout", "half-a", "half-b"]),
       st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True), st.integers(1, 10**6))  # fmt: skip
def test_a_reservation_comes_back_from_its_line(
    norm: int, variance: int, rate: int, rows: str, job: str, number: int
) -> None:
    event = PrivacyEvent(rows, variance, norm, norm * norm, rate)
    release = Release(job, number, number, number, "x" * 64, "a" * 64, "d" * 64, event)
    ledger = Ledger("bank-a/privacy-log")
    _, line = ledger.reserve(release, Cap("9" * 300, WIDE.delta, 365), number)
    ledger.take(line)
    assert ledger.reserved == [(number, release)]
