"""What a receiver writes down of a signed message, so that its sender cannot disown it and nobody can invent it.

It opens and stores nothing. Theory: the envelope's signature covers the message id, a few digests and the payload's
digest; with these in the record, `privacy.log.sender` checks the signature from the record alone.
"""

from privacy.envelope import Envelope
from privacy.secagg.downlink import part_of
from privacy.wire import decode_signed

__all__ = ["arrival_body", "signed_fields"]


def signed_fields(envelope: Envelope) -> dict[str, str]:
    """Return, in hexadecimal, the signature and those digests that it covers and the message has."""
    at = envelope.address
    digests = {
        "manifest_sha256": at.manifest_sha256,
        "agreement_root": at.agreement_root,
        "binding": at.binding,
        "signature": decode_signed(envelope.raw).signature,
    }
    return {name: value.hex() for name, value in digests.items() if value}


def arrival_body(envelope: Envelope, size: int, refusal: str) -> dict[str, object]:
    """Return the body of `ingress.received` for a message whose signature was checked.

    size: application bytes that crossed the link. refusal: the code of the error that refused it, empty if accepted.
    """
    texts = {"part": part_of(envelope), "reason": refusal}
    return {
        "msg_id": envelope.msg_id,
        "from": envelope.sender,
        "bytes": size,
        "payload_sha256": envelope.payload_sha256,
        "payload_kind": f"secagg.{envelope.kind}",
        "accepted": not refusal,
        **signed_fields(envelope),
        **{name: text for name, text in texts.items() if text},
    }
