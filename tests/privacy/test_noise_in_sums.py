"""The noise of an opened sum, measured: whoever drops out and colludes, its variance and shape are those claimed.

Every share is masked, added and opened by the real protocol. Keys are fixed, so the figures never change.
"""

import math

import numpy as np
import pytest

from privacy.field import Plan
from privacy.noise import noise_bound, share_variance, skellam
from privacy.roster import Roster
from tests.privacy.secagg.scenes import ASK
from tests.privacy.table import bench, names_of
from tests.privacy.test_accountant import skellam_masses
from tests.redteam.cheats import open_now

LENGTH = 60_000
CLAIM = 900


def noise_of(members: int, dropped: int, colluders: int) -> np.ndarray:
    """Return the noise of a sum over zeros; who is lost goes before its upload, who colludes adds none."""
    names = names_of(members)
    share = share_variance(CLAIM, members)
    table = bench(names)
    table.assemble()
    plan = Plan(LENGTH, 32, 1, members, share)
    table.begin(ASK, plan)
    table.dead |= set(names[members - dropped :])
    lazy = set(names[:colluders])
    parts = {
        name: np.zeros(LENGTH, np.int64) if name in lazy else skellam(name.encode().ljust(32, b"#"), LENGTH, share)
        for name in names
    }
    table.upload(parts)
    return open_now(table, table.coordinator.close())


def tolerated(members: int) -> tuple[int, int]:
    """Return how many may drop out, and how many may collude."""
    roster = Roster(tuple(names_of(members)))
    return members - roster.smallest_cohort, roster.colluders


@pytest.mark.parametrize("members", [4, 5, 7, 10])
@pytest.mark.parametrize("losses", ["none", "drop", "collude", "both"])
def test_the_variance_is_never_below_the_claim(members: int, losses: str) -> None:
    drop, collude = tolerated(members)
    dropped, colluders = drop * (losses in ("drop", "both")), collude * (losses in ("collude", "both"))
    noise = noise_of(members, dropped, colluders)
    honest = members - dropped - colluders
    expected = honest * share_variance(CLAIM, members)
    error = 5 * math.sqrt(2 / LENGTH)
    assert expected >= CLAIM
    assert abs(noise.var() / expected - 1) < error
    assert abs(noise.mean()) < 5 * math.sqrt(expected / LENGTH)
    assert noise.var() > CLAIM * (1 - error)


@pytest.mark.parametrize(("members", "losses"), [(5, False), (5, True), (10, True)])
def test_its_distribution_is_one_skellam_distribution(members: int, losses: bool) -> None:
    """Chi-square over cells of at least 50 expected draws, at five standard deviations."""
    drop, collude = tolerated(members) if losses else (0, 0)
    noise = noise_of(members, drop, collude)
    variance = (members - drop - collude) * share_variance(CLAIM, members)
    reach = noise_bound(variance)
    expected = skellam_masses(variance, reach) * LENGTH
    counted = np.bincount(noise + reach, minlength=2 * reach + 1)
    often = expected >= 50
    cells = np.append(expected[often], expected[~often].sum())
    found = np.append(counted[often], counted[~often].sum())
    freedom = len(cells) - 1
    assert abs(float(((found - cells) ** 2 / cells).sum()) - freedom) < 5 * math.sqrt(2 * freedom)


def test_a_sum_at_the_bound_of_parts_and_noise_does_not_wrap() -> None:
    bound = (2**31 - 1) // 5 - noise_bound(share_variance(CLAIM, 5))
    plan = Plan(4, 32, bound, 5, share_variance(CLAIM, 5))
    top = np.full(4, plan.largest, np.int64)
    for part in (top, -top):
        total = sum(plan.encode(part).astype(np.uint64) for _ in range(5)).astype(np.uint32)  # type: ignore[union-attr]
        assert (plan.decode(total) == 5 * part).all()
    with pytest.raises(Exception, match="words of 32 bits"):
        Plan(4, 32, bound + 1, 5, share_variance(CLAIM, 5))
    with pytest.raises(Exception, match="beyond its bound"):
        plan.encode(top + 1)
