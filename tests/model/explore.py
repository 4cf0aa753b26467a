"""Walk through every state that the coordinator can reach, breadth first, and tell how a broken one was reached.

Theory: breadth first finds a shortest way; states that differ only in which honest member is which are visited once.
"""

from collections import deque
from dataclasses import dataclass
from time import process_time

from tests.model.knowledge import bits
from tests.model.moves import Game, Move
from tests.model.rules import Rule, World
from tests.model.state import State, canonical

__all__ = ["ASSERTIONS", "Outcome", "explore", "tell"]

ASSERTIONS = {
    "a": "one position opened for two sets",
    "b": "a member's own part can be computed",
    "c": "a member gave a share and a pair seed of the same member",
    "d": "exact sums ran over more cohorts than the cohort rule allows",
    "e": "a restarted member answered in an old epoch",
    "f": "a member took a sum that never opened",
    "q": "a sum opened that no t members had voted for",
    "u": "a sum opened over fewer members than the job's u_min",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exploration found: broken assertions (letters, empty if none), the moves there, states and seconds."""

    game: Game
    broken: str
    trace: tuple[Move, ...]
    states: int
    moves: int
    seconds: float


def explore(world: World, rules: frozenset[Rule], only: str = "abcdefqu", most: int = 2_000_000) -> Outcome:
    """Visit states until one of the assertions `only` breaks or none is left; more than `most` raises."""
    began, game = process_time(), Game(world, rules)
    start, _ = canonical(game.start())
    came: dict[State, tuple[State, Move, tuple[int, ...]] | None] = {start: None}
    queue, moves, raw = deque([start]), 0, {start}
    while queue:
        state = queue.popleft()
        for move, after, broken in game.steps(state):
            moves += 1
            hit = "".join(sorted(set(broken) & set(only)))
            if hit:
                return Outcome(game, hit, (*_way(came, state), move), len(came), moves, process_time() - began)
            if after in raw:
                continue
            raw.add(after)
            least, order = canonical(after)
            if least not in came:
                came[least] = (state, move, order)
                queue.append(least)
        if len(came) > most:
            raise RuntimeError(f"more than {most} states in {world.name}")
    return Outcome(game, "", (), len(came), moves, process_time() - began)


def _way(came: dict[State, tuple[State, Move, tuple[int, ...]] | None], state: State) -> tuple[Move, ...]:
    """Return the moves to a state, in the names that its members have at the end."""
    moves: list[Move] = []
    names = list(range(len(state.banks)))  # names[i]: the final name of the member called i in the current state
    step = came[state]
    while step is not None:
        state, move, order = step
        before = [0] * len(order)
        for place, member in enumerate(order):
            before[member] = names[place]
        names = before
        moves.append(
            Move(move.kind, names[move.member] if move.member >= 0 else -1, _named(move.cohort, names),
                 _named(move.told, names))
        )  # fmt: skip
        step = came[state]
    return tuple(reversed(moves))


def _named(mask: int, names: list[int]) -> int:
    return sum(1 << names[member] for member in bits(mask))


def tell(outcome: Outcome) -> list[str]:
    """Return a counterexample as lines: members are h1, h2, ..., colluders are in every cohort."""

    def cohort(mask: int) -> str:
        return "{" + " ".join(f"h{member + 1}" for member in bits(mask)) + "}"

    lines = []
    for move in outcome.trace:
        who = f"h{move.member + 1}"
        lines.append(
            {
                "assemble": f"new epoch over {cohort(move.cohort)}"
                + (f", showing a first sum over {cohort(move.told)}" if move.told else ""),
                "open": "open the next position; whoever may uploads",
                "open-again": "open the same position again",
                "upload-again": f"{who} uploads again under the same binding",
                "vote": f"{who} votes {cohort(move.cohort)}",
                "restart": f"{who} restarts",
                "catch-up": f"{who} is shown a first sum over {cohort(move.cohort)}",
                "show": f"{who} is shown a sum over {cohort(move.cohort)} that the colluders signed",
                "leave": "the coordinator gives the epoch up",
            }[move.kind]
        )
    return [*lines, *(f"BROKEN ({letter}): {ASSERTIONS[letter]}" for letter in outcome.broken)]
