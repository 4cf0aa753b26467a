"""Domain-separated SHA-256: one way to hash anything in the protocol.

It does no encoding: callers pass the exact bytes they sent or received. Theory: the digest covers a label with a
version and every part behind its length, so no two different lists of parts, and no two purposes, share an input.
"""

import hashlib

__all__ = ["DIGEST_BYTES", "digest", "number", "sha256"]

DIGEST_BYTES = 32


def digest(label: str, *parts: bytes) -> bytes:
    """Return SHA-256 over `creditmesh/<label>/v1` and the length-prefixed parts, 32 bytes."""
    state = hashlib.sha256(f"creditmesh/{label}/v1".encode("ascii") + b"\x00")
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def sha256(content: bytes | memoryview) -> bytes:
    """Return the plain SHA-256 of exact bytes, 32 bytes (for digests that outsiders recompute)."""
    return hashlib.sha256(content).digest()


def number(value: int) -> bytes:
    """Return a non-negative integer below 2**64 as 8 big-endian bytes, for use as a part."""
    return value.to_bytes(8, "big")
