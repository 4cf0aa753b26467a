"""Keep the masked parts of a sum until members have verified it: in memory while they are few, else on disk.

It checks nothing: a part that the disk gave back changed fails the digest in its owner's header when it is read.
Theory: n parts of a large sum do not fit into memory, and each is needed only once more. The file has no name
(`O_TMPFILE`, or unlinked at once), so it is gone with the process, however that ends.
"""

import errno
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from privacy.errors import InputError

__all__ = ["MEMORY_BYTES", "DiskSpool"]

MEMORY_BYTES = 16 * 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskSpool:
    """Implement `privacy.secagg.spool.Spool` for one sum."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        """Start empty.

        folder: where the nameless file (0600) is made once it is needed. memory_bytes: what all parts that stay in
        memory may hold together.
        """
        self._folder = folder
        self._room = memory_bytes
        self._kept: dict[str, bytes | memoryview] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._file: BinaryIO | None = None
        self._end = 0

    def put(self, member: str, vector: bytes | memoryview) -> None:
        """Keep a member's part; a disk that cannot take it raises `InputError`."""
        if len(vector) <= self._room:
            self._room -= len(vector)
            self._kept[member] = vector
            return
        try:
            self._write(vector)
        except OSError as error:
            raise _fault(self._folder, error, len(vector)) from error
        self._places[member] = (self._end, len(vector))
        self._end += len(vector)

    def get(self, member: str) -> bytes | memoryview:
        """Return a member's part; a disk that does not give it back raises `InputError`."""
        if member in self._kept:
            return self._kept[member]
        start, size = self._places[member]
        assert self._file is not None  # a place is noted only after the file took the part
        try:
            return os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise _fault(self._folder, error, size) from error

    def close(self) -> None:
        """Forget all parts and give their room on the disk back."""
        self._kept.clear()
        self._places.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, vector: bytes | memoryview) -> None:
        if self._file is None:
            # Unbuffered: a buffer would only copy, and what was written is read back from the same descriptor.
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - `close` closes it
        assert self._file is not None
        rest = memoryview(vector)
        while rest:
            rest = rest[os.pwrite(self._file.fileno(), rest, self._end + len(vector) - len(rest)) :]


def _fault(folder: Path, error: OSError, size: int) -> InputError:
    if error.errno in _FULL:
        return InputError(
            "disk-full",
            f"{folder}: the disk is full, a masked part of {size} bytes could not be kept until its sum is verified; "
            "make room and submit the job again",
        )
    reason = (error.strerror or type(error).__name__).lower()
    return InputError("spool-unusable", f"{folder}: masked parts cannot be kept here ({reason})")
