"""The accountant against sums over whole distributions, against a library in the Gaussian limit, and its refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest

from privacy.accountant import (
    ACCOUNTANT,
    ORDERS,
    PrivacyEvent,
    add_curves,
    calibrate,
    curve_of,
    epsilon_at,
    epsilon_of,
    epsilon_of_jobs,
    event_from_body,
)
from privacy.errors import InputError, RefusalError

DELTA = "0.000001"
# Printed by dp-accounting 0.6.0: RdpAccountant(orders 2..256), 50 (sampled) Gaussians of noise z, epsilon at 1e-6.
GAUSSIANS = (
    (12.0, 1_000_000, 2.8970027119221236),
    (12.0, 10_000, 0.03305890329904824),
    (12.0, 200_000, 0.5243834084514413),
    (5.0, 1_000_000, 7.828374610068334),
    (5.0, 10_000, 0.0582777314102413),
    (5.0, 200_000, 1.3919119779606417),
    (2.0, 1_000_000, 24.70298402653992),
    (2.0, 10_000, 0.2935445619955909),
    (2.0, 200_000, 4.33005393355096),
)


def fine(z: float, rate: int = 1_000_000, count: int = 1, rows: str = "train") -> PrivacyEvent:
    """A release on so fine a grid that Skellam noise is Gaussian noise."""
    unit = 10**9
    return PrivacyEvent(rows, round((z * unit) ** 2), unit, unit * unit, rate, count)


@pytest.mark.parametrize(("z", "rate", "expected"), GAUSSIANS)
def test_fine_grids_cost_what_gaussian_noise_costs(z: float, rate: int, expected: float) -> None:
    assert epsilon_of([fine(z, rate, 50)], DELTA) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("z", [1.5, 4.0, 20.0])
@pytest.mark.parametrize("rate", [1_000_000, 30_000])
def test_the_library_agrees(z: float, rate: int) -> None:
    accounting = pytest.importorskip("dp_accounting", reason="dp-accounting is not installed; its figures stand above")
    theirs = pytest.importorskip("dp_accounting.rdp").RdpAccountant(orders=list(ORDERS))
    noise = accounting.GaussianDpEvent(z)
    theirs.compose(noise if rate == 1_000_000 else accounting.PoissonSampledDpEvent(rate / 1e6, noise), 20)
    assert epsilon_of([fine(z, rate, 20)], DELTA) == pytest.approx(float(theirs.get_epsilon(1e-6)), rel=1e-7)


def skellam_masses(variance: int, reach: int) -> np.ndarray:
    """Masses at -reach to reach, as the convolution of two Poisson distributions, (2 reach + 1,) float64."""
    counts = np.arange(variance + 2 * reach)
    logs = -variance / 2 + counts * math.log(variance / 2) - np.array([math.lgamma(k + 1) for k in counts])
    poisson = np.exp(logs)
    both = np.convolve(poisson, poisson[::-1])
    middle = len(counts) - 1
    return np.asarray(both[middle - reach : middle + reach + 1])


def divergence(p: np.ndarray, q: np.ndarray, order: int) -> float:
    seen = (p > 1e-250) & (q > 1e-250)
    terms = order * np.log(p[seen]) - (order - 1) * np.log(q[seen])
    top = float(terms.max())
    return (top + math.log(float(np.exp(terms - top).sum()))) / (order - 1)


def pair(variance: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """The noise without and with one record, on the same support."""
    masses = skellam_masses(variance, 40 * math.isqrt(variance) + 60)
    return masses[: len(masses) - shift], masses[shift:]


@pytest.mark.parametrize(("variance", "shift"), [(6, 1), (20, 1), (20, 3), (100, 1), (100, 10), (400, 7)])
@pytest.mark.parametrize("order", [2, 3, 5, 16])
def test_never_below_the_divergence_summed_over_the_distribution(variance: int, shift: int, order: int) -> None:
    without, with_record = pair(variance, shift)
    bound = PrivacyEvent("train", variance, shift, shift * shift).curve[ORDERS.index(order)]
    true = max(divergence(without, with_record, order), divergence(with_record, without, order))
    assert true <= bound * (1 + 1e-9)
    if variance >= 100 * shift:
        assert bound <= true * 1.1


@pytest.mark.parametrize(("variance", "shift"), [(20, 1), (50, 5), (100, 10)])
@pytest.mark.parametrize("rate", [10_000, 100_000, 500_000])
@pytest.mark.parametrize("order", [2, 4, 9])
def test_sampling_is_never_below_either_direction(variance: int, shift: int, rate: int, order: int) -> None:
    without, with_record = pair(variance, shift)
    mixture = (1 - rate / 1e6) * without + rate / 1e6 * with_record
    bound = PrivacyEvent("train", variance, shift, shift * shift, rate).curve[ORDERS.index(order)]
    true = max(divergence(mixture, without, order), divergence(without, mixture, order))
    assert true <= bound * (1 + 1e-9)
    if variance >= 100 * shift * shift:
        assert bound <= true * 1.3


@pytest.mark.parametrize("epsilon", ["0.5", "1", "3"])
def test_epsilon_is_never_below_the_hockey_stick(epsilon: str) -> None:
    """At the stated epsilon, the delta summed over the distribution is within the one claimed."""

    def at(multiplier: int) -> list[PrivacyEvent]:
        return [PrivacyEvent("train", -(-multiplier * multiplier * 9 // 10**12), 3, 9)]

    multiplier = calibrate(at, epsilon, "0.001")
    (event,) = at(multiplier)
    stated = epsilon_of([event], "0.001")
    assert stated <= float(epsilon)
    without, with_record = pair(event.variance, 3)
    for p, q in ((without, with_record), (with_record, without)):
        assert float(np.maximum(p - math.exp(stated) * q, 0).sum()) <= 0.001


def test_rows_that_were_split_pay_in_parallel() -> None:
    train, half_a, half_b, holdout = (fine(5, rows=rows) for rows in ("train", "half-a", "half-b", "holdout"))
    assert curve_of([train, holdout]) == curve_of([train])
    assert curve_of([half_a, half_b]) == curve_of([half_a]) == curve_of([fine(5)])
    assert curve_of([train, half_a, half_b, holdout]) == curve_of([fine(5, count=2)])
    assert curve_of([train, *[holdout] * 3]) == curve_of([fine(5, count=3)])


def test_jobs_add_up_and_nothing_costs_nothing() -> None:
    one, two = [fine(5)], [fine(5, rows="holdout")]
    assert epsilon_of_jobs({"a": one, "b": two}, DELTA) == epsilon_of([fine(5, count=2)], DELTA)
    assert add_curves([curve_of(one), curve_of(two)]) == curve_of([fine(5, count=2)])
    assert epsilon_of([], DELTA) == 0.0
    assert epsilon_of([fine(5)], DELTA) < epsilon_of([fine(5), fine(100)], DELTA)


def test_calibration_is_the_smallest_multiplier() -> None:
    def at(multiplier: int) -> list[PrivacyEvent]:
        return [fine(multiplier / 1e6, count=6), fine(multiplier / 1e6, rows="holdout")]

    multiplier = calibrate(at, "3", DELTA)
    assert epsilon_of(at(multiplier), DELTA) <= 3 < epsilon_of(at(multiplier - 1), DELTA)
    with pytest.raises(InputError, match="no noise"):
        calibrate(lambda _: [fine(0.1)], "1", DELTA)
    with pytest.raises(InputError, match="above 0"):
        calibrate(at, "0", DELTA)


@pytest.mark.parametrize("delta", ["0", "1", "-0.1"])
def test_a_delta_that_is_none(delta: str) -> None:
    with pytest.raises(InputError, match="delta"):
        epsilon_at(curve_of([fine(5)]), delta)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mechanism": "gaussian"}, "event-unknown"),
        ({"neighbouring": "replace-one"}, "event-unknown"),
        ({"rows": "all"}, "event-unknown"),
        ({"variance": 0}, "event-range"),
        ({"variance": True}, "event-range"),
        ({"row_l1": 0}, "event-range"),
        ({"row_l2_squared": 2**128}, "event-range"),
        ({"count": 0}, "event-range"),
        ({"sampling_ppm": 0}, "event-sampling"),
        ({"sampling_ppm": 1_000_001}, "event-sampling"),
        ({"row_l1": 2, "row_l2_squared": 5}, "event-norms"),
    ],
)
def test_what_cannot_be_priced_is_refused(change: dict[str, object], code: str) -> None:
    fields: dict[str, object] = {"rows": "train", "variance": 100, "row_l1": 3, "row_l2_squared": 5, **change}
    with pytest.raises(RefusalError) as caught:
        PrivacyEvent(**fields)  # type: ignore[arg-type]
    assert caught.value.code == code


BODY = {
    "accountant": ACCOUNTANT,
    "mechanism": "skellam",
    "neighbouring": "add-remove",
    "sampling": "poisson",
    "q": "0.017",
    "steps": 3,
    "rows": "train",
    "variance": "100000",
    "row_l1": "30",
    "row_l2_squared": "100",
}


def test_a_record_states_its_event() -> None:
    assert event_from_body(BODY) == PrivacyEvent("train", 100_000, 30, 100, 17_000, 3)
    whole = {**BODY, "sampling": "none", "q": "1", "steps": 1}
    assert event_from_body(whole) == PrivacyEvent("train", 100_000, 30, 100)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"accountant": "zcdp/1"}, RefusalError),
        ({"sampling": "shuffle"}, RefusalError),
        ({"sampling": "none"}, RefusalError),
        ({"sampling": "poisson", "q": "1"}, RefusalError),
        ({"mechanism": "laplace"}, RefusalError),
        ({"variance": "1e5"}, InputError),
        ({"q": "much"}, InputError),
    ],
)
def test_a_record_that_states_none(change: dict[str, object], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        event_from_body({**BODY, **change})
    with pytest.raises(InputError):
        event_from_body({key: value for key, value in BODY.items() if key != "rows"})


def test_the_formula_at_one_order() -> None:
    event = PrivacyEvent("train", 50, 4, 6)
    first = Fraction(2 * 6, 100) + min(Fraction(3 * 6 + 24, 4 * 2500), Fraction(12, 100))
    assert event.curve[0] == pytest.approx(float(first), rel=1e-15)
