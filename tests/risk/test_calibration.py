"""The line over the raw logit: finds what was bent, stays inside its bounds, and adds up exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from risk.calibration import CALIBRATION_ROUNDS, calibration_part, calibration_rounds
from risk.errors import InputError
from risk.recipe import Ask, run_plain
from risk.tower_model import Line
from tests.risk.towers_room import tower_spec

pytest.importorskip("torch", reason="the towers extra (torch) is not installed")


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return raw logits and targets whose true logit is 0.7 + 0.5 * raw."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(-1.0, 1.5, count)
    return raw, (rng.random(count) < 1.0 / (1.0 + np.exp(-(0.7 + 0.5 * raw)))).astype(np.float64)


def fitted(part: Callable[[Ask], np.ndarray]) -> Line:
    line: Line = run_plain(calibration_rounds(tower_spec(), "full", {}), part)
    return line


def test_bent_scores_are_made_straight() -> None:
    raw, target = rows(4000, 0)
    line = fitted(lambda ask: calibration_part(ask, raw, target))
    assert line.slope == pytest.approx(0.5, abs=0.1)
    assert line.intercept == pytest.approx(0.7, abs=0.15)
    chance = 1.0 / (1.0 + np.exp(-(line.intercept + line.slope * raw)))
    assert float(chance.mean()) == pytest.approx(float(target.mean()), abs=2e-3)


def test_parts_of_members_add_to_the_part_of_all_rows() -> None:
    pieces = [rows(count, seed) for seed, count in enumerate((100, 7, 1500, 300))]
    raw, target = (np.concatenate(column) for column in zip(*pieces, strict=True))
    asks: list[Ask] = []

    def add(ask: Ask) -> np.ndarray:
        asks.append(ask)
        parts = np.sum([calibration_part(ask, *piece) for piece in pieces], axis=0)
        assert np.array_equal(parts, calibration_part(ask, raw, target))
        return np.asarray(parts)

    fitted(add)
    assert [ask.name for ask in asks] == [f"calibrate-{number + 1}" for number in range(CALIBRATION_ROUNDS)]


def test_wild_logits_stay_within_the_bound() -> None:
    raw = np.array([1e300, -1e300, 16.0, -16.0, 0.0] * 800)
    target = np.array([0.0, 1.0, 0.0, 1.0, 1.0] * 800)

    def bounded(ask: Ask) -> np.ndarray:
        part = calibration_part(ask, raw, target)
        assert int(np.abs(part).max()) <= ask.bound
        one = calibration_part(ask, raw[:1], target[:1])
        assert int(np.abs(one).max()) <= ask.row_linf and int(np.abs(one).sum()) <= ask.row_l1
        return part

    assert fitted(bounded).slope == 0.125


def test_one_class_or_no_rows_give_a_finite_line() -> None:
    raw, target = rows(50, 3)
    for part in (
        lambda ask: calibration_part(ask, raw, 0.0 * target),
        lambda ask: calibration_part(ask, raw[:0], target[:0]),
    ):
        line = fitted(part)
        assert np.isfinite([line.intercept, line.slope]).all()
        assert 0.125 <= line.slope <= 8.0
    assert fitted(lambda ask: np.zeros(5, dtype=np.int64)) == Line(0.0, 1.0)


def test_largest_job_has_room_for_the_sums() -> None:
    spec = replace(tower_spec(), members=127, max_rows=2**24)
    ask = next(calibration_rounds(spec, "full", {}))
    assert 127 * ask.bound < 2**63
    with pytest.raises(InputError):
        replace(tower_spec(), members=256, max_rows=2**24)


def test_a_handful_of_rows_hardly_bends_the_line() -> None:
    raw, target = np.array([-1.0, 1.0]), np.array([0.0, 1.0])
    line = fitted(lambda ask: calibration_part(ask, raw, target))
    assert 1.0 < line.slope < 1.1
