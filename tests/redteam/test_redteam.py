"""Every attack is refused by name, and would succeed if its check were not there."""

import pytest

from tests.redteam import suite
from tests.redteam.attack import Attack, outcome


def test_the_suite_is_complete() -> None:
    numbers = [case.number for case in suite.ATTACKS]
    assert len(set(numbers)) == len(numbers)
    assert {number.rstrip("abcdef") for number in numbers} >= suite.COVERED


@pytest.mark.parametrize("case", suite.ATTACKS, ids=lambda case: f"{case.number}-{case.play.__name__}")
def test_an_attack_is_refused(case: Attack) -> None:
    assert outcome(case) == case.code


@pytest.mark.parametrize("case", suite.ATTACKS, ids=lambda case: f"{case.number}-{case.play.__name__}")
def test_without_its_check_the_attack_succeeds(case: Attack) -> None:
    with case.unguarded():
        case.play()
    assert outcome(case) == case.code  # and the check is back


def test_each_says_what_would_happen() -> None:
    for case in suite.ATTACKS:
        assert case.name and case.without_the_check and case.refuses and case.where
        assert "\n" not in case.without_the_check
