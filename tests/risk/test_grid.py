"""Public cuts: rising, between the bounds, fine where the data may be, whatever the bounds."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from risk.dictionary import Field
from risk.grid import public_cuts
from tests.risk.rooms import category, flag, number, room_dictionary


def field(low: float, high: float, **more: Any) -> Field:
    return room_dictionary(number("x", (low, high), **more)).fields[0]


@given(st.floats(-1e15, 1e15), st.floats(1e-6, 1e15))
@example(-5.057488641900249e-23, 1e-06)
def test_cuts_rise_between_the_bounds_and_stay_few(low: float, span: float) -> None:
    cuts = public_cuts(field(low, low + span)) if low + span > low else ()
    assert all(left < right for left, right in pairwise(cuts)) and len(cuts) <= 60
    assert all(low < cut < low + span for cut in cuts)
    assert span < 1e-9 * abs(low) or len(cuts) >= 3


def test_known_answers() -> None:
    assert public_cuts(field(-2, 9))[-8:] == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    age = public_cuts(field(18, 100))
    assert age == (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
    assert {1e5, 2e5, 5e5, 1e4, 10.0} < set(public_cuts(field(0, 1e6)))
    assert {-1e5, 0.0, 1e5} < set(public_cuts(field(-1e6, 1e6)))
    assert {0.1, 0.5, 0.01, 0.002} < set(public_cuts(field(0, 1)))


@pytest.mark.parametrize("schema", [flag("f"), category("c", 4)])
def test_other_kinds_have_none(schema: dict[str, Any]) -> None:
    assert public_cuts(room_dictionary(schema).fields[0]) == ()
