"""Notes of commands in the state folder: left by the command, taken up by the process that holds the log.

`access/*.json` say who used a command (`privacy.log.access`), `access/*.deed` what people report (`privacy.log.deed`).

It writes no log itself. Theory: a note appears whole or not at all, and is removed only once it is recorded durably; a
crash in between records it twice, never not at all. The coordinator has its own: the shells never import each other.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from node.journal_line import say
from privacy.errors import VerificationError
from privacy.log.access import AccessNote, decode_note
from privacy.log.deed import DEED_LIMIT_BYTES, Deed, decode_deed
from privacy.log.record import Entry

__all__ = ["account", "leave_deed", "leave_note", "take_notes"]

_FOLDER = "access"


def leave_note(state: Path, action: str, resource: str, who: str = "") -> None:
    """Note that somebody did `action` to `resource`; raises `OSError`.

    who: a pseudonym; the account that runs this command by default.
    """
    _leave(state, AccessNote(who or account(), action, resource[:256]).encode(), "json")


def leave_deed(state: Path, deed: Deed) -> None:
    """Note what a person reports; raises `OSError`."""
    _leave(state, deed.encode(), "deed")


def account() -> str:
    """Return the name in the log of the account that runs this command."""
    return f"uid-{os.getuid()}"


def take_notes(state: Path, append: Callable[[Sequence[Entry]], object]) -> int:
    """Record the notes that are there, oldest first; return how many. append: makes entries durable."""
    folder = state / _FOLDER
    if not folder.is_dir():
        return 0
    found = [*folder.glob("*.json"), *folder.glob("*.deed")]
    paths = sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
    notes = [note for note in map(_read, paths) if note]
    if notes:
        append([note.entry() for note in notes])
    for path in paths:
        path.unlink()
    return len(notes)


def _leave(state: Path, content: bytes, suffix: str) -> None:
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = os.urandom(12).hex()
    draft = folder / f"{name}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(folder / f"{name}.{suffix}")


def _read(path: Path) -> AccessNote | Deed | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(DEED_LIMIT_BYTES + 1)
        return decode_deed(content) if path.suffix == ".deed" else decode_note(content)
    except VerificationError as error:
        say("access_note_unreadable", reason=f"{path.name}: {error.message}")
        return None
