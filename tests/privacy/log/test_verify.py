"""Verification: honest logs pass, and no tampering passes unnoticed."""

import json
import random
from collections.abc import Callable

import pytest

from privacy.log.canonical import encode
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.journal import hash_reader
from privacy.log.receipt import Receipt
from privacy.log.record import Entry
from privacy.log.tree import CompactTree, inclusion_proof, leaf_hash, root_at
from privacy.log.verify import KnownHead, Report, verify_log
from tests.privacy.logs import ORIGIN, MemoryLog, egress, ingress, opened

PEER = "coordinator/privacy-log"


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.append(opened())
    for number in range(6):
        log.append(egress(3 * number), egress(3 * number + 1), egress(3 * number + 2))
    return log


def failed(report: Report) -> set[int]:
    return {step.number for step in report.steps if step.status == "failed"}


def test_an_honest_log_passes_every_step_that_can_be_checked(log: MemoryLog) -> None:
    report = verify_log(log.source())
    assert [step.status for step in report.steps] == ["passed"] * 8 + ["skipped"] * 4
    assert (report.size, report.root) == (19, log.appender.head.root)
    assert [step.number for step in report.steps] == list(range(1, 13))
    assert report.step(4).detail == "35 checked"


def test_without_stored_hashes_or_receipts_their_steps_are_skipped(log: MemoryLog) -> None:
    report = verify_log(log.source(hashes=None, receipts=None))
    assert report.step(4).status == report.step(9).status == "skipped"


Tampering = Callable[[list[bytes]], list[bytes]]


def renumbered(events: list[bytes]) -> list[bytes]:
    out = []
    for seq, event in enumerate(events):
        out.append(encode({**json.loads(event), "seq": seq}))
    return out


