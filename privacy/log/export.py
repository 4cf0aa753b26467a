"""A log as JSON lines: every byte that a verifier needs, in one file that any tool can read.

Lines in canonical spelling and this order: a header {format, origin, vkey}, checkpoints, cosignatures {size,
cosignature}, events, receipts {msg_id, receipt}, the lines of the side files {file, line}, and an end line with the
SHA-256 over all lines before it. Strings hold the exact bytes of what they stand for. The end line finds damage, not
an author who computes it anew; proofs are the verifier's. The module reads and writes no file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from privacy.log.canonical import encode

__all__ = ["EXPORT_FORMAT", "LINE_LIMIT_BYTES", "LogParts", "export_lines"]

EXPORT_FORMAT = "creditmesh-log/1"
LINE_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LogParts:
    """Everything that an export holds.

    Attributes:
        origin: the log's origin.
        vkey: the log's verifier key as text.
        checkpoints: notes in rising size.
        events: exact bytes in order.
        cosignatures: (size, signature line).
        receipts: (message id, receipt).
        rounds: (name of the side file, line without newline).
    """

    origin: str
    vkey: str
    checkpoints: Iterable[bytes]
    events: Iterable[bytes]
    cosignatures: Iterable[tuple[int, str]] = ()
    receipts: Iterable[tuple[str, bytes]] = ()
    rounds: Iterable[tuple[str, bytes]] = ()


def export_lines(parts: LogParts) -> Iterator[bytes]:
    """Yield the export's lines, newlines included."""
    state = hashlib.sha256()
    for line in _lines(parts):
        encoded = encode(line) + b"\n"
        state.update(encoded)
        yield encoded
    yield encode({"end": state.hexdigest()}) + b"\n"


def _lines(parts: LogParts) -> Iterator[dict[str, object]]:
    yield {"format": EXPORT_FORMAT, "origin": parts.origin, "vkey": parts.vkey}
    for note in parts.checkpoints:
        yield {"checkpoint": note.decode("utf-8")}
    for size, line in parts.cosignatures:
        yield {"size": size, "cosignature": line}
    for event in parts.events:
        yield {"event": event.decode("utf-8")}
    for msg_id, receipt in parts.receipts:
        yield {"msg_id": msg_id, "receipt": receipt.decode("utf-8")}
    for name, row in parts.rounds:
        yield {"file": name, "line": row.decode("utf-8")}
