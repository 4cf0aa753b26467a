"""Who is connected and who was heard when, as the running coordinator saw it last.

It opens no connection and decides nothing by what it reads. Theory: presence lives in the memory of the process that
holds the connections; that process writes it to `seen.json` every few seconds, so that another one can show it. A file
that has grown old says that nobody writes it any more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILE", "Sighting", "encode_sightings", "read_sightings"]

FILE = "seen.json"


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a member was heard last (UTC microseconds, None for never in this process), and whether it is connected."""

    heard_us: int | None
    connected: bool


def encode_sightings(seen: Mapping[str, Sighting], now_us: int) -> bytes:
    """Return the content of the file."""
    members = {name: {"heard_us": each.heard_us, "connected": each.connected} for name, each in sorted(seen.items())}
    return json.dumps({"written_us": now_us, "members": members}).encode("ascii")


def read_sightings(state: Path) -> dict[str, Sighting]:
    """Return who was seen; none where no coordinator has written it or the file cannot be read."""
    try:
        members = json.loads((state / FILE).read_bytes())["members"]
        return {name: Sighting(each["heard_us"], bool(each["connected"])) for name, each in members.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
