"""`creditmesh-audit secagg-check`: the rule of the secure sum over several banks' logs.

The logs are verified first; the rule is `audit.secagg`. Give every bank's log: a bank whose log is missing is named,
and the answer is then incomplete.
"""

import argparse
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from audit.checked import checked, member_of
from audit.commands import Commands, add_command
from audit.halves import COORDINATOR
from audit.keys import add_keys, load_keys
from audit.screen import FAILED, INCOMPLETE, VALID, code_of, say, say_json, worst_of
from audit.secagg import SecaggAudit
from audit.source import open_log
from privacy.errors import InputError
from privacy.log.verify import Step

__all__ = ["add_secagg"]

LIMIT = "What this cannot show: what a bank did not write down; t banks that lie together can take a mask off unseen."
_SHOWN = 20


def add_secagg(commands: Commands) -> None:
    """Add the command to the command line."""
    check = add_command(commands, "secagg-check", "check over banks' logs that no mask came off", _run)
    check.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="every bank's state directory or export")
    check.add_argument("--min-cohort", type=int, metavar="N", help="smallest cohort (default: what each bank accepted)")
    add_keys(check)


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    if keys.log:
        raise InputError("usage", "--vkey names the key of one log; give --members for several")
    audit, codes, origins = SecaggAudit(options.min_cohort), [], set()
    for path in options.logs:
        with ExitStack() as stack:
            log = keys.judge(stack.enter_context(open_log(path, None)))
            if member_of(log) == COORDINATOR:
                raise InputError("usage", f"{path}: is the coordinator's log, which gives no shares; give banks' logs")
            if log.origin in origins:
                raise InputError("usage", f"{path}: the log of {log.origin} was given twice")
            origins.add(log.origin)
            codes.append(code_of(checked(log, replace(keys, peer=None, members=None))))
            audit.add_log(member_of(log), log.events(), log.rounds())
    steps = audit.judge()
    code = worst_of([_code(step) for step in steps] + codes)
    if options.json:
        say_json({
            "logs": sorted(origins), "steps": [asdict(step) for step in steps], "smallest_cohort": audit.smallest,
            "violations": [asdict(each) for each in audit.violations], "limit": LIMIT, "exit_code": code,
        })  # fmt: skip
        return code
    say(f"{len(origins)} logs: {', '.join(sorted(origins))}")
    for step in steps:
        say(f"  ({step.number}) {step.name:<20} {step.status:<11} {step.detail}")
    if audit.smallest is not None:
        say(f"  smallest cohort of any sum: {audit.smallest} banks")
    for each in audit.violations[:_SHOWN]:
        say(f"  {each.status:<11} {each.where}: {each.detail}")
    if len(audit.violations) > _SHOWN:
        say(f"  {len(audit.violations) - _SHOWN} more: see --json")
    say(LIMIT)
    return code


def _code(step: Step) -> int:
    return {"failed": FAILED, "incomplete": INCOMPLETE}.get(step.status, VALID)
