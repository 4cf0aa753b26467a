"""Open the folder in which a node keeps its state, for one process at a time.

This module stores nothing in it but a lock. Theory: two processes on one log or one database would tear it, and a
second start is an ordinary mistake; an advisory lock (flock) ends with its process, however that ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privacy.errors import InputError

__all__ = ["make_private", "open_state"]


@contextmanager
def open_state(folder: Path) -> Iterator[Path]:
    """Make the folder (mode 0700) if it is absent, hold its lock, and yield it.

    Raises `InputError` if it cannot be made or written, or if another process holds it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("state-unwritable", f"{folder}: cannot be used as state folder ({reason})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError("state-locked", f"{folder}: in use by another process; stop it first") from error
        yield folder


def make_private(path: Path) -> None:
    """Make an empty file that only we can read, unless there is one.

    One that exists is not opened: closing it would drop the locks that SQLite holds on it in this process (POSIX), and
    the next process to close the database would take away the write-ahead log under our hands.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
