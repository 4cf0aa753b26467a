"""What a job with differential privacy promises: epsilon at delta, and the noise multiplier that keeps it.

It knows no recipe: what will be released comes in as a list made in advance. Theory: the coordinator searches the
smallest multiplier with which all of it, from the first cut to the last figure, costs at most epsilon; the manifest
fixes the outcome before anything is released, and every bank computes the cost again before it takes part.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Protocol

from privacy.accountant import ACCOUNTANT, PrivacyEvent, calibrate, epsilon_of
from privacy.errors import PeerError, RefusalError

__all__ = ["Guarantee", "Planned", "calibrated", "check_plan", "guarantee_of", "planned_events"]

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{0,17}[1-9])?")
_MOST_EPSILON, _MOST_DELTA, _MOST_MULTIPLIER = 100, Fraction(1, 1000), 10**9


class Planned(Protocol):
    """What a recipe announces of one kind of noisy sum."""

    @property
    def rows(self) -> str:
        """Return which rows it counts."""

    @property
    def row_l1(self) -> int:
        """Return what one record can change in L1."""

    @property
    def row_l2_squared(self) -> int:
        """Return what one record can change in L2, squared."""

    @property
    def count(self) -> int:
        """Return how often it is released."""

    @property
    def sampling_ppm(self) -> int:
        """Return the rate of Poisson sampling in millionths."""

    def variance(self, multiplier: int) -> int:
        """Return the variance of its noise under a multiplier in millionths."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """State epsilon at delta, decimals in shortest form, the multiplier in millionths, and the accountant."""

    epsilon: str
    delta: str
    multiplier: int
    accountant: str = ACCOUNTANT

    def __post_init__(self) -> None:
        texts = all(isinstance(value, str) and _DECIMAL.fullmatch(value) for value in (self.epsilon, self.delta))
        if not texts or not 0 < Fraction(self.epsilon) <= _MOST_EPSILON or not 0 < Fraction(self.delta) <= _MOST_DELTA:
            raise PeerError("guarantee-range", "a job promises no epsilon up to 100 at a delta up to 0.001")
        if type(self.multiplier) is not int or not 0 < self.multiplier <= _MOST_MULTIPLIER:
            raise PeerError("guarantee-multiplier", "a job's noise multiplier is outside 1 to 10^9 millionths")
        if self.accountant != ACCOUNTANT:
            raise PeerError("guarantee-accountant", f"a job is accounted for by another method than {ACCOUNTANT}")

    def document(self) -> dict[str, Any]:
        """Return the guarantee as JSON values."""
        return asdict(self)

    def statement(self) -> dict[str, str | int]:
        """Return what a model file says: the guarantee and how it is kept; for whom, the dictionary decides."""
        return {**asdict(self), "neighbouring": "add-remove", "mechanism": "skellam"}


def guarantee_of(document: Mapping[str, Any]) -> Guarantee:
    """Return the guarantee that a manifest states; other keys raise `PeerError`."""
    if not isinstance(document, Mapping) or set(document) != {field.name for field in fields(Guarantee)}:
        raise PeerError("guarantee-malformed", "a job's guarantee holds other keys than were expected")
    return Guarantee(**document)


def planned_events(releases: Iterable[Planned], multiplier: int) -> list[PrivacyEvent]:
    """Return what the planned releases are to the accountant."""
    return [
        PrivacyEvent(
            rows=planned.rows,
            variance=planned.variance(multiplier),
            row_l1=planned.row_l1,
            row_l2_squared=planned.row_l2_squared,
            sampling_ppm=planned.sampling_ppm,
            count=planned.count,
        )
        for planned in releases
    ]


def calibrated(releases: Iterable[Planned], epsilon: str, delta: str) -> Guarantee:
    """Return the guarantee of the smallest multiplier with which the releases cost at most epsilon at delta."""
    plan = list(releases)
    return Guarantee(epsilon, delta, calibrate(lambda multiplier: planned_events(plan, multiplier), epsilon, delta))


def check_plan(releases: Iterable[Planned], guarantee: Guarantee) -> list[PrivacyEvent]:
    """Return the planned events; a plan that costs more than was promised raises `RefusalError`."""
    events = planned_events(releases, guarantee.multiplier)
    cost = epsilon_of(events, guarantee.delta)
    if cost > float(Fraction(guarantee.epsilon)):
        raise RefusalError(
            "guarantee-broken", f"the job would cost epsilon {cost:.4g}, its manifest promises {guarantee.epsilon}"
        )
    return events
