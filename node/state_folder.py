"""Open the folder in which a node keeps its state, for one process at a time.

This module stores nothing in it but a lock. Theory: two processes on one log or one database would tear it, and a
second start is an ordinary mistake; an advisory lock (flock) ends with its process, however that ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privacy.errors import InputError

__all__ = ["open_state"]


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
