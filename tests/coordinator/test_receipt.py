"""The receipt desk: one record an arrival, receipts in order, one commit for a crowd."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.log_store import LogSettings, LogStore, load_log_key
from coordinator.receipt import Arrival, ReceiptDesk, arrival
from privacy.envelope import COORDINATOR, Address, sign_envelope
from privacy.errors import InputError
from privacy.keys import IdentityKey
from privacy.log.receipt import Receipt, Seen, decode_receipt, verify_receipt
from privacy.log.record import Actor, Author
from privacy.log.sender import verify_sender
from privacy.messages import Halt
from tests.privacy.logs import HandClock

PEER = "coordinator/privacy-log"


def opened(directory: Path) -> LogStore:
    who = Author(PEER, os.urandom(16), Actor("service", "coordinator", "coordinator", "mtls"))
    return LogStore(LogSettings(directory, who, load_log_key(directory, PEER), "creditmesh", "00" * 32, HandClock()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = opened(tmp_path)
    yield store
    store.close()


def arrived(member: str, number: int, refusal: str = "") -> Arrival:
    name = f"job-1/1/{number}/upload/{member}>coordinator"
    return Arrival(name, member, 100, "ab" * 32, "secagg.upload", not refusal, refusal, "job-1", "credit-risk-model")


def commits(store: LogStore) -> int:
    return int(store._database.execute("SELECT count(*) FROM checkpoint").fetchone()[0])


def acknowledged(store: LogStore, *arrivals: Arrival) -> list[Receipt]:
    async def run() -> list[bytes]:
        desk = ReceiptDesk(store)
        return await asyncio.gather(*(desk.acknowledge(each) for each in arrivals))

    return [decode_receipt(each) for each in asyncio.run(run())]


def test_a_member_follows_its_receipts_from_head_to_head(store: LogStore, tmp_path: Path) -> None:
    key = load_log_key(tmp_path, PEER).verifier()
    desk = ReceiptDesk(store)

    async def run() -> None:
        seen = {"bank-a": Seen(), "bank-b": Seen()}
        for number in range(20):
            for member in ("bank-a", "bank-b", "bank-a")[: 1 + number % 3]:
                receipt = decode_receipt(await desk.acknowledge(arrived(member, number)))
                event, head, linked = verify_receipt(receipt, key, PEER, seen[member])
                assert linked and event.body["from"] == member
                seen[member] = Seen(head.size, head.root)

    asyncio.run(run())


def test_a_crowd_shares_commits_and_each_gets_its_own_receipt(store: LogStore, tmp_path: Path) -> None:
    before = commits(store)
    crowd = [arrived(f"bank-{number}", number) for number in range(40)]
    receipts = acknowledged(store, *crowd)
    assert commits(store) - before <= 2
    key = load_log_key(tmp_path, PEER).verifier()
    for each, receipt in zip(crowd, receipts, strict=True):
        event, _, _ = verify_receipt(receipt, key, PEER, Seen())
        assert event.body["msg_id"] == each.msg_id
    assert len({receipt.index for receipt in receipts}) == 40


def test_a_refusal_says_why(store: LogStore) -> None:
    (receipt,) = acknowledged(store, arrived("bank-a", 1, "envelope-position"))
    assert b'"accepted":false' in receipt.event and b'"reason":"envelope-position"' in receipt.event


def test_a_failed_commit_gives_no_receipt_and_the_desk_goes_on(store: LogStore) -> None:
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    crowd = [arrived(f"bank-{number}", number) for number in range(100)]

    async def run() -> None:
        desk = ReceiptDesk(store)
        results = await asyncio.gather(*(desk.acknowledge(each) for each in crowd), return_exceptions=True)
        assert all(isinstance(each, InputError) and each.code == "disk-full" for each in results)
        store._database.execute("PRAGMA max_page_count = 1000000")
        assert decode_receipt(await desk.acknowledge(crowd[0])).from_size == 0

    asyncio.run(run())


def test_a_caller_that_gives_up_takes_nobody_with_it(store: LogStore) -> None:
    async def run() -> None:
        desk = ReceiptDesk(store)
        first = asyncio.create_task(desk.acknowledge(arrived("bank-a", 1)))
        second = asyncio.create_task(desk.acknowledge(arrived("bank-b", 2)))
        await asyncio.sleep(0)
        first.cancel()
        assert decode_receipt(await second).index in (1, 2)

    asyncio.run(run())


def test_an_arrival_names_the_envelope_that_came() -> None:
    key = IdentityKey.from_seed(bytes(32))
    address = Address("job-1", 2, 3, b"m" * 32, b"r" * 32)
    envelope = sign_envelope(key, "bank-a", COORDINATOR, address, Halt("stopped"))
    body = arrival(envelope, 321, "credit-risk-model").entry().body
    assert (body["msg_id"], body["from"], body["bytes"]) == ("job-1/2/3/halt/bank-a>coordinator", "bank-a", 321)
    assert body["payload_sha256"] == envelope.payload_sha256 and "binding" not in body
    verify_sender(body, key.public)
