"""`creditmesh-audit epsilon`: recompute what privacy a bank's releases cost, and compare.

The log is verified first; the figures are `audit.epsilon`. A log without `dp.spend` records promises no epsilon: its
sums are exact, and that is said instead of a zero.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from audit.checked import MEMBER_SUFFIX, checked
from audit.commands import Commands, add_command
from audit.epsilon import EpsilonAudit, Spending, audit_epsilon
from audit.halves import COORDINATOR
from audit.keys import add_keys, load_keys
from audit.screen import FAILED, INCOMPLETE, code_of, say, say_json, worst_of
from audit.source import open_log

__all__ = ["add_epsilon"]

NOTHING = "no dp.spend records: the sums this log speaks of are exact, and no epsilon is promised for them"
ELSEWHERE = "no dp.spend records: a coordinator spends no bank's budget; give a bank's log"
LIMIT = "What this cannot show: that noise of this size was really drawn; that is the node's claim."


def add_epsilon(commands: Commands) -> None:
    """Add the command to the command line."""
    epsilon = add_command(commands, "epsilon", "recompute epsilon from a bank's log and compare", _run)
    epsilon.add_argument("log", type=Path, metavar="LOG", help="a bank's state directory or export")
    epsilon.add_argument("--dataset", metavar="D", help="show this data set only (its pseudonym)")
    add_keys(epsilon)


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    with open_log(options.log, keys.log) as opened:
        log = keys.judge(opened)
        codes = [code_of(checked(log, keys))]
        audit = audit_epsilon(log.events())
    shown = [each for each in audit.spending.values() if options.dataset in (None, each.dataset)]
    graver = [fault for fault in audit.faults if fault.code != "missing"]
    codes += [FAILED] if graver else [INCOMPLETE] if audit.missing else []
    if options.dataset is not None and audit.spending and not shown:
        codes.append(INCOMPLETE)
    code = worst_of(codes)
    if options.json:
        faults = [asdict(fault) for fault in audit.faults]
        note = None if audit.spending else _nothing(log.origin, audit)
        say_json({"origin": log.origin, "spending": [asdict(each) for each in shown], "faults": faults,
                  "missing": audit.missing, "note": note, "limit": LIMIT, "exit_code": code})  # fmt: skip
        return code
    say(f"log {log.origin}")
    _print(options, audit, shown, _nothing(log.origin, audit))
    return code


def _nothing(origin: str, audit: EpsilonAudit) -> str:
    if origin == f"{COORDINATOR}{MEMBER_SUFFIX}":
        return ELSEWHERE
    return "no dp.spend records" if audit.faults else NOTHING


def _print(options: argparse.Namespace, audit: EpsilonAudit, shown: list[Spending], nothing: str) -> None:
    if not audit.spending:
        say(f"  {nothing}")
        if not audit.faults:
            return
    elif not shown:
        say(f"  no dp.spend record of data set {options.dataset}; there are {len(audit.spending)} others")
    for each in shown:
        jobs = f"{len(each.jobs)} job" + ("s" if len(each.jobs) > 1 else "")
        say(f"  data set {each.dataset}: {each.releases} releases in {jobs}, unit {each.unit}, {each.accountant}")
        found = "not recomputed" if each.recomputed is None else f"{each.recomputed:.15g}"
        say(f"    epsilon at delta {each.delta}: written {each.logged}, recomputed {found}, cap {each.cap}")
    for fault in audit.faults:
        say(f"  record {fault.seq:<7} {fault.code:<10} {fault.detail}")
    say(f"  result: {'all totals agree' if not audit.faults else f'{len(audit.faults)} findings'}", LIMIT)
