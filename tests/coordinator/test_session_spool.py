"""Large sums at the coordinator: parts wait on disk and go out as they are taken; a full disk is one line."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coordinator import session as session_module
from coordinator.session import Desk, JobSession
from coordinator.spool import DiskSpool
from privacy.envelope import COORDINATOR
from privacy.errors import InputError
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.secagg.spool import Spool
from privacy.wire import decode_packet, encode_packet
from tests.network import Network
from tests.privacy.table import identity_of
from tests.virtual_time import run_virtual

WINDOW_BYTES = 3_000  # a fraction of what one verifier is shown in a round
FULL = InputError("disk-full", "state: the disk is full")


@dataclass
class SlowNetwork(Network):
    """A network whose lines take `rate` bytes a second, and whose coordinator keeps every part in `new_spool`."""

    rate: float = 1e9
    new_spool: Callable[[], Spool] = field(default=lambda: DiskSpool(Path(), 0))
    free_at: dict[str, float] = field(default_factory=dict)
    most: int = 0

    def open_job(self, manifest: Manifest) -> JobSession:
        """Return the session of a job with this network's backlog and spool."""
        desk = Desk(self.carry, self.notes.append, self._note_event, self.now, self.backlog, self.new_spool)
        self.heard_by = JobSession(manifest, identity_of(COORDINATOR), self.presence, desk)
        return self.heard_by

    def carry(self, name: str, message: bytes) -> None:
        """Deliver a message once the line has taken it."""
        self.free_at[name] = max(self.now(), self.free_at.get(name, 0.0)) + len(message) / self.rate
        self.most = max(self.most, self.backlog(name))
        asyncio.get_running_loop().call_at(self.free_at[name], super().carry, name, message)

    def backlog(self, name: str) -> int:
        """Return the bytes that the line has not taken yet."""
        return round(max(0.0, self.free_at.get(name, 0.0) - self.now()) * self.rate)


def network_of(folder: Path, count: int, **changes: Any) -> SlowNetwork:
    names = [f"bank-{place:03d}" for place in range(count)]
    return SlowNetwork(folder, names, {"*": {"allow_exclusion": 1}}, **changes)


def play(network: SlowNetwork) -> tuple[str, str]:
    async def test() -> tuple[str, str]:
        network.start()
        return (await network.run(network.manifest()))[:2]

    ended = run_virtual(test())
    network.check_sums()
    return ended


def test_parts_on_disk_verify_and_no_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    network = network_of(tmp_path, 5, new_spool=lambda: DiskSpool(tmp_path / "state", 0))

    assert play(network) == ("done", "")
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("paced", [True, False])
def test_no_more_is_queued_for_a_verifier_than_the_window_and_one_packet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paced: bool
) -> None:
    network = network_of(tmp_path, 8, rate=20_000.0, new_spool=lambda: DiskSpool(tmp_path, 0))
    largest = 0
    monkeypatch.setattr(session_module, "_WINDOW_BYTES", WINDOW_BYTES if paced else 10**9)
    carry = network.carry

    def measured(name: str, message: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(message))
        carry(name, message)

    network.carry = measured  # type: ignore[method-assign]
    assert play(network) == ("done", "")
    assert (network.most <= WINDOW_BYTES + largest) is paced


def test_a_full_disk_fails_the_job_with_its_line_and_bans_nobody(tmp_path: Path) -> None:
    rounds = 0

    class Filling(DiskSpool):
        def put(self, member: str, vector: bytes | memoryview) -> None:
            if rounds == 3 and member == "bank-002":
                raise FULL
            super().put(member, vector)

    def new_spool() -> Spool:
        nonlocal rounds
        rounds += 1
        return Filling(tmp_path, 0)

    network = network_of(tmp_path, 5, new_spool=new_spool)

    assert play(network) == ("failed", "state: the disk is full")

    assert network.refusals == []
    assert network.heard_by is not None and len(network.heard_by.aggregator.opened) == 2
    assert {node.written[-1][1] for node in network.nodes.values()} == {"failed"}
    assert network.kinds() == []


def test_a_part_that_cannot_be_read_again_fails_the_job_with_its_line(tmp_path: Path) -> None:
    class Unreadable(DiskSpool):
        def get(self, member: str) -> bytes:
            raise FULL

    assert play(network_of(tmp_path, 5, new_spool=lambda: Unreadable(tmp_path, 0))) == ("failed", FULL.message)


@pytest.mark.parametrize("place", [0, -1])
def test_a_member_whose_vector_is_not_the_one_it_signed_is_left_behind(tmp_path: Path, place: int) -> None:
    network = network_of(tmp_path, 6, new_spool=lambda: DiskSpool(tmp_path, 0))
    liar = network.nodes["bank-002"]

    def alter(outgoing: Outgoing) -> bool:
        if (outgoing.kind, outgoing.round) != ("secagg.upload", 3):
            return True
        packet = decode_packet(outgoing.message)
        vector = bytearray(packet.vector)
        vector[place] ^= 64
        altered = encode_packet(replace(packet, vector=bytes(vector)))
        asyncio.get_running_loop().call_soon(network.arrive, liar, altered)
        return False

    liar.before_send = alter
    assert play(network) == ("done", "")

    assert network.heard_by is not None
    cohorts = [past.opened.survivors for past in network.heard_by.aggregator.opened]
    assert all("bank-002" in cohort for cohort in cohorts[:2])
    assert not any("bank-002" in cohort for cohort in cohorts[2:])
    (excluded,) = [body for _, kind, body in network.events if kind == "members-excluded"]
    assert excluded["reasons"] == "the vector of bank-002 is not the one its header names"
