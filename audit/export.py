"""Write a log as JSON lines that `creditmesh-audit verify` accepts, with every event's exact bytes.

Nothing is verified or left out here. Order: header, checkpoints, events, receipts, and a digest over all lines.
"""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from audit.source import EXPORT_FORMAT, OpenLog
from privacy.log.canonical import encode

__all__ = ["export_jsonl"]


def export_jsonl(log: OpenLog, stream: BinaryIO) -> int:
    """Write the export to a binary stream and return the number of events."""
    state, events = hashlib.sha256(), 0
    for line in _lines(log):
        encoded = encode(line) + b"\n"
        state.update(encoded)
        stream.write(encoded)
        events += "event" in line
    stream.write(encode({"end": state.hexdigest()}) + b"\n")
    return events


def _lines(log: OpenLog) -> Iterator[dict[str, object]]:
    source = log.source()
    yield {"format": EXPORT_FORMAT, "origin": log.origin, "vkey": log.key.encode()}
    for note in source.checkpoints:
        yield {"checkpoint": note.decode("utf-8")}
    for event in source.events:
        yield {"event": event.decode("utf-8")}
    for msg_id, receipt in source.receipts or ():
        yield {"msg_id": msg_id, "receipt": receipt.decode("utf-8")}
