"""Files of the keys that sign checkpoints and cosignatures: a seed (0600), and its public half beside it.

One key for each role: the log's own and the witness's are different files. Theory: a key is made once, at the first
start, through a draft and a rename, so that a crash leaves no half key; a public file that belongs to another key is
never overwritten, since others have pinned it.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from privacy.errors import InputError
from privacy.log.note import NoteSigner

__all__ = ["keep_public", "load_note_key"]


def load_note_key(path: Path, name: str, random_bytes: Callable[[int], bytes] = os.urandom) -> NoteSigner:
    """Read a signing key (64 hex digits) for this name; make it when the file is absent, with its folder (0700).

    Raises:
        InputError: `secret-mode`, `log-key-format` or `log-unusable`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_new(path, random_bytes(32).hex().encode("ascii") + b"\n", 0o600)
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
    except OSError as error:
        raise InputError("log-unusable", f"{path}: cannot be used ({error.strerror})") from error
    if mode & 0o077:
        raise InputError("secret-mode", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
    if not re.fullmatch(rb"[0-9a-f]{64}\n?", content):
        raise InputError("log-key-format", f"{path}: found {len(content)} bytes, expected 64 hex digits")
    return NoteSigner(name, bytes.fromhex(content.decode("ascii")))


def keep_public(path: Path, text: str, key: Path) -> None:
    """Write what others may know of a key beside it, or check that it stands there.

    Raises:
        InputError: `log-key-mismatch` when the file belongs to another key, `log-unusable`.
    """
    try:
        if not path.exists():
            _write_new(path, text.encode("ascii") + b"\n", 0o644)
        elif path.read_text("utf-8").strip() != text:
            raise InputError("log-key-mismatch", f"{path}: does not belong to {key} and the name {text.split('+')[0]}")
    except OSError as error:
        raise InputError("log-unusable", f"{path}: cannot be used ({error.strerror})") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
