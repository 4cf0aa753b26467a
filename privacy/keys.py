"""Keys of the secure sum: identities, agreements, derived keys and boxes.

It makes no randomness and opens no file: key bytes come in as arguments, so every vector can be reproduced. Theory:
an institution signs with a long-lived Ed25519 identity (RFC 8032) that its peers have pinned; every epoch it agrees
on a fresh secret with each peer by X25519 (RFC 7748); everything else is HKDF-SHA256 (RFC 5869) with a label. A box
is AES-256-GCM (SP 800-38D) under a key that is used once, so its nonce is zero.
"""

import hmac
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from privacy.errors import InputError, PeerError, VerificationError

__all__ = ["AgreementKey", "IdentityKey", "expand", "extract", "open_box", "same_bytes", "seal_box", "verify"]

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_ZERO_NONCE = bytes(12)


@dataclass(frozen=True, slots=True, repr=False)
class IdentityKey:
    """Hold an institution's Ed25519 signing key; it never prints."""

    _key: Ed25519PrivateKey

    @classmethod
    def from_seed(cls, seed: bytes) -> "IdentityKey":
        """Build the key from its 32-byte seed; another length raises `InputError`."""
        if len(seed) != KEY_BYTES:
            raise InputError("identity-key-size", f"identity key holds {len(seed)} bytes, expected {KEY_BYTES}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """Return the 32-byte public key that peers pin."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over message."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return "IdentityKey(...)"


@dataclass(frozen=True, slots=True, repr=False)
class AgreementKey:
    """Hold one epoch's X25519 key; it never prints and never touches a disk."""

    _key: X25519PrivateKey

    @classmethod
    def from_random(cls, seed: bytes) -> "AgreementKey":
        """Build the key from 32 fresh random bytes."""
        return cls(X25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """Return the 32-byte public key to be signed and sent."""
        return self._key.public_key().public_bytes_raw()

    def exchange(self, other: bytes) -> bytes:
        """Return the 32-byte shared secret; a low-order public key raises `PeerError` (RFC 7748 section 6.1)."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(other))
        except ValueError:
            raise PeerError("agreement-key-low-order", "a member's agreement key yields an all-zero secret") from None

    def __repr__(self) -> str:
        return "AgreementKey(...)"


def verify(public: bytes, signature: bytes, message: bytes, what: str) -> None:
    """Raise `VerificationError` unless signature is `public`'s Ed25519 signature over message."""
    try:
        _public_key(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise VerificationError("signature-invalid", f"the signature on {what} does not verify") from None


@lru_cache(maxsize=1024)
def _public_key(public: bytes) -> Ed25519PublicKey:
    # A member's messages come by the thousand under one key; reading it costs a tenth of a verification.
    return Ed25519PublicKey.from_public_bytes(public)


def extract(salt: bytes, secret: bytes, label: str, *parts: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256(salt, secret, label and length-prefixed parts)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt, _purpose(label, parts)).derive(secret)


def expand(key: bytes, label: str, *parts: bytes) -> bytes:
    """Return 32 bytes of HKDF-Expand-SHA256(key, label and length-prefixed parts); key must be uniform."""
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, _purpose(label, parts)).derive(key)


def seal_box(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return AES-256-GCM ciphertext and tag (len(plaintext) + 16 bytes) under a single-use key."""
    return AESGCM(key).encrypt(_ZERO_NONCE, plaintext, associated)


def open_box(key: bytes, box: bytes, associated: bytes) -> bytes:
    """Return the plaintext of a box; a box that was altered or meant for another raises `PeerError`."""
    try:
        return AESGCM(key).decrypt(_ZERO_NONCE, box, associated)
    except InvalidTag:
        raise PeerError("box-altered", "a share's box does not open: altered or meant for another member") from None


def same_bytes(left: bytes, right: bytes) -> bool:
    """Compare two byte strings in constant time."""
    return hmac.compare_digest(left, right)


def _purpose(label: str, parts: tuple[bytes, ...]) -> bytes:
    out = [f"creditmesh/{label}/v1".encode("ascii"), b"\x00"]
    for part in parts:
        out.append(len(part).to_bytes(2, "big"))
        out.append(part)
    return b"".join(out)
