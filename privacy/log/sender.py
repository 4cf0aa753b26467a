"""The sender's signature inside an `ingress.received` event, checked from the event alone.

The bytes that a sender signs are fixed by `privacy.envelope`; they are rebuilt here from the record, without protobuf,
so that an auditor who holds only logs and public keys can tell an arrival that the sender hid from one that the
coordinator invented. A message id is `job/epoch/position/kind/sender>recipient`.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.digest import digest, number
from privacy.errors import VerificationError

__all__ = ["verify_sender"]

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
        numbers = [number(int(epoch)), number(int(position))]
        signature = bytes.fromhex(str(body["signature"]))
        payload = bytes.fromhex(str(body["payload_sha256"]))
        bound = [bytes.fromhex(str(body.get(key, ""))) for key in ("manifest_sha256", "agreement_root", "binding")]
    except (KeyError, ValueError, OverflowError):
        raise VerificationError("sender-unsigned", "the record carries no signature of the sender's") from None
    names = (sender.encode(), recipient.encode())
    signed = digest("message", number(_VERSION), kind.encode(), job.encode(), *numbers, *names, *bound, payload)
    try:
        if sender != body["from"]:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(identity).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise VerificationError("sender-signature", "the signature in the record is not the sender's") from None
