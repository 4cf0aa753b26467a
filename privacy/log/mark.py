"""The high-water mark: the largest head a log ever reached, kept apart from its database.

A database that is put back from a backup is smaller than the mark, and a log that went on from there would sign two
histories. The file holds two slots of fixed size that are written in turn, so that one survives a torn write; this
module only makes and reads the bytes of a slot. The digest finds damage, not an attacker, who could write both.
"""

import hashlib
from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.kinds import fault_of, is_count, is_hex, is_text

__all__ = ["MARK_BYTES", "SLOT_BYTES", "Mark", "check_mark", "decode_mark"]

SLOT_BYTES = 512
MARK_BYTES = 2 * SLOT_BYTES
_SCHEMA = {
    "turn": is_count,
    "origin": is_text(255),
    "root": is_hex(32),
    "size": is_count,
    "clean": lambda value: isinstance(value, bool),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A log's origin, size and root, whether it was closed in order at that size, and the number of this write."""

    turn: int
    origin: str
    size: int
    root: bytes
    clean: bool

    def slot(self) -> bytes:
        """Return one slot of 512 bytes: digest, canonical JSON, padding."""
        head = {"origin": self.origin, "size": self.size, "root": self.root.hex()}
        text = encode({**head, "turn": self.turn, "clean": self.clean})
        return (hashlib.sha256(text).hexdigest().encode("ascii") + b" " + text + b"\n").ljust(SLOT_BYTES)


def decode_mark(encoded: bytes) -> Mark:
    """Return the later of the two slots that are whole.

    Raises:
        VerificationError: `mark-unreadable` when neither is.
    """
    slots = (_decode_slot(encoded[:SLOT_BYTES]), _decode_slot(encoded[SLOT_BYTES:MARK_BYTES]))
    found = [mark for mark in slots if mark]
    if not found:
        raise VerificationError("mark-unreadable", "the high-water mark of the log is damaged in both of its slots")
    return max(found, key=lambda mark: mark.turn)


def check_mark(mark: Mark, origin: str, size: int, root_at_mark: bytes | None) -> None:
    """Check a database against the mark.

    Args:
        mark: what was kept apart.
        origin: origin of the database's log.
        size: records in the database.
        root_at_mark: root of the database's tree at `mark.size` leaves, None when it is smaller.

    Raises:
        VerificationError: `rolled-back` when the database is smaller, `forked` when its history is another one.
    """
    if mark.origin != origin:
        raise VerificationError("origin-mismatch", f"the high-water mark is of log {mark.origin}, expected {origin}")
    if size < mark.size or root_at_mark is None:
        raise VerificationError(
            "rolled-back", f"the log holds {size} records but had {mark.size}: an older copy of it was put back"
        )
    if root_at_mark != mark.root:
        raise VerificationError("forked", f"the log's first {mark.size} records are not those it had before")


def _decode_slot(slot: bytes) -> Mark | None:
    digest, _, text = slot.rstrip().partition(b" ")
    if hashlib.sha256(text).hexdigest().encode("ascii") != digest:
        return None
    parts = decode_object(text, SLOT_BYTES, "high-water mark")
    if fault_of(parts, _SCHEMA):
        return None
    return Mark(
        turn=int(str(parts["turn"])),
        origin=str(parts["origin"]),
        size=int(str(parts["size"])),
        root=bytes.fromhex(str(parts["root"])),
        clean=parts["clean"] is True,
    )
