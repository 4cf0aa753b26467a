"""Verify an opened sum at a member: the masked parts added again, the masks taken off again.

It trusts nothing but the headers that the members signed and this member voted for. Theory: a part must have the hash
in its owner's header, a self seed and a pair seed theirs; then the sum follows. A verifier sees masked parts and the
seeds of this position, which is what a member that colludes with the coordinator would see; pair masks between honest
survivors stay. Since c + 1 members sign a sum and at most c collude, one honest member has recomputed it.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from privacy.digest import digest, sha256
from privacy.errors import PeerError, VerificationError
from privacy.field import Plan
from privacy.keys import same_bytes
from privacy.mask import apply_masks
from privacy.messages import Check, Header
from privacy.roster import Roster
from privacy.secagg.epoch import self_key
from privacy.secagg.part import pair_seed_digest, self_seed_digest

__all__ = ["SumCheck", "order_of_verifiers", "take_off_masks"]


def order_of_verifiers(bound: bytes, survivors: Sequence[str]) -> list[str]:
    """Return the survivors in the order in which they are asked to verify: it changes with every position."""
    return sorted(survivors, key=lambda member: digest("verifier", bound, member.encode()))


def take_off_masks(
    words: np.ndarray, bound: bytes, self_seeds: Mapping[str, bytes], pairs: Mapping[str, Mapping[str, bytes]]
) -> None:
    """Take self-masks, and the unmatched masks of survivors with dropped members, off a total in place.

    words: (length,) uint32 or uint64. self_seeds: by survivor. pairs: by survivor, by dropped member.
    """
    plus: list[bytes] = []
    minus = [self_key(bound, seed) for seed in self_seeds.values()]
    for survivor, seeds in pairs.items():
        for dropped, seed in seeds.items():
            # A survivor added the mask it shares with a later member and took away that with an earlier one.
            (minus if survivor < dropped else plus).append(seed)
    apply_masks(words, plus, minus)


class SumCheck:
    """Recompute one position's sum from what the coordinator shows."""

    def __init__(self, roster: Roster, plan: Plan, bound: bytes, headers: Mapping[str, Header]) -> None:
        """headers: the survivors' headers, as this member checked them when it voted; what a check needs is kept."""
        self._plan = plan
        self._bound = bound
        self._vectors = {owner: header.vector_sha256 for owner, header in headers.items()}
        self._self_seeds = {owner: header.self_seed_sha256 for owner, header in headers.items()}
        self._pair_seeds = {
            (owner, lost): header.pair_seed_sha256[roster.index(lost)]
            for owner, header in headers.items()
            for lost in roster.members
            if lost not in headers
        }
        self._missing = set(headers)
        # Made with the first part: a member that is not asked to verify needs no second vector.
        self._total: np.ndarray | None = None

    def add(self, owner: str, vector: bytes | memoryview) -> None:
        """Add one survivor's masked part; one that is not the signed one raises `VerificationError`."""
        if owner not in self._missing:
            raise PeerError("check-owner", f"a part of {owner} is shown twice, or {owner} is not in the cohort")
        if not same_bytes(sha256(vector), self._vectors[owner]):
            raise VerificationError("sum-mismatch", f"the coordinator shows another part of {owner} than it signed")
        words = self._plan.from_bytes(vector)
        if self._total is None:
            self._total = words.astype(words.dtype.newbyteorder("="))
        else:
            np.add(self._total, words, out=self._total)
        self._missing.discard(owner)

    def open(self, check: Check) -> bytes:
        """Return the sum's little-endian words; a seed that is not the signed one raises `VerificationError`."""
        if self._missing or self._total is None or [seed.owner for seed in check.self_seeds] != [*self._self_seeds]:
            raise PeerError("check-incomplete", "a check comes before all parts, or without all self seeds")
        if [(pair.holder, pair.dropped) for pair in check.pairs] != [*self._pair_seeds]:
            raise PeerError("check-incomplete", "a check comes without exactly the pair seeds with the dropped")
        for seed in check.self_seeds:
            if not same_bytes(self_seed_digest(self._bound, seed.value), self._self_seeds[seed.owner]):
                raise VerificationError("sum-mismatch", f"the self seed shown for {seed.owner} is not the signed one")
        pairs: dict[str, dict[str, bytes]] = {}
        for pair in check.pairs:
            signed = self._pair_seeds[pair.holder, pair.dropped]
            if not same_bytes(pair_seed_digest(self._bound, pair.value), signed):
                raise VerificationError("sum-mismatch", f"a pair seed shown for {pair.holder} is not the signed one")
            pairs.setdefault(pair.holder, {})[pair.dropped] = pair.value
        take_off_masks(self._total, self._bound, {seed.owner: seed.value for seed in check.self_seeds}, pairs)
        return self._plan.to_bytes(self._total)
