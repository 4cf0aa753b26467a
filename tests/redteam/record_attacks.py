"""Attacks over time: on rosters, records, sizes of updates, and a strategy's weights."""

import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np

from node.config import PermitSettings
from node.permit import Permit
from node.usage import Usage, allow_exclusion
from privacy.digest import sha256
from privacy.errors import PeerError
from privacy.field import Plan
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.journal import hash_reader
from privacy.log.receipt import Receipt, Seen, verify_receipt
from privacy.log.tree import consistency_proof, inclusion_proof
from risk.recipe import Ask
from tests.privacy.logs import MemoryLog, ingress, opened
from tests.privacy.secagg.scenes import ASK, plan_of
from tests.privacy.table import bench, names_of, parts_of
from tests.redteam.attack import attack, without

__all__: list[str] = []

NAMES = names_of(7)
PLAN = plan_of(NAMES)


@attack(
    "16", ("member's permit", "Permit.decide_exclusion"), "permit-exclusion",
    without="roster after roster shrinks by one bank: every difference of two sums is one bank's part",
    unguarded=lambda: patch.object(Permit, "decide_exclusion", lambda _self, _spent: None),
)  # fmt: skip
def shrink_one_by_one() -> None:
    """Lose one bank an epoch, and read each as the difference to the sum before."""
    with tempfile.TemporaryDirectory() as folder:
        usage = Usage(Path(folder) / "usage.json", "rows", members=set(NAMES))
        permit = Permit(PermitSettings(allow_exclusion=1))
        table = bench(NAMES, may_exclude=lambda lost: allow_exclusion(usage, permit, lost))
        parts = parts_of(NAMES, PLAN)
        table.assemble()
        before = table.round(ASK, PLAN, parts)
        for target in (NAMES[6], NAMES[5]):
            table.dead.add(target)
            table.assemble([name for name in NAMES if name not in table.dead])
            after = table.round(b'{"ask":"%d"}' % len(table.dead), PLAN, parts)
            assert (before - after == parts[target]).all()
            before = after


def _receipt(log: MemoryLog, index: int, from_size: int) -> Receipt:
    """Return the receipt that a log gives for its event, starting from the size that the receiver holds."""
    note = log.column("SELECT note FROM checkpoint ORDER BY size")[-1]
    size = parse_checkpoint(note)[0].size
    read = hash_reader(log.database)
    proof = consistency_proof(from_size, size, read) if from_size else []
    return Receipt(log.events()[index], index, tuple(inclusion_proof(index, size, read)), note, from_size, tuple(proof))


@attack(
    "19", ("member", "verify_consistency"), "consistency-proof",
    without="a record that a bank has a receipt for is gone from the coordinator's log, and nobody is told",
    unguarded=lambda: patch("privacy.log.receipt.verify_consistency", lambda *_: None),
)  # fmt: skip
def dropped_record() -> None:
    """Drop a record from the coordinator's log, and sign the shorter history with the real key."""
    honest, forged = MemoryLog(), MemoryLog()
    for number in range(6):
        honest.append(opened() if number == 0 else ingress(number))
        if number != 3:
            forged.append(opened() if number == 0 else ingress(number))
    key = honest.signer.verifier()
    _, head, _ = verify_receipt(_receipt(honest, 5, 0), key, honest.origin, Seen())
    for number in (6, 7, 8):
        forged.append(ingress(number))
    event, later, linked = verify_receipt(
        _receipt(forged, 7, head.size), key, forged.origin, Seen(head.size, head.root)
    )
    assert linked and later.size > head.size and event.body["msg_id"]
    assert not any(b"/3/upload" in each for each in forged.events())
    assert isinstance(forged.database, sqlite3.Connection)


@attack(
    "24", ("every side", "Plan.check_sum"), "sum-bound",
    without="one bank's update, a hundred times too large, drags every bank's model with it",
    unguarded=lambda: without((Plan.check_sum, "sum-bound")),
)  # fmt: skip
def scaled_update() -> None:
    """Send an update a hundred times as large as the plan lets any bank's be."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    parts[NAMES[6]] = np.full(PLAN.length, 100 * PLAN.bound, np.int64)
    # The attacker's own node does not keep to the bound; everybody else's does.
    encode = Plan.encode

    def careless(self: Plan, part: np.ndarray) -> np.ndarray:
        return encode(Plan(self.length, self.word_bits, 1000 * self.bound, 1), part)

    with patch.object(Plan, "encode", careless):
        total = table.round(ASK, PLAN, parts)
    honest = sum(part for name, part in parts.items() if name != NAMES[6])
    assert (total - honest == 100 * PLAN.bound).all()


def _weights_asked(total: np.ndarray) -> bytes:
    """Return the request that a strategy makes after a sum: train from the mean of the weights."""
    mean = total.astype(np.float64) / len(NAMES)
    ask = Ask(
        recipe="towers/1", part="full", name="train-2", rows="train", length=PLAN.length, word_bits=64,
        bound=PLAN.bound, row_linf=1, row_l1=1, arrays={"weights": mean},
    )  # fmt: skip
    return ask.encode()


@attack(
    "42", ("member", "Member.derive"), "ask-mismatch",
    without="a bank trains from weights that were crafted to make its gradient spell out a borrower's row",
    unguarded=lambda: patch(f"{__name__}._replayed", lambda _total, offered: offered),
)  # fmt: skip
def crafted_weights() -> None:
    """Send weights to train from that no strategy made of the sums."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    total = table.round(ASK, PLAN, parts)
    crafted = _weights_asked(np.arange(PLAN.length) * 10**6)
    table.down(table.coordinator.open(crafted, PLAN))
    trained_from = _replayed(total, crafted)
    table.members[NAMES[0]].derive(trained_from, PLAN)
    if sha256(trained_from) != sha256(crafted):
        raise PeerError("replay-idle", "the member went on with its own request though another was opened")


def _replayed(total: np.ndarray, _offered: bytes) -> bytes:
    """Return the request that a node goes by: what its own replay of the strategy makes of the sum."""
    return _weights_asked(total)
