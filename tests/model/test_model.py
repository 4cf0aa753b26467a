"""The model check as a test: nothing breaks with every rule kept, something does without each."""

import pytest

from tests.model.cases import CASES, FULL, QUICK, check_case
from tests.model.explore import explore, tell
from tests.model.knowledge import components, isolates, learn
from tests.model.rules import ALL_RULES, Rule, World
from tests.model.state import Bank, State, canonical

# Rules whose removal takes longer than a few seconds to show, or to be seen to change nothing.
SLOW = {Rule.VOTES_OF_POSITION, Rule.SMALLEST_VOTE, Rule.OWN_IN_COHORT, Rule.VOTERS_IN_COHORT, Rule.CATCH_UP_VOTE}
SEVEN = World("seven", 7, 2, exact=False, exclusion=False, epochs=1, positions=1)


@pytest.mark.parametrize("world", QUICK, ids=lambda world: world.name)
def test_nothing_breaks_in_a_small_world(world: World) -> None:
    outcome = explore(world, ALL_RULES)
    assert not outcome.broken, "\n".join(tell(outcome))
    assert outcome.states > 200


@pytest.mark.slow
@pytest.mark.parametrize("world", FULL, ids=lambda world: world.name)
def test_nothing_breaks_in_a_large_world(world: World) -> None:
    outcome = explore(world, ALL_RULES)
    assert not outcome.broken, "\n".join(tell(outcome))


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=[pytest.mark.slow] if rule in SLOW else []) for rule in Rule],
    ids=lambda rule: rule.name,
)  # fmt: skip
def test_without_a_rule_something_breaks(rule: Rule) -> None:
    outcome = check_case(rule)
    assert bool(outcome.broken) != bool(CASES[rule].redundant), "\n".join(tell(outcome))


def test_a_sum_opens_only_with_shares_and_seeds() -> None:
    everyone, three = 0b11111, 0b00111

    def opened(*votes: int) -> tuple[int, ...]:
        said = tuple((cohort,) if cohort else () for cohort in votes)
        given = learn(SEVEN, ALL_RULES, everyone, said, frozenset())
        return components(everyone, everyone, given.selves, given.seeds)

    assert opened(everyone, everyone, 0, 0, 0) == ()
    assert opened(everyone, everyone, everyone, 0, 0) == (everyone,)
    assert opened(three, three, 0, everyone, everyone) == ()
    assert opened(three, three, three, everyone, everyone) == (three,)


def test_a_part_whose_owner_never_uploaded_opens_nothing() -> None:
    given = learn(SEVEN, ALL_RULES, 0b11111, ((0b11111,),) * 5, frozenset())
    assert components(0b11111, 0b01111, given.selves, given.seeds) == ()


def test_subtraction_isolates() -> None:
    assert isolates((0b11111,), 5) == []
    assert isolates((0b11111, 0b01111), 5) == [4]
    assert isolates((0b00111, 0b11100), 5) == []
    assert isolates((0b011, 0b110, 0b101), 3) == [0, 1, 2]


def test_renamed_states_are_one_state() -> None:
    mine = State((Bank(standing=0b011, first=0b011), Bank(standing=0b011), Bank()), epoch=1, opened=(0b011,))
    theirs = State((Bank(), Bank(standing=0b110), Bank(standing=0b110, first=0b110)), epoch=1, opened=(0b110,))
    other = theirs._replace(opened=(0b011,))
    assert canonical(mine)[0] == canonical(theirs)[0]
    assert canonical(mine)[0] != canonical(other)[0]
