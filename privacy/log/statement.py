"""Signed statements about files: in-toto Statement v1 in a DSSE envelope.

A statement names files by their SHA-256 and says of what kind the claim is; the envelope signs exactly those bytes
(DSSE v1: the signature covers the type and the payload with their lengths, so neither can be read as the other). An
envelope without a signature finds damage, not an author. The module reads no files and holds no key of its own.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.errors import VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.kinds import is_hex

__all__ = ["PAYLOAD_TYPE", "STATEMENT_LIMIT_BYTES", "Statement", "encode_envelope", "open_envelope", "seal_envelope"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
STATEMENT_LIMIT_BYTES = 1 << 26
_KEY_PREFIX = "ed25519:"
_is_sha256 = is_hex(32)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is claimed: files by name with 64 hex digits of SHA-256, the kind of the claim, and the claim itself."""

    files: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, object]

    def encode(self) -> bytes:
        """Return the statement's canonical JSON."""
        subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in self.files.items()]
        return encode(
            {
                "_type": STATEMENT_TYPE,
                "subject": subjects,
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )


def encode_envelope(statement: Statement, seed: bytes | None) -> bytes:
    """Return the statement in an envelope, signed with the Ed25519 key of a 32-byte seed, or unsigned without one."""
    if seed is None:
        return _enveloped(statement.encode(), [])
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return seal_envelope(statement, key.public_key().public_bytes_raw(), key.sign)


def seal_envelope(statement: Statement, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the statement in an envelope signed by a key that stays with its holder.

    public: the 32-byte Ed25519 public key. sign: returns its 64-byte signature over bytes.
    """
    payload = statement.encode()
    value = base64.b64encode(sign(_pre_authenticated(payload))).decode("ascii")
    return _enveloped(payload, [{"keyid": _KEY_PREFIX + public.hex(), "sig": value}])


def open_envelope(encoded: bytes) -> tuple[Statement, bytes | None]:
    """Read an envelope and check its signature against the key that it names.

    Returns:
        the statement, and the 32-byte public key that signed it, None when it is unsigned; whose key that is, the
        caller must know from elsewhere.

    Raises:
        VerificationError: `statement-malformed` or `statement-signature`.
    """
    try:
        # Another tool may have written the envelope, so only the payload must be spelt canonically.
        envelope = json.loads(encoded) if len(encoded) <= STATEMENT_LIMIT_BYTES else {}
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = envelope["signatures"]
        if envelope["payloadType"] != PAYLOAD_TYPE or not isinstance(signatures, list) or len(signatures) > 1:
            raise ValueError("not an envelope of one statement")
        public, value = _signature(signatures[0]) if signatures else (None, b"")
        statement = _statement(decode_object(payload, STATEMENT_LIMIT_BYTES, "manifest"))
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise VerificationError("statement-malformed", "manifest is no DSSE envelope of an in-toto statement") from None
    if public is not None:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(value, _pre_authenticated(payload))
        except (InvalidSignature, ValueError):
            raise VerificationError("statement-signature", "the manifest's signature does not hold") from None
    return statement, public


def _enveloped(payload: bytes, signatures: list[dict[str, str]]) -> bytes:
    envelope = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": signatures,
    }
    return encode(envelope) + b"\n"


def _signature(part: Mapping[str, Any]) -> tuple[bytes, bytes]:
    keyid = part["keyid"]
    if not isinstance(keyid, str) or not keyid.startswith(_KEY_PREFIX):
        raise ValueError("not an Ed25519 key")
    return bytes.fromhex(keyid.removeprefix(_KEY_PREFIX)), base64.b64decode(part["sig"], validate=True)


def _statement(document: Mapping[str, Any]) -> Statement:
    if document["_type"] != STATEMENT_TYPE or not isinstance(document["predicate"], dict):
        raise ValueError("not a statement")
    files: dict[str, str] = {}
    for subject in document["subject"]:
        name, digest = subject["name"], subject["digest"]["sha256"]
        if not isinstance(name, str) or name in files or not _is_sha256(digest):
            raise ValueError("a file is named twice or has no digest")
        files[name] = digest
    return Statement(files, str(document["predicateType"]), document["predicate"])


def _pre_authenticated(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode("ascii")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
