"""Play every attack and print who refused it where: `python -m tests.redteam`; 1 if one was not refused.

An attack of the list may have parts (4, 4b); it counts as refused if all of them were. Where Flower and the probe of
its SecAgg+ are at hand, the questions that can be put to its functions are asked beside. Last comes the membership audit
of released models, which has to stay under its bound, and to break it where the noise is a lie.
"""

import subprocess
import sys
from pathlib import Path

from tests.redteam import membership, suite
from tests.redteam.attack import outcome

PROBE = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "flower_secagg_probe.py"


def main() -> int:
    """Print the table, what Flower's protocol answers, and one last line."""
    failed = set()
    print(f"{'no':>4}  {'attack':<84} {'who refuses':<16} {'where':<24} result")
    for case in suite.ATTACKS:
        result = outcome(case)
        if result != case.code:
            failed.add(_number(case.number))
        print(f"{case.number:>4}  {case.name:<84} {case.refuses:<16} {case.where:<24} {result}")
        print(f"{'':>4}  without the check: {case.without_the_check}")
    print(_flower())
    found = membership.findings()
    print(membership.describe(found))
    numbers = {_number(case.number) for case in suite.ATTACKS}
    print(f"{len(numbers - failed)} refused of {len(numbers)}")
    return int(bool(failed) or not membership.kept(found))


def _number(name: str) -> str:
    return name.rstrip("abcdef")


def _flower() -> str:
    if not PROBE.exists():
        return "Flower's SecAgg+ was not asked: its probe is not here"
    done = subprocess.run([sys.executable, str(PROBE)], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        return "Flower's SecAgg+ was not asked: flwr is not installed, or the probe does not fit it"
    return "Flower's SecAgg+, asked the same where its functions can be called:\n" + done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
