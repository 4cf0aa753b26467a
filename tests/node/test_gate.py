"""The gate: nothing leaves without a durable record, and a receipt is believed only when it proves itself."""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from node.gate import SIGNATURE_BYTES, SIGNATURE_FRAMES, Gate, GateSettings
from node.link import ControlBlock
from node.record_store import RecordStore
from privacy.errors import InputError, MisuseError, VerificationError
from privacy.log.journal import hash_reader, read_events
from privacy.log.receipt import Receipt
from privacy.log.record import Event
from privacy.log.tree import consistency_proof, inclusion_proof
from privacy.log.verify import verify_log
from privacy.outgoing import Outgoing
from tests.node.test_record_store import opened
from tests.privacy.logs import MemoryLog, ingress

PEER = "coordinator/privacy-log"


@dataclass
class FakeLink:
    """Keep what was sent, and what the log's file held at that moment."""

    path: Path
    authorise: Callable[[], ControlBlock]
    sent: list[bytes] = field(default_factory=list)
    durable: list[list[Event]] = field(default_factory=list)

    async def run(self) -> None:
        raise ConnectionError("the link ended")

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Stay as it is."""

    async def send(self, message: bytes) -> None:
        self.durable.append(self.on_disk())
        self.sent.append(message)

    def on_disk(self) -> list[Event]:
        reader = sqlite3.connect(self.path / "log.db")
        try:
            return list(read_events(reader, 0, 1 << 30))
        finally:
            reader.close()


@dataclass
class Room:
    """A gate with its store, its link and the coordinator's log."""

    path: Path
    store: RecordStore
    gate: Gate
    link: FakeLink
    peer: MemoryLog

    def recorded(self, kind: str) -> list[Event]:
        return [event for event in self.store.events(0, 1 << 30) if event.kind == kind]

    def receipt(self, number: int, told: int = 0, **more: Any) -> bytes:
        """Let the coordinator record message `number` and answer."""
        more = {"payload_sha256": hashlib.sha256(b"%d" % number).hexdigest(), "bytes": 7, **more}
        (index,) = self.peer.append(ingress(number, **more))
        size = self.peer.appender.head.size
        read = hash_reader(self.peer.database)
        proof = consistency_proof(told, size, read) if 0 < told < size else []
        event = self.peer.events()[index]
        inclusion = tuple(inclusion_proof(index, size, read))
        return Receipt(event, index, inclusion, self.peer.appender.note, told, tuple(proof)).encode()


def made(path: Path, store: RecordStore, peer: MemoryLog, **more: int) -> Room:
    links: list[FakeLink] = []

    def make_link(authorise: Callable[[], ControlBlock]) -> FakeLink:
        links.append(FakeLink(path, authorise))
        return links[0]

    settings = GateSettings("bank-a", "coordinator", peer.signer.verifier(), os.urandom(16), 100, 20_000, **more)
    gate = Gate(settings, store, make_link)
    return Room(path, store, gate, links[0], peer)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    store = opened(tmp_path)
    yield made(tmp_path, store, MemoryLog(PEER, seed=9))
    store.close()


def message(number: int, **record: object) -> Outgoing:
    return Outgoing(
        kind="secagg.upload",
        msg_id=f"job-1/1/{number}/upload/bank-a>coordinator",
        to="coordinator",
        job="job-1",
        round=number,
        purpose="credit-risk-model",
        protection="masked",
        message=b"message",
        payload_sha256=hashlib.sha256(b"%d" % number).hexdigest(),
        record=record,
    )


def send(room: Room, *outgoing: Outgoing) -> list[int | None]:
    async def run() -> list[int | None]:
        return [await room.gate.send(each) for each in outgoing]

    return asyncio.run(run())


