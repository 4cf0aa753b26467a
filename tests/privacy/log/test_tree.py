"""The Merkle tree against published vectors, against a naive model, and against forged proofs."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import MisuseError, VerificationError
from privacy.log.tree import (
    EMPTY_ROOT,
    CompactTree,
    ReadHash,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_position,
    restore,
    root_at,
    verify_consistency,
    verify_inclusion,
)

# The eight entries and roots of the Certificate Transparency project's Merkle tree tests.
ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                            "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grow(entries: list[bytes]) -> tuple[list[CompactTree], ReadHash]:
    trees, stored = [CompactTree()], []
    for entry in entries:
        tree, completed = trees[-1].append(leaf_hash(entry))
        trees.append(tree)
        stored.extend(completed)
    return trees, lambda level, position: stored[node_position(level, position)]


def naive_root(entries: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(entries[:split]) + naive_root(entries[split:])).digest()


def test_published_roots() -> None:
    trees, read = grow(ENTRIES)
    assert (
        trees[0].root()
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )
    assert [tree.root().hex() for tree in trees[1:]] == ROOTS
    assert [root_at(size, read).hex() for size in range(1, 9)] == ROOTS


def test_published_inclusion_proof() -> None:
    _, read = grow(ENTRIES)
    assert [each.hex() for each in inclusion_proof(5, 8, read)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_published_consistency_proof() -> None:
    _, read = grow(ENTRIES)
    assert [each.hex() for each in consistency_proof(6, 8, read)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_proof_of_every_small_tree() -> None:
    entries = [bytes([number]) for number in range(40)]
    trees, read = grow(entries)
    for size in range(1, 41):
        root = trees[size].root()
        assert root == naive_root(entries[:size])
        assert restore(size, read) == trees[size]
        for index in range(size):
            verify_inclusion(leaf_hash(entries[index]), index, size, inclusion_proof(index, size, read), root)
        for old in range(1, size + 1):
            verify_consistency(old, trees[old].root(), size, root, consistency_proof(old, size, read))
    verify_consistency(0, EMPTY_ROOT, 40, trees[40].root(), [])


@settings(max_examples=200)
@given(st.integers(1, 300), st.integers(0, 1 << 30))
def test_a_forged_inclusion_proof_fails(size: int, seed: int) -> None:
    chance = random.Random(seed)
    entries = [bytes([number % 256, number // 256]) for number in range(size)]
    trees, read = grow(entries)
    index, root = chance.randrange(size), trees[-1].root()
    proof = inclusion_proof(index, size, read)
    leaf = leaf_hash(entries[index])
    forgeries = [(leaf_hash(b"other"), index, size, proof, root), (leaf, index, size, proof, leaf_hash(b"root")),
                 (leaf, index, size, [*proof, root], root), (leaf, size, size, proof, root),
                 (leaf, -1, size, proof, root)]  # fmt: skip
    if proof:
        flipped = list(proof)
        spot = chance.randrange(len(flipped))
        flipped[spot] = bytes([flipped[spot][0] ^ 1 << chance.randrange(8)]) + flipped[spot][1:]
        cut = [*proof[:-1], proof[-1][:31]]
        forgeries += [(leaf, index, size, flipped, root), (leaf, index, size, proof[:-1], root),
                      (leaf, index, size, cut, root)]  # fmt: skip
        other = chance.choice([each for each in range(size) if each != index])
        forgeries.append((leaf, other, size, proof, root))
    for forged in forgeries:
        with pytest.raises(VerificationError) as caught:
            verify_inclusion(*forged)
        assert caught.value.code == "inclusion-proof"


@settings(max_examples=200)
@given(st.integers(2, 300), st.integers(0, 1 << 30))
def test_a_fork_has_no_consistency_proof(size: int, seed: int) -> None:
    chance = random.Random(seed)
    old = chance.randrange(1, size)
    entries = [bytes([number % 256, number // 256]) for number in range(size)]
    trees, read = grow(entries)
    changed = list(entries)
    changed[chance.randrange(old)] = b"changed"
    forked, forked_read = grow(changed)
    honest = consistency_proof(old, size, read)
    for proof in (honest, consistency_proof(old, size, forked_read), [], honest[:-1], [*honest, honest[0]]):
        with pytest.raises(VerificationError) as caught:
            verify_consistency(old, trees[old].root(), size, forked[size].root(), proof)
        assert caught.value.code == "consistency-proof"
    for broken in ([], honest[:-1], [*honest, honest[0]], [each[:31] for each in honest]):
        with pytest.raises(VerificationError):
            verify_consistency(old, trees[old].root(), size, trees[size].root(), broken)


def test_a_smaller_or_other_tree_of_the_same_size_is_refused() -> None:
    trees, _ = grow(ENTRIES)
    for old, old_root, size, proof in ((8, trees[8].root(), 7, []), (8, trees[7].root(), 8, []),
                                       (8, trees[8].root(), 8, [EMPTY_ROOT]), (0, trees[1].root(), 8, []),
                                       (-1, EMPTY_ROOT, 8, [])):  # fmt: skip
        with pytest.raises(VerificationError):
            verify_consistency(old, old_root, size, trees[size].root(), proof)


def test_proofs_outside_the_tree_are_a_misuse() -> None:
    _, read = grow(ENTRIES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(MisuseError):
            inclusion_proof(index, size, read)
    for old, size in ((0, 8), (9, 8)):
        with pytest.raises(MisuseError):
            consistency_proof(old, size, read)


def test_hashes_come_into_being_in_the_order_of_their_numbers() -> None:
    numbers = []
    tree = CompactTree()
    for index in range(100):
        tree, completed = tree.append(leaf_hash(bytes([index])))
        numbers += [node_position(level, index >> level) for level in range(len(completed))]
    assert numbers == list(range(len(numbers)))
