"""The records that a report's rows rest on: their leaf hashes, and for the first of them whole proofs.

It makes proofs and writes no page. Theory: a row is as good as its record, and a record is as good as the signed
checkpoint above it; so the page names the leaf hash of every record it used and carries proofs that
`creditmesh-audit prove --check` reads without this tool's help. For the rest it names the command.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from audit.prover import prove_records, signed_head
from audit.report_answer import Answer, Proof
from audit.report_read import Account
from privacy.errors import PrivacyError

__all__ = ["Evidence", "MOST_PROOFS", "cited_records", "evidence_of"]

MOST_PROOFS = 400


@dataclass(frozen=True, slots=True)
class Evidence:
    """One cited record: its log and number, its 32-byte leaf hash, and its proof's bytes, empty without one."""

    log: int
    seq: int
    leaf: bytes
    proof: bytes


def cited_records(answers: Iterable[Answer]) -> list[tuple[int, int]]:
    """Return (log, sequence number) of all records that rows name, in order."""
    cited: set[tuple[int, int]] = set()
    for answer in answers:
        for table in answer.tables:
            for row in table.rows:
                for cell in row:
                    if isinstance(cell, Proof):
                        cited |= {(cell.log, cell.first), (cell.log, cell.last)}
    return sorted(cited)


def evidence_of(account: Account, seqs: list[int], room: int) -> list[Evidence]:
    """Return the evidence for records of one log, with proofs for the first `room` of those under a checkpoint."""
    proofs = _proofs(account, [seq for seq in seqs if seq < account.covered][: max(room, 0)])
    return [Evidence(account.number, seq, account.leaf(seq), proofs.get(seq, b"")) for seq in seqs]


def _proofs(account: Account, seqs: list[int]) -> dict[int, bytes]:
    """Prove under the checkpoint with most cosignatures, and what lies after it under one that reaches it."""
    proofs: dict[int, bytes] = {}
    left = frozenset(seqs)
    for _ in range(2):
        if not left:
            break
        least = max(left) + 1 if proofs else min(left) + 1
        try:
            head = signed_head(account.log.bare(), account.log.key, least)
            under = frozenset(seq for seq in left if seq < head[0].size)
            proofs.update((proof.index, proof.encode()) for proof in prove_records(account.log.events(), head, under))
        except PrivacyError:
            # A log whose checkpoints do not hold gives no proof; the page's banner says what failed.
            break
        left -= under
    return proofs
