"""Attacks beside the list on what outlives a process: a state folder, a clock, a certificate on an open stream."""

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import grpc.aio

from coordinator.authority import read_member_certificate
from coordinator.grpc_link import GrpcHub
from node.record_store import RecordStore, StoreSettings, load_log_key
from node.service import _past_votes
from privacy.errors import PeerError
from privacy.log.mark import check_mark
from tests.coordinator.raw_peer import dial
from tests.e2e.link_room import HubDiary, Room, run
from tests.privacy.logs import ORIGIN, HandClock, author, egress
from tests.privacy.table import manifest_of, names_of
from tests.redteam.attack import HeldError, attack, without

__all__: list[str] = []

NAMES = names_of(4)


def log_in(folder: Path, clock: HandClock) -> RecordStore:
    """Open a bank's log as a new process does."""
    return RecordStore(StoreSettings(folder, author(), load_log_key(folder, ORIGIN), "test/1", "00" * 32, clock))


def vote() -> dict[str, str]:
    """Return what a vote's record says beside an upload's: the whole roster voted for."""
    return {"payload_kind": "secagg.consent", "cohort": "1111", "cohort_sha256": "ab" * 32}


@attack(
    "+19", ("node's own log", "check_mark"), "rolled-back",
    without="the bank votes for the same round again: two cohorts, and their difference is one bank's part",
    unguarded=lambda: without((check_mark, "rolled-back"), (check_mark, "forked")),
)  # fmt: skip
def older_state_folder() -> None:
    """Restart a bank on a copy of its log from before its vote."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, clock = Path(temporary) / "state", HandClock()
        store = log_in(folder, clock)
        store.append([egress(1)])
        store.close()
        shutil.copy(folder / "log.db", folder / "log.old")
        store = log_in(folder, clock)
        store.append([egress(1, **vote())])
        assert _past_votes(store, manifest_of(NAMES))[1].survivors == tuple(NAMES)
        store.close()
        (folder / "log.old").replace(folder / "log.db")
        store = log_in(folder, clock)
        forgotten = _past_votes(store, manifest_of(NAMES)) == {}
        store.close()
        assert forgotten


@attack(
    "+20", ("node's own log", "clock_fell_back"), "clock.step",
    without="records of after the attack carry times from before it, and nobody is told",
    unguarded=lambda: patch("node.record_store.clock_fell_back", lambda *_: ()),
)  # fmt: skip
def clock_set_back_between_processes() -> None:
    """Set a bank's wall clock back a day while its node is down."""
    with tempfile.TemporaryDirectory() as temporary:
        clock = HandClock(mono_us=10**12)
        log_in(Path(temporary), clock).close()
        clock.pass_us(-86_400_000_000, -(10**11))  # a new boot counts from elsewhere
        store = log_in(Path(temporary), clock)
        alarm = store.last("alarm.raised")
        store.close()
        if alarm is not None:
            raise HeldError(str(alarm.body["class"]), "the log says that the clock went back")


@attack(
    "+21", ("link", "GrpcHub._watch"), "not-a-member",
    without="a bank that was put out goes on hearing every sum, as long as it says nothing",
    unguarded=lambda: without((GrpcHub._admit, "why_refused")),
)  # fmt: skip
def listening_after_removal() -> None:
    """Stay on an open stream after being suspended, and only listen."""
    room = Room()
    own = room.member("bank-a")
    ended: list[str] = []

    async def listen() -> None:
        async with HubDiary(room.hub_settings(heartbeat_s=0.02)) as diary, dial(room, diary.port, own) as peer:
            await peer.greet()
            diary.expelled.add(read_member_certificate(own.certificate_pem).serial)
            try:
                for _ in range(3):
                    await peer.read()
                diary.hub.send("bank-a", b"a sum")
                while (await peer.read()).chunk.data != b"a sum":
                    pass
            except (grpc.aio.AioRpcError, TypeError):
                ended.append((await peer.end())[1])

    run(listen)
    if ended:
        raise PeerError(ended[0], "the hub ended the stream")
