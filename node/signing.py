"""Take proposals to promote a model, sign what a person at this bank decided, and take promotions that a quorum signed.

It decides on no model: a person does (`creditmesh-node sign`), and the gate is the exit. Theory: whatever the
coordinator shows is checked against the bank's own records and pinned keys (`node.signoff_rules`); what is refused is
written down with its code, and as an alarm where it contradicts them. A ballot is on disk before it leaves and is the
same bytes whenever it leaves again; `promoted.json` changes only after the log holds the event.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from node import model_store
from node.journal_line import say
from node.record_store import RecordStore
from node.signoff_rules import Signer, check_promotion, check_proposal, took_part
from node.signoff_store import Promotion, Request, SignoffStore
from privacy.arrival import arrival_body
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import InputError, MisuseError, PeerError, PrivacyError, RefusalError, VerificationError
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from privacy.log.signoff import Ballot, Proposal, decode_proposal, read_ballot, sign_ballot
from privacy.log.signoff_entries import PURPOSE, promoted_entry, signed_entry
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.signoff_messages import InForce, Promoted, Propose, SignOff, Withdrawn
from privacy.wire import Packet, decode_packet, decode_signed, encode_packet

__all__ = ["Exit", "Signing"]

KINDS = ("propose", "promoted", "in-force", "withdrawn")
POLL_S = 0.5
# Where our own encoding writes a message's kind; another spelling is left to the session, which refuses it.
_HEAD_BYTES = 32
_MARKS = tuple(kind.encode("ascii") for kind in KINDS)
_MOST_WAITING = 256


class Exit(Protocol):
    """The part of the gate that is used here."""

    async def send(self, outgoing: Outgoing) -> int | None:
        """Record, sync, send."""
        ...


class Signing:
    """Run on the event loop; `take` is called with everything that comes over the link."""

    def __init__(self, signer: Signer, identity: IdentityKey, gate: Exit, log: RecordStore, state: Path) -> None:
        """identity: the key behind our pinned identity. log: the bank's. state: the state folder."""
        self._signer = signer
        self._identity = identity
        self._gate = gate
        self._log = log
        self._state = state
        self._store = SignoffStore(state)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()

    def take(self, raw: bytes) -> bool:
        """Take a message if it is about sign-off; False leaves it to others."""
        if not any(mark in raw[:_HEAD_BYTES] for mark in _MARKS):
            return False  # a sum's message may have megabytes, and is opened once, by the session
        try:
            if decode_signed(decode_packet(raw).signed).kind not in KINDS:
                return False
        except PrivacyError:
            return False
        if self._waiting.qsize() >= _MOST_WAITING:
            say("sign_off_refused", code="proposals-too-many", reason="more messages about models wait than are taken")
        else:
            self._waiting.put_nowait(raw)
        return True

    async def run(self, ready: Callable[[], Awaitable[object]]) -> None:
        """Work until cancelled; ready: returns once messages may leave. Only a fault of this node's own disk raises."""
        while True:
            await ready()
            try:
                async with asyncio.timeout(POLL_S):
                    raw = await self._waiting.get()
            except TimeoutError:
                await self._sign_requests()
                continue
            await self._handle(raw)

    # -- what comes --------------------------------------------------------------------------------------------------

    async def _handle(self, raw: bytes) -> None:
        try:
            packet = decode_packet(raw)
            envelope = open_envelope(packet.signed, self._identity_of)
        except PrivacyError as error:
            say("sign_off_refused", code=error.code, reason=error.message)
            return
        code = ""
        answers: Sequence[tuple[Proposal, Message]] = ()
        try:
            answers = await asyncio.to_thread(self._consider, envelope, packet)
        except (MisuseError, InputError):
            raise
        except PrivacyError as error:
            code = error.code
            say("sign_off_refused", code=error.code, reason=error.message)
            if not isinstance(error, RefusalError):
                self._alarm(envelope.address.job, error)
        body = arrival_body(envelope, len(raw), code)
        self._log.defer([Entry("ingress.received", body, PURPOSE, envelope.address.job)])
        for proposal, answer in answers:
            await self._send(proposal, answer)

    def _consider(self, envelope: Envelope, packet: Packet) -> Sequence[tuple[Proposal, Message]]:
        """Take one message; return what the coordinator lacks, such as our ballot, each with its proposal."""
        if envelope.recipient != self._signer.member:
            raise PeerError("envelope-recipient", f"a {envelope.kind} for {envelope.recipient} came to us")
        message = envelope.message
        if isinstance(message, Propose):
            proposal = self._proposal(envelope, message.proposal)
            check_proposal(proposal, self._signer, self._state)
            if self._store.keep_proposal(proposal):
                say("model_proposed", job=proposal.job, recipe=proposal.recipe, state=proposal.role)
            ballot = self._store.ballot(proposal.sha256())
            return [(proposal, SignOff(ballot))] if ballot is not None and not message.held else []
        if isinstance(message, Promoted):
            self._promoted(self._proposal(envelope, message.proposal), message.ballots, packet.attachments)
        elif isinstance(message, Withdrawn):
            name = message.proposal_sha256.hex()
            if any(proposal.sha256() == name for proposal in self._store.proposals()):
                self._store.close(name, message.code or "closed")
        elif isinstance(message, InForce):
            shown = {"champion": message.champion, "challenger": message.challenger}
            newest = {each.proposal.role: each for each in self._store.promotions()}
            return [
                (each.proposal, Promoted(each.proposal.encode(), each.ballots))
                for role, each in newest.items()
                if each.proposal.number > shown[role]
            ]
        return []

    def _proposal(self, envelope: Envelope, raw: bytes) -> Proposal:
        proposal = decode_proposal(raw)
        if (envelope.address.job, envelope.address.position) != (proposal.job, proposal.number):
            raise PeerError("proposal-address", f"proposal {proposal.number} came under another job or number")
        return proposal

    def _promoted(self, proposal: Proposal, ballots: Sequence[bytes], attachments: Sequence[bytes]) -> None:
        if any(each.proposal == proposal for each in self._store.promotions()):
            # Counted when it came first; a bank that signed it may have another identity by now.
            self._store.write_promoted()
            return
        tally = check_promotion(proposal, ballots, self._signer, self._state)
        if not took_part(self._state, proposal.job):
            self._keep_model(proposal, attachments)
        if not any(event.body["number"] == proposal.number for event in self._log.of_kinds("model.promoted")):
            self._log.append([promoted_entry(proposal, tally, ballots)])
        self._store.keep_promotion(Promotion(proposal, tuple(ballots), tally.approved))
        say("model_promoted", job=proposal.job, recipe=proposal.recipe, state=proposal.role)

    def _keep_model(self, proposal: Proposal, attachments: Sequence[bytes]) -> None:
        """Keep the file of a model that this bank has not trained; its digest is what the quorum signed."""
        for content in attachments:
            if hashlib.sha256(content).hexdigest() != proposal.model:
                raise VerificationError("model-differs", f"the file with proposal {proposal.number} is another model")
            model_store.put(self._state, content)

    # -- what leaves -------------------------------------------------------------------------------------------------

    async def _sign_requests(self) -> None:
        for name, request in await asyncio.to_thread(self._store.requests):
            try:
                proposal, raw = await asyncio.to_thread(self._ballot, request)
            except (InputError, VerificationError, RefusalError) as error:
                say("sign_off_refused", code=error.code, reason=error.message)
            else:
                ballot = read_ballot(raw, proposal, self._signer.members)
                if request.proposal not in await asyncio.to_thread(self._logged):
                    self._log.defer([signed_entry(proposal, ballot, raw)])
                await self._send(proposal, SignOff(raw))
                say("model_signed", job=proposal.job, recipe=proposal.recipe, code=ballot.decision)
            await asyncio.to_thread(self._store.drop_request, name)

    def _logged(self) -> set[str]:
        """Return the proposals whose ballot stands in the log: a crash may have come between ballot and event."""
        return {str(event.body["proposal_sha256"]) for event in self._log.of_kinds("model.signed")}

    def _ballot(self, request: Request) -> tuple[Proposal, bytes]:
        """Sign what a person asked for and put it on disk; a ballot that is there already stays as it is."""
        found = [each for each in self._store.proposals() if each.sha256() == request.proposal]
        if not found:
            raise InputError("proposal-unknown", "a request to sign names a proposal that this bank does not have")
        proposal, kept = found[0], self._store.ballot(request.proposal)
        if kept is not None:
            return proposal, kept
        if request.proposal in self._logged():
            raise RefusalError("ballot-lost", "the log says that this bank voted already; its ballot's file is missing")
        check_proposal(proposal, self._signer, self._state)
        ballot = Ballot(self._signer.member, request.decision, request.reason, request.who, request.signed_us)
        raw = sign_ballot(proposal, ballot, self._identity.public, self._identity.sign)
        self._store.keep_ballot(request.proposal, raw)
        return proposal, raw

    async def _send(self, proposal: Proposal, message: Message) -> None:
        # What is sent again is another message: a random epoch tells it from the one before, in both logs.
        at = Address(proposal.job, secrets.randbits(32), proposal.number)
        envelope = sign_envelope(self._identity, self._signer.member, COORDINATOR, at, message)
        await self._gate.send(
            Outgoing(
                kind=f"secagg.{envelope.kind}",
                msg_id=envelope.msg_id,
                to=COORDINATOR,
                job=proposal.job,
                round=None,
                purpose=PURPOSE,
                protection="signed",
                message=encode_packet(Packet(envelope.raw)),
                payload_sha256=envelope.payload_sha256,
                record={},
            )
        )

    # -- small parts -------------------------------------------------------------------------------------------------

    def _alarm(self, job: str, error: PrivacyError) -> None:
        evidence = f"{error.code}: {error.message}"[:512]
        body = {"class": "mismatch", "severity": "critical", "evidence": evidence}
        self._log.defer([Entry("alarm.raised", body, PURPOSE, job)])

    def _identity_of(self, sender: str) -> bytes:
        if sender != COORDINATOR:
            raise PeerError("sender-unexpected", f"{sender!r} does not propose models, the coordinator does")
        return self._signer.coordinator
