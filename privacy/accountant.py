"""What releases cost a borrower: privacy events in, epsilon out, so that a stranger can recompute it.

It draws no noise and keeps no ledger; the standard library is enough for it. Unit: one borrower at one bank, with all
rows or with one as the record says, added or removed. Theory, accountant `rdp-skellam/1`, at the integer Rényi orders 2
to 256:

- Skellam (Agarwal, Kairouz and Liu, NeurIPS 2021, theorem 3.5), with mu the guaranteed variance of the noise and d1, d2
  the L1 and L2 norms of what a record can change: D(a) <= a d2^2 / 2mu + min(((2a-1) d2^2 + 6 d1) / 4mu^2, 3 d1 / 2mu).
- Poisson sampling at rate q (Mironov, Talwar and Zhang 2019, section 3.3; exact expansion at integer orders):
  D'(a) = ln(sum over j of C(a, j) (1-q)^(a-j) q^j e^((j-1) D(j))) / (a-1), D(0) = D(1) = 0. It bounds both directions
  because x -> shift - x is an involution that swaps the noise with and without the record (their theorem 5).
- Composition adds curves. Rows that a keyed hash split pay in parallel: a record is either held out or trained on, and
  in one half of the training rows at most, so a job costs max(holdout, train + max(half-a, half-b)) at each order.
- epsilon = min over orders of D(a) + ln(1 - 1/a) - (ln delta + ln a) / (a - 1), at least 0 (Canonne, Kamath and Steinke
  2020, proposition 12).

An event of any other mechanism, sampling or kind of neighbour raises `RefusalError`: what cannot be priced is not done.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from privacy.errors import InputError, RefusalError

__all__ = ["ACCOUNTANT", "ORDERS", "WHOLE_PPM", "Curve", "PrivacyEvent", "add_curves", "calibrate", "curve_of",
           "epsilon_at", "epsilon_of", "epsilon_of_jobs", "event_from_body"]  # fmt: skip

ACCOUNTANT = "rdp-skellam/1"
ORDERS = tuple(range(2, 257))
WHOLE_PPM = 1_000_000
_ROWS = ("train", "half-a", "half-b", "holdout")
_LARGEST = 2**128
_MOST_MULTIPLIER = 10**12

Curve = tuple[float, ...]
"""Rényi divergence at each of `ORDERS`, in nats."""


@dataclass(frozen=True, slots=True)
class PrivacyEvent:
    """One release, or `count` equal ones.

    rows: `train`, `half-a`, `half-b` or `holdout`. variance: of the Skellam noise that is guaranteed in the sum, in
    grid units squared. row_l1, row_l2_squared: what one record can change, in grid units. sampling_ppm: rate of Poisson
    sampling in millionths, 1 000 000 where every row is used.
    """

    rows: str
    variance: int
    row_l1: int
    row_l2_squared: int
    sampling_ppm: int = WHOLE_PPM
    count: int = 1
    mechanism: str = "skellam"
    neighbouring: str = "add-remove"

    def __post_init__(self) -> None:
        if self.mechanism != "skellam" or self.neighbouring != "add-remove" or self.rows not in _ROWS:
            raise RefusalError(
                "event-unknown",
                f"a release by {self.mechanism!r} over {self.rows!r} rows, {self.neighbouring!r}, cannot be priced",
            )
        whole = (self.variance, self.row_l1, self.row_l2_squared, self.count)
        if any(type(value) is not int or not 1 <= value < _LARGEST for value in whole):
            raise RefusalError("event-range", "a release states no noise, no sensitivity or a count of none")
        if type(self.sampling_ppm) is not int or not 1 <= self.sampling_ppm <= WHOLE_PPM:
            raise RefusalError("event-sampling", f"a sampling rate of {self.sampling_ppm} millionths is none")
        if self.row_l2_squared > self.row_l1 * self.row_l1:
            raise RefusalError("event-norms", "no vector has an L2 norm above its L1 norm, as a release states")

    @property
    def curve(self) -> Curve:
        """Return what all `count` releases cost, at each order."""
        one = _curve(self.variance, self.row_l1, self.row_l2_squared, self.sampling_ppm)
        return tuple(self.count * cost for cost in one)

    def in_banks(self, banks: int) -> "PrivacyEvent":
        """Return what this release costs a borrower whose record is at `banks` banks: a group of that many records.

        A group of sampled records is bounded by the group being drawn for certain, which is far from tight.
        """
        if banks == 1:
            return self
        return replace(
            self,
            row_l1=banks * self.row_l1,
            row_l2_squared=banks * banks * self.row_l2_squared,
            sampling_ppm=WHOLE_PPM,
        )


def curve_of(events: Iterable[PrivacyEvent]) -> Curve:
    """Return what the releases of one job cost, rows in parallel where they were split."""
    by_rows = {rows: [0.0] * len(ORDERS) for rows in _ROWS}
    for event in events:
        by_rows[event.rows] = [sum(pair) for pair in zip(by_rows[event.rows], event.curve, strict=True)]
    columns = zip(*(by_rows[rows] for rows in _ROWS), strict=True)
    return tuple(max(holdout, train + max(half_a, half_b)) for train, half_a, half_b, holdout in columns)


def add_curves(curves: Iterable[Curve]) -> Curve:
    """Return what several jobs on the same rows cost together."""
    total = [0.0] * len(ORDERS)
    for curve in curves:
        total = [sum(pair) for pair in zip(total, curve, strict=True)]
    return tuple(total)


def epsilon_at(curve: Curve, delta: Fraction | str) -> float:
    """Return epsilon at delta; 0 where nothing was released. delta: above 0, below 1, a text is read as a decimal."""
    part = Fraction(delta)
    if not 0 < part < 1:
        raise InputError("delta-range", f"delta is {delta}, expected a number above 0 and below 1")
    if not any(curve):
        return 0.0
    log_delta = math.log(part)
    costs = (
        cost + math.log1p(-1 / order) - (log_delta + math.log(order)) / (order - 1)
        for order, cost in zip(ORDERS, curve, strict=True)
    )
    return max(0.0, min(costs))


def epsilon_of(events: Iterable[PrivacyEvent], delta: Fraction | str) -> float:
    """Return epsilon of one job's releases at delta."""
    return epsilon_at(curve_of(events), delta)


