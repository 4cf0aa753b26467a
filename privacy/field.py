"""The ring that parts are added in, and the proof that no sum can wrap.

It rounds nothing: recipes round each row before they add (`risk`), so parts arrive as integers. Theory: an entry of
a member's part lies within ±bound, and its share of noise within a bound of its own; n members stay within n times
both; if that is below 2**(w-1), the sum modulo 2**w read as two's complement is the true sum. The proof is made when
the plan is made, never when numbers arrive.
"""

from dataclasses import dataclass

import numpy as np

from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.noise import noise_bound

__all__ = ["MAX_LENGTH", "Plan"]

MAX_LENGTH = 2**26


@dataclass(frozen=True, slots=True)
class Plan:
    """Fix length, word size and bound of one sum over `members` parts; refuse what could wrap.

    length: entries, 1 to 2**26. word_bits: 32 or 64. bound: largest |entry| of one part before noise. members: 1 to
    256. noise: variance of each member's share of noise, grid units squared, 0 for none.
    """

    length: int
    word_bits: int
    bound: int
    members: int
    noise: int = 0

    def __post_init__(self) -> None:
        if self.word_bits not in (32, 64):
            raise RefusalError("plan-word-size", f"words of {self.word_bits} bits, expected 32 or 64")
        if not 1 <= self.length <= MAX_LENGTH:
            raise RefusalError("plan-length", f"a vector of {self.length} entries, expected 1 to {MAX_LENGTH}")
        if self.bound < 1 or not 1 <= self.members <= 256:
            raise RefusalError("plan-bound", f"bound {self.bound} over {self.members} members is not a plan")
        if self.reach >= 2 ** (self.word_bits - 1):
            raise RefusalError(
                "plan-headroom",
                f"{self.members} members with entries up to {self.largest} could reach "
                f"2^{self.reach.bit_length() - 1}, words of {self.word_bits} bits hold less than "
                f"2^{self.word_bits - 1}: lower max_rows or the scale",
            )

    @property
    def largest(self) -> int:
        """Return the largest |entry| of one part with its noise."""
        return self.bound + noise_bound(self.noise)

    @property
    def reach(self) -> int:
        """Return the largest |entry| of a sum."""
        return self.members * self.largest

    @property
    def size_bytes(self) -> int:
        """Return the bytes of one vector on the wire."""
        return self.length * self.word_bits // 8

    def encode(self, part: np.ndarray) -> np.ndarray:
        """Return a part as words, (length,) uint32 or uint64.

        part: (length,) int64, noise included. Another type, shape or an entry too large raises `MisuseError`.
        """
        if part.dtype != np.int64 or part.shape != (self.length,):
            raise MisuseError("part-shape", f"a part is {part.dtype} {part.shape}, expected int64 ({self.length},)")
        low, high = int(part.min()), int(part.max())
        if low < -self.largest or high > self.largest:
            raise MisuseError("part-bound", f"a part has an entry beyond its bound of {self.largest}")
        words = part.view(np.uint64)
        return words.astype(np.uint32) if self.word_bits == 32 else words.copy()

    def decode(self, words: np.ndarray) -> np.ndarray:
        """Return the sum of parts, (length,) int64; a sum beyond what parts can reach raises `PeerError`."""
        self.check_sum(words)
        return words.view(np.int32).astype(np.int64) if self.word_bits == 32 else words.view(np.int64)

    def check_sum(self, words: np.ndarray) -> None:
        """Raise `PeerError` for a sum beyond what the members' parts can reach."""
        signed = words.view(np.int32 if self.word_bits == 32 else np.int64)
        if int(signed.min()) < -self.reach or int(signed.max()) > self.reach:
            raise PeerError("sum-bound", f"the sum has an entry beyond {self.members} members' bound of {self.reach}")

    def to_bytes(self, words: np.ndarray) -> bytes:
        """Return words as little-endian bytes, `size_bytes` of them."""
        return words.astype(words.dtype.newbyteorder("<"), copy=False).tobytes()

    def from_bytes(self, raw: bytes | memoryview) -> np.ndarray:
        """Return little-endian bytes as read-only words; a wrong size raises `PeerError`."""
        if len(raw) != self.size_bytes:
            raise PeerError("vector-size", f"a vector holds {len(raw)} bytes, expected {self.size_bytes}")
        return np.frombuffer(raw, dtype="<u4" if self.word_bits == 32 else "<u8")
