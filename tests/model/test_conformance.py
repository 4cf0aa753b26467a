"""The model says what real members say: at random, and along every way on which a missing rule would be felt."""

import pytest

from privacy.errors import RefusalError
from privacy.secagg.standing import State
from tests.model.cases import CASES, check_case
from tests.model.rules import ALL_RULES, Rule, World
from tests.model.walk import Walk
from tests.privacy.table import bench, names_of, refused

WORLDS = [
    World("exact", 7, 2, exact=True, exclusion=False, epochs=3, positions=2, crash=True),
    World("exclusion", 7, 2, exact=True, exclusion=True, epochs=3, positions=2, crash=True),
    World("five", 5, 1, exact=True, exclusion=True, epochs=3, positions=2, crash=True),
    World("four", 4, 1, exact=True, exclusion=False, epochs=3, positions=2, crash=True),
]
# What these rules forbid is no message to a member, or their keeper is the node's shell and not the member.
ELSEWHERE = {Rule.POSITION_RISES, Rule.ONE_UPLOAD, Rule.EXCLUSION_ONCE, Rule.EXCLUSION_PERSISTED}
# Their traces end with votes that every member may cast; the certificate after them is what fails.
AFTER_THE_VOTE = {Rule.CERTIFICATE, Rule.THRESHOLD, Rule.DISTINCT_VOTERS, Rule.OWN_VOTE, Rule.CONSENT_SHARES,
                  Rule.SHARE_XOR_SEED, Rule.VOTES_OF_POSITION}  # fmt: skip
SLOW = {Rule.SMALLEST_VOTE}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_real_members_answer_as_the_model_says(world: World) -> None:
    asked: dict[str, int] = {}
    for seed in range(30):
        walk = Walk(world, ALL_RULES, seed)
        walk.run(40)
        for what, count in walk.asked.items():
            asked[what] = asked.get(what, 0) + count
    wanted = {"vote accepted", "vote refused", "join refused", "open refused", "restart accepted"}
    wanted |= {"certificate accepted", "certificate refused", "catch-up accepted", "catch-up refused"}
    if world.members == 4:  # nobody may drop out of four, so there is no certificate, and every cohort is the roster
        wanted -= {"certificate accepted", "open refused", "join refused", "catch-up accepted"}
    assert not {what for what in wanted if asked.get(what, 0) < 2}, asked


@pytest.mark.parametrize("rule", [Rule.COHORT_FIXED, Rule.EPOCH_ROSTER, Rule.QUORUM_KEPT])
def test_a_model_with_a_rule_less_is_not_what_real_members_do(rule: Rule) -> None:
    def walk() -> None:
        for seed in range(30):
            Walk(WORLDS[1], ALL_RULES - {rule}, seed).run(40)

    with pytest.raises(AssertionError):
        walk()


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, marks=[pytest.mark.slow] if rule in SLOW else [])
        for rule, case in CASES.items()
        if not case.redundant and rule not in ELSEWHERE | AFTER_THE_VOTE
    ],
    ids=lambda rule: rule.name,
)
def test_real_members_stop_where_a_missing_rule_would_break_the_sum(rule: Rule) -> None:
    outcome = check_case(rule)
    walk = Walk(outcome.game.world, outcome.game.rules)
    with pytest.raises(AssertionError):
        walk.follow(outcome.trace)


def test_an_exclusion_of_many_does_not_leave_one_bank_alone_with_colluders() -> None:
    # Ten members, c = 3: three colluders and one victim would be one exclusion to the victim's permit, and
    # the sum less the colluders' parts would be the victim's.
    names = names_of(10)
    table = bench(names)
    with refused("cohort-too-small", RefusalError):
        table.assemble([*names[:3], names[9]])
    assert table.members[names[9]].state is State.IDLE
