"""`creditmesh-audit reconcile`: verify two logs, then compare what one sent with what the other received.

The comparison is `audit.reconcile`; here the logs are opened, their keys chosen, and the findings printed.
"""

import argparse
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from audit.commands import Commands, add_command
from audit.members import load_members
from audit.reconcile import Reconciliation, peer_heads, reconcile
from audit.screen import FAILED, INCOMPLETE, ROLLED_BACK, VALID, code_of, say, say_json
from audit.source import OpenLog, open_log
from privacy.errors import InputError, VerificationError
from privacy.log.note import VerifierKey
from privacy.log.verify import KnownHead, Report, verify_log

__all__ = ["add_reconcile"]


def add_reconcile(commands: Commands) -> None:
    """Add the command to the command line."""
    compare = add_command(commands, "reconcile", "compare a node's log with the coordinator's", _run)
    compare.add_argument("node", type=Path, metavar="NODE")
    compare.add_argument("coordinator", type=Path, metavar="COORDINATOR")
    compare.add_argument("--members", type=Path, metavar="FILE", help="members.json with the banks' public keys")


def _run(options: argparse.Namespace) -> int:
    members = load_members(options.members) if options.members else None
    with ExitStack() as stack:
        node = stack.enter_context(open_log(options.node, None))
        coordinator = stack.enter_context(open_log(options.coordinator, None))
        if node.origin == coordinator.origin:
            raise InputError("usage", "both paths hold the same log; give a node's and the coordinator's")
        member = node.origin.removesuffix("/privacy-log")
        identity = members.identity(member) if members else None
        heads = peer_heads(node.source().events, coordinator.origin)
        reports = [_checked(node, coordinator.key, ()), _checked(coordinator, None, heads)]
        out = reconcile(node.source().events, coordinator.source().events, member, identity)
    code = {"critical": FAILED, "medium": INCOMPLETE, "low": VALID, None: VALID}[out.worst()]
    if any(code_of(report) == INCOMPLETE for report in reports) and code == VALID:
        code = INCOMPLETE
    if options.json:
        say_json({"member": member, **asdict(out), "exit_code": code})
    else:
        _print(member, len(heads), out, identity is not None)
    return code


def _checked(log: OpenLog, peer: VerifierKey | None, heads: tuple[KnownHead, ...]) -> Report:
    """Verify one side; a comparison with a log that does not hold would mean nothing."""
    report = verify_log(log.source(peer, heads))
    code = code_of(report)
    if code in (FAILED, ROLLED_BACK):
        bad = next(step for step in report.steps if step.status in ("failed", "rolled-back"))
        slug = "rolled-back" if code == ROLLED_BACK else "log-invalid"
        raise VerificationError(slug, f"{log.path}: step {bad.number} ({bad.name}): {bad.detail}")
    return report


def _print(member: str, heads: int, out: Reconciliation, identified: bool) -> None:
    say(f"{member}: {out.matched} messages agree in both logs, {len(out.findings)} findings")
    say(f"  bytes sent {out.sent_bytes}, received {out.received_bytes}; control frames at most {out.control_bytes}")
    say(f"  heads of the coordinator's log that the node holds, all found in that log: {heads}")
    checked = f"{out.signatures} checked" if identified else "skipped (no --members)"
    say(f"  signatures of the node on its arrivals: {checked}")
    for finding in out.findings:
        say(f"  {finding.severity:<8} {finding.code:<16} {finding.msg_id}: {finding.detail}")
