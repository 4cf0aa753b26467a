"""Monitoring counts what it says it counts, and a rule needs rows before it speaks."""

from typing import Any

import numpy as np
import pytest

from risk.errors import MisuseError
from risk.monitoring import UNKNOWN, Watched, monitoring_report
from risk.ranking import auc
from risk.retraining import Benchmark, Limits, judge

MONTH = 12 * 2025


def watched(**changed: Any) -> Watched:
    values = {
        "logit": np.array([-3.0, -2.0, -1.0, 0.0]),
        "pd": np.array([0.05, 0.1, 0.3, 0.5]),
        "grade": np.array(["A", "A", "B", "B"]),
        "month": np.array([MONTH, MONTH, MONTH + 1, MONTH + 1], dtype=np.int32),
        "answer": np.array(["approve", "approve", "refer", "decline"]),
        "final": np.array(["approve", "decline", "approve", "decline"]),
        "result": np.array([0, UNKNOWN, 1, UNKNOWN], dtype=np.int8),
    }
    return Watched(**{**values, **changed})


def test_figures_are_those_of_the_rows() -> None:
    report = monitoring_report(watched(), None, {})

    assert (report["decisions"], report["matured"], report["drift"]) == (4, 2, None)
    assert report["performance"]["bad_rate"] == 0.5 and report["performance"]["auc"] == 1.0
    assert report["performance"]["brier"] == pytest.approx((0.05**2 + 0.7**2) / 2)
    assert [(each["grade"], each["rows"], each["bads"]) for each in report["grades"]] == [("A", 1, 0), ("B", 1, 1)]
    first, second = report["months"]
    assert (first["month"], first["approve"], first["decline"], first["overridden"]) == ("2025-01", 1, 1, 1)
    assert second["approval_rate"] == 0.5 and second["bads"] == 1
    assert report["overrides"]["directions"] == {"approve->decline": 1, "refer->approve": 1}
    assert report["overrides"]["approved_by_people"]["bad_rate"] == 1.0
    assert report["overrides"]["approved_by_model"]["bad_rate"] == 0.0


def test_an_approval_without_an_outcome_yet_is_in_no_bad_rate() -> None:
    report = monitoring_report(watched(final=np.array(["approve"] * 4)), None, {})

    assert report["overrides"]["approved_by_model"]["matured"] == 1
    assert report["overrides"]["approved_by_people"]["matured"] == 1


def test_nothing_decided_is_no_error() -> None:
    none = {name: getattr(watched(), name)[:0] for name in Watched.__slots__}

    report = monitoring_report(Watched(**none), None, {})

    assert report["performance"] is None and report["months"] == [] and report["overrides"]["rate"] is None
    assert not any(rule.fired for rule in judge(report, None, 0))


def test_columns_of_different_length_are_our_own_mistake() -> None:
    with pytest.raises(MisuseError):
        watched(pd=np.zeros(3))


def drawn(seed: int, rows: int, strength: float) -> dict[str, Any]:
    """Return the report of rows whose outcomes follow their PDs, more or less."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.5, 1.0, rows)
    result = (rng.random(rows) < 1 / (1 + np.exp(-(strength * (logit + 1.5) - 1.5)))).astype(np.int8)
    given = np.full(rows, "approve")
    month = np.full(rows, MONTH, dtype=np.int32)
    pd = 1 / (1 + np.exp(-logit))
    return monitoring_report(Watched(logit, pd, np.full(rows, "A"), month, given, given, result), None, {})


def test_a_model_that_holds_seldom_fires_and_one_that_does_not_does() -> None:
    rng = np.random.default_rng(1)
    logit = rng.normal(-1.5, 1.0, 100_000)
    released = auc((rng.random(100_000) < 1 / (1 + np.exp(-logit))).astype(np.int8), logit)
    assert released is not None
    benchmark = Benchmark(released, 2000, 400)

    def fires(strength: float) -> int:
        return sum(judge(drawn(seed, 500, strength), benchmark, 0)[1].fired for seed in range(100))

    assert fires(1.0) <= 8  # 2.3 % are expected
    assert fires(0.3) >= 90


def test_the_error_of_the_release_makes_the_rule_slower() -> None:
    report = drawn(3, 500, 0.7)
    sharp, blunt = Benchmark(0.78, 10**7, 10**6), Benchmark(0.78, 60, 12)

    def value(benchmark: Benchmark) -> float:
        found = judge(report, benchmark, 0)[1].value
        assert found is not None
        return found

    assert value(sharp) > value(blunt) and blunt.error > 0.05


@pytest.mark.parametrize(
    ("name", "limits"),
    [("rows", Limits(least_rows=501)), ("bads", Limits(least_bads=400))],
)
def test_too_few_rows_have_no_figure(name: str, limits: Limits) -> None:
    rules = judge(drawn(0, 500, 0.0), Benchmark(0.8, 900, 200), 0, limits)

    assert [rule.value for rule in rules[:3]] == [None, None, None] and not any(rule.fired for rule in rules)


def test_new_outcomes_fire_at_their_limit() -> None:
    report = drawn(0, 500, 1.0)

    assert not judge(report, None, 499)[3].fired
    assert judge(report, None, 500)[3].fired
