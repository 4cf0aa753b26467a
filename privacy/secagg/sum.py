"""One sum at the coordinator: uploads added as they arrive, and the masks taken off once a cohort agrees.

It checks what members bound themselves to, and knows neither links nor jobs. Theory: it holds one running total, never
n vectors; t shares rebuild each survivor's self seed, and for a member that dropped after the keys were agreed its
peers' pair seeds of this round take its unmatched masks out again.
"""

import numpy as np

from privacy import messages as say
from privacy.digest import sha256
from privacy.errors import MisuseError, PeerError
from privacy.field import Plan
from privacy.keys import same_bytes
from privacy.roster import Roster
from privacy.secagg.checking import take_off_masks
from privacy.secagg.part import boxes_digest, check_header, pair_seed_digest, self_seed_digest, share_digest
from privacy.secagg.spool import Spool
from privacy.shamir import combine, lagrange_at_zero
from privacy.wire import Packet

__all__ = ["MaskedSum"]


class MaskedSum:
    """Collect one position's uploads, votes and shares, and open the sum."""

    def __init__(self, roster: Roster, plan: Plan, bound: bytes, spool: Spool) -> None:
        """Start empty; spool: keeps the masked parts until members have verified the sum."""
        self.roster = roster
        self.plan = plan
        self.bound = bound
        self.spool = spool
        self.headers: dict[str, say.Header] = {}
        self.raw_headers: dict[str, bytes] = {}
        self.boxes: dict[str, tuple[bytes, ...]] = {}
        self.survivors: tuple[str, ...] = ()
        self._total: np.ndarray = np.zeros(plan.length, dtype=np.uint32 if plan.word_bits == 32 else np.uint64)
        self._shares: dict[str, dict[str, bytes]] = {}
        self._seeds: dict[str, dict[str, bytes]] = {}
        self._self_seeds: dict[str, bytes] = {}

    def add(self, sender: str, header: say.Header, packet: Packet) -> None:
        """Check an upload's shape and boxes and add its vector to the total; a second one of a sender is refused.

        Whether the vector is the one its header names is found out when it is shown to the verifiers (`part`).
        """
        if sender in self.headers or self.survivors:
            raise PeerError("upload-late", f"an upload of {sender} comes twice or after the cohort was closed")
        check_header(header, self.plan, self.roster, sender)
        words = self.plan.from_bytes(packet.vector)
        if not same_bytes(boxes_digest(self.bound, packet.attachments), header.boxes_sha256):
            raise PeerError("upload-boxes", f"the boxes of {sender} are not those its header names")
        if [len(box) for box in packet.attachments] != [
            0 if member == sender else say.BOX_BYTES for member in self.roster.members
        ]:
            raise PeerError("upload-boxes", f"the boxes of {sender} are not one for each other member")
        self.spool.put(sender, packet.vector)
        np.add(self._total, words, out=self._total)
        self.headers[sender], self.raw_headers[sender] = header, packet.signed
        self.boxes[sender] = packet.attachments

    def close(self) -> tuple[str, ...]:
        """Fix the cohort to those who uploaded and return it; fewer than u_min raise `PeerError`."""
        cohort = tuple(member for member in self.roster.members if member in self.headers)
        if len(cohort) < self.roster.smallest_cohort:
            raise PeerError(
                "cohort-too-small", f"{len(cohort)} members uploaded, expected at least {self.roster.smallest_cohort}"
            )
        self.survivors = cohort
        return cohort

    def boxes_for(self, receiver: str) -> tuple[bytes, ...]:
        """Return the survivors' boxes for one member, in the cohort's order."""
        place = self.roster.index(receiver)
        return tuple(self.boxes[sender][place] for sender in self.survivors)

    def take_shares(self, sender: str, shares: tuple[say.Share, ...]) -> None:
        """Keep a member's shares of all survivors' self seeds, each checked against its owner's signed hash.

        The shares of t members rebuild every seed: further ones are not looked into.
        """
        if tuple(share.owner for share in shares) != self.survivors:
            raise PeerError("shares-owners", f"the shares of {sender} are not those of the cohort")
        if len(self._shares) >= self.roster.threshold:
            return
        place = self.roster.index(sender)
        for share in shares:
            expected = self.headers[share.owner].share_sha256[place]
            if not same_bytes(share_digest(self.bound, share.owner, sender, share.value), expected):
                raise PeerError("share-hash", f"a share from {sender} differs from the hash that {share.owner} signed")
        self._shares[sender] = {share.owner: share.value for share in shares}

    def take_seeds(self, sender: str, seeds: tuple[say.PairSeed, ...]) -> None:
        """Keep a survivor's pair seeds with everyone who dropped, each checked against its own signed hash."""
        if tuple(seed.dropped for seed in seeds) != self.lost:
            raise PeerError("seeds-dropped", f"the pair seeds of {sender} are not those with the dropped")
        for seed in seeds:
            expected = self.headers[sender].pair_seed_sha256[self.roster.index(seed.dropped)]
            if not same_bytes(pair_seed_digest(self.bound, seed.value), expected):
                raise PeerError("seed-hash", f"a pair seed of {sender} differs from the hash that it signed")
        self._seeds[sender] = {seed.dropped: seed.value for seed in seeds}

    @property
    def lost(self) -> tuple[str, ...]:
        """Return the members of the roster that are not in the closed cohort."""
        return tuple(member for member in self.roster.members if member not in self.survivors)

    @property
    def shared(self) -> frozenset[str]:
        """Return the members whose shares are here."""
        return frozenset(self._shares)

    def open(self) -> np.ndarray:
        """Take all masks off and return the sum's words, (plan.length,) uint32 or uint64; done once."""
        holders = sorted(self._shares)[: self.roster.threshold]
        if len(holders) < self.roster.threshold or (self.lost and set(self._seeds) != set(self.survivors)):
            raise MisuseError("sum-not-ready", "a sum was opened before enough shares and seeds were there")
        weights = lagrange_at_zero([self.roster.index(holder) + 1 for holder in holders])
        for owner in self.survivors:
            seed = combine([self._shares[holder][owner] for holder in holders], weights)
            if not same_bytes(self_seed_digest(self.bound, seed), self.headers[owner].self_seed_sha256):
                raise PeerError("self-seed-hash", f"the shares that {owner} dealt do not rebuild its self seed")
            self._self_seeds[owner] = seed
        take_off_masks(self._total, self.bound, self._self_seeds, self._seeds)
        return self._total

    def part(self, owner: str) -> bytes | memoryview:
        """Return a survivor's masked part for the verifiers; `PeerError` if it is not the one its header names."""
        vector = self.spool.get(owner)
        if not same_bytes(sha256(vector), self.headers[owner].vector_sha256):
            raise PeerError("upload-vector", f"the vector of {owner} is not the one its header names")
        return vector

    def check(self, cohort_sha256: bytes) -> say.Check:
        """Return what took the masks off, for the members that verify the opened sum."""
        return say.Check(
            cohort_sha256,
            tuple(say.SelfSeed(owner, self._self_seeds[owner]) for owner in self.survivors),
            tuple(
                say.HeldSeed(holder, dropped, self._seeds[holder][dropped])
                for holder in self.survivors
                if self.lost
                for dropped in self.lost
            ),
        )
