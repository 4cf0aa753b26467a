"""Every attack is refused by name and written down, and would succeed if its check were not there."""

from collections.abc import Iterator

import pytest

from privacy.errors import PrivacyError
from tests.redteam import suite
from tests.redteam.attack import Attack
from tests.redteam.records import UNRECORDED, Records


@pytest.fixture(scope="module")
def records() -> Iterator[Records]:
    with Records() as records:
        yield records


def test_the_suite_is_complete() -> None:
    numbers = [case.number for case in suite.ATTACKS]
    assert len(set(numbers)) == len(numbers)
    assert {suite.number_of(case) for case in suite.ATTACKS} >= suite.COVERED
    assert UNRECORDED.keys() <= set(numbers)


@pytest.mark.parametrize("case", suite.ATTACKS, ids=lambda case: f"{case.number}-{case.play.__name__}")
def test_an_attack_is_refused_and_written_down(case: Attack, records: Records) -> None:
    with pytest.raises(PrivacyError) as refusal:
        case.play()
    assert refusal.value.code == case.code
    assert records.of(case, refusal.value)


@pytest.mark.parametrize("case", suite.ATTACKS, ids=lambda case: f"{case.number}-{case.play.__name__}")
def test_without_its_check_the_attack_succeeds(case: Attack) -> None:
    with case.unguarded():
        case.play()
    with pytest.raises(PrivacyError) as refusal:
        case.play()  # and the check is back
    assert refusal.value.code == case.code


def test_each_says_what_would_happen() -> None:
    for case in suite.ATTACKS:
        assert case.name and case.without_the_check and case.refuses and case.where
        assert "\n" not in case.without_the_check
