"""What leaves a bank, and what the coordinator keeps, hold nothing of the bank's vector; without masks they would.

It looks at every byte that one node writes to its stream and at every file of the coordinator's state folder, for the
node's true words, for the same numbers as floats, and for counts of its rows. Theory: a search that finds nothing says
something only if it finds what is there, so the same search runs on a network whose masks are switched off.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.consortium_room import ConsortiumRoom

pytestmark = pytest.mark.slow

WATCHED = "bank-2"


WINDOW = 6


def telling(values: np.ndarray) -> Iterator[bytes]:
    """Return the bytes of neighbours of which at most one is nothing: what chance does not bring forth."""
    width = values.dtype.itemsize
    raw = values.tobytes()
    size = min(WINDOW, len(values))
    for place in range(len(values) - size + 1):
        window = values[place : place + size]
        # Few numbers, or equal ones, also stand in a database's own lists of pages.
        various = np.count_nonzero(window) >= size - 1 and len(np.unique(window)) >= size // 2
        if various and (size == WINDOW or window.max() > 256):
            yield raw[place * width : (place + size) * width]


def secrets_of(room: ConsortiumRoom, job: str) -> set[bytes]:
    """Return byte strings that only the watched node's rows explain."""
    found: set[bytes] = set()
    for entry in room.noted(WATCHED, job).values():
        words = np.frombuffer(bytes.fromhex(entry["words"]), "<u4" if entry["bits"] == 32 else "<u8")
        numbers = words.view(f"<i{words.dtype.itemsize}")
        found.update(telling(words))
        found.update(telling(numbers.astype("<f8")))
        found.update(telling(numbers.astype("<f4")))
        # One word of eight bytes, most of them in use, is telling without a neighbour.
        found.update(word.tobytes() for word in words if entry["bits"] == 64 and (1 << 40) < int(word) < (1 << 63))
    rows = room.rows + int(WATCHED[-1])
    bad = sum(line.endswith(",1") for line in room.tables[WATCHED].read_text("ascii").splitlines())
    found.update(struct.pack("<Q", count) for count in (rows, bad, rows - bad))
    return found


def leaks(room: ConsortiumRoom, job: str) -> tuple[list[str], list[str]]:
    """Return which of the node's secrets stand in its stream, and where in the coordinator's state (hex)."""
    secrets = secrets_of(room, job)
    assert len(secrets) > 100
    stream = (room.watch_of(WATCHED) / "sent").read_bytes()
    # SQLite's index of its write-ahead log holds nothing but page and frame numbers: small counts as ours are.
    kept = [path for path in sorted(room.run.coordinator.rglob("*")) if path.is_file() and path.suffix != ".db-shm"]
    files = {path.name: path.read_bytes() for path in kept}
    assert min(len(stream), sum(map(len, files.values()))) > 10_000
    return (
        [secret.hex() for secret in secrets if secret in stream],
        [f"{name}: {secret.hex()}" for name, held in files.items() for secret in secrets if secret in held],
    )


@pytest.mark.parametrize("unmasked", [False, True], ids=["masked", "unmasked"])
def test_neither_stream_nor_state_hold_a_bank_s_vector(tmp_path: Path, unmasked: bool) -> None:
    with ConsortiumRoom(tmp_path, 5, unmasked=unmasked) as room:
        room.start()
        job = room.submit()
        outcome = room.outcome(job)
        assert outcome["state"] == "done", outcome["reason"]
        room.check_sums(job)
        in_stream, in_state = leaks(room, job)

    if unmasked:
        # The search sees what is there: without masks the node's words go over the line as they are.
        assert len(in_stream) > 100
    else:
        assert (in_stream, in_state) == ([], [])
