"""One line of the node's operating log: JSON with an allow-list of keys, on standard error.

It is not the audit log and holds no value of a row. Theory: what operators grep must never be a way for data to leave,
so a key that is not listed here cannot be written.
"""

import json
import sys
from datetime import UTC, datetime

__all__ = ["ALLOWED", "say"]

ALLOWED = frozenset({"job", "recipe", "code", "reason", "members", "state", "warning", "lost", "address"})


def say(event: str, **keys: object) -> None:
    """Write one line: time in UTC, event, and allowed keys."""
    unknown = set(keys) - ALLOWED
    if unknown:
        raise KeyError(f"log keys {sorted(unknown)} are not on the allow-list")
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    print(json.dumps({"t": stamp, "event": event, **keys}, ensure_ascii=False), file=sys.stderr, flush=True)
