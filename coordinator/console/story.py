"""What an event of a job means to a person: a text of its own, the cause, and what to do next.

It draws nothing and keeps nothing. Theory: an event says what happened in codes and small values; people need the
cause and a next step. A code without a text of its own is shown as it is, never hidden.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.store import JobEvent

__all__ = ["Chapter", "cause_of", "tell"]

_GRAVE = frozenset({"job-failed", "job-paused", "members-excluded", "member-left-out", "job-cancelled"})
# Reasons were kept as sentences before they had codes; what they are recognised by.
_CAUSES = (
    ("sum-unverified", re.compile(r"sum not verified")),
    ("member-lost", re.compile(r"member lost|was lost|members are left")),
    ("members-too-few", re.compile(r"at least \d+ are needed|members are enrolled|too few")),
    ("cancelled", re.compile(r"operator cancelled|cancelled in the queue")),
    ("software-changed", re.compile(r"software was changed")),
    ("progress-damaged", re.compile(r"kept (of|for) this job|was kept, but")),
    ("coordinator-restarted", re.compile(r"coordinator was (restarted|stopped)")),
    ("deadline", re.compile(r"did not answer within|did not read within")),
    ("sum-unopened", re.compile(r"^round \d+:")),
    ("internal", re.compile(r"^internal error")),
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """An event to be told: kind names its text `event.<kind>`, cause its texts `cause.<cause>` and `next.<cause>`.

    detail: the sentence as the coordinator wrote it, "" for none. parts: values for the texts.
    """

    seq: int
    t: int
    kind: str
    cause: str
    detail: str
    grave: bool
    parts: Mapping[str, Any] = field(default_factory=dict)


def tell(event: JobEvent) -> Chapter:
    """Return an event as it is told."""
    body = event.body
    detail = str(body.get("reason") or body.get("reasons") or "")
    code = str(body.get("code") or "")
    cause = code or (cause_of(detail) if event.kind in _GRAVE else "")
    # An operator's pause and one that waits for a lost bank are one kind of event and two stories.
    kind = "job-paused-lost" if event.kind == "job-paused" and body.get("lost") else event.kind
    return Chapter(event.seq, event.t, kind, cause, detail, event.kind in _GRAVE, _parts(body))


def cause_of(reason: str) -> str:
    """Return the code of a reason that was kept as a sentence, "" for one that nobody foresaw."""
    for cause, pattern in _CAUSES:
        if pattern.search(reason):
            return cause
    return ""


def _parts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as texts; a list becomes its members, and how many there are as `<key>_count`."""
    parts: dict[str, Any] = {}
    for key, value in body.items():
        if isinstance(value, list | tuple):
            parts[key], parts[f"{key}_count"] = ", ".join(map(str, value)) or "–", len(value)
        else:
            parts[key] = value
    return parts