def test_the_record_is_on_disk_before_the_message_leaves(room: Room) -> None:
    (index,) = send(room, message(1, position=4, ask_sha256="cd" * 32))
    assert room.link.sent == [b"message"]
    (event,) = [each for each in room.link.durable[0] if each.kind == "egress.authorised"]
    assert (event.seq, event.job, event.round) == (index, "job-1", 1)
    assert event.body == {
        "msg_id": "job-1/1/1/upload/bank-a>coordinator",
        "to": "coordinator",
        "bytes": 7,
        "payload_kind": "secagg.upload",
        "protection": "masked",
        "payload_sha256": hashlib.sha256(b"1").hexdigest(),
        "attempt": 1,
        "position": 4,
        "ask_sha256": "cd" * 32,
    }


def test_a_vote_carries_its_cohort(room: Room) -> None:
    send(room, message(1, position=4, ask_sha256="cd" * 32, cohort_sha256="ef" * 32, cohort="11011"))
    body = room.recorded("egress.authorised")[0].body
    assert (body["cohort"], body["cohort_sha256"]) == ("11011", "ef" * 32)


def commits(room: Room) -> int:
    return int(room.store._database.execute("SELECT count(*) FROM checkpoint").fetchone()[0])


def of_kind(kind: str, number: int) -> Outgoing:
    outgoing = message(number)
    return replace(outgoing, kind=kind, msg_id=outgoing.msg_id.replace("upload", kind.removeprefix("secagg.")))


def test_a_round_costs_two_commits_also_for_a_member_that_verifies(room: Room) -> None:
    kinds = ("secagg.upload", "secagg.consent", "secagg.sum-signature")
    before = commits(room)
    for number in range(1, 11):
        send(room, *(of_kind(kind, number) for kind in kinds))
    assert commits(room) == before + 20
    room.store.flush()
    recorded = [event for event in room.recorded("egress.authorised") if event.body["payload_kind"] in kinds]
    assert [event.body["payload_kind"] for event in recorded] == [*kinds] * 10
    assert [event.body["bytes"] for event in recorded] == [len(sent) for sent in room.link.sent]
    blocks = [event for event in room.recorded("egress.authorised") if event.body["payload_kind"] == "control"]
    assert blocks[-1].body["frames"] == SIGNATURE_FRAMES


def test_a_signature_without_room_in_a_block_is_recorded_durably_first(room: Room) -> None:
    before = commits(room)
    send(room, of_kind("secagg.sum-signature", 1))
    assert commits(room) == before + 1
    send(room, of_kind("secagg.consent", 2))
    large = replace(of_kind("secagg.sum-signature", 3), message=bytes(SIGNATURE_BYTES + 1))
    send(room, large)
    assert commits(room) == before + 3
    for number in range(SIGNATURE_FRAMES + 2):
        send(room, of_kind("secagg.sum-signature", 100 + number))
    assert commits(room) == before + 5


def test_nothing_leaves_when_recording_fails(room: Room) -> None:
    (pages,) = room.store._database.execute("PRAGMA page_count").fetchone()
    room.store._database.execute(f"PRAGMA max_page_count = {pages}")

    async def run() -> None:
        for number in range(1000):
            await room.gate.send(message(number))

    with pytest.raises(InputError) as caught:
        asyncio.run(run())
    assert caught.value.code == "disk-full"
    recorded = room.recorded("egress.authorised")
    assert len(room.link.sent) == len(recorded)
    assert all(len(disk) == number + 2 for number, disk in enumerate(room.link.durable))
    room.store._database.execute("PRAGMA max_page_count = 1000000")


def test_nothing_leaves_that_the_record_cannot_describe(room: Room) -> None:
    for bad in (message(1, borrower="x"), replace(message(1), payload_sha256="short"), replace(message(1), msg_id=""),
                replace(message(1), kind="control"), replace(message(1), kind="cosign")):  # fmt: skip
        with pytest.raises(MisuseError):
            send(room, bad)
    assert room.link.sent == [] and room.recorded("egress.authorised") == []


def test_a_record_key_cannot_hide_what_is_sent(room: Room) -> None:
    send(room, message(1, bytes=0, to="nobody", payload_kind="control"))
    body = room.recorded("egress.authorised")[0].body
    assert (body["bytes"], body["to"], body["payload_kind"]) == (7, "coordinator", "secagg.upload")


