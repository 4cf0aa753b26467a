"""Play every attack and print who refused it where: `python -m tests.redteam`; 1 if one was not refused.

An attack of the list may have parts (4, 4b); it counts as refused if all of them were, each with its record. Numbers
with a plus are attacks beside the list. Where Flower is installed, the questions that can be put to the functions of
its SecAgg+ are asked beside.
"""

import io
import sys
from contextlib import redirect_stderr

from privacy.errors import PrivacyError
from tests.redteam import membership, suite
from tests.redteam.attack import Attack
from tests.redteam.flower import ask_all
from tests.redteam.records import Records


def main() -> int:
    """Print the table, what Flower's protocol answers, and one last line."""
    failed = set()
    print(f"{'no':>4}  {'attack':<96} {'who refuses':<17} {'where':<24} {'result':<26} recorded")
    with Records() as records:
        for case in suite.ATTACKS:
            with redirect_stderr(io.StringIO()):  # the nodes' own lines
                result, recorded = _played(case, records)
            if result != case.code or not recorded:
                failed.add(suite.number_of(case))
            row = f"{case.number:>4}  {case.name:<96} {case.refuses:<17} {case.where:<24} {result:<26} {recorded}"
            print(row.rstrip())
            print(f"{'':>4}  without the check: {case.without_the_check}")
    print(_flower())
    found = membership.findings()
    print(membership.describe(found))
    numbers = {suite.number_of(case) for case in suite.ATTACKS}
    beside = {number for number in numbers if number.startswith("+")}
    print(f"beside the list: {len(beside - failed)} refused of {len(beside)}")
    print(f"{len(numbers - beside - failed)} refused of {len(numbers - beside)}")
    return int(bool(failed) or not membership.kept(found))


def _played(case: Attack, records: Records) -> tuple[str, str]:
    """Return the code that stopped an attack and what is written about it, or that it succeeded."""
    try:
        case.play()
    except PrivacyError as error:
        try:
            return error.code, records.of(case, error)
        except AssertionError:
            return error.code, ""
    return "SUCCEEDED", ""


def _flower() -> str:
    try:
        version, answers = ask_all()
    except (ImportError, AttributeError) as reason:
        return f"Flower's SecAgg+ was not asked: {reason}"
    ours = {case.number: case.code for case in suite.ATTACKS}
    lines = [f"\nFlower {version}'s SecAgg+, asked the same where its functions can be called:"]
    for answer in answers:
        lines.append(f"{answer.number:>4}  {answer.question}\n      Flower: {answer.answer}")
        lines.append(f"      here:   {ours[answer.number]}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
