"""Which worlds are walked through with every rule kept, and where each rule's removal is looked for.

Theory: a smaller world that shows a break shows it as well as a larger one; that nothing breaks is worth as much as its
bound. So the worlds with all rules are as large as two minutes allow, the others as small as they may be.
"""

from dataclasses import dataclass

from tests.model.explore import ASSERTIONS, Outcome, explore
from tests.model.rules import ALL_RULES, Rule, World

__all__ = ["CASES", "FULL", "QUICK", "Case", "check_case"]

_ONE = (1,) * 9
_TWO = (2,) * 9


@dataclass(frozen=True, slots=True)
class Case:
    """Where the protocol without a rule is searched, for which assertions, and why nothing is found if so.

    redundant: empty if a break is expected, else why other rules stand in for this one.
    """

    world: World
    only: str = "".join(ASSERTIONS)
    redundant: str = ""


_NOISED = World("one noised sum", 7, 2, exact=False, exclusion=False, epochs=1, positions=1)
_CRASH = World("a noised sum, crashes", 7, 2, False, False, 1, 1, crash=True, fewest=4)
_EXACT = World("an exact job, two epochs", 7, 2, exact=True, exclusion=False, epochs=2, positions=1)
_LEAVING = World("an exact job, exclusions", 7, 2, exact=True, exclusion=True, epochs=2, positions=1, views=_ONE)
_FOUR = World("an exact job of four", 4, 1, exact=True, exclusion=False, epochs=2, positions=2)
_FIVE = World("an exact job of five, exclusions", 5, 1, True, True, 3, 1, fewest=3)

QUICK = (_NOISED, _CRASH, World("an exact job, one epoch", 7, 2, True, False, 1, 1), _FOUR,
         World("an exact job, two views", 7, 2, True, False, 2, 1, views=_TWO))  # fmt: skip
FULL = (
    _NOISED,
    World("two noised sums", 7, 2, False, False, 1, 2),
    _CRASH,
    _FOUR,
    World("an exact job, two epochs of two", 7, 2, True, False, 2, 2),
    World("an exact job, three epochs", 7, 2, True, False, 3, 1),
    World("an exact job, three epochs of two, two views", 7, 2, True, False, 3, 2, views=_TWO),
    World("exclusions, two epochs, two views", 7, 2, True, True, 2, 1, views=_TWO),
    World("exclusions, three epochs, one view", 7, 2, True, True, 3, 1, views=_ONE),
    World("an exact job of five, exclusions, four epochs", 5, 1, True, True, 4, 1, fewest=3),
)

CASES = {
    Rule.VOTE_ONCE: Case(World("one noised sum, two views", 7, 2, False, False, 1, 1, views=_TWO), "ab"),
    Rule.VOTE_PERSISTED: Case(World("an exact job, one view", 7, 2, True, False, 2, 1, views=_ONE), "d"),
    Rule.KEYS_IN_MEMORY: Case(_CRASH),
    Rule.SHARE_XOR_SEED: Case(_NOISED),
    Rule.CERTIFICATE: Case(_NOISED, "a"),
    Rule.THRESHOLD: Case(_NOISED, "a"),
    Rule.DISTINCT_VOTERS: Case(_NOISED, "a"),
    Rule.VOTES_OF_POSITION: Case(World("three noised sums", 7, 2, False, False, 1, 3, fewest=3, views=(1, 1, 3)), "a"),
    Rule.OWN_VOTE: Case(_NOISED),
    Rule.CONSENT_SHARES: Case(_NOISED),
    Rule.SMALLEST_COHORT: Case(_FOUR),
    Rule.OWN_IN_COHORT: Case(_NOISED, redundant="it still votes once, and t votes still make one set"),
    Rule.VOTERS_IN_COHORT: Case(_NOISED, redundant="members vote once, and only for cohorts that they are in"),
    Rule.POSITION_RISES: Case(World("one noised sum, one view a run", 7, 2, False, False, 1, 1, views=_ONE), "ab"),
    Rule.ONE_UPLOAD: Case(_NOISED),
    Rule.COHORT_FIXED: Case(World("an exact job, two sums, one view", 7, 2, True, False, 1, 2, views=_ONE), "d"),
    Rule.EPOCH_ROSTER: Case(World("an exact job, one view", 7, 2, True, False, 2, 1, views=_ONE), "d"),
    Rule.EXCLUSION_ONCE: Case(_LEAVING, "d"),
    Rule.EXCLUSION_PERSISTED: Case(_LEAVING, "d"),
    Rule.CATCH_UP_VOTE: Case(_EXACT, redundant="the vote itself fixes the cohort; the rule tells forks of the history"),
    Rule.VERIFIED_SUMS: Case(_EXACT),
    Rule.SIGNERS_OF_JOB: Case(World("an exact job, one view", 7, 2, True, False, 2, 1, views=_ONE)),
    Rule.QUORUM_KEPT: Case(_LEAVING, "d"),
    Rule.SMALLEST_VOTE: Case(
        World("an exact job of five, exclusions, four epochs", 5, 1, True, True, 4, 1, fewest=3, views=_ONE)
    ),
}


def check_case(rule: Rule) -> Outcome:
    """Search for a break of the protocol without one rule."""
    case = CASES[rule]
    return explore(case.world, ALL_RULES - {rule}, case.only)
