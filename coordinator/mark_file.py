"""The file of a high-water mark, which is also the lock that keeps a second process out.

It makes no mark and judges none (`privacy.log.mark` does). Theory: two slots of fixed size are written in turn, so that
one survives a torn write; a sync every few seconds bounds what a power loss can take back, which is never more than
the database itself has. A node has its own: the shells never import each other.
"""

import fcntl
import os
from pathlib import Path

from privacy.errors import InputError
from privacy.log.checkpoint import Checkpoint
from privacy.log.mark import MARK_BYTES, SLOT_BYTES, Mark, decode_mark

__all__ = ["MarkFile"]

MARK_SYNC_US = 5_000_000


class MarkFile:
    """One high-water mark on disk; whoever holds it open holds the lock."""

    def __init__(self, path: Path, origin: str) -> None:
        """Open or make the file, with its folder (0700), and take the lock.

        Raises:
            InputError: `log-in-use` or `log-unusable`.
            VerificationError: `mark-unreadable`.
        """
        self._origin = origin
        directory = path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError("log-unusable", f"{path}: cannot be opened ({error.strerror})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = os.pread(self._file, MARK_BYTES, 0)
            self.stored = decode_mark(content) if content else None
        except BlockingIOError:
            os.close(self._file)
            raise InputError("log-in-use", f"{directory}: another process writes this log; stop it first") from None
        except BaseException:
            os.close(self._file)
            raise
        self._turn = self.stored.turn if self.stored else 0
        self._synced_us = -MARK_SYNC_US
        folder = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)

    def keep(self, head: Checkpoint, *, clean: bool, now_us: int | None) -> None:
        """Write the head into the slot whose turn it is; sync when due, or at once when `now_us` is None."""
        self._turn += 1
        slot = Mark(self._turn, self._origin, head.size, head.root, clean).slot()
        os.pwrite(self._file, slot, SLOT_BYTES * (self._turn % 2))
        if now_us is None or now_us - self._synced_us >= MARK_SYNC_US:
            os.fsync(self._file)
            self._synced_us = self._synced_us if now_us is None else now_us

    def close(self) -> None:
        """Release the lock."""
        os.close(self._file)
