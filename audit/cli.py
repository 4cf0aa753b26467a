"""`creditmesh-audit`: verify privacy logs with nothing but the logs and public keys.

    creditmesh-audit verify DIR|FILE...               the numbered steps over each log
    creditmesh-audit prove SEQ LOG | --check FILE     one record's proof, written or checked
    creditmesh-audit diff OLD NEW [LOG]               whether two checkpoints belong to one history
    creditmesh-audit reconcile NODE COORDINATOR       what one side sent against what the other received
    creditmesh-audit secagg-check LOG...              over all banks' logs, that no mask came off
    creditmesh-audit epsilon LOG                      the privacy budget, recomputed
    creditmesh-audit export FORMAT LOG --out PATH     jsonl, csv, html or tiles, with a manifest
    creditmesh-audit sign-off FOLDER --members FILE   whether a quorum of banks signed a model off
    creditmesh-audit report LOG... --out FILE         an auditor's 22 questions, answered as one page

The tool reads files and prints; it needs `cryptography` alone, talks to no network and changes no log. Exit codes: 0
all that was checked holds, 1 failed or tampered, 2 usage or bad input, 3 incomplete, 4 rolled back. A step that was
not checked is printed as skipped, never as passed. Every command lives in a module of its own.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from audit.commands import Parser
from audit.diff_command import add_diff
from audit.epsilon_command import add_epsilon
from audit.export_command import add_export
from audit.prove_command import add_prove
from audit.reconcile_command import add_reconcile
from audit.report import add_report
from audit.screen import FAILED, INCOMPLETE, INTERRUPTED, ROLLED_BACK, USAGE, complain
from audit.secagg_command import add_secagg
from audit.signoff_command import add_signoff
from audit.verify_command import add_verify
from privacy.errors import PrivacyError, VerificationError

__all__ = ["main"]

COMMANDS = (
    add_verify,
    add_prove,
    add_diff,
    add_reconcile,
    add_secagg,
    add_epsilon,
    add_export,
    add_signoff,
    add_report,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except VerificationError as error:
        return complain(error, ROLLED_BACK if error.code == "rolled-back" else FAILED)
    except PrivacyError as error:
        return complain(error, USAGE)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; Python must not flush into the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="creditmesh-audit", description="Verify creditmesh privacy logs offline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return parser
