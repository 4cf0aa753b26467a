"""Print what the model check visits and finds: `python -m tests.model [--quick]`."""

import sys

from tests.model.cases import CASES, FULL, QUICK, check_case
from tests.model.explore import ASSERTIONS, explore, tell
from tests.model.rules import ALL_RULES, World


def bound(world: World) -> str:
    """Return a world's bound in a few words."""
    views = f", {'/'.join(map(str, world.views[: world.positions]))} cohorts shown a position" if world.views else ""
    fewest = f", cohorts of {world.fewest} honest or more" if world.fewest else ""
    crash = ", restarts inside an epoch" if world.crash else ""
    return (
        f"n={world.members} c={world.colluders}, {'exact' if world.exact else 'noised'}, epochs {world.epochs}, "
        f"positions {world.positions}{', one exclusion' if world.exclusion else ''}{views}{fewest}{crash}"
    )


def main(quick: bool) -> int:
    """Run all worlds with every rule and every rule's removal; return 1 if anything is not as it should be."""
    wrong, total = 0, 0
    print("With every rule kept:")
    for world in QUICK if quick else FULL:
        outcome = explore(world, ALL_RULES)
        wrong, total = wrong + bool(outcome.broken), total + outcome.states
        print(f"  {'BROKEN ' + outcome.broken if outcome.broken else 'holds':8}{outcome.states:8} states"
              f"{outcome.moves:9} moves {outcome.seconds:6.1f} s   {world.name} ({bound(world)})")  # fmt: skip
        if outcome.broken:
            print("\n".join(f"    {line}" for line in tell(outcome)))
    print("\nWithout one rule:")
    for rule, case in CASES.items():
        outcome = check_case(rule)
        wrong, total = wrong + (bool(outcome.broken) == bool(case.redundant)), total + outcome.states
        verdict = f"broken ({outcome.broken})" if outcome.broken else "not broken"
        print(f"  {rule.name:20}{verdict:16}{outcome.states:8} states {outcome.seconds:6.1f} s   {bound(case.world)}")
        print(f"    rule: {rule.value}")
        if case.redundant:
            print(f"    redundant in this model: {case.redundant}")
        print("\n".join(f"    {at}. {line}" for at, line in enumerate(tell(outcome), 1)))
    print("\nAssertions: " + "; ".join(f"({letter}) never: {text}" for letter, text in ASSERTIONS.items()))
    print(f"{total} states visited, {wrong} results not as expected")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv[1:]))
