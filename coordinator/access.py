"""Notes of commands in the state folder: left by the command, taken up by the process that holds the log.

It writes no log itself. Theory: a note appears whole or not at all, and is removed only once it is recorded durably; a
crash in between records it twice, never not at all. A node has its own: the shells never import each other.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from coordinator.journal_line import say
from privacy.errors import VerificationError
from privacy.log.access import NOTE_LIMIT_BYTES, AccessNote, decode_note
from privacy.log.record import Entry

__all__ = ["leave_note", "take_notes"]

_FOLDER = "access"


def leave_note(
    state: Path, action: str, resource: str, *, subject: str | None = None, decision: str = "allowed"
) -> None:
    """Note that somebody did `action` to `resource`; raises `OSError`.

    subject: a pseudonym (`account-7`), by default the system's account that runs this command. decision: `allowed` or
    `denied`.
    """
    note = AccessNote(subject or f"uid-{os.getuid()}", action, resource[:256], decision)
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = os.urandom(12).hex()
    draft = folder / f"{name}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(note.encode())
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(folder / f"{name}.json")


def take_notes(state: Path, append: Callable[[Sequence[Entry]], object]) -> int:
    """Record the notes that are there, oldest first; return how many. append: makes entries durable."""
    folder = state / _FOLDER
    if not folder.is_dir():
        return 0
    paths = sorted(folder.glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    notes = [note for note in map(_read, paths) if note]
    if notes:
        append([note.entry() for note in notes])
    for path in paths:
        path.unlink()
    return len(notes)


def _read(path: Path) -> AccessNote | None:
    try:
        with path.open("rb") as stream:
            return decode_note(stream.read(NOTE_LIMIT_BYTES + 1))
    except VerificationError as error:
        say("access_note_unreadable", reason=f"{path.name}: {error.message}")
        return None
