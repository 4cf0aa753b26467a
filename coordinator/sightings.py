"""Who is connected and who was heard when, as the running coordinator saw it last.

It opens no connection and decides nothing by what it reads. Theory: presence lives in the memory of the process that
holds the connections; that process writes it to `seen.json` every two seconds, so that another one can show it. The
file is not synced: what a crash takes of it is wrong after one anyway. From a file that has grown old only the last
signs of life are taken, since nobody knows who is connected now.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coordinator.presence import Presence

__all__ = ["Lookout", "Sighting", "read_sightings"]

_FILE = "seen.json"
_EVERY_S = 2.0
_OLD_US = 15_000_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a member was heard last (UTC microseconds, None for never) and whether it is connected (None: not known)."""

    heard_us: int | None
    connected: bool | None


@dataclass(slots=True)
class Lookout:
    """Write who is here; presence: of the running hub, read on its event loop."""

    state: Path
    presence: Presence
    _written: float = -_EVERY_S
    _before: Mapping[str, "Sighting"] | None = None

    def look(self, members: Iterable[str], now: float, now_us: int) -> bytes | None:
        """Return what to write at loop time `now`, UTC `now_us`; None if the last time was a moment ago."""
        if now - self._written < _EVERY_S:
            return None
        if self._before is None:
            self._before = read_sightings(self.state, now_us)  # of an earlier process
        self._written = now
        seen = {}
        for name in sorted(members):
            heard = self.presence.last_heard(name)
            earlier = self._before[name].heard_us if name in self._before else None
            heard_us = earlier if heard is None else now_us - int((now - heard) * 1e6)
            seen[name] = {"heard_us": heard_us, "connected": self.presence.is_here(name, now)}
        return json.dumps({"written_us": now_us, "members": seen}).encode("ascii")

    def write(self, content: bytes) -> None:
        """Replace the file in one step."""
        draft = self.state / f"{_FILE}.draft"
        draft.write_bytes(content)
        os.replace(draft, self.state / _FILE)

    def end(self) -> None:
        """Say that nobody is connected any more: the process ends."""
        seen = read_sightings(self.state, 0)
        away = {name: {"heard_us": each.heard_us, "connected": False} for name, each in seen.items()}
        self.write(json.dumps({"written_us": 2**62, "members": away}).encode("ascii"))


def read_sightings(state: Path, now_us: int) -> Mapping[str, Sighting]:
    """Return who was seen; nobody where no coordinator has written it or the file cannot be read."""
    try:
        document = json.loads((state / _FILE).read_bytes())
        fresh = now_us - int(document["written_us"]) < _OLD_US
        return {
            str(name): Sighting(each["heard_us"], bool(each["connected"]) if fresh else None)
            for name, each in document["members"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
