"""Drift against the plain formula, and where it has no number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.drift import band, csi, drift, psi
from risk.errors import MisuseError

counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=12)


def plain(first: list[int], second: list[int]) -> float:
    total = 0.0
    for a, b in zip(first, second, strict=True):
        if a or b:
            p, q = max(a, 0.5) / sum(first), max(b, 0.5) / sum(second)
            total += (p - q) * math.log(p / q)
    return total


@given(st.data())
def test_it_is_the_plain_sum(data: st.DataObject) -> None:
    first = data.draw(counts)
    second = data.draw(st.lists(st.integers(0, 10_000), min_size=len(first), max_size=len(first)))
    found = psi(first, second)
    if not sum(first) or not sum(second):
        assert found is None
        return
    assert found is not None and found >= 0.0 and math.isfinite(found)
    assert found == pytest.approx(plain(first, second), abs=1e-9)
    assert psi(second, first) == pytest.approx(found, abs=1e-9)


@given(counts, st.integers(1, 50))
def test_the_same_shares_do_not_drift(first: list[int], times: int) -> None:
    if min(first) > 0:
        assert psi(first, [times * count for count in first]) == pytest.approx(0.0, abs=1e-12)


def test_an_empty_bin_on_one_side_is_finite_and_counts() -> None:
    assert psi([50, 50, 0], [50, 0, 50]) == pytest.approx(plain([50, 50, 0], [50, 0, 50]))
    assert (psi([100, 0], [0, 100]) or 0.0) > 1.0
    assert psi([10, 0, 90], [10, 0, 90]) == 0.0


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, None), (0.0, "stable"), (0.0999, "stable"), (0.1, "watch"), (0.25, "watch"), (0.2501, "act")],
)
def test_bands(value: float | None, name: str | None) -> None:
    assert band(value) == name


def test_fields_come_with_the_worst_first() -> None:
    moved = csi({"b": (50, 50), "a": (50, 50), "c": (50, 50), "none": (5, 5)},
                {"b": (50, 50), "a": (50, 50), "c": (1, 99), "none": (0, 0)})  # fmt: skip
    assert [item.name for item in moved] == ["c", "a", "b", "none"] and moved[0].band == "act"
    assert moved[-1].psi is None and moved[-1].band is None
    assert drift("score", (1, 2), (2, 4)).to_document()["reference"] == [1, 2]


@pytest.mark.parametrize(("first", "second"), [([1], [1, 2]), ([-1, 2], [1, 2]), ([1, 2], [1, -2])])
def test_counts_that_do_not_fit_are_ours(first: list[int], second: list[int]) -> None:
    with pytest.raises(MisuseError):
        psi(first, second)


def test_a_field_without_counts_is_ours() -> None:
    with pytest.raises(MisuseError, match="'b'"):
        csi({"a": (1,), "b": (1,)}, {"a": (1,)})
