"""Whatever a coordinator and c colluders do at random, no part comes apart; and with a check gone, one does."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from privacy.secagg.cohort import check_cohort_size, check_vote
from privacy.secagg.evidence import check_votes
from privacy.secagg.member import Member
from tests.redteam.attack import without
from tests.redteam.round_attacks import counted_by_copies
from tests.simulation.hostile import Hostile, readable

STEPS = 12
BROKEN: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "t votes": lambda: without((check_votes, "certificate-votes")),
    "distinct voters": counted_by_copies,
    "one cohort a job": lambda: without((check_vote, "cohort-changed")),
    "u_min": lambda: without((check_cohort_size, "cohort-too-small")),
    "one answer a step": lambda: without((Member._in, "state-order")),
}


def played(seed: int) -> Hostile:
    game = Hostile(seed)
    game.play(STEPS)
    return game


@pytest.mark.slow
def test_no_part_comes_apart() -> None:
    sums, codes = 0, set()
    for seed in range(60):
        game = played(seed)
        assert readable(game) == [], f"seed {seed}: {readable(game)}"
        sums += len(game.table.coordinator.opened)
        codes |= set(game.refusals)
    # The games are rough, and yet fair enough that sums open and every kind of lie is refused.
    assert sums > 5
    assert {"certificate-votes", "certificate-voter", "cohort-changed", "cohort-too-small", "state-order"} <= codes


@pytest.mark.slow
@pytest.mark.parametrize("rule", BROKEN)
def test_without_a_rule_a_part_comes_apart(rule: str) -> None:
    def broken(seed: int) -> bool:
        try:
            return bool(readable(played(seed)))
        except Exception:  # a member without its rule may stumble, which is found as well
            return True

    with BROKEN[rule]():
        assert any(broken(seed) for seed in range(200))
