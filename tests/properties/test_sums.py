"""A sum that opens is the plain sum of its cohort, for any size of table, word and any losses within tolerance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.field import Plan
from privacy.mask import apply_masks
from privacy.roster import Roster
from tests.privacy.table import bench, names_of, refused

Scene = tuple[list[str], Plan, dict[str, np.ndarray], list[str], list[str]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw a table, a plan, parts that reach the bounds, and who is lost before and after its upload."""
    names = names_of(draw(st.integers(4, 12)))
    bits = draw(st.sampled_from([32, 64]))
    most = (2 ** (bits - 1) - 1) // len(names)
    bound = draw(st.one_of(st.just(1), st.just(most), st.integers(1, most)))
    plan = Plan(draw(st.integers(1, 40)), bits, bound, len(names))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    edge = draw(st.booleans())
    parts = {}
    for name in names:
        values = generator.integers(-bound, bound, plan.length, np.int64, endpoint=True)
        parts[name] = np.where(values >= 0, bound, -bound).astype(np.int64) if edge else values
    roster = Roster(tuple(names))
    tolerated = len(names) - roster.smallest_cohort
    order = draw(st.permutations(names))
    mute = order[: draw(st.integers(0, tolerated))]
    # With nobody lost before, t shares are enough; otherwise every survivor has to reveal.
    late = order[: len(names) - roster.threshold] if not mute and draw(st.booleans()) else []
    return names, plan, parts, mute, late


@settings(max_examples=150)
@given(scenes())
def test_an_opened_sum_is_the_plain_sum(
    scene: tuple[list[str], Plan, dict[str, np.ndarray], list[str], list[str]],
) -> None:
    names, plan, parts, mute, late = scene
    table = bench(names)
    table.assemble()
    expected = np.zeros(plan.length, np.int64)
    for name in names:
        if name not in mute:
            expected += parts[name]
    assert (table.round(b"ask", plan, parts, mute=mute, late=late) == expected).all()
    assert table.coordinator.opened[-1].opened.survivors == tuple(name for name in names if name not in mute)


@settings(max_examples=30)
@given(st.integers(4, 12), st.data())
def test_losses_beyond_tolerance_open_nothing(n: int, data: st.DataObject) -> None:
    names = names_of(n)
    roster = Roster(tuple(names))
    plan = Plan(3, 32, 10, n)
    parts = {name: np.ones(3, np.int64) for name in names}
    order = data.draw(st.permutations(names))
    lost = data.draw(st.integers(n - roster.smallest_cohort + 1, n))
    table = bench(names)
    table.assemble()
    with refused("cohort-too-small"):
        table.round(b"ask", plan, parts, mute=order[:lost])
    mute = order[: n - roster.smallest_cohort]
    if mute:  # one more, after the upload: somebody holds a pair seed that nobody else has
        table = bench(names)
        table.assemble()
        with refused("phase-order"):
            table.round(b"ask", plan, parts, mute=mute, late=order[len(mute) : len(mute) + 1])
        assert table.coordinator.opened == []


@settings(max_examples=60)
@given(st.sampled_from([32, 64]), st.integers(1, 300), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32))
def test_masks_come_off_in_any_order(bits: int, length: int, plus: int, minus: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    start = generator.integers(0, 2**bits, length, dtype=np.uint32 if bits == 32 else np.uint64)
    keys = [generator.bytes(32) for _ in range(plus + minus)]
    words = start.copy()
    apply_masks(words, keys[:plus], keys[plus:])
    apply_masks(words, keys[plus:], list(reversed(keys[:plus])))
    assert (words == start).all()


@given(st.sampled_from([32, 64]), st.integers(1, 256), st.data())
def test_no_plan_that_can_wrap_is_made(bits: int, members: int, data: st.DataObject) -> None:
    bound = data.draw(st.integers(1, 2**64))
    if members * bound < 2 ** (bits - 1):
        plan = Plan(1, bits, bound, members)
        total = plan.encode(np.array([0]))
        for _ in range(members):
            total = total + plan.encode(np.array([-bound]))
        assert plan.decode(total)[0] == -bound * members
    else:
        with refused("plan-headroom"):
            Plan(1, bits, bound, members)


@pytest.mark.slow
def test_a_large_table_adds_up() -> None:
    names = names_of(60)
    plan = Plan(500, 64, 2**50, 60)
    table = bench(names)
    table.assemble()
    parts = {name: np.full(500, place - 30, np.int64) for place, name in enumerate(names)}
    lost = names[3:20]
    expected = sum(place - 30 for place, name in enumerate(names) if name not in lost)
    assert (table.round(b"ask", plan, parts, mute=lost) == expected).all()
