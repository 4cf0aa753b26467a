"""Receipts: the coordinator's proof that it wrote down a message.

A receipt carries the `ingress.received` event itself, its place in the coordinator's log, an inclusion proof, the
signed checkpoint, and a consistency proof from an earlier size that the receiver holds. Canonical JSON, so an auditor
reads it without any other library. It proves that the message was recorded, not what was done with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.checkpoint import Checkpoint, verify_checkpoint
from privacy.log.kinds import fault_of, is_count, is_hex
from privacy.log.note import VerifierKey
from privacy.log.record import Event, decode_event
from privacy.log.tree import leaf_hash, verify_consistency, verify_inclusion

__all__ = ["RECEIPT_LIMIT_BYTES", "Receipt", "Seen", "check_receipt", "decode_receipt", "verify_receipt"]

RECEIPT_LIMIT_BYTES = 65_536
_PATH_LIMIT = 128


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest head of the peer's log that was verified: size and 32-byte root; size 0 means none."""

    size: int = 0
    root: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt's parts.

    Attributes:
        event: exact bytes of the `ingress.received` event.
        index: its leaf index.
        inclusion: audit path in the tree of `checkpoint`.
        checkpoint: the signed note.
        from_size: size from which `consistency` leads to the checkpoint, 0 for none.
        consistency: consistency proof.
    """

    event: bytes
    index: int
    inclusion: tuple[bytes, ...]
    checkpoint: bytes
    from_size: int
    consistency: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return encode(
            {
                "v": 1,
                "event": self.event.decode("utf-8"),
                "index": self.index,
                "inclusion": [each.hex() for each in self.inclusion],
                "checkpoint": self.checkpoint.decode("utf-8"),
                "from_size": self.from_size,
                "consistency": [each.hex() for each in self.consistency],
            }
        )


def _is_path(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _PATH_LIMIT and all(_is_hash(each) for each in value)


_is_hash = is_hex(32)
_SCHEMA = {
    "v": lambda value: value == 1 and type(value) is int,
    "event": lambda value: isinstance(value, str),
    "index": is_count,
    "inclusion": _is_path,
    "checkpoint": lambda value: isinstance(value, str),
    "from_size": is_count,
    "consistency": _is_path,
}


def decode_receipt(encoded: bytes) -> Receipt:
    """Read a receipt strictly, without checking its proofs.

    Raises:
        VerificationError: `not-canonical` or `receipt-malformed`.
    """
    parts = decode_object(encoded, RECEIPT_LIMIT_BYTES, "receipt")
    fault = fault_of(parts, _SCHEMA)
    if fault:
        raise VerificationError("receipt-malformed", f"receipt: {fault}")
    return Receipt(
        event=str(parts["event"]).encode("utf-8"),
        index=int(str(parts["index"])),
        inclusion=_path(parts["inclusion"]),
        checkpoint=str(parts["checkpoint"]).encode("utf-8"),
        from_size=int(str(parts["from_size"])),
        consistency=_path(parts["consistency"]),
    )


def verify_receipt(receipt: Receipt, key: VerifierKey, origin: str, seen: Seen) -> tuple[Event, Checkpoint, bool]:
    """Check everything that a receipt proves.

    Order: (1) the event is an `ingress.received` of this log at this index; (2) the log signed the checkpoint; (3)
    the event is in that tree; (4) where the receipt starts from the head last seen, that tree continues it.
    What is left to the caller: the event's msg_id, sender and digest must be those of the message sent.

    Returns:
        the event, the checkpoint, and whether (4) could be checked; False means that the receipt starts elsewhere.

    Raises:
        VerificationError: with the code of the step that failed.
    """
    event = _event_of(receipt, origin)
    checkpoint = verify_checkpoint(receipt.checkpoint, key, origin)
    return event, checkpoint, _prove(receipt, checkpoint, seen)


def check_receipt(receipt: Receipt, checkpoint: Checkpoint, seen: Seen) -> tuple[Event, bool]:
    """Check all but the log's signature, for whoever does not hold its key: a receipt of that log's own making passes.

    checkpoint: the receipt's own, read by the caller. Returns and raises what `verify_receipt` does.
    """
    event = _event_of(receipt, checkpoint.origin)
    return event, _prove(receipt, checkpoint, seen)


def _event_of(receipt: Receipt, origin: str) -> Event:
    event = decode_event(receipt.event)
    if event.kind != "ingress.received" or event.log != origin or event.seq != receipt.index:
        raise VerificationError("receipt-malformed", "receipt's event is not an ingress.received of this log and index")
    return event


def _prove(receipt: Receipt, checkpoint: Checkpoint, seen: Seen) -> bool:
    verify_inclusion(leaf_hash(receipt.event), receipt.index, checkpoint.size, receipt.inclusion, checkpoint.root)
    if seen.size == checkpoint.size:
        verify_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, ())
        return True
    if seen.size and receipt.from_size != seen.size:
        return False
    if seen.size:
        verify_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, receipt.consistency)
    return True


def _path(value: object) -> tuple[bytes, ...]:
    hashes: Sequence[str] = value  # type: ignore[assignment]  # the schema says list of hexadecimal strings
    return tuple(bytes.fromhex(each) for each in hashes)
