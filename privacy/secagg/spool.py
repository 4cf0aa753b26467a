"""Where masked parts wait until members have verified their sum.

The coordinator's shell gives one that writes to disk, so that it never holds n vectors in memory; this module opens no
file. Theory: parts are masked, so keeping them for a round gives nothing away.
"""

from typing import Protocol

__all__ = ["MemorySpool", "Spool"]


class Spool(Protocol):
    """Keep masked parts by member for one position."""

    def put(self, member: str, vector: bytes | memoryview) -> None:
        """Keep a member's part."""

    def get(self, member: str) -> bytes | memoryview:
        """Return a member's part."""

    def close(self) -> None:
        """Forget all parts."""


class MemorySpool:
    """Keep parts in memory: for sums that are small, and for tests."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes | memoryview] = {}

    def put(self, member: str, vector: bytes | memoryview) -> None:
        """Keep a member's part."""
        self._parts[member] = vector

    def get(self, member: str) -> bytes | memoryview:
        """Return a member's part."""
        return self._parts[member]

    def close(self) -> None:
        """Forget all parts."""
        self._parts.clear()
