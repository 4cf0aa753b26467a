"""Ask the banks to sign a model off, count their ballots, and show everybody the quorum.

It decides nothing: the banks do, and each counts again for itself. Theory: all that matters stands in the database
(`coordinator.ballot_box`), so whatever a crash takes is done again: an open proposal is shown to every bank that
connects, with whether its ballot is here; the promotion in force too. The log's record of a promotion is durable before
the database says so, and is not written twice. A ballot that does not verify is refused, and nothing that the
coordinator could make up would pass at a bank.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coordinator.ballot_box import BallotBox, ProposalState, Standing
from coordinator.journal_line import say
from coordinator.log_store import LogStore
from coordinator.registry import Registry
from coordinator.store import Member
from privacy.envelope import COORDINATOR, Address, Envelope, sign_envelope
from privacy.errors import PeerError, PrivacyError, RefusalError
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from privacy.log.signoff import (
    ROLES,
    Ballot,
    Proposal,
    Tally,
    count_ballots,
    decode_proposal,
    read_ballot,
    tally_decisions,
)
from privacy.log.signoff_entries import PURPOSE, promoted_entry, signed_entry
from privacy.messages import Message
from privacy.signoff_messages import InForce, Promoted, Propose, SignOff, Withdrawn
from privacy.wire import Packet, encode_packet

__all__ = ["PromotionDesk", "Promotions"]

FOLLOW_S = 0.5
_REMINDED = 16
# A packet holds 16 MiB beside its vector; the ballots of 256 banks need less than one of them.
_LARGEST_FILE = 12 * 2**20


@dataclass(frozen=True, slots=True)
class PromotionDesk:
    """What the service lends.

    identity: the coordinator's. log: its log. registry: model files. members: returns everyone who is enrolled, by id.
    here: returns who is connected. send: queues bytes for a member.
    """

    identity: IdentityKey
    log: LogStore
    registry: Registry
    members: Callable[[], Mapping[str, Member]]
    here: Callable[[], Sequence[str]]
    send: Callable[[str, bytes], None]


class Promotions:
    """All calls are made on one event loop."""

    def __init__(self, box: BallotBox, desk: PromotionDesk) -> None:
        self._box = box
        self._desk = desk
        self._told: dict[int, str] | None = None
        self._greet: set[str] = set()
        self._dirty = False
        self._checked: dict[tuple[int, str, bytes], str] = {}
        self._proofs: dict[int, tuple[Mapping[str, bytes], tuple[bytes, ...]]] = {}
        self._wake = asyncio.Event()

    def join(self, member: str) -> None:
        """Show a member that has just connected what it may sign and what is in force."""
        self._greet.add(member)
        self._wake.set()

    def take(self, envelope: Envelope, _packet: Packet, _size: int) -> str:
        """Take a bank's ballot; return "" or the code of its refusal."""
        message = envelope.message
        if not isinstance(message, SignOff) or envelope.recipient != COORDINATOR:
            return "kind-unexpected"
        try:
            standing = self._box.one(envelope.address.position)
            ballot = read_ballot(message.ballot, standing.proposal, self._identities())
            if ballot.member != envelope.sender:
                raise PeerError("ballot-forged", f"{envelope.sender} sent a ballot of {ballot.member}")
            fresh = self._keep(standing, ballot, message.ballot)
        except PrivacyError as error:
            say("ballot_refused", member=envelope.sender, code=error.code, reason=error.message)
            return error.code
        if fresh:
            self._defer(signed_entry(standing.proposal, ballot, message.ballot))
            say("ballot_taken", member=ballot.member, job=standing.proposal.job, code=ballot.decision)
        self._wake.set()
        return ""

    def take_back(self, envelope: Envelope, _packet: Packet, _size: int) -> str:
        """Take a promotion that a bank has seen and this database has lost; return "" or the code of its refusal."""
        message = envelope.message
        if not isinstance(message, Promoted) or envelope.recipient != COORDINATOR:
            return "kind-unexpected"
        try:
            proposal = decode_proposal(message.proposal)
            if proposal.coordinator != self._desk.identity.public.hex():
                raise PeerError("proposal-elsewhere", f"{envelope.sender} sent a proposal of another coordinator")
            identities = self._identities()
            if not count_ballots(proposal, message.ballots, identities).carries:
                raise PeerError("quorum-missing", f"{envelope.sender} sent a promotion without its quorum")
            ballots = {}
            for raw in message.ballots:
                ballot = read_ballot(raw, proposal, identities)
                ballots[ballot.member] = (ballot.decision, raw)
            fresh = self._box.restore(proposal, ballots)
        except PrivacyError as error:
            say("promotion_refused", member=envelope.sender, code=error.code, reason=error.message)
            return error.code
        if fresh:
            say("promotion_restored", member=envelope.sender, job=proposal.job, state=proposal.role)
            self._wake.set()
        return ""

    def _keep(self, standing: Standing, ballot: Ballot, raw: bytes) -> bool:
        """Keep a ballot; False if it is here already. One that comes too late raises `RefusalError`."""
        number = standing.proposal.number
        if standing.state == "open":
            return self._box.add_ballot(number, ballot.member, ballot.decision, raw)
        if standing.ballots.get(ballot.member) != raw:
            raise RefusalError("proposal-closed", f"proposal {number} is closed: {standing.state}")
        return False

    async def run(self) -> None:
        """Work until cancelled: settle what the ballots decide, and tell whoever does not know it yet."""
        while True:
            await self._settle()
            try:
                async with asyncio.timeout(FOLLOW_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    # -- deciding ----------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        greet, self._greet = self._greet, set()
        for standing in await asyncio.to_thread(self._box.open):
            tally = self._tally(standing)
            if tally.carries:
                await asyncio.to_thread(self._promote, standing, tally)
            elif tally.fails:
                await asyncio.to_thread(self._close, standing.proposal, "rejected")
        states = await asyncio.to_thread(self._box.states)
        told = states if self._told is None else self._told  # at the start, members are told as they connect
        changed = [number for number, state in states.items() if told.get(number) != state]
        self._told = states
        await self._tell(changed, [name for name in self._desk.here() if name not in greet])
        for member in greet:
            await self._welcome(member)
        if self._dirty:
            self._dirty = False
            await asyncio.to_thread(self._desk.log.flush)

    def _promote(self, standing: Standing, tally: Tally) -> None:
        """Record a promotion durably, then close it and whatever else was open for that role before it."""
        proposal = standing.proposal
        numbers = [event.body["number"] for event in self._desk.log.of_kinds("model.promoted")]
        if proposal.number not in numbers:
            approving = [standing.ballots[name] for name in tally.approved]
            self._desk.log.append([promoted_entry(proposal, tally, approving)])
        self._close(proposal, "promoted")
        for other in self._box.open():
            if other.proposal.role == proposal.role and other.proposal.number < proposal.number:
                self._close(other.proposal, "superseded")

    def _close(self, proposal: Proposal, state: ProposalState) -> None:
        if self._box.close(proposal.number, state):
            say("proposal_closed", job=proposal.job, state=state)

    # -- telling -----------------------------------------------------------------------------------------------------

    async def _tell(self, numbers: Sequence[int], members: Sequence[str]) -> None:
        for number in numbers:
            standing = await asyncio.to_thread(self._box.one, number)
            for member in members:
                self._show(standing, member)

    async def _welcome(self, member: str) -> None:
        """Show what is in force, what is open, and what was closed lately: the member may have been away."""
        standings = await asyncio.to_thread(self._box.all)
        promoted = [each for each in standings if each.state == "promoted"]
        numbers = {each.proposal.role: each.proposal.number for each in promoted}
        if await asyncio.to_thread(self._box.has_models):  # else there was nothing that this database could have lost
            self._send(member, Address("", secrets.randbits(32)), InForce(*(numbers.get(role, 0) for role in ROLES)))
        for role in ROLES:
            for standing in [each for each in promoted if each.proposal.role == role][-1:]:
                self._show(standing, member)
        closed = [each for each in standings if each.state not in ("promoted", "open")]
        for standing in (*closed[-_REMINDED:], *(each for each in standings if each.state == "open")):
            self._show(standing, member)

    def _show(self, standing: Standing, member: str) -> None:
        proposal = standing.proposal
        attachments: tuple[bytes, ...] = ()
        message: Message
        if standing.state == "open":
            message = Propose(proposal.encode(), member in standing.ballots)
        elif standing.state == "promoted":
            ballots = self._proof(standing)
            if not ballots:
                return  # a signer has another identity by now: nobody new can count it, so it has to be proposed anew
            message = Promoted(proposal.encode(), ballots)
            attachments = () if member in proposal.members else self._model(proposal.model)
        else:
            message = Withdrawn(bytes.fromhex(proposal.sha256()), standing.state)
        # What is shown again is another message: a random epoch tells it from the one before, in both logs.
        self._send(member, Address(proposal.job, secrets.randbits(32), proposal.number), message, attachments)

    def _send(self, member: str, at: Address, message: Message, attachments: tuple[bytes, ...] = ()) -> None:
        envelope = sign_envelope(self._desk.identity, COORDINATOR, member, at, message)
        raw = encode_packet(Packet(envelope.raw, attachments))
        self._defer(self._sent(envelope, len(raw), member))
        self._desk.send(member, raw)

    def _tally(self, standing: Standing) -> Tally:
        """Return the count of a proposal's ballots; each is checked once, and again if its bank's identity changed."""
        proposal, identities = standing.proposal, self._identities()
        decisions = {}
        for member, raw in standing.ballots.items():
            name = (proposal.number, member, identities.get(member, b""))
            if name not in self._checked:
                try:
                    self._checked[name] = read_ballot(raw, proposal, identities).decision
                except PrivacyError:
                    self._checked[name] = ""  # its bank has another identity by now
            if self._checked[name]:
                decisions[member] = self._checked[name]
        return tally_decisions(proposal, decisions)

    def _proof(self, standing: Standing) -> tuple[bytes, ...]:
        """Return the ballots that make the quorum, none if it does not stand under today's identities."""
        number, identities = standing.proposal.number, self._identities()
        if self._proofs.get(number, ({}, ()))[0] != identities:
            tally = self._tally(standing)
            ballots = tuple(standing.ballots[name] for name in tally.approved) if tally.carries else ()
            self._proofs[number] = (identities, ballots)
        return self._proofs[number][1]

    def _model(self, sha256: str) -> tuple[bytes, ...]:
        """Return the model file as an attachment; whoever was not in its job has no other way to it."""
        try:
            content = self._desk.registry.get(sha256)
        except PrivacyError as error:
            say("model_unreadable", code=error.code, reason=error.message)
            return ()
        if len(content) > _LARGEST_FILE:
            say(
                "model_unsent",
                code="model-size",
                reason=f"a model of {len(content)} bytes does not go with a promotion",
            )
            return ()
        return (content,)

    def _defer(self, entry: Entry) -> None:
        self._desk.log.defer([entry])
        self._dirty = True

    def _sent(self, envelope: Envelope, size: int, member: str) -> Entry:
        body = {
            "msg_id": envelope.msg_id,
            "to": member,
            "bytes": size,
            "payload_kind": f"secagg.{envelope.kind}",
            "protection": "signed",
            "payload_sha256": envelope.payload_sha256,
            "attempt": 1,
        }
        return Entry("egress.authorised", body, PURPOSE, envelope.address.job)

    def _identities(self) -> dict[str, bytes]:
        return {name: bytes.fromhex(member.identity) for name, member in self._desk.members().items()}
