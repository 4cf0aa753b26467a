"""A log as JSON lines: every byte that a verifier needs, in one file that any tool can read.

Lines in canonical spelling and this order: a header {format, origin, vkey}, checkpoints, cosignatures {size,
cosignature}, events, receipts {msg_id, receipt}, the lines of the side files {file, line}, and an end line with the
SHA-256 over all lines before it. Strings hold the exact bytes of what they stand for. The end line finds damage, not
an author who computes it anew; proofs are the verifier's. The module reads and writes no file.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from privacy.log.canonical import encode
from privacy.log.checkpoint import Checkpoint
from privacy.log.journal import Database
from privacy.log.record import Entry
from privacy.log.statement import Statement

__all__ = [
    "EXPORT_CLAIM",
    "EXPORT_FORMAT",
    "LINE_LIMIT_BYTES",
    "MANIFEST",
    "LogParts",
    "export_lines",
    "export_statement",
    "exported_entry",
    "read_parts",
]

EXPORT_FORMAT = "creditmesh-log/1"
EXPORT_CLAIM = "creditmesh:export/v1"
LINE_LIMIT_BYTES = 1 << 20
MANIFEST = "manifest.json"


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


def read_parts(database: Database, origin: str, vkey: str, rounds: Iterable[tuple[str, bytes]]) -> LogParts:
    """Return what an export of a stored log holds; all of it is read when it is asked for.

    Args:
        database: an open connection to the log.
        origin: the log's origin.
        vkey: the log's verifier key as text.
        rounds: lines of its side files.
    """

    def column(sql: str) -> Iterator[bytes]:
        return (bytes(row[0]) for row in database.execute(sql))

    return LogParts(
        origin=origin,
        vkey=vkey,
        checkpoints=column("SELECT note FROM checkpoint ORDER BY size"),
        events=column("SELECT event FROM event ORDER BY seq"),
        cosignatures=(
            (int(size), str(line))
            for size, line in database.execute("SELECT size, line FROM cosignature ORDER BY number")
        ),
        receipts=(
            (str(msg_id), bytes(receipt))
            for msg_id, receipt in database.execute("SELECT msg_id, receipt FROM receipt ORDER BY number")
        ),
        rounds=rounds,
    )


def exported_entry(who: str, name: str, sha256: str, head: Checkpoint) -> Entry:
    """Return the `audit.exported` record of a whole log that was written to one file.

    Args:
        who: whoever asked for it, a pseudonym.
        name: the file's name.
        sha256: 64 hex digits over the file.
        head: the log's head in the file, before this record.
    """
    body = {
        "who": who,
        "filter": "the whole log as JSON lines",
        "rows": head.size,
        "files": [{"name": name, "sha256": sha256}],
        "checkpoint": {"size": head.size, "root": head.root.hex()},
    }
    return Entry("audit.exported", body)


def export_statement(files: Mapping[str, str], claim: Mapping[str, object]) -> Statement:
    """Return the manifest's statement: files by name with 64 hex digits of SHA-256, and what they hold."""
    return Statement(files, EXPORT_CLAIM, claim)


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
