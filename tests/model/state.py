"""States of the model, and the one that stands for all that differ only in which honest member is which.

Theory: honest members are interchangeable, so a state is stored under a renaming that makes it least. Members are
sorted by what does not depend on names; only those that look alike are permuted.
"""

from functools import cache
from itertools import permutations, product
from typing import NamedTuple

__all__ = ["Bank", "State", "canonical"]


class Bank(NamedTuple):
    """One honest member. Cohorts are sets of honest members as bits; 0 means none.

    standing: the cohort it sticks to. first, second: its durable votes in rounds 1 and 2. told: the cohort of the
    round-1 sum that it took. spent: members whose exclusion its permit has paid for. fresh: its process has just
    started. live: it holds keys of the running epoch. up, voted, said, twice: at this position it uploaded, knows that
    it voted, said these votes, uploaded again. back: it restarted in the running epoch.
    """

    standing: int = 0
    first: int = 0
    second: int = 0
    told: int = 0
    spent: int = 0
    fresh: int = 1
    live: int = 0
    up: int = 0
    voted: int = 0
    said: tuple[int, ...] = ()
    twice: int = 0
    back: int = 0


class State(NamedTuple):
    """The whole room.

    roster: of the running epoch, 0 between epochs. told: the round-1 sum that its members share, 0 before one.
    opened: sets of honest members whose sum opened in this job. first: those that opened in round 1. past: for
    positions of round 1, the roster and who uploaded. old: cohorts certified at earlier positions. carry: what an
    earlier run of this very position gave away (uploaded, selves, seeds).
    """

    banks: tuple[Bank, ...]
    epoch: int = 0
    roster: int = 0
    told: int = 0
    position: int = 0
    opened: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    past: tuple[tuple[int, int], ...] = ()
    old: frozenset[int] = frozenset()
    carry: tuple[int, int, tuple[int, ...]] | None = None


@cache
def _renamed(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return by mask the mask after member order[i] was renamed to i."""
    place = {member: at for at, member in enumerate(order)}
    return tuple(
        sum(1 << place[member] for member in range(len(order)) if mask >> member & 1) for mask in range(1 << len(order))
    )


def _rename(state: State, order: tuple[int, ...]) -> State:
    to = _renamed(order)
    banks = tuple(
        Bank(to[b.standing], to[b.first], to[b.second], to[b.told], to[b.spent], b.fresh, b.live, b.up, b.voted,
             tuple(sorted([to[cohort] for cohort in b.said])), b.twice, b.back)
        for b in (state.banks[member] for member in order)
    )  # fmt: skip
    carry = state.carry
    if carry:
        carry = (to[carry[0]], to[carry[1]], tuple(to[carry[2][member]] for member in order))
    return State(
        banks, state.epoch, to[state.roster], to[state.told], state.position,
        tuple(sorted([to[mask] for mask in state.opened])), tuple(sorted([to[mask] for mask in state.first])),
        tuple(sorted([(to[roster], to[mask]) for roster, mask in state.past])),
        frozenset([to[cohort] for cohort in state.old]), carry,
    )  # fmt: skip


def canonical(state: State) -> tuple[State, tuple[int, ...]]:
    """Return the least state among all renamings of honest members, and the renaming."""
    keys = [_looks(state, member) for member in range(len(state.banks))]
    groups: dict[tuple[object, ...], list[int]] = {}
    for member in sorted(range(len(keys)), key=keys.__getitem__):
        groups.setdefault(keys[member], []).append(member)
    best: tuple[tuple[object, ...], State, tuple[int, ...]] | None = None
    for parts in product(*(permutations(group) for group in groups.values())):
        order = tuple(member for part in parts for member in part)
        renamed = _rename(state, order)
        rank = (*renamed[:8], sorted(renamed.old), renamed.carry or ())
        if best is None or rank < best[0]:
            best = (rank, renamed, order)
    assert best is not None
    return best[1], best[2]


def _looks(state: State, member: int) -> tuple[object, ...]:
    """Return what does not change when other members are renamed: sizes of cohorts, and who is in them."""
    bank = state.banks[member]
    own = tuple([_seen(mask, member) for mask in bank[:5]])
    named = tuple(sorted([_seen(mask, member) for mask in bank.said]))
    # Sums do not depend on the order of the others either.
    by_others = by_votes = 0
    for other in state.banks:
        by_others += _seen(other.standing, member) + 100 * _seen(other.told, member)
        for mask in other.said:
            by_votes += _seen(mask, member)
    room = sum(
        [_seen(mask, member) for mask in state.opened]
        + [_seen(mask, member) * 64 + _seen(roster, member) for roster, mask in state.past]
    )
    return own, bank[5:9], bank[10:], named, by_others, by_votes, room, _seen(state.roster, member)


def _seen(mask: int, member: int) -> int:
    return mask.bit_count() * 2 + (mask >> member & 1)
