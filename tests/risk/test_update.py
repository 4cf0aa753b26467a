"""Attacks on the weighted mean in whole numbers: wrong sums, unbounded changes, NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.errors import InputError, MisuseError, RefusalError
from risk.update import STEP, STRATEGIES, UpdateLayout, check_strategy, on_grid

SHAPES = {"b": (3,), "a": (2, 2)}


def arrays(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: on_grid(scale * rng.standard_normal(shape)) for name, shape in SHAPES.items()}


@given(st.integers(0, 10_000), st.lists(st.integers(1, 5_000), min_size=1, max_size=8))
def test_sum_of_parts_holds_the_weighted_mean(seed: int, examples: list[int]) -> None:
    layout = UpdateLayout(SHAPES, len(examples), 5_000)
    before = arrays(seed)
    after = [arrays(seed + 1 + place) for place in range(len(examples))]
    parts = [layout.part(before, each, n)[0] for each, n in zip(after, examples, strict=True)]
    assert all(part.dtype == np.int64 and part.shape == (layout.length,) for part in parts)
    assert all(int(np.abs(part).max()) <= layout.bound for part in parts)
    mean, total = layout.mean(before, np.sum(parts, axis=0))
    assert total == sum(examples)
    for name in SHAPES:
        expected = np.average([each[name] for each in after], axis=0, weights=examples)
        np.testing.assert_allclose(mean[name], expected, rtol=0.0, atol=1e-9)


def test_order_of_members_changes_no_bit() -> None:
    layout = UpdateLayout(SHAPES, 3, 100)
    before = arrays(0)
    parts = [layout.part(before, arrays(i), 10 + i)[0] for i in (1, 2, 3)]
    first, _ = layout.mean(before, parts[0] + parts[1] + parts[2])
    second, _ = layout.mean(before, parts[2] + parts[0] + parts[1])
    assert all(first[name].tobytes() == second[name].tobytes() for name in SHAPES)


def test_change_beyond_the_clip_is_clipped_and_counted() -> None:
    layout = UpdateLayout(SHAPES, 4, 100)
    before = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    after = {"a": np.array([[9.0, -1e30], [8.0, 0.0]]), "b": np.zeros(3)}
    vector, clipped = layout.part(before, after, 100)
    assert clipped == 2
    assert vector.tolist() == [layout.bound, -layout.bound, layout.bound, 0, 0, 0, 0, 100]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_update_that_is_not_finite_is_refused(bad: float) -> None:
    layout = UpdateLayout(SHAPES, 4, 100)
    after = arrays(1)
    after["b"][1] = bad
    with pytest.raises(RefusalError) as caught:
        layout.part(arrays(0), after, 5)
    assert caught.value.code == "update-not-finite"


@pytest.mark.parametrize("examples", [0, -1, 101])
def test_examples_out_of_range_are_refused(examples: int) -> None:
    with pytest.raises(RefusalError, match="the job allows 1 to 100"):
        UpdateLayout(SHAPES, 4, 100).part(arrays(0), arrays(1), examples)


def test_headroom_is_checked_when_the_layout_is_made() -> None:
    assert UpdateLayout(SHAPES, 256, 2**27).bound == 2**54
    with pytest.raises(InputError) as caught:
        UpdateLayout(SHAPES, 256, 2**28)
    assert caught.value.code == "job-headroom"


def test_sum_of_nobody_or_of_another_length_has_no_mean() -> None:
    layout = UpdateLayout(SHAPES, 4, 100)
    for total in (np.zeros(layout.length, dtype=np.int64), np.ones(layout.length + 1, dtype=np.int64)):
        with pytest.raises(MisuseError):
            layout.mean(arrays(0), total)


def test_arrays_of_another_shape_are_our_bug() -> None:
    with pytest.raises(MisuseError):
        UpdateLayout(SHAPES, 4, 100).part(arrays(0), {"a": np.zeros((2, 2))}, 5)


def test_grid_has_one_zero_and_whole_steps() -> None:
    gridded = on_grid(np.array([-0.0, -STEP / 4, 0.3]))
    assert gridded[:2].tobytes() == np.zeros(2).tobytes()
    assert float(gridded[2] / STEP).is_integer()


@pytest.mark.parametrize("name", ["FedMedian", "Krum", "MultiKrum", "Bulyan", "FedTrimmedAvg", "QFedAvg"])
def test_strategy_that_needs_single_updates_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"strategy {name} looks at single members' updates") as caught:
        check_strategy(name)
    assert caught.value.code == "strategy-single-updates"


@pytest.mark.parametrize("name", ["fedavg", "FedYogi", "", None, 3])
def test_unknown_strategy_is_refused_and_the_known_are_named(name: object) -> None:
    with pytest.raises(InputError, match="FedAvg, FedProx, FedAdam") as caught:
        check_strategy(name)
    assert caught.value.code == "strategy-unknown"


def test_offered_strategies_pass() -> None:
    assert [check_strategy(name) for name in STRATEGIES] == ["FedAvg", "FedProx", "FedAdam"]