TAMPERINGS: dict[str, tuple[Tampering, int]] = {
    "a record is changed": (lambda e: [*e[:5], e[5].replace(b'"bytes":10', b'"bytes":90'), *e[6:]], 6),
    "a record is dropped": (lambda e: e[:5] + e[6:], 2),
    "a record is dropped and the rest renumbered": (lambda e: renumbered(e[:5] + e[6:]), 6),
    "two records are swapped": (lambda e: [*e[:5], e[6], e[5], *e[7:]], 2),
    "two records are swapped and renumbered": (lambda e: renumbered([*e[:5], e[6], e[5], *e[7:]]), 6),
    "a record is replayed at the end": (lambda e: [*e, e[7]], 2),
    "a record is replayed with a new number": (lambda e: renumbered([*e, e[7]]), 8),
    "the tail is cut": (lambda e: e[:-2], 6),
    "everything is cut": (lambda e: [], 6),
    "a record of another log is put in": (lambda e: [*e[:5], e[5].replace(b"bank-a/priv", b"bank-b/priv"), *e[6:]], 3),
    "a record is not canonical": (lambda e: [*e[:5], e[5] + b" ", *e[6:]], 1),
    "a record is put in front": (lambda e: renumbered([e[3], *e]), 6),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampered_events_fail(log: MemoryLog, name: str) -> None:
    change, step = TAMPERINGS[name]
    events = change(log.events())
    assert events != log.events()
    assert step in failed(verify_log(log.source(events)))
    assert step in failed(verify_log(log.source(events, hashes=None)))


def stored(events: list[bytes]) -> list[bytes]:
    tree, hashes = CompactTree(), []
    for event in events:
        tree, completed = tree.append(leaf_hash(event))
        hashes += completed
    return hashes


def test_new_hashes_for_changed_events_do_not_help(log: MemoryLog) -> None:
    events = log.events()
    events[5] = events[5].replace(b'"bytes":10', b'"bytes":90')
    report = verify_log(log.source(events, hashes=stored(events)))
    assert failed(report) == {6}


def test_the_real_key_cannot_rewrite_what_others_hold(log: MemoryLog) -> None:
    events = log.events()
    before = KnownHead("bank-b", 7, root_at(7, hash_reader(log.database)))
    events[5] = events[5].replace(b'"bytes":10', b'"bytes":90')
    tree = CompactTree()
    for event in events:
        tree = tree.append(leaf_hash(event))[0]
    notes = [sign_checkpoint(Checkpoint(ORIGIN, tree.size, tree.root()), log.signer)]
    forked = log.source(events, hashes=stored(events), checkpoints=notes)
    assert failed(verify_log(forked)) == set()
    source = log.source(events, hashes=stored(events), checkpoints=notes, heads=(before,))
    assert failed(verify_log(source)) == {10}


def test_a_smaller_log_than_somebody_saw_is_rolled_back(log: MemoryLog) -> None:
    events = log.events()[:16]
    source = log.source(
        events,
        hashes=stored(events),
        checkpoints=log.column("SELECT note FROM checkpoint WHERE size <= 16 ORDER BY size"),
        heads=(KnownHead("the high-water mark", 19, log.appender.head.root),),
    )
    report = verify_log(source)
    assert report.has("rolled-back") and not failed(report)


def test_records_under_no_checkpoint_are_stated(log: MemoryLog) -> None:
    notes = log.column("SELECT note FROM checkpoint WHERE size <= 16 ORDER BY size")
    report = verify_log(log.source(checkpoints=notes))
    assert report.step(6).status == "incomplete" and "last 3 of 19" in report.step(6).detail
    assert verify_log(log.source(checkpoints=[])).step(6).status == "incomplete"


def test_checkpoints_that_are_forged_swapped_or_repeated_fail(log: MemoryLog) -> None:
    notes = log.column("SELECT note FROM checkpoint ORDER BY size")
    flipped = bytearray(notes[3])
    flipped[-10] ^= 1
    for forged in (
        [*notes[:3], bytes(flipped), *notes[4:]],
        [*notes[:3], notes[4], notes[3], *notes[5:]],
        [*notes[:3], notes[3], notes[3], *notes[4:]],
        [*notes[:3], notes[3].replace(b"bank-a", b"bank-b"), *notes[4:]],
        [*notes, sign_checkpoint(Checkpoint(ORIGIN, 25, b"x" * 32), log.signer)],
        [sign_checkpoint(Checkpoint(ORIGIN, 0, b"x" * 32), log.signer), *notes],
        [b"garbage", *notes],
    ):
        assert failed(verify_log(log.source(checkpoints=forged))) & {5, 6}


def test_stored_hashes_that_are_changed_dropped_or_surplus_fail(log: MemoryLog) -> None:
    hashes = log.column("SELECT value FROM hash ORDER BY position")
    for forged in ([*hashes[:4], b"x" * 32, *hashes[5:]], hashes[:-1], [*hashes, hashes[-1]], []):
        assert failed(verify_log(log.source(hashes=forged))) == {4}


def test_one_message_is_accepted_once() -> None:
    log = MemoryLog()
    log.append(ingress(1), ingress(1, accepted=False), egress(2, attempt=1), egress(2, attempt=2))
    assert not failed(verify_log(log.source()))
    log.append(ingress(1))
    assert failed(verify_log(log.source())) == {8}


def with_receipt() -> tuple[MemoryLog, MemoryLog, bytes]:
    node, peer = MemoryLog(), MemoryLog(PEER, seed=5)
    node.append(egress(1))
    peer.append(opened())
    peer.append(ingress(1))
    read = hash_reader(peer.database)
    proof = tuple(inclusion_proof(1, 2, read))
    receipt = Receipt(peer.events()[1], 1, proof, peer.appender.note, 0, ()).encode()
    head = {"log": PEER, "index": 1, "size": 2, "root": root_at(2, read).hex()}
    body = {"msg_id": egress(1).body["msg_id"], "status": "received", "attempts": 1, "peer": head}
    node.appender.defer([Entry("egress.result", body)], [(str(body["msg_id"]), receipt)])
    node.appender.flush()
    return node, peer, receipt


def test_receipts_are_checked_with_the_peers_key_and_skipped_without() -> None:
    node, peer, _ = with_receipt()
    assert verify_log(node.source(peer=peer.signer.verifier())).step(9).status == "passed"
    assert verify_log(node.source()).step(9).status == "skipped"


def test_receipts_that_are_changed_missing_or_surplus_fail() -> None:
    node, peer, receipt = with_receipt()
    name = str(egress(1).body["msg_id"])
    key = peer.signer.verifier()
    for forged in ([], [(name, receipt), (name, receipt)], [("other", receipt)], [(name, b"{}")],
                   [(name, receipt.replace(b'\\"bytes\\":101', b'\\"bytes\\":999'))]):  # fmt: skip
        assert failed(verify_log(node.source(receipts=forged, peer=key))) == {9}


def test_random_damage_never_passes(log: MemoryLog) -> None:
    chance = random.Random(7)
    for _ in range(300):
        events = log.events()
        spot = chance.randrange(len(events))
        kind = chance.choice(["flip", "delete", "swap", "truncate", "insert"])
        if kind == "flip":
            raw = bytearray(events[spot])
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            events[spot] = bytes(raw)
        elif kind == "delete":
            del events[spot]
        elif kind == "swap":
            other = (spot + 1 + chance.randrange(len(events) - 1)) % len(events)
            events[spot], events[other] = events[other], events[spot]
        elif kind == "truncate":
            del events[spot:]
        else:
            events.insert(spot, events[chance.randrange(len(events))])
        assert failed(verify_log(log.source(events))), kind
