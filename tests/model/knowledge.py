"""What the coordinator and its colluders can compute at one position from all that they were told.

Theory: a part is y = x + masks. A linear combination of parts is free of masks exactly if it weighs two members alike
whose pair seed is unknown, and weighs nobody whose self seed is unknown or whose part is missing. So the sums that can
be computed are spanned by the connected components of the graph of unknown pair seeds in which every self seed is
known: Gaussian elimination, done in the head. A self seed is known once t shares of it are; colluders hold their own.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tests.model.rules import Rule, World

__all__ = ["Learned", "bits", "components", "isolates", "learn"]


@dataclass(frozen=True, slots=True)
class Learned:
    """What one position gave away.

    selves: members whose self seed is known. seeds: by member, those whose pair seed with it is known. both: some
    member gave a share and a pair seed of the same member. quorums: cohorts that t members voted for.
    """

    selves: int
    seeds: tuple[int, ...]
    both: bool
    quorums: frozenset[int]


def bits(mask: int) -> list[int]:
    """Return the members of a cohort."""
    return [place for place in range(mask.bit_length()) if mask >> place & 1]


@lru_cache(maxsize=1 << 18)
def learn(
    world: World, rules: frozenset[Rule], roster: int, votes: tuple[tuple[int, ...], ...], old: frozenset[int]
) -> Learned:
    """Return what a position gives away once everybody who can answer a certificate has answered.

    votes: by honest member, the cohorts that it voted for here. old: cohorts whose votes of an
    earlier position still count.
    """
    threshold = world.rosters[roster].threshold - (Rule.THRESHOLD not in rules)
    cohorts = {cohort for said in votes for cohort in said}
    count = {cohort: _count(world, rules, cohort, votes, old) for cohort in cohorts}
    certified = {
        cohort
        for cohort in cohorts
        if cohort != roster and (Rule.CERTIFICATE not in rules or count[cohort] >= threshold)
    }
    given = [_answers(rules, member, said, roster, certified) for member, said in enumerate(votes)]
    known = [seeds for _, seeds in given]
    for member, (_, seeds) in enumerate(given):
        for other in bits(seeds):
            known[other] |= 1 << member
    selves = sum(
        1 << owner
        for owner in bits(roster)
        if world.colluders + sum(shares >> owner & 1 for shares, _ in given) >= threshold
    )
    here = {cohort: sum(cohort in said for said in votes) + world.colluders for cohort in cohorts}
    quorums = frozenset(cohort for cohort in cohorts if here[cohort] >= threshold)
    return Learned(selves, tuple(known), any(shares & seeds for shares, seeds in given), quorums)


def _count(
    world: World, rules: frozenset[Rule], cohort: int, votes: tuple[tuple[int, ...], ...], old: frozenset[int]
) -> int:
    voters = {member for member, said in enumerate(votes) if cohort in said}
    if Rule.VOTERS_IN_COHORT in rules:
        voters &= set(bits(cohort))
    return world.members if Rule.DISTINCT_VOTERS not in rules or cohort in old else len(voters) + world.colluders


def _answers(
    rules: frozenset[Rule], member: int, said: tuple[int, ...], roster: int, certified: set[int]
) -> tuple[int, int]:
    """Return whose shares and whose pair seeds one member gives."""
    shares = seeds = 0
    for cohort in said:
        if cohort == roster:
            shares |= roster
        elif Rule.CONSENT_SHARES not in rules:
            shares |= cohort
    shown = {cohort for cohort in certified if cohort in said or (said and Rule.OWN_VOTE not in rules)}
    for cohort in shown:
        shares |= cohort if Rule.SHARE_XOR_SEED in rules else roster
        seeds |= roster & ~cohort & ~(1 << member)
    return shares, seeds


def components(roster: int, uploaded: int, selves: int, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sets of honest members whose sum can be computed, no smaller set in between."""
    found, left = [], roster
    while left:
        group, edge = 0, left & -left
        while edge:
            group |= edge
            reach = 0
            for member in bits(edge):
                reach |= roster & ~seeds[member]
            edge = reach & ~group
        left &= ~group
        if group & ~(uploaded & selves) == 0:
            found.append(group)
    return tuple(sorted(found))


def isolates(sums: tuple[int, ...], members: int) -> list[int]:
    """Return the members whose own part is a linear combination of these sums (rational Gaussian elimination)."""
    rows: list[list[Fraction]] = []
    for mask in sums:
        rows.append([Fraction(mask >> place & 1) for place in range(members)])
    rank = 0
    for column in range(members):
        pivot = next((at for at in range(rank, len(rows)) if rows[at][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        lead = rows[rank][column]
        rows[rank] = [value / lead for value in rows[rank]]
        for at, row in enumerate(rows):
            if at != rank and row[column]:
                rows[at] = [value - row[column] * own for value, own in zip(row, rows[rank], strict=True)]
        rank += 1
    return [row.index(Fraction(1)) for row in rows[:rank] if sum(map(bool, row)) == 1]
