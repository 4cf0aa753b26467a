"""Ask the members whether a job may run with them, and make the manifest of those who say yes.

It decides for nobody: a bank's permit does. Theory: the offer is the manifest with everyone's seat; the final manifest
is the same with fewer seats, so a member can check that nothing but the roster changed since it agreed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from privacy import messages as say
from privacy.envelope import COORDINATOR, EVERYONE, Address, Envelope, sign_envelope
from privacy.errors import PeerError, RefusalError
from privacy.keys import IdentityKey
from privacy.manifest import Manifest
from privacy.roster import MIN_MEMBERS, Roster
from privacy.secagg.downlink import Downlink
from privacy.wire import Packet, encode_packet

__all__ = ["Enlistment"]

PENDING = "approval-pending"


@dataclass(slots=True)
class Enlistment:
    """Collect the answers to one offer.

    declined maps a member to the code it gave. waiting: members where a person has yet to decide; they say so by a
    decline of its own code, and refuse by a halt later. Whoever is in neither never answered.
    """

    offered: Manifest
    accepted: set[str] = field(default_factory=set)
    declined: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)

    def offer(self, identity: IdentityKey, members: Sequence[str]) -> list[Downlink]:
        """Return what asks these members."""
        at = Address(self.offered.job, manifest_sha256=self.offered.sha256())
        envelope = sign_envelope(identity, COORDINATOR, EVERYONE, at, say.Offer(self.offered.encode()))
        packet = encode_packet(Packet(envelope.raw))
        return [Downlink(member, packet, envelope) for member in members]

    def receive(self, envelope: Envelope) -> None:
        """Take a member's answer; anything but an accept or decline of this offer raises `PeerError`."""
        envelope.expect(Address(self.offered.job, manifest_sha256=self.offered.sha256()), COORDINATOR)
        sender, message = envelope.sender, envelope.message
        if isinstance(message, say.Decline) and message.code == PENDING:
            self.waiting.add(sender)
            return
        if isinstance(message, say.Accept):
            self.accepted.add(sender)
        elif isinstance(message, say.Decline) or (isinstance(message, say.Halt) and sender in self.waiting):
            self.declined[sender] = message.code
        else:
            raise PeerError("enlist-kind", f"{envelope.sender} answers an offer with a {envelope.kind}")
        self.waiting.discard(sender)

    @property
    def pending(self) -> frozenset[str]:
        """Return those who have not answered."""
        return frozenset(self.offered.roster.members) - self.accepted - set(self.declined)

    def left_out(self) -> Mapping[str, str]:
        """Return why each member that does not take part is left out: its code, or `no-answer`."""
        return {
            member: self.declined.get(member, PENDING if member in self.waiting else "no-answer")
            for member in self.offered.roster.members
            if member not in self.accepted
        }

    def final(self, least: int) -> Manifest:
        """Return the manifest of those who said yes; fewer than `least` (or four) raise `RefusalError`."""
        needed = max(least, MIN_MEMBERS)
        if len(self.accepted) < needed:
            reasons = ", ".join(f"{member}: {code}" for member, code in sorted(self.left_out().items()))
            raise RefusalError(
                "members-too-few", f"{len(self.accepted)} members joined, at least {needed} are needed ({reasons})"
            )
        return self.offered.seated(Roster(tuple(sorted(self.accepted))))
