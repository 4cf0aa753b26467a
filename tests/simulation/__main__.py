"""Run worlds: `python -m tests.simulation FIRST COUNT`; prints what broke with its seed, and ends with one line.

With `hostile` in front, the coordinator lies at random: `python -m tests.simulation hostile FIRST COUNT`.
"""

import sys
from collections import Counter

from tests.simulation.hostile import Hostile, readable
from tests.simulation.invariants import findings
from tests.simulation.world import run_world


def worlds(first: int, count: int) -> int:
    """Run `count` worlds from seed `first` on; return 1 if anything broke."""
    ends: Counter[str] = Counter()
    broken = sums = 0
    for seed in range(first, first + count):
        world = run_world(seed)
        ends[world.story.state] += 1
        sums += len(world.story.sums)
        found = findings(world)
        broken += bool(found)
        for finding in found:
            print(f"seed {seed}: {finding}")
    print(f"{count} worlds from seed {first}: {dict(ends)}, {sums} sums opened, {broken} worlds broken")
    return int(broken > 0)


def hostile(first: int, count: int) -> int:
    """Play `count` hostile games from seed `first` on; return 1 if a part came apart."""
    refusals: Counter[str] = Counter()
    broken = sums = 0
    for seed in range(first, first + count):
        game = Hostile(seed)
        game.play(12)
        refusals.update(game.refusals)
        sums += len(game.table.coordinator.opened)
        found = readable(game)
        broken += bool(found)
        for finding in found:
            print(f"seed {seed}: {finding}")
    lies = sum(refusals.values())
    print(f"{count} hostile games from seed {first}: {lies} refusals of {len(refusals)} kinds, {sums} sums opened, "
          f"{broken} games broken")  # fmt: skip
    return int(broken > 0)


if __name__ == "__main__":
    words = sys.argv[1:]
    play = hostile if words[:1] == ["hostile"] else worlds
    numbers = [int(word) for word in words if word.isdigit()] + [0, 500]
    sys.exit(play(numbers[0], numbers[1] if len(numbers) > 3 else 500))
