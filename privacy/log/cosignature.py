"""Cosignatures: a witness's statement that this was the largest consistent head of a log that it had seen.

C2SP tlog-cosignature v1, Ed25519, key type 0x04: a signature line whose value is a Unix time (8 bytes, big-endian) and
a signature over a header, that time and the checkpoint's text. The signed text does not name the witness, so no two
witnesses may share a key. The module reads no clock and keeps nothing; `privacy.log.witness` says when a witness may
sign. Theory: lines travel apart from the note that they belong to, so a log may have more witnesses than a note may
carry signatures.
"""

from collections.abc import Iterable, Mapping

from privacy.errors import VerificationError
from privacy.log.note import COSIGNATURE, Note, NoteSigner, Signature, VerifierKey, parse_note

__all__ = ["COSIGNATURE_BYTES", "cosign", "parse_lines", "read_line", "valid_cosignatures", "verify_line"]

COSIGNATURE_BYTES = 72
LINES_LIMIT_BYTES = 16_384
_LATEST = 2**63 - 1


def cosign(text: str, witness: NoteSigner, unix_seconds: int) -> str:
    """Return the witness's signature line, newline included, on a checkpoint's text (its three lines)."""
    return witness.cosign(text, unix_seconds).line()


def parse_lines(encoded: bytes) -> tuple[Signature, ...]:
    """Read the body of a witness's answer: one or more signature lines.

    Raises:
        VerificationError: `note-malformed` for anything else, among it two lines of one key or more than 16 lines.
    """
    if not encoded or len(encoded) > LINES_LIMIT_BYTES or encoded.startswith(b"\n") or b"\n\n" in encoded:
        raise VerificationError("note-malformed", f"an answer of {len(encoded)} bytes holds more than signature lines")
    return parse_note(b"x\n\n" + encoded).signatures


def read_line(line: str) -> Signature:
    """Read one signature line, with or without its newline, strictly."""
    found = parse_lines(line.removesuffix("\n").encode("utf-8") + b"\n")
    if len(found) != 1:
        raise VerificationError("note-malformed", "expected one signature line")
    return found[0]


def verify_line(text: str, signature: Signature, key: VerifierKey) -> int:
    """Check one cosignature on a checkpoint's text and return the Unix seconds that it states.

    Raises:
        VerificationError: `signature-missing` when the line is not of this cosigner's key, `signature-invalid`.
    """
    if key.kind != COSIGNATURE:
        raise VerificationError("signature-missing", f"{key.name} is not a cosigner's key")
    if len(signature.value) != COSIGNATURE_BYTES or int.from_bytes(signature.value[:8], "big") > _LATEST:
        raise VerificationError("signature-invalid", f"the signature by {key.name} does not hold")
    stated = key.verify(Note(text, (signature,)))
    assert stated is not None  # a key of this type states a time
    return stated


def valid_cosignatures(
    text: str, signatures: Iterable[Signature], witnesses: Mapping[str, VerifierKey]
) -> dict[str, int]:
    """Return the latest time that each witness states in a cosignature which holds; all other lines are ignored.

    Args:
        text: a checkpoint's text.
        signatures: lines of anybody, in any order.
        witnesses: keys by the witness's id.
    """
    by_key = {(key.name, key.key_id): witness for witness, key in witnesses.items()}
    found: dict[str, int] = {}
    for signature in signatures:
        witness = by_key.get((signature.name, signature.key_id))
        if witness is None:
            continue
        try:
            stated = verify_line(text, signature, witnesses[witness])
        except VerificationError:
            continue
        found[witness] = max(stated, found.get(witness, 0))
    return found
