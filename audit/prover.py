"""Proofs made from a log's records alone, in one pass: inclusion paths of some records, roots at some sizes.

The log's own stored hashes are not read: a proof rests on the records that were shown. A first, dry run asks which
hashes the proofs need; the pass over the records keeps just those, so memory does not grow with the log.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from privacy.errors import InputError, VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.cosignature import read_line
from privacy.log.note import SIGNATURE_LIMIT, Note, VerifierKey
from privacy.log.proof import LogProof
from privacy.log.tree import CompactTree, ReadHash, consistency_proof, inclusion_proof, leaf_hash, node_position
from privacy.log.verify import LogSource

__all__ = ["Walked", "prove_records", "roots_at", "signed_head", "walk"]


@dataclass(frozen=True, slots=True)
class Walked:
    """What one pass kept: number of records read, records by index, and hashes by `tree.node_position`."""

    size: int
    records: dict[int, bytes] = field(repr=False)
    hashes: dict[int, bytes] = field(repr=False)

    def read(self, level: int, position: int) -> bytes:
        """Return one kept hash; it is the `ReadHash` of the proofs that were asked for."""
        return self.hashes[node_position(level, position)]


def walk(events: Iterable[bytes], size: int, indices: frozenset[int], sizes: Iterable[tuple[int, int]] = ()) -> Walked:
    """Read the first `size` records and keep what is needed to prove some of them.

    Args:
        events: the log's records in order.
        size: size of the tree that proofs are for.
        indices: leaves whose inclusion in it will be proved.
        sizes: pairs (old, new) of sizes whose consistency will be proved.
    """
    wanted = set(_needed(size, indices, sizes))
    tree, position = CompactTree(), 0
    records: dict[int, bytes] = {}
    hashes: dict[int, bytes] = {}
    for event in events:
        if tree.size == size:
            break
        if tree.size in indices:
            records[tree.size] = event
        tree, completed = tree.append(leaf_hash(event))
        for value in completed:
            if position in wanted:
                hashes[position] = value
            position += 1
    return Walked(tree.size, records, hashes)


def prove_records(
    events: Iterable[bytes], head: tuple[Checkpoint, bytes], indices: frozenset[int]
) -> Iterator[LogProof]:
    """Yield a proof for each of these records under a checkpoint (its text parsed, its bytes), in order.

    Raises:
        VerificationError: `log-short` when the log holds fewer records than the checkpoint says.
    """
    checkpoint, note = head
    walked = walk(events, checkpoint.size, indices)
    if walked.size < checkpoint.size:
        raise VerificationError(
            "log-short", f"the checkpoint says {checkpoint.size} records, the log shows {walked.size}"
        )
    for index in sorted(indices):
        path = tuple(inclusion_proof(index, checkpoint.size, walked.read))
        yield LogProof(walked.records[index], index, path, note)


def roots_at(events: Iterable[bytes], sizes: frozenset[int]) -> dict[int, bytes]:
    """Return the root at each of these sizes that the log reaches."""
    tree = CompactTree()
    roots = {0: tree.root()} if 0 in sizes else {}
    for event in events:
        tree, _ = tree.append(leaf_hash(event))
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    return roots


def signed_head(source: LogSource, key: VerifierKey, least: int = 0) -> tuple[Checkpoint, bytes]:
    """Return the checkpoint to prove under: the newest with the most cosignatures, of at least `least` records.

    Cosignatures that the log keeps apart are put onto the note, as many as a note may carry; they are not checked here.

    Raises:
        InputError: `no-checkpoint` when none reaches that far.
        VerificationError: of the checkpoint that was chosen, when it is malformed or not signed by this key.
    """
    lines: dict[int, list[str]] = {}
    for size, line in source.cosignatures or ():
        lines.setdefault(size, []).append(line)
    chosen: tuple[tuple[int, int], bytes] | None = None
    for encoded in source.checkpoints:
        checkpoint, note = parse_checkpoint(encoded)
        rank = (len(lines.get(checkpoint.size, [])) + len(note.signatures), checkpoint.size)
        if checkpoint.size >= least and (chosen is None or rank >= chosen[0]):
            chosen = (rank, encoded)
    if chosen is None:
        raise InputError("no-checkpoint", f"no checkpoint of the log covers {least} records")
    checkpoint, note = parse_checkpoint(chosen[1])
    key.verify(note)
    return checkpoint, _with_lines(note, lines.get(checkpoint.size, [])).encode()


def _with_lines(note: Note, lines: Iterable[str]) -> Note:
    signatures = list(note.signatures)
    present = {(each.name, each.key_id) for each in signatures}
    for line in lines:
        signature = read_line(line)
        if (signature.name, signature.key_id) not in present and len(signatures) < SIGNATURE_LIMIT:
            signatures.append(signature)
            present.add((signature.name, signature.key_id))
    return Note(note.text, tuple(signatures))


def _needed(size: int, indices: Iterable[int], sizes: Iterable[tuple[int, int]]) -> list[int]:
    needed: list[int] = []

    def record(level: int, position: int) -> bytes:
        needed.append(node_position(level, position))
        return b""

    ask: ReadHash = record
    for index in indices:
        inclusion_proof(index, size, ask)
    for old, new in sizes:
        consistency_proof(old, new, ask)
    return needed
