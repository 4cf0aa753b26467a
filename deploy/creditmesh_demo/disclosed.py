"""What only a demo may read of a job with noise: each bank's key that split its rows, and the keys of its noise.

It writes nothing. Theory: with these keys the demo adds the noise of every opened sum to the plain sum too, and so can
show that each bank added exactly the share it owed. No party of a real network has them all.
"""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Disclosed", "read_disclosed"]


@dataclass(frozen=True, slots=True, repr=False)
class Disclosed:
    """Hold keys of 32 bytes each: split by member, noise by member and place ("epoch/position"); none in exact jobs."""

    split: Mapping[str, bytes] = field(default_factory=dict)
    noise: Mapping[tuple[str, str], bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Disclosed(...)"

    def prf(self, member: str) -> Callable[[bytes], bytes] | None:
        """Return the keyed function that split a member's rows, None in an exact job."""
        key = self.split.get(member)
        return None if key is None else lambda message: hmac.digest(key, message, "sha256")


def read_disclosed(nodes: Mapping[str, Path], job: str, members: Sequence[str]) -> Disclosed:
    """Return the keys that the members' nodes kept of a job with noise. nodes: state folders by member."""
    split, noise = {}, {}
    for member in members:
        folder = nodes[member]
        if (folder / "split.key").exists():
            split[member] = (folder / "split.key").read_bytes()
        for msg_id, key in _uploads(folder / "jobs" / job / "uploads"):
            epoch, position = msg_id.split("/")[1:3]
            noise[member, f"{epoch}/{position}"] = key
    return Disclosed(split, noise)


def _uploads(path: Path) -> list[tuple[str, bytes]]:
    """Return message ids and noise keys of a file of uploads: a line of JSON, then as many bytes as it says."""
    found: list[tuple[str, bytes]] = []
    if not path.exists():
        return found
    with path.open("rb") as stream:
        while line := stream.readline():
            kept = json.loads(line)
            stream.seek(kept["bytes"], 1)
            found.append((kept["msg_id"], bytes.fromhex(kept.get("noise_key", ""))))
    return found
