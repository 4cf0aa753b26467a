"""Masks: added and taken away exactly, uniform, and sensitive to every bit of their seed."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.errors import MisuseError
from privacy.mask import apply_masks, keystream
from tests.privacy.table import refused

KEY = bytes(range(32))


@pytest.mark.parametrize("length", [1, 3, 65_535, 65_536, 65_537, 200_001])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_masks_come_off_again(length: int, dtype: type[np.unsignedinteger]) -> None:
    start = np.arange(length).astype(dtype)
    words = start.copy()
    apply_masks(words, [KEY, b"b" * 32], [b"c" * 32])
    assert length < 8 or (words != start).any()
    apply_masks(words, [b"c" * 32], [b"b" * 32, KEY])
    assert (words == start).all()


@pytest.mark.parametrize("length", [1, 7, 8, 9, 100, 65_535 + 8, 65_536 + 8, 65_537 + 8, 131_080])
def test_a_mask_is_counter_mode_from_counter_zero(length: int) -> None:
    stream = Cipher(algorithms.AES256(KEY), modes.CTR(bytes(16))).encryptor().update(bytes(8 * length))
    assert keystream(KEY, length, 32).tobytes() == stream[: 4 * length]
    assert keystream(KEY, length, 64).tobytes() == stream


def test_pieces_make_one_stream() -> None:
    long = keystream(KEY, 300_000, 32)
    assert (keystream(KEY, 10, 32) == long[:10]).all()
    assert len(np.unique(long[:65_536] == long[65_536:131_072])) == 2 or (long[:65_536] != long[65_536:131_072]).all()


@pytest.mark.parametrize(
    "words",
    [np.zeros(4, np.int64), np.zeros((2, 2), np.uint32), np.zeros(8, np.uint32)[::2], np.zeros(4)],
    ids=["signed", "matrix", "strided", "float"],
)
def test_masks_apply_to_a_row_of_words_only(words: np.ndarray) -> None:
    with refused("mask-words", MisuseError):
        apply_masks(words, [KEY], [])


def test_every_bit_of_a_seed_turns_half_the_mask() -> None:
    words = 512
    plain = keystream(KEY, words, 32).view(np.uint8)
    bits = words * 32
    for bit in range(256):
        flipped = bytearray(KEY)
        flipped[bit // 8] ^= 1 << (bit % 8)
        changed = int(np.unpackbits(plain ^ keystream(bytes(flipped), words, 32).view(np.uint8)).sum())
        # Binomial(16384, 1/2): six standard deviations are 384.
        assert abs(changed - bits / 2) < 384, f"bit {bit} changed {changed} of {bits}"


def test_words_of_a_mask_are_uniform() -> None:
    words = keystream(KEY, 100_000, 32)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((words >> np.uint32(shift)) & np.uint32(255), minlength=256)
        # Chi square with 255 degrees of freedom: mean 255, sd 22.6.
        assert ((counts - 390.625) ** 2 / 390.625).sum() < 255 + 6 * 22.6
