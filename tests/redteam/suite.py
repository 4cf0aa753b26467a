"""All attacks in the order of their numbers, those beside the list (`+1`, `+2`) after those of the list."""

from tests.redteam import (
    budget_attacks,
    cohort_attacks,
    node_attacks,
    own_attacks,
    record_attacks,
    round_attacks,
    secrecy_attacks,
    sender_attacks,
    setup_attacks,
    state_attacks,
)
from tests.redteam.attack import ATTACKS, Attack

__all__ = ["ATTACKS", "COVERED", "number_of"]

COVERED = {str(number) for number in range(1, 46)}

_MODULES = (budget_attacks, cohort_attacks, node_attacks, own_attacks, record_attacks, round_attacks, secrecy_attacks,
            sender_attacks, setup_attacks, state_attacks)  # fmt: skip


def number_of(case: Attack) -> str:
    """Return an attack's number; parts of one have a letter behind it."""
    return case.number.rstrip("abcdef")


ATTACKS.sort(key=lambda case: (case.number.startswith("+"), int(number_of(case)), case.number))
