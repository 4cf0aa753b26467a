"""The sender's signature inside an `ingress.received` event, checked from the event alone.

The bytes that a sender signs are fixed by `privacy.envelope` and `privacy.digest`; they are rebuilt here from the
record with the standard library alone, and a test holds the two together. So an auditor who has only logs and public
keys can tell an arrival that the sender hid from one that the coordinator invented. A message id is
`job/epoch/position/kind/sender>recipient`.
"""

import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.errors import VerificationError

__all__ = ["verify_sender"]

_LABEL = b"creditmesh/message/v1\x00"
_VERSION = 1


def verify_sender(body: Mapping[str, object], identity: bytes) -> None:
    """Check that the holder of `identity` (32 bytes, Ed25519) signed the message that this event speaks of.

    Raises:
        VerificationError: `sender-unsigned` when the record carries no signature or no usable message id,
            `sender-signature` when the signature does not hold.
    """
    try:
        job, epoch, position, kind, parties = str(body["msg_id"]).rsplit("/", 4)
        sender, recipient = parties.split(">")
        numbers = [int(each).to_bytes(8, "big") for each in (epoch, position)]
        digests = [bytes.fromhex(str(body.get(key, ""))) for key in ("manifest_sha256", "agreement_root", "binding")]
        payload = bytes.fromhex(str(body["payload_sha256"]))
        signature = bytes.fromhex(str(body["signature"]))
    except (KeyError, ValueError, OverflowError):
        raise VerificationError("sender-unsigned", "the record carries no signature of the sender's") from None
    names = (sender.encode(), recipient.encode())
    parts = (_VERSION.to_bytes(8, "big"), kind.encode(), job.encode(), *numbers, *names, *digests, payload)
    signed = hashlib.sha256(_LABEL + b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    try:
        if sender != body["from"]:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(identity).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise VerificationError("sender-signature", "the signature in the record is not the sender's") from None