def test_a_repeated_message_is_another_attempt(room: Room) -> None:
    send(room, message(1), message(1))
    assert [event.body["attempt"] for event in room.recorded("egress.authorised")] == [1, 2]


def test_control_frames_are_authorised_in_blocks(room: Room) -> None:
    blocks = [room.link.authorise(), room.link.authorise()]
    assert blocks == [ControlBlock(100, 20_000)] * 2
    events = [event for event in room.link.on_disk() if event.kind == "egress.authorised"]
    assert [(e.body["payload_kind"], e.body["frames"], e.body["bytes"]) for e in events] == [
        ("control", 100, 20_000)] * 2  # fmt: skip
    assert len({event.body["msg_id"] for event in events}) == 2


def test_a_receipt_is_kept_and_costs_no_commit(room: Room) -> None:
    send(room, message(1))
    head = room.store.checkpoint()
    room.gate.on_receipt(room.receipt(1))
    assert room.store.checkpoint() == head
    send(room, message(2))
    (result,) = room.recorded("egress.result")
    assert result.body == {
        "msg_id": message(1).msg_id,
        "status": "received",
        "attempts": 1,
        "peer": {"log": PEER, "index": 0, "size": 1, "root": room.peer.appender.head.root.hex()},
    }
    (seen,) = room.recorded("peer.checkpoint")
    assert (seen.body["origin"], seen.body["size"], seen.body["linked"]) == (PEER, 1, True)
    assert (room.gate.seen.size, room.gate.seen.root) == (1, room.peer.appender.head.root)


def test_receipts_link_to_the_head_seen_before_and_across_a_restart(room: Room) -> None:
    send(room, message(1), message(2), message(3))
    room.gate.on_receipt(room.receipt(1))
    room.gate.on_receipt(room.receipt(2, told=1))
    room.store.flush()
    again = made(room.path, room.store, room.peer)
    assert again.gate.seen == room.gate.seen
    send(again, message(3))
    again.gate.on_receipt(again.receipt(3, told=2))
    again.store.flush()
    assert [event.body["linked"] for event in again.recorded("peer.checkpoint")] == [True, True, True]


def test_a_receipt_that_starts_elsewhere_is_recorded_as_unlinked(room: Room) -> None:
    send(room, message(1), message(2))
    room.gate.on_receipt(room.receipt(1))
    room.gate.on_receipt(room.receipt(2))
    room.store.flush()
    assert [event.body["linked"] for event in room.recorded("peer.checkpoint")] == [True, False]


def test_a_refusal_is_recorded(room: Room) -> None:
    send(room, message(1))
    room.gate.on_receipt(room.receipt(1, accepted=False, reason="late"))
    room.store.flush()
    assert room.recorded("egress.result")[0].body["status"] == "refused"


@pytest.mark.parametrize(
    "more",
    [
        {"payload_sha256": "ab" * 32},
        {"bytes": 8},
        {"from": "bank-b"},
        {"msg_id": "job-1/1/7/upload/bank-a>coordinator"},
    ],
)
def test_a_receipt_for_another_message_raises_an_alarm(room: Room, more: dict[str, Any]) -> None:
    send(room, message(1))
    with pytest.raises(VerificationError) as caught:
        room.gate.on_receipt(room.receipt(1, **more))
    assert caught.value.code == "receipt-mismatch"
    room.store.flush()
    (alarm,) = room.recorded("alarm.raised")
    assert alarm.body["class"] == "mismatch"
    assert room.recorded("egress.result") == [] and room.gate.seen.size == 0


def test_a_forked_coordinator_raises_a_critical_alarm(room: Room) -> None:
    send(room, message(1), message(2))
    room.gate.on_receipt(room.receipt(1))
    # The same key signs another history, as a coordinator that shows two banks two logs must.
    fork = MemoryLog(PEER, seed=9)
    fork.append(ingress(50))
    forked = replace(room, peer=fork)
    with pytest.raises(VerificationError) as caught:
        room.gate.on_receipt(forked.receipt(2, told=1))
    assert caught.value.code == "consistency-proof"
    room.store.flush()
    (alarm,) = room.recorded("alarm.raised")
    assert (alarm.body["class"], alarm.body["severity"]) == ("fork", "critical")


