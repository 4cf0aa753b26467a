"""The Merkle tree of a log: hashes, root, inclusion and consistency proofs, and their verification.

RFC 6962 section 2.1 (equally RFC 9162 section 2.1): leaf hash SHA-256(0x00 | entry), node hash SHA-256(0x01 | left |
right), empty tree SHA-256(""). The tree grows as a compact range: only the roots of the complete subtrees along the
right edge are kept, O(log n) hashes. Whoever stores the hashes numbers them by `node_position`, the order in which
they come into being, so that a store only ever appends (the same numbering as Go's `tlog.StoredHashIndex`).

The module stores nothing: a proof is made from a callable that reads one stored hash.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privacy.errors import MisuseError, VerificationError

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "CompactTree",
    "ReadHash",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "node_position",
    "range_hash",
    "restore",
    "root_at",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

ReadHash = Callable[[int, int], bytes]
"""Read the hash of the complete subtree `(level, position)`: leaves are level 0, position counts from the left."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def node_position(level: int, position: int) -> int:
    """Return the number of a complete subtree in the order in which subtrees are completed, from 0."""
    leaf = ((position + 1) << level) - 1
    return 2 * leaf - leaf.bit_count() + level


@dataclass(frozen=True, slots=True)
class CompactTree:
    """Hold the right edge of a tree: enough to append and to give the root.

    Attributes:
        size: number of leaves.
        peaks: hashes of the complete subtrees from left to right, one per set bit of `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple["CompactTree", list[bytes]]:
        """Add one leaf hash; return the new tree and the hashes it completed, leaf first, level by level."""
        peaks = list(self.peaks)
        completed = [leaf]
        merged, rest = leaf, self.size
        while rest & 1:
            merged = node_hash(peaks.pop(), merged)
            completed.append(merged)
            rest >>= 1
        peaks.append(merged)
        return CompactTree(self.size + 1, tuple(peaks)), completed

    def root(self) -> bytes:
        """Return the root over all leaves."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def restore(size: int, read: ReadHash) -> CompactTree:
    """Rebuild the compact tree of `size` leaves from stored hashes."""
    peaks, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(read(level, start >> level))
            start += 1 << level
    return CompactTree(size, tuple(peaks))


def root_at(size: int, read: ReadHash) -> bytes:
    """Return the root that the tree had at `size` leaves."""
    return restore(size, read).root()


def range_hash(start: int, end: int, read: ReadHash) -> bytes:
    """Return MTH(D[start:end]) of RFC 6962; `start` must be aligned, as in every range that a proof needs."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return read(level, start >> level)
    split = start + _split(width)
    return node_hash(range_hash(start, split, read), range_hash(split, end, read))


def inclusion_proof(index: int, size: int, read: ReadHash) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1).

    Raises:
        MisuseError: `index-outside-tree` when the leaf is not in that tree.
    """
    if not 0 <= index < size:
        raise MisuseError("index-outside-tree", f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(range_hash(split, end, read))
            end = split
        else:
            path.append(range_hash(start, split, read))
            start = split
    path.reverse()
    return path


def consistency_proof(old_size: int, size: int, read: ReadHash) -> list[bytes]:
    """Return the proof that the tree of `old_size` leaves is a prefix of that of `size` (RFC 6962 section 2.1.2).

    Raises:
        MisuseError: `size-outside-tree` unless 0 < old_size <= size.
    """
    if not 0 < old_size <= size:
        raise MisuseError("size-outside-tree", f"no consistency proof from {old_size} to {size} leaves")
    proof: list[bytes] = []
    start, end, whole = 0, size, True
    while old_size < end:
        split = start + _split(end - start)
        if old_size <= split:
            proof.append(range_hash(split, end, read))
            end = split
        else:
            proof.append(range_hash(start, split, read))
            start, whole = split, False
    if not whole:
        proof.append(range_hash(start, end, read))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is leaf `index` of the tree with that size and root (RFC 9162 section 2.1.3.2).

    Raises:
        VerificationError: `inclusion-proof` when the proof does not lead to the root.
    """
    if not 0 <= index < size:
        raise VerificationError("inclusion-proof", f"leaf {index} is not in a tree of {size} leaves")
    node, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            raise VerificationError("inclusion-proof", f"inclusion proof of leaf {index} has a wrong length")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or current != root:
        raise VerificationError(
            "inclusion-proof", f"inclusion proof of leaf {index} does not lead to the root at size {size}"
        )


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `old_size` leaves is a prefix of the one of `size` leaves (RFC 9162 section 2.1.4.2).

    An old size of zero is consistent with everything and takes an empty proof.

    Raises:
        VerificationError: `consistency-proof` when the two roots cannot belong to one log.
    """
    if old_size > size or old_size < 0:
        raise VerificationError("consistency-proof", f"a log of {size} records cannot follow one of {old_size}")
    if old_size in (0, size):
        old_ok = old_root == (EMPTY_ROOT if old_size == 0 else root)
        if proof or not old_ok:
            raise VerificationError(
                "consistency-proof", f"two roots or a surplus proof for the same log at size {old_size}"
            )
        return
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes or any(len(each) != HASH_BYTES for each in hashes):
        raise VerificationError("consistency-proof", "consistency proof has a wrong length")
    first, second = _fold(old_size - 1, size - 1, hashes)
    if first != old_root or second != root:
        raise VerificationError(
            "consistency-proof", f"the log of {size} records does not continue the one of {old_size}"
        )


def _fold(node: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("consistency-proof", "consistency proof has a wrong length")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise VerificationError("consistency-proof", "consistency proof has a wrong length")
    return first, second


def _split(width: int) -> int:
    """Return the largest power of two that is smaller than `width` (at least 2)."""
    return 1 << (width - 1).bit_length() - 1
