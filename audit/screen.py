"""What the auditor's commands print, and the exit codes they end with.

Nothing is decided here. Names in a log are its writer's, and a terminal must not obey what is hidden in them, so every
line is stripped of control and direction characters before it is printed.
"""

import json
import sys

from privacy.errors import PrivacyError
from privacy.log.verify import Report

__all__ = [
    "FAILED",
    "INCOMPLETE",
    "INTERRUPTED",
    "LIMITS",
    "ROLLED_BACK",
    "USAGE",
    "VALID",
    "code_of",
    "complain",
    "plain",
    "say",
    "say_json",
    "worst_of",
]

VALID, FAILED, USAGE, INCOMPLETE, ROLLED_BACK, INTERRUPTED = 0, 1, 2, 3, 4, 130
LIMITS = (
    "What this cannot show: that something was recorded at all, and that a log's parameters are true.",
    "It shows that nothing recorded up to the last checkpoint somebody else holds was altered or removed.",
)


def plain(text: str) -> str:
    """Return the text with every character that is not printable replaced by a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def say(*lines: str) -> None:
    """Print lines on standard output."""
    for line in lines:
        print(plain(line))


def say_json(document: object) -> None:
    """Print a document as indented ASCII JSON, in which nothing can move a cursor."""
    print(json.dumps(document, indent=2))


def complain(error: PrivacyError, code: int) -> int:
    """Print an error as one line on standard error and return the exit code."""
    print(f"creditmesh-audit: {plain(error.message)}", file=sys.stderr)
    return code


def code_of(report: Report) -> int:
    """Return the exit code that a log's report stands for."""
    if report.has("failed"):
        return FAILED
    if report.has("rolled-back"):
        return ROLLED_BACK
    return INCOMPLETE if report.has("incomplete") else VALID


def worst_of(codes: list[int]) -> int:
    """Return the gravest of several exit codes."""
    return next((each for each in (FAILED, ROLLED_BACK, INCOMPLETE) if each in codes), VALID)
