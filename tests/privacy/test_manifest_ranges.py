"""Every number of a manifest has a floor and a ceiling, and both are written down here a second time."""

import pytest

from privacy.errors import PeerError
from tests.privacy.table import manifest_of, names_of, refused

WEEK = 7 * 24 * 3600
RANGES = {
    "recipe_version": (1, 2_147_483_648),
    "max_rounds": (1, 100_000),
    "max_rows": (1, 1_099_511_627_776),
    "min_rows": (1, 1_099_511_627_776),
    "min_bads": (0, 1_099_511_627_776),
    "lost_after_s": (1, 3600),
    "rejoin_s": (0, WEEK),
    "round_deadline_s": (1, WEEK),
    "seed": (0, 9_223_372_036_854_775_807),
    "holdout_ppm": (0, 900_000),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_number_may_reach_its_limits_and_not_pass_them(name: str) -> None:
    low, high = RANGES[name]
    for inside in (low, high):
        assert getattr(manifest_of(names_of(4), **{name: inside}), name) == inside
    for outside in (low - 1, high + 1):
        with refused("manifest-range", PeerError):
            manifest_of(names_of(4), **{name: outside})
