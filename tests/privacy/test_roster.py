"""Who sits at the table, and the numbers that follow."""

import pytest

from privacy.errors import InputError, RefusalError
from privacy.roster import Roster, check_member_id
from tests.privacy.table import names_of, refused


@pytest.mark.parametrize(
    ("n", "t", "c", "u_min"),
    [(4, 3, 1, 4), (5, 4, 1, 4), (6, 5, 1, 5), (7, 5, 2, 5), (9, 7, 2, 7), (10, 7, 3, 7), (20, 14, 6, 14),
     (30, 21, 9, 21), (200, 134, 66, 134), (256, 171, 85, 171)],
)  # fmt: skip
def test_sizes_follow_from_the_number_of_members(n: int, t: int, c: int, u_min: int) -> None:
    roster = Roster(tuple(names_of(n)))
    assert (roster.threshold, roster.colluders, roster.smallest_cohort) == (t, c, u_min)
    assert len(roster) == n and names_of(n)[1] in roster and roster.index(names_of(n)[1]) == 1


def test_two_cohorts_are_never_both_certified_and_never_of_one_honest_member() -> None:
    for n in range(4, 257):
        roster = Roster(tuple(names_of(n)))
        assert 2 * roster.threshold > n + roster.colluders
        assert roster.smallest_cohort - roster.colluders >= 3  # a sum hides each honest part among three
        # Shares that a lying coordinator can have of a dropped member's seed stay below t.
        assert n - roster.threshold + roster.colluders < roster.threshold


@pytest.mark.parametrize("count", [1, 3, 257])
def test_a_table_of_the_wrong_size_is_refused(count: int) -> None:
    with refused("roster-size", RefusalError):
        Roster(tuple(names_of(count)))


def test_order_and_distinctness() -> None:
    names = names_of(5)
    for wrong in (list(reversed(names)), [*names, names[-1]]):
        with refused("roster-order", RefusalError):
            Roster(tuple(wrong))
    assert Roster(tuple(names)).without({names[0]}).members == tuple(names[1:])
    with refused("roster-size", RefusalError):
        Roster(tuple(names)).without(set(names[:2]))


@pytest.mark.parametrize("member", ["", "A", "a b", "ä", "a" * 64, "-a", "*", "../a", "a\n", "coordinator"])
def test_an_id_that_is_no_id_is_refused(member: str) -> None:
    with refused("member-id", InputError):
        check_member_id(member)


@pytest.mark.parametrize("member", ["a", "0", "bank-1_b", "a" * 63])
def test_an_id_comes_back(member: str) -> None:
    assert check_member_id(member) == member
