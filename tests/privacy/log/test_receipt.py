"""Receipts: what one proves, and every way in which one can lie."""

from dataclasses import replace

import pytest

from privacy.errors import VerificationError
from privacy.log.canonical import encode
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.journal import hash_reader
from privacy.log.note import NoteSigner
from privacy.log.receipt import Receipt, Seen, check_receipt, decode_receipt, verify_receipt
from privacy.log.tree import consistency_proof, inclusion_proof, root_at
from tests.privacy.logs import MemoryLog, egress, ingress, opened

PEER = "coordinator/privacy-log"


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog(PEER)
    log.append(opened())
    for number in range(9):
        log.append(ingress(number))
    log.append(egress(1))
    return log


def receipt_of(log: MemoryLog, index: int, size: int, told: int = 0) -> Receipt:
    read = hash_reader(log.database)
    (note,) = log.database.execute("SELECT note FROM checkpoint WHERE size = ?", (size,)).fetchone()
    proof = consistency_proof(told, size, read) if 0 < told < size else []
    return Receipt(log.events()[index], index, tuple(inclusion_proof(index, size, read)), note, told, tuple(proof))


def seen_at(log: MemoryLog, size: int) -> Seen:
    return Seen(size, root_at(size, hash_reader(log.database)))


def verified(log: MemoryLog, receipt: Receipt, seen: Seen = Seen()) -> bool:  # noqa: B008 - frozen
    return verify_receipt(receipt, log.signer.verifier(), PEER, seen)[2]


def test_an_honest_receipt_verifies_and_links(log: MemoryLog) -> None:
    receipt = receipt_of(log, 3, 8, told=5)
    assert decode_receipt(receipt.encode()) == receipt
    assert verified(log, receipt)
    assert verified(log, receipt, seen_at(log, 5))
    assert verified(log, receipt, seen_at(log, 8))


def test_a_receipt_that_starts_elsewhere_is_said_to_be_unlinked(log: MemoryLog) -> None:
    assert not verified(log, receipt_of(log, 3, 8, told=5), seen_at(log, 4))
    assert not verified(log, receipt_of(log, 3, 8), seen_at(log, 4))


def test_without_the_logs_key_all_but_its_signature_is_checked(log: MemoryLog) -> None:
    good, head = receipt_of(log, 3, 8, told=5), Checkpoint(PEER, 8, root_at(8, hash_reader(log.database)))
    assert check_receipt(good, head, Seen())[1] and check_receipt(good, head, seen_at(log, 5))[1]
    thief = sign_checkpoint(head, NoteSigner(PEER, b"t" * 32))
    assert check_receipt(replace(good, checkpoint=thief), head, seen_at(log, 5))[0].seq == 3
    for wrong in (
        replace(good, event=receipt_of(log, 4, 8).event),
        replace(good, inclusion=good.inclusion[:-1]),
        replace(good, consistency=good.consistency[:-1]),
    ):
        with pytest.raises(VerificationError):
            check_receipt(wrong, head, seen_at(log, 5))
    with pytest.raises(VerificationError):
        check_receipt(good, replace(head, origin="bank-b/privacy-log"), Seen())


@pytest.mark.parametrize("size", [5, 8, 9])
def test_a_receipt_of_another_history_is_refused(log: MemoryLog, size: int) -> None:
    # The peer once showed a head of the same log that does not fit: its own key has signed a fork.
    with pytest.raises(VerificationError) as caught:
        verified(log, receipt_of(log, 3, 8, told=size), Seen(size, b"f" * 32))
    assert caught.value.code == "consistency-proof"


def test_every_part_that_is_changed_is_noticed(log: MemoryLog) -> None:
    good = receipt_of(log, 3, 8, told=5)
    other = receipt_of(log, 4, 8, told=5)
    thief = NoteSigner(PEER, b"t" * 32)
    head = Checkpoint(PEER, 8, root_at(8, hash_reader(log.database)))
    forged = [
        replace(good, event=other.event),
        replace(good, index=4),
        replace(good, inclusion=other.inclusion),
        replace(good, inclusion=()),
        replace(good, checkpoint=receipt_of(log, 3, 9).checkpoint),
        replace(good, checkpoint=sign_checkpoint(head, thief)),
        replace(good, checkpoint=sign_checkpoint(replace(head, origin="bank-b/privacy-log"), log.signer)),
        replace(good, checkpoint=sign_checkpoint(replace(head, root=b"r" * 32), log.signer)),
        replace(good, event=log.events()[10], index=10),
        replace(good, event=good.event.replace(b'"accepted":true', b'"accepted":false')),
        replace(good, consistency=good.consistency[:-1]),
    ]
    for receipt in forged:
        with pytest.raises(VerificationError):
            verified(log, receipt, seen_at(log, 5))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"x" * 70_000, encode({"v": 1, "event": "", "index": 0, "inclusion": [], "checkpoint": "",
     "from_size": 0, "consistency": ["00"]}), encode({"v": 2, "event": "", "index": 0, "inclusion": [],
     "checkpoint": "", "from_size": 0, "consistency": []}), encode({"v": 1, "event": "", "index": 0,
     "inclusion": ["00" * 32] * 200, "checkpoint": "", "from_size": 0, "consistency": []})],
)  # fmt: skip
def test_malformed_receipts_are_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError):
        decode_receipt(raw)