def epsilon_of_jobs(jobs: Mapping[str, Iterable[PrivacyEvent]], delta: Fraction | str) -> float:
    """Return epsilon of several jobs on the same rows, by job id, at delta."""
    return epsilon_at(add_curves(curve_of(events) for events in jobs.values()), delta)


def calibrate(
    events_at: Callable[[int], Sequence[PrivacyEvent]], epsilon: Fraction | str, delta: Fraction | str
) -> int:
    """Return the smallest noise multiplier, in millionths, whose releases cost at most epsilon at delta.

    events_at: the releases under a multiplier; more noise must never cost more. Raises `InputError` where no multiplier
    up to a million is enough.
    """
    target = float(Fraction(epsilon))
    if not 0 < target < math.inf:
        raise InputError("epsilon-range", f"epsilon is {epsilon}, expected a number above 0")

    def enough(multiplier: int) -> bool:
        return epsilon_of(events_at(multiplier), delta) <= target

    high = WHOLE_PPM
    while not enough(high):
        high *= 2
        if high > _MOST_MULTIPLIER:
            raise InputError("epsilon-unreachable", f"no noise brings these releases to epsilon {epsilon}")
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def event_from_body(body: Mapping[str, object]) -> PrivacyEvent:
    """Return the event that a `dp.spend` record states.

    Another accountant or sampling raises `RefusalError`, a key that is missing or no number `InputError`.
    """
    try:
        accountant, sampling = str(body["accountant"]), str(body["sampling"])
        rate = int(Decimal(str(body["q"])) * WHOLE_PPM)
        if accountant != ACCOUNTANT or sampling != ("none" if rate == WHOLE_PPM else "poisson"):
            raise RefusalError("event-unknown", f"a release accounted by {accountant!r} with sampling {sampling!r}")
        return PrivacyEvent(
            rows=str(body["rows"]),
            variance=int(str(body["variance"])),
            row_l1=int(str(body["row_l1"])),
            row_l2_squared=int(str(body["row_l2_squared"])),
            sampling_ppm=rate,
            count=int(str(body["steps"])),
            mechanism=str(body["mechanism"]),
            neighbouring=str(body["neighbouring"]),
        )
    except (KeyError, ValueError, ArithmeticError):
        raise InputError("event-malformed", "a dp.spend record lacks what its cost follows from") from None


@lru_cache(maxsize=1024)
def _curve(variance: int, row_l1: int, row_l2_squared: int, sampling_ppm: int) -> Curve:
    whole = {order: _skellam(order, variance, row_l1, row_l2_squared) for order in ORDERS}
    if sampling_ppm == WHOLE_PPM:
        return tuple(whole.values())
    return tuple(_sampled(order, sampling_ppm / WHOLE_PPM, whole) for order in ORDERS)


def _skellam(order: int, variance: int, row_l1: int, row_l2_squared: int) -> float:
    correction = min(
        Fraction((2 * order - 1) * row_l2_squared + 6 * row_l1, 4 * variance * variance),
        Fraction(3 * row_l1, 2 * variance),
    )
    return float(Fraction(order * row_l2_squared, 2 * variance) + correction)


def _sampled(order: int, rate: float, whole: Mapping[int, float]) -> float:
    """Return the divergence under Poisson sampling, from 1 + sum over j >= 2 of weights times e^((j-1) D(j)) - 1."""
    logs = []
    for drawn in range(2, order + 1):
        exponent = (drawn - 1) * whole[drawn]
        choices = math.lgamma(order + 1) - math.lgamma(drawn + 1) - math.lgamma(order - drawn + 1)
        weight = choices + drawn * math.log(rate) + (order - drawn) * math.log1p(-rate)
        logs.append(weight + exponent + math.log(-math.expm1(-exponent)))
    largest = max(logs)
    log_excess = largest + math.log(math.fsum(math.exp(term - largest) for term in logs))
    moment = log_excess + math.log1p(math.exp(-log_excess)) if log_excess > 0 else math.log1p(math.exp(log_excess))
    return moment / (order - 1)
