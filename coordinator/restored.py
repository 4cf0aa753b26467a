"""What a coordinator that was put back from a backup may do before others confirmed that nothing is missing: nothing.

It asks nobody (`coordinator.relay` does). Theory: `restore` leaves a file that says how many records the log had in the
copy. Until a quorum of the banks cosigned the head of exactly that size, the head is shown as it was, no larger one: a
bank that holds a newer head proves the copy to be an older one, and nobody was made to cosign a head that the newest
copy does not know. Started by mistake, an older copy therefore spoils nothing for the newest.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.outcome import write_whole
from privacy.errors import InputError

__all__ = ["Doorstep", "Restored", "note_restored"]

_FILE = "restored.json"
_MOST_WAITING = 4096


@dataclass(slots=True)
class Restored:
    """Say whether this state folder was put back and is not confirmed yet.

    Attributes:
        made: when the backup was made, text; empty if nothing was put back.
        size: records that the log had in it.
        waiting: whether the banks have yet to confirm it.
    """

    state: Path
    made: str = field(init=False, default="")
    size: int = field(init=False, default=0)
    waiting: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Read the file; raises `InputError` if it is not what `restore` wrote."""
        path = self.state / _FILE
        try:
            document = json.loads(path.read_bytes())
            self.made, self.size = str(document["made"]), int(document["size"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{path}: cannot be read; expected what `restore` wrote: restore the backup again"
            raise InputError("restored-unreadable", reason) from error
        self.waiting = True

    def confirm(self) -> None:
        """Note that a quorum holds no newer head."""
        (self.state / _FILE).unlink(missing_ok=True)
        self.waiting = False


class Doorstep:
    """Let what comes wait, in its order, until it may be taken; all calls are made on one event loop."""

    def __init__(self, restored: Restored, cut: Callable[[str], None]) -> None:
        """cut: ends a member's connection; it sends again what was not taken."""
        self._waits = restored.waiting
        self._cut = cut
        self._queue: list[Callable[[], object]] = []

    def pass_by(self, member: str, act: Callable[[], object]) -> None:
        """Do something that a member's arrival or message asks for, now or when the doorstep is open."""
        if not self._waits:
            act()
        elif len(self._queue) < _MOST_WAITING:
            self._queue.append(act)
        else:
            self._cut(member)

    def open(self) -> bool:
        """Do what waits, and whatever comes from now on at once; say whether it was closed."""
        before, self._waits = self._waits, False
        queue, self._queue = self._queue, []
        for act in queue:
            act()
        return before


def note_restored(state: Path, made: str, size: int) -> None:
    """Note in a state folder that it was put back from a backup of that moment, whose log had so many records."""
    write_whole(state / _FILE, json.dumps({"made": made, "size": size}).encode("ascii"))
