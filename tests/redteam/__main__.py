"""Play every attack and print who refused it where: `python -m tests.redteam`; 1 if one was not refused."""

import sys

from tests.redteam import suite
from tests.redteam.attack import outcome


def main() -> int:
    """Print the table and one last line."""
    held = 0
    print(f"{'no':>4}  {'attack':<84} {'who refuses':<16} {'where':<24} result")
    for case in suite.ATTACKS:
        result = outcome(case)
        held += result == case.code
        print(f"{case.number:>4}  {case.name:<84} {case.refuses:<16} {case.where:<24} {result}")
        print(f"{'':>4}  without the check: {case.without_the_check}")
    print(f"{held} refused of {len(suite.ATTACKS)}")
    return int(held != len(suite.ATTACKS))


if __name__ == "__main__":
    sys.exit(main())
