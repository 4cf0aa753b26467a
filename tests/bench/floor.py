"""The floor of a secure sum: AES-256-CTR keystreams and additions of words, with nothing of ours around them."""

import os
import time

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["floor_ms"]

PIECE_BYTES = 256 * 1024


def floor_ms(length: int, word_bits: int, masks: int, additions: int = 0, best_of: int = 5) -> float:
    """Return the CPU milliseconds of `masks` keystreams added to one vector and of `additions` whole vectors."""
    words = np.zeros(length, dtype=np.uint32 if word_bits == 32 else np.uint64)
    other = np.ones_like(words)
    best = float("inf")
    for _ in range(best_of):
        start = time.process_time()
        _mask(words, masks)
        for _ in range(additions):
            np.add(words, other, out=words)
        best = min(best, time.process_time() - start)
    return best * 1000


def _mask(words: np.ndarray, masks: int) -> None:
    streams = [Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(bytes(16))).encryptor() for _ in range(masks)]
    zeros, buffer = bytes(PIECE_BYTES), bytearray(PIECE_BYTES + 15)
    step = PIECE_BYTES // words.itemsize
    noise = np.frombuffer(buffer, dtype=words.dtype, count=step)
    for start in range(0, len(words), step):
        piece = words[start : start + step]
        source = memoryview(zeros)[: piece.nbytes]
        for stream in streams:
            stream.update_into(source, buffer)
            np.add(piece, noise[: len(piece)], out=piece)
