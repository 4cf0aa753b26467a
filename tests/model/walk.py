"""One way through the model, walked by real members too: at random, or along a given trace.

Every move that the model allows has to be accepted by a real member, and every question that it refuses be refused;
anything else is an `AssertionError`.
"""

import random
from collections.abc import Iterable

from privacy.errors import PrivacyError
from tests.model.knowledge import bits, components
from tests.model.moves import Game, Move
from tests.model.rules import Rule, World
from tests.model.stage import Stage
from tests.model.state import State

__all__ = ["Walk"]

_WEIGHTS = {"vote": 8.0, "open": 2.0, "assemble": 2.0, "restart": 0.4, "catch-up": 1.0, "leave": 1.0}


class Walk:
    """One way through the model: its state and the real members' side by side, and what was asked of them."""

    def __init__(self, world: World, rules: frozenset[Rule], seed: int = 0) -> None:
        self.game, self.stage = Game(world, rules), Stage(world)
        self.state = self.game.start()
        self.random = random.Random(seed)
        self.asked: dict[str, int] = {}

    def count(self, what: str) -> None:
        self.asked[what] = self.asked.get(what, 0) + 1

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.ask_refused()
            moves = [(move, after) for move, after, _ in self.game.steps(self.state) if move.kind != "show"]
            if not moves:
                return
            kinds = sorted({move.kind for move, _ in moves})
            kind = self.random.choices(kinds, [_WEIGHTS[each] for each in kinds])[0]
            # Certificates need agreement: half of the votes follow one that was cast already.
            said = {cohort for bank in self.state.banks for cohort in bank.said}
            drawn = [(move, after) for move, after in moves if move.kind == kind]
            alike = [pair for pair in drawn if pair[0].kind == "vote" and pair[0].cohort in said]
            alike += [
                pair for pair in drawn if pair[0].kind == "assemble" and pair[0].cohort == self.game.world.everyone
            ]
            move, _ = self.random.choice(alike if alike and self.random.random() < 0.7 else drawn)
            self.follow([move])
            self.count(f"{kind} accepted")

    def follow(self, trace: Iterable[Move]) -> None:
        """Play given moves; `AssertionError` as soon as a real member refuses one."""
        for move in trace:
            after = next(after for each, after, _ in self.game.steps(self.state) if each == move)
            try:
                self.play(move, after)
            except PrivacyError as error:
                raise AssertionError(f"{move}: {error.code}") from error
            self.state = after

    def ask_refused(self) -> None:
        """Ask real members for things that the model refuses."""
        state, game = self.state, self.game
        for place, bank in enumerate(state.banks):
            mask = self.random.choice(game.world.masks)
            if not state.roster and mask in game.world.rosters and not game.may_join(bank, place, mask):
                assert not self.stage.may_join(place, mask), ("join", place, mask)
                self.count("join refused")
            if state.roster >> place & 1 and not game.may_open(bank, state.roster):
                assert not self.stage.may_open(place, state.position + 1), ("open", place)
                self.count("open refused")
            uploaded = sum(each.up << at for at, each in enumerate(state.banks))
            shown = state.position and mask & ~uploaded == 0
            if shown and state.roster >> place & 1 and not game.may_vote(bank, place, state.roster, mask):
                assert not self.stage.vote(place, mask), ("vote", place, mask)
                self.count("vote refused")
            if not state.roster and not bank.told and not game.may_catch_up(state, bank, mask):
                self.ask_catch_up(place, mask)

    def ask_catch_up(self, place: int, mask: int) -> None:
        if mask in self.stage.opened_at or self.stage.uploaded_in(0, mask):
            assert not self.stage.catch_up(place, mask, 0), ("catch-up", place, mask)
            self.count("catch-up refused")

    def play(self, move: Move, after: State) -> None:
        """Play a move on the real members; they have to accept it."""
        stage, place = self.stage, move.member
        match move.kind:
            case "restart":
                stage.restart(place)
            case "catch-up":
                assert self.show(place, move.cohort), move
            case "assemble":
                for member in bits(move.cohort):
                    if move.told and not stage.knows_first(member):
                        stage.restart(member)
                        assert self.show(member, move.told), move
                stage.assemble(move.cohort)
            case "open":
                stage.open([member for member, bank in enumerate(after.banks) if bank.up])
            case "show":
                assert stage.show(place, move.cohort), move
            case "vote":
                assert stage.vote(place, move.cohort), move
                self.certify(after)

    def show(self, place: int, mask: int) -> bool:
        forged = [each[0] for each in self.state.past if self.game.can_forge((each,), mask)]
        return self.stage.catch_up(place, mask, forged[0] if forged else 0)

    def certify(self, after: State) -> None:
        """Show one voter its certificate, and note the sums that the model calls opened."""
        given = self.game._learned(after)
        waiting = [place for place in range(len(after.banks)) if self.stage.voted(place) and after.banks[place].said]
        if waiting:
            place = self.random.choice(waiting)
            cohort = after.banks[place].said[0]
            expected = cohort in given.quorums and cohort != after.roster
            assert self.stage.certify(place) == expected, ("certificate", place, cohort)
            self.count(f"certificate {'accepted' if expected else 'refused'}")
        uploaded = sum(bank.up << at for at, bank in enumerate(after.banks))
        for mask in components(after.roster, uploaded, given.selves, given.seeds):
            self.stage.opened(mask)
