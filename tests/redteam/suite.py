"""All attacks in the order of their numbers."""

from tests.redteam import cohort_attacks, record_attacks, round_attacks, secrecy_attacks, sender_attacks, setup_attacks
from tests.redteam.attack import ATTACKS

__all__ = ["ATTACKS", "COVERED"]

COVERED = {str(number) for number in range(1, 46)} - {"17", "26", "37", "38", "39"}

_MODULES = (cohort_attacks, record_attacks, round_attacks, secrecy_attacks, sender_attacks, setup_attacks)
ATTACKS.sort(key=lambda case: (int(case.number.rstrip("abcdef")), case.number))
