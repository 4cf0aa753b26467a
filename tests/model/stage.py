"""Real members under a coordinator that plays the model's moves and says whatever it likes.

It asks `privacy.secagg.member.Member` what the model asks its banks, under the coordinator's and the colluders' own
keys. Honest member i of the model is `names[i]`; the colluders come last and have no machine, only keys. A sum that the
model calls opened gets an honest member's signature from this module; a forged one only those of the colluders.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, Address
from privacy.errors import PrivacyError, RefusalError
from privacy.field import Plan
from privacy.keys import AgreementKey
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.history import Vote
from privacy.secagg.member import Member
from privacy.secagg.standing import State as At
from privacy.wire import decode_packet
from tests.model.knowledge import bits
from tests.model.rules import World
from tests.privacy.table import manifest_of, member_of, names_of, packet_of, seeded_bytes, sign_as

__all__ = ["Stage"]

_ASKS = {1: b"ask-1", 2: b"ask-2"}


@dataclass
class Permit:
    """Allow one exclusion over a whole job, as `node.usage` counts it, or none."""

    allowed: bool
    spent: set[str] = field(default_factory=set)

    def __call__(self, lost: frozenset[str]) -> None:
        fresh = lost - self.spent
        if fresh and (self.spent or not self.allowed):
            raise RefusalError("permit-exclusion", "the permit does not allow going on without a member")
        self.spent |= fresh


@dataclass
class Place:
    """One position as everybody signed for it."""

    number: int
    epoch: int
    round: int
    roster: Roster
    root: bytes
    bound: bytes
    agreements: tuple[bytes, ...]
    headers: dict[str, bytes]
    boxes: dict[str, tuple[bytes, ...]]
    consents: dict[str, tuple[tuple[str, ...], bytes]] = field(default_factory=dict)


class Stage:
    """Play moves on real members; each method returns whether the member accepts."""

    def __init__(self, world: World) -> None:
        self.names = names_of(world.members)
        self.honest, self.colluders = self.names[: world.honest], self.names[world.honest :]
        self.manifest = manifest_of(self.names)
        self.plan = Plan(2, 64, 1000, world.members)
        self.permits = {name: Permit(world.exclusion) for name in self.honest}
        self.votes: dict[str, dict[int, Vote]] = {name: {} for name in self.honest}
        self.members: dict[str, Member] = {}
        self.places: list[Place] = []
        self.opened_at: dict[int, Place] = {}
        self._epoch = 0
        self._processes = 0
        self._agreements: tuple[bytes, ...] = ()
        self._roster, self._root, self._number = self.manifest.roster, b"", 0
        self._told_of: dict[int, tuple[Place, bool]] = {}
        for place in range(world.honest):
            self.restart(place)

    def cohort(self, mask: int) -> tuple[str, ...]:
        """Return the members of a cohort of the model, colluders included."""
        return tuple(sorted([*(self.honest[place] for place in bits(mask)), *self.colluders]))

    def restart(self, place: int) -> None:
        """Put a fresh process in a member's place; it knows its votes as the node's log would give them."""
        name, self._processes = self.honest[place], self._processes + 1
        self.members[name] = member_of(self.manifest, name, self._processes, self.permits[name], dict(self.votes[name]))

    # -- between epochs ------------------------------------------------------------------------------------------------

    def catch_up(self, place: int, mask: int, roster: int) -> bool:
        """Show a member a first sum: one that opened, signed by an honest member too, or one forged in `roster`."""
        # One story a cohort: members that were told different ones would never agree on a root.
        real = mask in self.opened_at
        at, real = self._told_of.get(mask) or (self.opened_at[mask] if real else self.uploaded_in(roster, mask), real)
        assert at is not None
        member = self.members[self.honest[place]]
        opened, evidence, vector = self._sum(at, mask, real)
        address = Address(self.manifest.job, at.epoch, at.number, self.manifest.sha256(), at.root)
        message = say.CatchUp(opened, at.root, len(at.agreements))
        raw = sign_as(COORDINATOR, self.honest[place], address, message, at.agreements + evidence, vector)
        packet = decode_packet(raw)
        taken = _accepts(lambda: member.catch_up(member.receive(packet.signed), packet, _ASKS[1], self.plan))
        if taken:
            self._told_of[mask] = (at, real)
        return taken

    def may_join(self, place: int, mask: int) -> bool:
        """Call one member to an epoch that nobody else joins; what it signs is thrown away."""
        return _accepts(lambda: self._assemble(self.honest[place], Roster(self.cohort(mask)), self._epoch + 1))

    def assemble(self, mask: int) -> None:
        """Bring everybody into a new epoch; all of them have the same past."""
        roster, self._epoch = Roster(self.cohort(mask)), self._epoch + 1
        setups = {self.honest[place]: self._assemble(self.honest[place], roster, self._epoch) for place in bits(mask)}
        here = Address(self.manifest.job, self._epoch, 0, self.manifest.sha256())
        for name in self.colluders:
            random = seeded_bytes(self._epoch * 100 + int(name[-3:]))
            setup = say.Setup(AgreementKey.from_random(random(32)).public, random(32))
            setups[name] = _signed(name, here, setup)
        raws = tuple(setups[name] for name in roster.members)
        agreed = {self.honest[place]: self._tell(self.honest[place], here, say.Setups(), raws) for place in bits(mask)}
        self._root = self.members[self.honest[bits(mask)[0]]]._root
        here = Address(self.manifest.job, self._epoch, 0, self.manifest.sha256(), self._root)
        agreed |= {name: _signed(name, here, say.Agree()) for name in self.colluders}
        self._agreements = tuple(agreed[name] for name in roster.members)
        for place in bits(mask):
            self._tell(self.honest[place], here, say.Ready(), self._agreements)
        self._roster, self._number = roster, 0

    def knows_first(self, place: int) -> bool:
        """Say whether a member has seen the sum of round 1."""
        return self.members[self.honest[place]].history.rounds == 1

    def _assemble(self, name: str, roster: Roster, number: int) -> bytes:
        here = Address(self.manifest.job, number, 0, self.manifest.sha256())
        return self._tell(name, here, say.Assemble(roster.members, self.members[name].history._last))

    # -- in an epoch ---------------------------------------------------------------------------------------------------

    def open(self, places: Iterable[int]) -> None:
        """Open the next position; all these members upload."""
        self._number += 1
        headers: dict[str, bytes] = {}
        boxes: dict[str, tuple[bytes, ...]] = {}
        bound, round_number = b"", 0
        for place in places:
            name = self.honest[place]
            assert self.may_open(place, self._number)
            member = self.members[name]
            round_number = member.history.rounds + 1
            member.derive(_ASKS[round_number], self.plan)
            packet = decode_packet(member.upload(np.full(2, place, np.int64)).message)
            headers[name], boxes[name] = packet.signed, packet.attachments
            assert member._at is not None
            bound = member._at.bound
        at = Place(self._number, self._epoch, round_number, self._roster, self._root, bound, self._agreements,
                   headers, boxes)  # fmt: skip
        digests = (bytes(32),) * len(self._roster)
        for name in self.colluders:
            header = say.Header(2, 64, *(bytes(32),) * 3, digests, digests, bytes(32))
            headers[name] = _signed(name, self._here(at), header)
            boxes[name] = (bytes(say.BOX_BYTES),) * len(self._roster)
        self.places.append(at)

    def may_open(self, place: int, number: int) -> bool:
        """Open a position to one member; it derives nothing yet."""
        member = self.members[self.honest[place]]
        round_number = member.history.rounds + 1
        ask = bind.ask_digest(_ASKS[round_number])
        bound = bind.binding(self._root, number, round_number, ask, member.history.transcript)
        at = Address(self.manifest.job, self._epoch, number, self.manifest.sha256(), self._root, bound)
        return _accepts(lambda: self._tell(member._rules.own, at, say.Open(round_number, ask, member.history._last)))

    def vote(self, place: int, mask: int) -> bool:
        """Close the position over a cohort, to one member alone."""
        name, at, survivors = self.honest[place], self.places[-1], self.cohort(mask)
        headers = tuple(at.headers[member] for member in survivors)
        seat = at.roster.index(name)
        boxes = tuple(b"" if member == name else at.boxes[member][seat] for member in survivors)
        message = say.Close(survivors, bind.headers_digest(headers), boxes)
        try:
            raw = self._tell(name, self._here(at), message, headers)
        except PrivacyError:
            return False
        at.consents[name] = (survivors, raw)
        vote = Vote(survivors, bind.cohort_digest(at.bound, survivors, bind.headers_digest(headers)))
        self.votes[name][at.round] = vote
        return True

    def show(self, place: int, mask: int) -> bool:
        """Open the next position to a member, beside a sum of this one that only the colluders signed."""
        name, at = self.honest[place], self.places[-1]
        opened, evidence, vector = self._sum(at, mask, False)
        here = Address(self.manifest.job, at.epoch, at.number + 1, self.manifest.sha256(), at.root, bytes(32))
        message = say.Open(2, bind.ask_digest(_ASKS[2]), opened)
        return _accepts(lambda: self._tell(name, here, message, evidence, vector))

    def certify(self, place: int) -> bool:
        """Show a member all votes for the cohort it voted for, the colluders' among them."""
        name, at = self.honest[place], self.places[-1]
        survivors, _ = at.consents[name]
        headers = bind.headers_digest([at.headers[member] for member in survivors])
        consent = say.Consent(bind.cohort_digest(at.bound, survivors, headers), ())
        votes = [raw for cohort, raw in at.consents.values() if cohort == survivors]
        for colluder in self.colluders:
            votes.append(_signed(colluder, self._here(at), consent))
        message = say.Certificate(survivors, headers)
        return _accepts(lambda: self._tell(name, self._here(at), message, tuple(votes)))

    def voted(self, place: int) -> bool:
        """Say whether a member waits for a certificate."""
        return self.members[self.honest[place]].state is At.VOTED

    def opened(self, mask: int) -> None:
        """Note that the sum over this cohort opened at the current position."""
        if self.places[-1].round == 1:
            self.opened_at.setdefault(mask, self.places[-1])

    # -- small parts ---------------------------------------------------------------------------------------------------

    def uploaded_in(self, roster: int, mask: int) -> Place | None:
        """Return a position of round 1 in an epoch over `roster` (0: any) at which this whole cohort uploaded."""
        wanted, members = set(self.cohort(mask)), self.cohort(roster)
        fits = [at for at in self.places if at.round == 1 and wanted <= set(at.headers)]
        return next((at for at in fits if not roster or at.roster.members == members), None)

    def _sum(self, at: Place, mask: int, real: bool) -> tuple[say.Opened, tuple[bytes, ...], bytes]:
        survivors = self.cohort(mask)
        headers = tuple(at.headers[name] for name in survivors)
        vector = self.plan.to_bytes(self.plan.encode(np.zeros(2, np.int64)))
        digest = bind.headers_digest(headers)
        opened = say.Opened(at.epoch, at.number, 1, survivors, digest, sha256(vector))
        signature = say.SumSignature(bind.cohort_digest(at.bound, survivors, digest), sha256(vector))
        signers = [*self.colluders, *([name for name in survivors if name in self.honest][:1] if real else [])]
        signed = tuple(_signed(name, self._here(at), signature) for name in signers)
        return opened, headers + signed, vector

    def _here(self, at: Place) -> Address:
        return Address(self.manifest.job, at.epoch, at.number, self.manifest.sha256(), at.root, at.bound)

    def _tell(
        self, name: str, at: Address, message: say.Message, attachments: tuple[bytes, ...] = (), vector: bytes = b""
    ) -> bytes:
        """Let a member take a message of the coordinator's; return what it signs in answer, if anything."""
        packet = decode_packet(sign_as(COORDINATOR, name, at, message, attachments, vector))
        member = self.members[name]
        envelope = member.receive(packet.signed)
        match envelope.kind:
            case "assemble":
                outgoing = member.assemble(envelope, packet)[1]
            case "setups":
                outgoing = member.setups(envelope, packet)
            case "close":
                outgoing = member.close(envelope, packet)
            case "certificate":
                outgoing = member.certify(envelope, packet)
            case "ready":
                member.ready(envelope, packet)
                return b""
            case _:
                member.open(envelope, packet)
                return b""
        return packet_of(outgoing.message).signed


def _accepts(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except PrivacyError:
        return False
    return True


def _signed(name: str, at: Address, message: say.Message) -> bytes:
    """Return a colluder's message to the coordinator."""
    return packet_of(sign_as(name, COORDINATOR, at, message)).signed
