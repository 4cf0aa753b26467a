"""Run worlds: `python -m tests.simulation FIRST COUNT`; prints what broke with its seed, and ends with one line."""

import sys
from collections import Counter

from tests.simulation.invariants import findings
from tests.simulation.world import run_world


def main(first: int, count: int) -> int:
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


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0, int(sys.argv[2]) if len(sys.argv) > 2 else 500))
