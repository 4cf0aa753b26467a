"""Masks: the keystream of a key, added to or taken from a vector of words.

It derives no key. Theory: AES-256 in counter mode from counter zero (SP 800-38A section 6.5) under a key that is
used for one stream once; its bytes read as little-endian words are uniform modulo 2**32 or 2**64, so adding them
hides a vector without bias and without rejection. Work goes in pieces that stay in the processor's cache.
"""

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.errors import MisuseError

__all__ = ["apply_masks", "keystream"]

_PIECE_BYTES = 256 * 1024
_COUNTER_ZERO = bytes(16)


def apply_masks(words: np.ndarray, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """Add the keystreams of `plus` to words and take those of `minus` away, in place, modulo the word size.

    words: (length,) uint32 or uint64, contiguous. plus, minus: 32-byte keys, each used for this stream only.
    """
    if words.dtype not in (np.uint32, np.uint64) or words.ndim != 1 or not words.flags.c_contiguous:
        raise MisuseError("mask-words", f"masks apply to one contiguous row of words, found {words.dtype}")
    streams = [(_cipher(key), np.add) for key in plus] + [(_cipher(key), np.subtract) for key in minus]
    step = _PIECE_BYTES // words.itemsize
    zeros = bytes(_PIECE_BYTES)
    buffer = bytearray(_PIECE_BYTES + 15)
    noise = np.frombuffer(buffer, dtype=words.dtype.newbyteorder("<"), count=step)
    for start in range(0, len(words), step):
        piece = words[start : start + step]
        size = piece.nbytes
        source = zeros if size == _PIECE_BYTES else memoryview(zeros)[:size]
        for cipher, combine in streams:
            cipher.update_into(source, buffer)
            combine(piece, noise[: len(piece)], out=piece)


def keystream(key: bytes, length: int, word_bits: int) -> np.ndarray:
    """Return the mask of a 32-byte key, (length,) uint32 or uint64."""
    words = np.zeros(length, dtype=np.uint32 if word_bits == 32 else np.uint64)
    apply_masks(words, [key], [])
    return words


def _cipher(key: bytes):  # type: ignore[no-untyped-def]  # the library's stream type is not public
    return Cipher(algorithms.AES256(key), modes.CTR(_COUNTER_ZERO)).encryptor()
