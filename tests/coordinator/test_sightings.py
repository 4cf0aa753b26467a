"""Who was seen: written every two seconds, kept over a restart, and worth nothing once it is old."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coordinator.sightings import Lookout, Sighting, read_sightings

NOW_US = 1_700_000_000_000_000


@dataclass
class Presence:
    heard: dict[str, float] = field(default_factory=dict)

    def last_heard(self, member: str) -> float | None:
        return self.heard.get(member)

    def is_here(self, member: str, now: float) -> bool:
        return now - self.heard.get(member, -99.0) < 5


def written(folder: Path, heard: dict[str, float], now: float = 100.0, now_us: int = NOW_US) -> None:
    lookout = Lookout(folder, Presence(heard))  # type: ignore[arg-type]
    content = lookout.look(["a", "b"], now, now_us)
    assert content is not None
    lookout.write(content)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written(tmp_path, {"a": 99.0})
    assert read_sightings(tmp_path, NOW_US) == {"a": Sighting(NOW_US - 1_000_000, True), "b": Sighting(None, False)}


def test_an_old_file_does_not_say_who_is_connected(tmp_path: Path) -> None:
    written(tmp_path, {"a": 99.0})
    assert read_sightings(tmp_path, NOW_US + 16_000_000)["a"] == Sighting(NOW_US - 1_000_000, None)


def test_a_later_process_remembers_an_earlier_one(tmp_path: Path) -> None:
    written(tmp_path, {"a": 99.0})
    written(tmp_path, {}, 5.0, NOW_US + 60_000_000)
    assert read_sightings(tmp_path, NOW_US + 60_000_000)["a"] == Sighting(NOW_US - 1_000_000, False)


def test_it_writes_no_more_often_than_every_two_seconds(tmp_path: Path) -> None:
    lookout = Lookout(tmp_path, Presence())  # type: ignore[arg-type]
    looks = [lookout.look(["a"], now, NOW_US) is not None for now in (10.0, 10.5, 11.9, 12.1, 13.0)]
    assert looks == [True, False, False, True, False]


def test_nobody_is_connected_to_a_process_that_ended(tmp_path: Path) -> None:
    written(tmp_path, {"a": 99.0})
    Lookout(tmp_path, Presence()).end()  # type: ignore[arg-type]
    assert read_sightings(tmp_path, NOW_US + 10**12)["a"] == Sighting(NOW_US - 1_000_000, False)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"written_us": "x", "members": {}}', b'{"written_us": 1, "members": {"a": 1}}']
)
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(content)
    assert read_sightings(tmp_path, NOW_US) == {}