def test_a_receipt_by_another_key_or_none_is_refused(room: Room) -> None:
    send(room, message(1))
    stranger = replace(room, peer=MemoryLog(PEER, seed=10))
    for raw in (stranger.receipt(1), b"", b"{}", room.receipt(1)[:-1]):
        with pytest.raises(VerificationError):
            room.gate.on_receipt(raw)


def test_the_link_that_ends_ends_the_gate(room: Room) -> None:
    with pytest.raises(ConnectionError):
        asyncio.run(room.gate.run())


def test_a_round_costs_two_commits(room: Room) -> None:
    def commits() -> int:
        return int(room.store._database.execute("SELECT count(*) FROM checkpoint").fetchone()[0])

    send(room, message(0))
    before = commits()
    for number in range(1, 11):
        send(room, message(2 * number))
        room.gate.on_receipt(room.receipt(2 * number, told=room.gate.seen.size))
        send(room, message(2 * number + 1))
        room.gate.on_receipt(room.receipt(2 * number + 1, told=room.gate.seen.size))
    assert commits() - before == 20


def test_the_whole_log_verifies_with_the_coordinators_key(room: Room) -> None:
    for number in range(5):
        send(room, message(number))
        room.gate.on_receipt(room.receipt(number, told=room.gate.seen.size))
    room.store.flush()
    database = room.store._database
    memory = MemoryLog()
    memory.database, memory.signer = database, room.store._settings.signer
    report = verify_log(memory.source(peer=room.peer.signer.verifier()))
    assert [step.status for step in report.steps] == ["passed"] * 9 + ["skipped"] * 3


def test_checkpoints_leave_under_a_block_that_is_durable_before(room: Room) -> None:
    async def run() -> None:
        for _ in range(3):
            await room.gate.send_cosign(bytes(1000))

    asyncio.run(run())
    blocks = [event for event in room.link.durable[0] if event.kind == "egress.authorised"]
    assert [(each.body["payload_kind"], each.body["frames"], each.body["bytes"]) for each in blocks] == [
        ("cosign", 4096, 8 << 20)]  # fmt: skip
    assert len(room.link.sent) == 3 and len(room.recorded("egress.authorised")) == 1


@pytest.mark.parametrize(("frames", "size", "blocks"), [(2, 10_000, 3), (100, 2_500, 3), (100, 1_000, 6)])
def test_no_more_checkpoints_leave_than_blocks_allow(tmp_path: Path, frames: int, size: int, blocks: int) -> None:
    store = opened(tmp_path)
    room = made(tmp_path, store, MemoryLog(PEER, seed=9), cosign_frames=frames, cosign_bytes=size)

    async def run() -> None:
        await asyncio.gather(*(room.gate.send_cosign(bytes(1000)) for _ in range(6)))

    asyncio.run(run())
    found = room.recorded("egress.authorised")
    assert len(found) == blocks and len({each.body["msg_id"] for each in found}) == blocks
    assert len(room.link.sent) == 6
    with pytest.raises(MisuseError) as caught:
        asyncio.run(room.gate.send_cosign(bytes(size + 1)))
    assert caught.value.code == "cosign-size" and len(room.link.sent) == 6
    store.close()


def test_a_checkpoint_does_not_leave_when_its_block_cannot_be_recorded(room: Room) -> None:
    room.store._database.execute("PRAGMA query_only = ON")
    with pytest.raises(InputError):
        asyncio.run(room.gate.send_cosign(b"checkpoint"))
    room.store._database.execute("PRAGMA query_only = OFF")
    assert room.link.sent == []


def test_whoever_shows_heads_is_told_that_a_message_left(room: Room) -> None:
    assert not room.gate.departed.is_set()
    send(room, message(1))
    assert room.gate.departed.is_set()
    room.gate.departed.clear()
    asyncio.run(room.gate.send_cosign(b"checkpoint"))
    assert not room.gate.departed.is_set()
