"""Masks: the keystream of a key, added to or taken from a vector of words.

It derives no key. Theory: AES-256 in counter mode from counter zero (SP 800-38A section 6.5) under a key that is
used for one stream once; its bytes read as little-endian words are uniform modulo 2**32 or 2**64, so adding them
hides a vector without bias and without rejection. Work goes in pieces that stay in the processor's cache.

The blocks from counter two on are drawn as GCM ciphertext of zeros under a zero IV: they are the same bytes (SP 800-38D
sections 6.5 and 7.1: with a 96-bit IV the first data block is enciphered at counter two), and the library's GCM is more
than twice as fast as its CTR on processors with vector AES, though it also computes a tag, which nobody asks for.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.errors import MisuseError

__all__ = ["apply_masks", "keystream"]

_PIECE_BYTES = 256 * 1024
_COUNTER_ZERO = bytes(16)
_ZERO_IV = bytes(12)
_HEAD_BYTES = 32  # the blocks of counters zero and one, which GCM keeps for itself


def apply_masks(words: np.ndarray, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """Add the keystreams of `plus` to words and take those of `minus` away, in place, modulo the word size.

    words: (length,) uint32 or uint64, contiguous. plus, minus: 32-byte keys, each used for this stream only.
    """
    if words.dtype not in (np.uint32, np.uint64) or words.ndim != 1 or not words.flags.c_contiguous:
        raise MisuseError("mask-words", f"masks apply to one contiguous row of words, found {words.dtype}")
    zeros, buffer = bytes(_PIECE_BYTES), bytearray(_PIECE_BYTES + 15)
    step = _PIECE_BYTES // words.itemsize
    noise = np.frombuffer(buffer, dtype=words.dtype.newbyteorder("<"), count=step)
    head, rest = np.split(words, [_HEAD_BYTES // words.itemsize])
    streams: list[tuple[Callable[[bytes | memoryview, bytearray], int], np.ufunc]] = []
    signed: list[tuple[Sequence[bytes], np.ufunc]] = [(plus, np.add), (minus, np.subtract)]
    for keys, combine in signed:
        for key in keys:
            _cipher(key, modes.CTR(_COUNTER_ZERO)).update_into(zeros[: head.nbytes], buffer)
            combine(head, noise[: len(head)], out=head)
            streams.append((_cipher(key, modes.GCM(_ZERO_IV)).update_into, combine))
    for start in range(0, len(rest), step):
        piece = rest[start : start + step]
        source = zeros if piece.nbytes == _PIECE_BYTES else memoryview(zeros)[: piece.nbytes]
        piece_noise = noise[: len(piece)]
        for draw, combine in streams:
            draw(source, buffer)
            combine(piece, piece_noise, out=piece)


def keystream(key: bytes, length: int, word_bits: int) -> np.ndarray:
    """Return the mask of a 32-byte key, (length,) uint32 or uint64."""
    words = np.zeros(length, dtype=np.uint32 if word_bits == 32 else np.uint64)
    apply_masks(words, [key], [])
    return words


def _cipher(key: bytes, mode: Any):  # type: ignore[no-untyped-def]  # the library's stream type is not public
    return Cipher(algorithms.AES256(key), mode).encryptor()
