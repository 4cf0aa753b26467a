"""A member's part of a sum, masked: what leaves the bank, and the hashes that bind the member to it.

It decides nothing about when or whether to send. Theory (Bonawitz et al., CCS 2017, with a vote before any seed is
revealed): y = x + Σ PRG(m_ij) over later members − Σ PRG(m_ij) over earlier ones + PRG(self key). Pair masks cancel
in the sum; the self-mask is removed with shares that ride in boxes beside the vector.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from privacy.digest import digest, sha256
from privacy.errors import PeerError
from privacy.field import Plan
from privacy.keys import open_box, same_bytes, seal_box
from privacy.mask import apply_masks
from privacy.messages import Header
from privacy.roster import Roster
from privacy.secagg.epoch import PositionKeys, box_purpose, pair_signs, self_key
from privacy.shamir import SECRET_BYTES, split

__all__ = ["MaskedPart", "boxes_digest", "check_header", "commit", "mask_part", "pair_seed_digest", "self_seed_digest",
           "share_digest", "take_share"]  # fmt: skip

_NO_PAIR = bytes(32)


@dataclass(frozen=True, slots=True, repr=False)
class MaskedPart:
    """A masked part ready to send: header, one box a member (empty at the own place), the vector's bytes.

    own_share: the share of the own self seed that the member keeps. Never prints.
    """

    header: Header
    boxes: tuple[bytes, ...]
    vector: bytes
    own_share: bytes

    def __repr__(self) -> str:
        return "MaskedPart(...)"


def commit(words: np.ndarray, salt: bytes) -> bytes:
    """Return the salted commitment to the part before masking, 32 bytes."""
    return digest("commitment", salt, memoryview(words).cast("B"))  # type: ignore[arg-type]


def mask_part(
    part: np.ndarray, plan: Plan, place: tuple[Roster, str, bytes], keys: PositionKeys, salt: bytes,
    random_bytes: Callable[[int], bytes],
) -> MaskedPart:  # fmt: skip
    """Mask one part for one position.

    part: (plan.length,) int64 within ±plan.bound. place: roster, own id, binding C. salt: 32 bytes for the commitment.
    """
    roster, own, bound = place
    words = plan.encode(part)
    commitment = commit(words, salt)
    seed = random_bytes(SECRET_BYTES)
    plus, minus = pair_signs(own, keys.mask)
    apply_masks(words, [*plus, self_key(bound, seed)], minus)
    vector = plan.to_bytes(words)
    shares = split(seed, roster.threshold, len(roster), random_bytes)
    boxes = tuple(
        b"" if other == own else seal_box(keys.box_to[other], share, box_purpose(own, other) + bound)
        for other, share in zip(roster.members, shares, strict=True)
    )
    header = Header(
        length=plan.length,
        word_bits=plan.word_bits,
        commitment=commitment,
        vector_sha256=sha256(vector),
        self_seed_sha256=self_seed_digest(bound, seed),
        pair_seed_sha256=tuple(
            _NO_PAIR if other == own else pair_seed_digest(bound, keys.mask[other]) for other in roster.members
        ),
        share_sha256=tuple(
            share_digest(bound, own, other, share) for other, share in zip(roster.members, shares, strict=True)
        ),
        boxes_sha256=boxes_digest(bound, boxes),
    )
    return MaskedPart(header, boxes, vector, shares[roster.index(own)])


def take_share(box: bytes, place: tuple[Roster, str, bytes], sender: str, header: Header, keys: PositionKeys) -> bytes:
    """Open a sender's box and return the share in it; one that differs from the signed hash raises `PeerError`."""
    roster, own, bound = place
    share = open_box(keys.box_from[sender], box, box_purpose(sender, own) + bound)
    if not same_bytes(share_digest(bound, sender, own, share), header.share_sha256[roster.index(own)]):
        raise PeerError("share-hash", f"the share from {sender} differs from the hash that {sender} signed")
    return share


def check_header(header: Header, plan: Plan, roster: Roster, sender: str) -> None:
    """Raise `PeerError` unless a header has the plan's shape and speaks of the whole roster."""
    if (header.length, header.word_bits) != (plan.length, plan.word_bits):
        raise PeerError("header-shape", f"the part of {sender} has another length or word size than the plan")
    if len(header.pair_seed_sha256) != len(roster) or len(header.share_sha256) != len(roster):
        raise PeerError("header-roster", f"the header of {sender} does not speak of {len(roster)} members")


def share_digest(bound: bytes, owner: str, holder: str, share: bytes) -> bytes:
    """Return the hash of one share that its owner signs."""
    return digest("share", bound, owner.encode(), holder.encode(), share)


def self_seed_digest(bound: bytes, seed: bytes) -> bytes:
    """Return the hash of a self seed that its owner signs."""
    return digest("self-seed", bound, seed)


def pair_seed_digest(bound: bytes, seed: bytes) -> bytes:
    """Return the hash of a pair's mask seed that both members sign."""
    return digest("pair-seed", bound, seed)


def boxes_digest(bound: bytes, boxes: tuple[bytes, ...]) -> bytes:
    """Return the hash of all boxes in roster order."""
    return digest("boxes", bound, *boxes)
