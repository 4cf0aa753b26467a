"""Make a real demo run and tamper with what it left: `python -m tests.tamper [--cases 1000] [--seed 0] [--only CASE]`.

Exit codes: 0 nothing passed unnoticed, 1 something did, 2 the honest logs do not verify.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.e2e.demo_run import demo, write_small_room
from tests.tamper.campaign import play
from tests.tamper.evidence import COORDINATOR, audit, gather

__all__ = ["main"]


def main() -> int:
    """Run the campaign and print what became of its cases."""
    parser = argparse.ArgumentParser(prog="tests.tamper", description="tamper with logs at random and verify them")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="CASE", help="play one case and print it")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="what a demo left, instead of a new run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if asked.run is None:
            ended = demo("--data", write_small_room(folder / "room"), "--out", folder / "run")
            assert ended.code == 0, ended.err
        evidence = gather(asked.run or folder / "run", folder / "evidence")
        states = [str(evidence.state(party)) for party in evidence.parties]
        for command in (["verify", *states, "--no-state"], ["reconcile", *states]):
            code, said = audit(*command, "--members", str(evidence.members))
            if code or " flagged " in said:
                print(f"tamper: the honest logs do not hold:\n{said}", file=sys.stderr)
                return 2
        verdicts: Counter[str] = Counter()
        for case in range(asked.cases) if asked.only is None else (asked.only,):
            outcome = play(evidence, asked.seed, case, folder)
            verdicts[outcome.verdict] += 1
            if outcome.verdict == "missed" or asked.only is not None:
                print(f"case {case}: {outcome.verdict} {outcome.by}: {outcome.party}: {outcome.mutation}: ", end="")
                print(f"{outcome.detail}; again: python -m tests.tamper --seed {asked.seed} --only {case}")
    total = sum(verdicts.values())
    print(f"{total} cases: {', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))}")
    print(f"harmless: outside of content; tail: after the last head that {COORDINATOR} or a bank holds of the other")
    return 1 if verdicts["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
