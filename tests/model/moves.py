"""What the coordinator can make happen next, and what every honest member says to it.

Each `may_*` is a member's verdict by the rules, as `privacy.secagg` gives it; `tests/model/test_conformance.py` asks
real members the same questions. Theory (partial-order reduction): what a member answers depends on its own past and on
signed messages of its own position only, so epochs and positions can be played one after the other, every member can
upload wherever it may, and whoever can answer a certificate answers it: telling the coordinator more never helps less.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.knowledge import Learned, bits, components, isolates, learn
from tests.model.rules import Rule, World
from tests.model.state import Bank, State

__all__ = ["Game", "Move"]


class Move(NamedTuple):
    """One step of the coordinator's: what, with which member (-1: none), over which cohort; told: round-1 sum shown."""

    kind: str
    member: int = -1
    cohort: int = 0
    told: int = 0


class Game(NamedTuple):
    """A world and the rules that its members keep."""

    world: World
    rules: frozenset[Rule]

    def start(self) -> State:
        """Return the state before anything was said."""
        return State((Bank(),) * self.world.honest)

    def steps(self, state: State) -> Iterator[tuple[Move, State, str]]:
        """Return every next move, the state after it and the assertions that it breaks, as letters."""
        if state.roster:
            yield from self._running(state)
        else:
            yield from self._between(state)

    # -- verdicts ------------------------------------------------------------------------------------------------------

    def may_join(self, bank: Bank, member: int, roster: int) -> bool:
        """Say whether a member answers the call for an epoch over this roster."""
        if not roster >> member & 1 or (
            Rule.QUORUM_KEPT in self.rules and self.world.size(roster) < self.world.roster.smallest_cohort
        ):
            return False
        if not self.world.exact or Rule.EPOCH_ROSTER not in self.rules:
            return True
        standing = bank.standing or self.world.everyone
        lost = standing & ~roster
        if roster & ~standing:
            return False
        free = not bank.spent or Rule.EXCLUSION_ONCE not in self.rules or lost & ~bank.spent == 0
        return not lost or (self.world.exclusion and free)

    def may_open(self, bank: Bank, roster: int) -> bool:
        """Say whether a member enters the next position of the running epoch."""
        fixed = self.world.exact and Rule.COHORT_FIXED in self.rules and bank.standing
        return bool(bank.live) and (not fixed or bank.standing == roster)

    def may_vote(self, bank: Bank, member: int, roster: int, cohort: int) -> bool:
        """Say whether a member votes for this cohort at the position it uploaded at."""
        world, rules = self.world, self.rules
        if not (bank.live and bank.up) or (bank.voted and Rule.VOTE_ONCE in rules) or cohort & ~roster:
            return False
        if Rule.OWN_IN_COHORT in rules and not cohort >> member & 1:
            return False
        if Rule.SMALLEST_COHORT in rules and world.size(cohort) < world.rosters[roster].smallest_cohort:
            return False
        fixed = world.exact and Rule.COHORT_FIXED in rules and bank.standing
        return not fixed or bank.standing == cohort

    def may_catch_up(self, state: State, bank: Bank, cohort: int) -> bool:
        """Say whether a member that has just started takes a sum of round 1 over this cohort."""
        agrees = bank.first in (0, cohort) or Rule.CATCH_UP_VOTE not in self.rules
        return bool(bank.fresh) and not bank.told and agrees and (
            cohort in state.first or self.can_forge(state.past, cohort)
        )  # fmt: skip

    def can_forge(self, past: tuple[tuple[int, int], ...], cohort: int) -> bool:
        """Say whether colluders alone can sign a sum over this cohort that never opened."""
        for mask, uploaded in past:
            roster = self.world.rosters[mask]
            limit = self.world.roster.colluders if Rule.SIGNERS_OF_JOB in self.rules else roster.colluders
            signed = self.world.colluders > limit or Rule.VERIFIED_SUMS not in self.rules
            small = self.world.roster if Rule.QUORUM_KEPT in self.rules else roster
            if signed and cohort & ~uploaded == 0 and self.world.size(cohort) >= small.smallest_cohort:
                return True
        return False

    def restored(self, bank: Bank) -> Bank:
        """Return what a restart leaves of a member."""
        first, second = (bank.first, bank.second) if Rule.VOTE_PERSISTED in self.rules else (0, 0)
        standing = second or first
        if Rule.SMALLEST_VOTE in self.rules and first and second:
            standing = min(first, second, key=int.bit_count)
        spent = bank.spent if Rule.EXCLUSION_PERSISTED in self.rules else 0
        return Bank(standing if self.world.exact else 0, first, second, spent=spent, said=bank.said, up=bank.up)

    # -- between epochs ------------------------------------------------------------------------------------------------

    def _between(self, state: State) -> Iterator[tuple[Move, State, str]]:
        for member, bank in enumerate(state.banks):
            again = self.restored(bank)
            # A restart that changes nothing but the process is left out, unless a sum could be shown to the new one.
            changes = (again.standing, 0, again.spent) != (bank.standing, bank.told, bank.spent)
            if changes or (not bank.fresh and not again.standing and (state.first or state.past)):
                yield Move("restart", member), self._put(state, member, again), ""
            if bank.fresh and not bank.told and self.world.exact:
                for cohort in self.world.masks:
                    if cohort >> member & 1 and self.may_catch_up(state, bank, cohort):
                        shown = bank._replace(told=cohort, standing=bank.standing or cohort)
                        broken = "" if cohort in state.first else "f"
                        yield Move("catch-up", member, cohort), self._put(state, member, shown), broken
        if state.epoch < self.world.epochs:
            for roster in self.world.masks:
                if roster in self.world.rosters and (self.world.exact or roster == self.world.everyone):
                    yield from self._assemble(state, roster)

    def _assemble(self, state: State, roster: int) -> Iterator[tuple[Move, State, str]]:
        members = bits(roster)
        if not all(self.may_join(state.banks[member], member, roster) for member in members):
            return
        choices = {state.banks[member].told for member in members}
        choices |= {state.banks[member].first for member in members}
        for told in sorted(choices):
            if not all(self._shares_history(state, state.banks[member], told) for member in members):
                continue
            banks = list(state.banks)
            for member in members:
                bank = banks[member]
                standing = bank.standing or self.world.everyone
                shrunk = self.world.exact and standing != roster
                banks[member] = bank._replace(
                    standing=roster if shrunk else bank.standing, told=told, fresh=0, live=1,
                    spent=bank.spent | (standing & ~roster if shrunk else 0),
                )  # fmt: skip
            forged = told and told not in state.first and any(state.banks[m].told != told for m in members)
            after = state._replace(banks=tuple(banks), epoch=state.epoch + 1, roster=roster, told=told, position=0)
            yield Move("assemble", -1, roster, told), after, "f" if forged else ""

    def _shares_history(self, state: State, bank: Bank, told: int) -> bool:
        if bank.told == told:
            return True
        takeable = told in state.first or self.can_forge(state.past, told)
        return bool(told) and not bank.told and bank.first == told and takeable

    # -- in an epoch ---------------------------------------------------------------------------------------------------

    def _running(self, state: State) -> Iterator[tuple[Move, State, str]]:
        yield Move("leave"), self._leave(state), ""
        if state.position < self.world.positions:
            yield from self._open(state)
        if state.position and Rule.POSITION_RISES not in self.rules and state.carry is None:
            given = self._learned(state)
            banks = tuple(bank._replace(voted=0, said=()) for bank in state.banks)
            carry = (self._uploaded(state), given.selves, given.seeds)
            yield Move("open-again"), state._replace(banks=banks, carry=carry), ""
        shown = self._shown(state)
        for member, bank in enumerate(state.banks):
            for cohort in self.world.masks:
                missing = cohort & ~self._uploaded(state)
                new = cohort in shown and cohort not in bank.said
                if new and not missing and self.may_vote(bank, member, state.roster, cohort):
                    yield self._vote(state, member, cohort)
            if bank.up and bank.live and not bank.twice and Rule.ONE_UPLOAD not in self.rules:
                after = self._put(state, member, bank._replace(twice=1))
                yield Move("upload-again", member), after, self._broken(after, after)[0]
            for cohort in bank.said:
                if self.world.exact and self._deceives(state, cohort):
                    yield Move("show", member, cohort), state, "f"
            if self.world.crash and bank.live:
                yield Move("restart", member), self._put(state, member, self._crashed(bank)), ""

    def _shown(self, state: State) -> frozenset[int]:
        """Return the cohorts that the coordinator may close this position over, to one member or another."""
        said = {cohort for bank in state.banks for cohort in bank.said}
        views = self.world.views[state.position - 1] if state.position and self.world.views else len(said) + 1
        return frozenset(said if len(said) >= views else self.world.masks)

    def _deceives(self, state: State, cohort: int) -> bool:
        """Say whether a member that voted for this cohort takes a sum over it though none opened."""
        given = self._learned(state)
        opened = components(state.roster, self._uploaded(state), given.selves, given.seeds)
        return cohort not in opened and self.can_forge(((state.roster, self._uploaded(state)),), cohort)

    def _crashed(self, bank: Bank) -> Bank:
        again = self.restored(bank)
        if Rule.KEYS_IN_MEMORY in self.rules:
            return again
        # The keys came back from the disk, and with them the position; that a vote was cast there did not.
        return again._replace(live=1, fresh=0, back=1)

    def _open(self, state: State) -> Iterator[tuple[Move, State, str]]:
        old = state.old
        if Rule.VOTES_OF_POSITION not in self.rules:
            old |= self._learned(state).quorums
        banks = tuple(
            bank._replace(up=int(self.may_open(bank, state.roster)), voted=0, said=(), twice=0) for bank in state.banks
        )
        if any(bank.up for bank in banks):
            past, here = state.past, (state.roster, sum(bank.up << member for member, bank in enumerate(banks)))
            # Where no sum can be forged anyway, who uploaded when is not worth a state of its own.
            if not state.told and self.world.exact and any(self.can_forge((here,), mask) for mask in self.world.masks):
                past = tuple(sorted({*past, here}))
            yield Move("open"), state._replace(banks=banks, position=state.position + 1, past=past, old=old,
                                               carry=None), ""  # fmt: skip

    def _vote(self, state: State, member: int, cohort: int) -> tuple[Move, State, str]:
        bank = state.banks[member]
        said = tuple(sorted({*bank.said, cohort}))
        noted = bank._replace(voted=1, said=said)
        if self.world.exact:
            noted = noted._replace(standing=bank.standing or cohort)
            noted = noted._replace(second=cohort) if state.told else noted._replace(first=cohort)
        after = self._put(state, member, noted)
        broken, opened = self._broken(state, after)
        if bank.back:
            broken += "e"
        if opened and self.world.exact:
            first = after.first if state.told else tuple(sorted({*after.first, *opened}))
            after = after._replace(opened=tuple(sorted({*after.opened, *opened})), first=first)
        return Move("vote", member, cohort), after, broken

    def _leave(self, state: State) -> State:
        banks = tuple(bank._replace(live=0, up=0, voted=0, said=(), twice=0, back=0) for bank in state.banks)
        return state._replace(banks=banks, roster=0, told=0, position=0, old=frozenset(), carry=None)

    # -- what it gave away ---------------------------------------------------------------------------------------------

    def _learned(self, state: State) -> Learned:
        votes = tuple(bank.said for bank in state.banks)
        return learn(self.world, self.rules, state.roster, votes, state.old)

    def _broken(self, before: State, after: State) -> tuple[str, tuple[int, ...]]:
        """Return the assertions broken at this position, and the sums that open with this move."""
        given = self._learned(after)
        uploaded, seeds = self._uploaded(after), given.seeds
        if after.carry:
            seeds = tuple(mine | theirs for mine, theirs in zip(seeds, after.carry[2], strict=True))
        opened = components(after.roster, uploaded, given.selves, seeds)
        sets = set(opened)
        if after.carry:
            sets |= set(components(after.roster, after.carry[0], after.carry[1], seeds))
        letters = "a" if len(sets) > 1 else ""
        twice = any(bank.twice and given.selves >> member & 1 for member, bank in enumerate(after.banks))
        if twice or any(mask.bit_count() == 1 for mask in sets):
            letters += "b"
        letters += "c" if given.both else ""
        letters += "q" if set(opened) - given.quorums else ""
        letters += "u" if any(self.world.size(mask) < self.world.roster.smallest_cohort for mask in sets) else ""
        if self.world.exact:
            here = self._learned(before)
            fresh = [
                mask for mask in opened if mask not in components(before.roster, uploaded, here.selves, here.seeds)
            ]
            for mask in fresh:
                letters += self._across(before.opened, mask)
        return letters, opened

    def _across(self, opened: tuple[int, ...], mask: int) -> str:
        """Return what a sum over this cohort breaks beside the sums of the job that opened before."""
        sums = tuple(sorted({*opened, mask}))
        shrinks = len(sums) == 2 and mask != sums[-1] and mask & ~sums[-1] == 0
        letters = "" if len(sums) == 1 or (self.world.exclusion and shrinks) else "d"
        # What an exclusion costs is told to every bank: subtracting the smaller sum from the larger one.
        paid = self.world.exclusion and len(sums) == 2
        return letters + ("b" if not paid and isolates(sums, self.world.honest) else "")

    @staticmethod
    def _uploaded(state: State) -> int:
        return sum(bank.up << member for member, bank in enumerate(state.banks))

    @staticmethod
    def _put(state: State, member: int, bank: Bank) -> State:
        banks = list(state.banks)
        banks[member] = bank
        return state._replace(banks=tuple(banks))
