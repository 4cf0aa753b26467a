"""Logs that were verified before anything is concluded from them.

A comparison with a log that does not hold would mean nothing, so every command that reads several logs opens them here.
"""

from dataclasses import replace

from audit.keys import Keys
from audit.opened import OpenLog
from audit.screen import FAILED, ROLLED_BACK, code_of
from privacy.errors import VerificationError
from privacy.log.verify import KnownHead, Report, verify_log

__all__ = ["MEMBER_SUFFIX", "checked", "member_of"]

MEMBER_SUFFIX = "/privacy-log"
QUORUM = "quorum"


def member_of(log: OpenLog) -> str:
    """Return the id under which others know the keeper of a log."""
    return log.origin.removesuffix(MEMBER_SUFFIX)


def checked(log: OpenLog, keys: Keys, heads: tuple[KnownHead, ...] = ()) -> Report:
    """Verify a log and return the report.

    Args:
        log: the log, under the key that it must have.
        keys: whose receipts and cosignatures it is judged by; whether they are a quorum is asked by `verify` alone.
        heads: heads of it that other logs hold.

    Raises:
        VerificationError: `log-invalid` or `rolled-back` with the first step that does not hold.
    """
    report = verify_log(log.source(keys.of_peer(), heads, keys.policy_of(log.origin)))
    report = replace(report, steps=tuple(step for step in report.steps if step.name != QUORUM))
    code = code_of(report)
    if code in (FAILED, ROLLED_BACK):
        bad = next(step for step in report.steps if step.status in ("failed", "rolled-back"))
        slug = "rolled-back" if code == ROLLED_BACK else "log-invalid"
        raise VerificationError(slug, f"{log.path}: step {bad.number} ({bad.name}): {bad.detail}")
    return report
