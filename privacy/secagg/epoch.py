"""One epoch's keys at one member: pair secrets, what each position derives from them, and the ratchet.

It signs nothing and knows no coordinator. Theory: all n members signed the same root R0, so each pair's secret is
X25519 over keys that both saw signed, salted by R0. A position p takes from it one mask key and one box key a
direction, bound to C; then the secret steps forward and the old one is forgotten, so a key seized later opens no
earlier position (key schedule after Flamingo, S&P 2023). Nothing here is ever written to a disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from privacy.digest import number
from privacy.errors import PeerError
from privacy.keys import AgreementKey, expand, extract
from privacy.roster import Roster

__all__ = ["MAX_JUMP", "Epoch", "PositionKeys", "box_purpose", "pair_signs", "self_key"]

MAX_JUMP = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class PositionKeys:
    """Keys of one position: by other member, the mask seed m_ij and the keys of the boxes both ways; never prints."""

    mask: Mapping[str, bytes]
    box_to: Mapping[str, bytes]
    box_from: Mapping[str, bytes]

    def __repr__(self) -> str:
        return "PositionKeys(...)"


class Epoch:
    """Hold the pair secrets of one epoch in memory and derive each position's keys once."""

    def __init__(
        self, roster: Roster, own: str, root: bytes, agreement: AgreementKey, publics: Mapping[str, bytes]
    ) -> None:
        """Agree with every other member.

        publics: each member's 32-byte X25519 key, own included; equal or low-order keys raise `PeerError`.
        """
        if len(set(publics.values())) != len(roster):
            raise PeerError("agreement-key-repeated", "two members show the same agreement key")
        self.roster = roster
        self.own = own
        self.root = root
        self.position = 0
        self._secrets = {
            other: extract(root, agreement.exchange(publics[other]), "pair", *_ordered(own, other))
            for other in roster.members
            if other != own
        }

    def enter(self, position: int, bound: bytes) -> PositionKeys:
        """Derive this position's keys and step past it; a position not ahead, or far ahead, raises `PeerError`."""
        if not self.position < position <= self.position + MAX_JUMP:
            raise PeerError(
                "position-order", f"position {position} after {self.position}, expected up to {MAX_JUMP} ahead"
            )
        for passed in range(self.position + 1, position):
            self._step(passed)
        keys = PositionKeys(
            mask={other: expand(secret, "mask", bound) for other, secret in self._secrets.items()},
            box_to={
                other: expand(secret, "box", box_purpose(self.own, other), bound)
                for other, secret in self._secrets.items()
            },
            box_from={
                other: expand(secret, "box", box_purpose(other, self.own), bound)
                for other, secret in self._secrets.items()
            },
        )
        self._step(position)
        self.position = position
        return keys

    def _step(self, position: int) -> None:
        self._secrets = {other: expand(secret, "next", number(position)) for other, secret in self._secrets.items()}


def self_key(bound: bytes, seed: bytes) -> bytes:
    """Return the key of the self-mask from its 31-byte seed b_i."""
    return extract(bound, seed, "self")


def box_purpose(sender: str, receiver: str) -> bytes:
    """Return what binds a box to its direction."""
    return f"{sender}>{receiver}".encode()


def pair_signs(own: str, others: Mapping[str, bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the mask seeds that `own` adds and those that it takes away: the lower id of a pair adds."""
    plus = [seed for other, seed in others.items() if own < other]
    minus = [seed for other, seed in others.items() if own > other]
    return plus, minus


def _ordered(one: str, other: str) -> tuple[bytes, bytes]:
    low, high = sorted((one.encode(), other.encode()))
    return low, high
