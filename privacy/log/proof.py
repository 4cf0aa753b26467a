"""A proof in one file that a record is in a log: C2SP tlog-proof v1.

A text: a first line that names the format, `extra` with the record's exact bytes in base64, `index`, one line a hash of
the inclusion proof, an empty line, and the checkpoint with its signatures. Whoever holds the log's public key needs
nothing else. The format does not vouch for the extra bytes; here they are the record itself, so its leaf hash does.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import INTEGER_LIMIT
from privacy.log.checkpoint import Checkpoint, verify_checkpoint
from privacy.log.note import NOTE_LIMIT_BYTES, VerifierKey
from privacy.log.record import EVENT_LIMIT_BYTES, Event, decode_event
from privacy.log.tree import HASH_BYTES, leaf_hash, verify_inclusion

__all__ = ["PROOF_LIMIT_BYTES", "LogProof", "parse_proof", "verify_proof"]

PROOF_LIMIT_BYTES = NOTE_LIMIT_BYTES + 2 * EVENT_LIMIT_BYTES + 4096
_HEADER = "c2sp.org/tlog-proof@v1"
_PATH_LIMIT = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class LogProof:
    """The proof's parts: the record's bytes, its index, the 32-byte hashes of its audit path, and the signed note."""

    record: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """Return the file's bytes."""
        lines = [_HEADER, f"extra {_text(self.record)}", f"index {self.index}", *map(_text, self.path), "", ""]
        return "\n".join(lines).encode("ascii") + self.checkpoint


def parse_proof(encoded: bytes) -> LogProof:
    """Read a proof strictly, without checking it; one whose record is kept elsewhere has an empty record.

    Raises:
        VerificationError: `proof-malformed`.
    """
    head, empty, checkpoint = encoded.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if len(encoded) > PROOF_LIMIT_BYTES or not empty or lines.pop(0) != _HEADER:
            raise ValueError("another format")
        record = _bytes(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        path = tuple(map(_bytes, lines))
        if index is None or int(index[1]) >= INTEGER_LIMIT or len(path) > _PATH_LIMIT:
            raise ValueError("no index")
        if any(len(each) != HASH_BYTES for each in path):
            raise ValueError("a hash of another length")
    except ValueError:
        raise VerificationError("proof-malformed", f"file is no proof of the form {_HEADER}") from None
    return LogProof(record, int(index[1]), path, checkpoint)


def verify_proof(proof: LogProof, key: VerifierKey) -> tuple[Event, Checkpoint]:
    """Check everything that a proof shows, and return the record and the checkpoint it stands under.

    Order: (1) the record is an event of this key's log at this index, (2) the log signed the checkpoint, (3) the record
    is in that tree.

    Raises:
        VerificationError: with the code of the step that failed.
    """
    event = decode_event(proof.record)
    if event.log != key.name or event.seq != proof.index:
        raise VerificationError("proof-malformed", f"the record is not number {proof.index} of log {key.name}")
    checkpoint = verify_checkpoint(proof.checkpoint, key, key.name)
    verify_inclusion(leaf_hash(proof.record), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return event, checkpoint


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if _text(raw) != text:
        raise ValueError("not the one spelling of base64")
    return raw
