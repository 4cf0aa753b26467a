"""`creditmesh-audit reconcile NODE... COORDINATOR`: verify logs, then compare what each bank and the coordinator sent.

The comparison is `audit.reconcile`; here the logs are opened, their keys chosen, and the findings printed. All heads of
the coordinator's log that the banks hold must lie on its one history.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from audit.checked import checked, member_of
from audit.commands import Commands, add_command
from audit.halves import COORDINATOR, Half, coordinator_halves, node_half
from audit.keys import Keys, add_keys, load_keys
from audit.opened import OpenLog
from audit.reconcile import Reconciliation, compare, peer_heads
from audit.screen import FAILED, INCOMPLETE, VALID, code_of, say, say_json, worst_of
from audit.source import open_log
from privacy.errors import InputError
from privacy.log.verify import KnownHead

__all__ = ["add_reconcile"]


def add_reconcile(commands: Commands) -> None:
    """Add the command to the command line."""
    compare = add_command(commands, "reconcile", "compare banks' logs with the coordinator's", _run)
    compare.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="banks' logs, and the coordinator's last")
    add_keys(compare)


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    if len(options.logs) < 2 or keys.log:
        raise InputError("usage", "give one or more banks' logs and the coordinator's last; keys by --members")
    halves: dict[str, Half] = {}
    heads: dict[str, tuple[KnownHead, ...]] = {}
    with open_log(options.logs[-1], None) as opened:
        coordinator = keys.judge(opened)
        held: tuple[KnownHead, ...] = ()
        incomplete = False
        for path in options.logs[:-1]:
            with open_log(path, None) as node:
                log = keys.judge(node)
                _require_other(path, log, coordinator, halves)
                report = checked(log, replace(keys, peer=keys.peer or coordinator.key))
                incomplete |= code_of(report) == INCOMPLETE
                member = member_of(log)
                heads[member] = peer_heads(log.events(), coordinator.origin)
                halves[member] = node_half(log.events(), _identity(keys, COORDINATOR))
                held += heads[member]
        incomplete |= code_of(checked(coordinator, keys, held)) == INCOMPLETE
        _check_told(options.logs[:-1], coordinator, keys)
        others = coordinator_halves(coordinator.events(), {each: _identity(keys, each) for each in halves})
    documents = []
    for member, half in halves.items():
        out = compare(half, others[member])
        code = {"critical": FAILED, "medium": INCOMPLETE, "low": VALID, None: VALID}[out.worst()]
        code = INCOMPLETE if incomplete and code == VALID else code
        documents.append({"member": member, **asdict(out), "heads": len(heads[member]), "exit_code": code})
        if not options.json:
            _print(member, len(heads[member]), out, identified=keys.members is not None)
    worst = worst_of([int(str(document["exit_code"])) for document in documents])
    if options.json:
        say_json(documents[0] if len(documents) == 1 else {"banks": documents, "exit_code": worst})
    return worst


def _check_told(paths: list[Path], coordinator: OpenLog, keys: Keys) -> None:
    """Check that every head which the coordinator recorded of a bank's log lies on that bank's one history.

    A bank that signs a new history of its own would have to disown what it told the coordinator. The banks' logs are
    opened again, after the coordinator's: a log that is still being written must not look older than what it told.
    """
    for path in paths:
        with open_log(path, None) as node:
            log = keys.judge(node)
            told = peer_heads(coordinator.events(), log.origin)
            if told:
                checked(log, replace(keys, peer=keys.peer or coordinator.key), told)


def _require_other(path: Path, log: OpenLog, coordinator: OpenLog, seen: dict[str, Half]) -> None:
    if log.origin == coordinator.origin:
        raise InputError("usage", "both paths hold the same log; give banks' logs and the coordinator's last")
    if member_of(log) == COORDINATOR:
        raise InputError("usage", f"{path}: is the coordinator's log; give it last, after the banks'")
    if member_of(log) in seen:
        raise InputError("usage", f"{path}: the log of {log.origin} was given twice")


def _identity(keys: Keys, name: str) -> bytes | None:
    if keys.members is None or (name == COORDINATOR and name not in keys.members.identities):
        return None
    return keys.members.identity(name)


def _print(member: str, heads: int, out: Reconciliation, *, identified: bool) -> None:
    say(f"{member}: {out.matched} messages agree in both logs, {len(out.findings)} findings")
    say(f"  bytes sent {out.sent_bytes}, received {out.received_bytes}; blocks of frames at most {out.control_bytes}")
    if out.down_sent_bytes or out.down_received_bytes:
        sums = f"bytes sent {out.down_sent_bytes}, received {out.down_received_bytes}"
        say(f"  from the coordinator: {out.down_matched} messages agree, {sums}")
    else:
        say("  from the coordinator: skipped, neither log records that direction")
    if out.unresolved:
        say(f"  {out.unresolved} records of the coordinator do not say for which banks they were")
    say(f"  heads of the coordinator's log that the node holds, all found in that log: {heads}")
    both = f"{out.signatures} checked, {out.down_signatures} of the coordinator's"
    say(f"  signatures on the arrivals: {both if identified else 'skipped (no --members)'}")
    for finding in out.findings:
        say(f"  {finding.severity:<8} {finding.code:<16} {finding.msg_id}: {finding.detail}")
