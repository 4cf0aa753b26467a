"""Checkpoints: a log's signed statement of its size and root (C2SP tlog-checkpoint v1.0.0).

Three lines of a signed note: the log's origin, the number of records in decimal, base64 of the root. Extension lines
are neither written nor accepted. A checkpoint says nothing about time; a witness's cosignature does. The module keeps
no state, so that a log never signs a smaller head is its store's duty.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from privacy.errors import MisuseError, VerificationError
from privacy.log.canonical import INTEGER_LIMIT
from privacy.log.note import Note, NoteSigner, VerifierKey, parse_note
from privacy.log.tree import HASH_BYTES

__all__ = [
    "Checkpoint",
    "cosign_checkpoint",
    "parse_checkpoint",
    "sign_checkpoint",
    "verify_checkpoint",
    "verify_cosignature",
]

_ORIGIN = re.compile(r"[!-*,-~]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, number of records and 32-byte root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        if not _ORIGIN.fullmatch(self.origin) or self.origin.startswith("cosignature/"):
            raise MisuseError("origin-malformed", "origin is 1 to 255 printable ASCII characters without + or space")
        if not 0 <= self.size < INTEGER_LIMIT or len(self.root) != HASH_BYTES:
            raise MisuseError("checkpoint-malformed", "size or root of a checkpoint is out of range")
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """Return the checkpoint as a note with the log's signature."""
    text = checkpoint.text()
    return Note(text, (signer.sign(text),)).encode()


def parse_checkpoint(encoded: bytes) -> tuple[Checkpoint, Note]:
    """Read a checkpoint strictly, without checking signatures.

    Raises:
        VerificationError: `note-malformed` or `checkpoint-malformed`.
    """
    note = parse_note(encoded)
    lines = note.text.split("\n")
    if len(lines) != 4:
        raise VerificationError("checkpoint-malformed", f"checkpoint has {len(lines) - 1} lines, expected 3")
    origin, size, root_text, _ = lines
    if not _ORIGIN.fullmatch(origin) or origin.startswith("cosignature/"):
        raise VerificationError("checkpoint-malformed", "checkpoint has no usable origin")
    if not _SIZE.fullmatch(size) or int(size) >= INTEGER_LIMIT:
        raise VerificationError("checkpoint-malformed", "checkpoint's size is not a plain decimal number below 2^53")
    try:
        root = base64.b64decode(root_text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_BYTES or base64.b64encode(root).decode("ascii") != root_text:
        raise VerificationError("checkpoint-malformed", "checkpoint's root is not base64 of 32 bytes")
    return Checkpoint(origin, int(size), root), note


def verify_checkpoint(encoded: bytes, key: VerifierKey, origin: str) -> Checkpoint:
    """Read a checkpoint and check that this log signed it.

    Raises:
        VerificationError: malformed, of another origin (`origin-mismatch`), unsigned or wrongly signed.
    """
    checkpoint, note = parse_checkpoint(encoded)
    if checkpoint.origin != origin:
        raise VerificationError("origin-mismatch", f"checkpoint is of log {checkpoint.origin}, expected {origin}")
    key.verify(note)
    return checkpoint


def cosign_checkpoint(encoded: bytes, witness: NoteSigner, unix_seconds: int) -> bytes:
    """Return the note with a witness's cosignature added; the witness must have checked consistency first."""
    _, note = parse_checkpoint(encoded)
    return Note(note.text, (*note.signatures, witness.cosign(note.text, unix_seconds))).encode()


def verify_cosignature(encoded: bytes, key: VerifierKey) -> int:
    """Check a witness's cosignature on a checkpoint and return the Unix seconds it states.

    Raises:
        VerificationError: malformed, without a line of this key, or wrongly signed.
    """
    _, note = parse_checkpoint(encoded)
    stated = key.verify(note)
    if stated is None:
        raise VerificationError("signature-missing", f"{key.name} is not a cosigner's key")
    return stated
