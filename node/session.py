"""Drive this bank's part in jobs: messages in, recorded messages out, a result at the end.

It opens no link and writes no log (the gate does both) and trusts the coordinator in nothing. Theory: messages are
taken one at a time in the order they came. Whatever breaks the protocol or the bank's rules ends the job at this node
with a code, told to the coordinator, and never the node.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from node.archive import Archive
from node.journal_line import say
from node.minutes import Minutes
from node.offer_book import Decision, OfferBook
from node.permit import Permit, offer_of
from node.seat import Pins, Precautions, Seat, check_budget, check_manifest, check_models
from node.usage import Usage, charge_upload, check_change, settle_cohort
from node.windows import check_windows
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import MisuseError, PeerError, PrivacyError, RefusalError, VerificationError
from privacy.manifest import Manifest, decode_manifest
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum, Vote
from privacy.secagg.standing import MemberRules, State
from privacy.wire import Packet, decode_packet, encode_packet
from risk.dictionary import Dictionary
from risk.errors import RiskError
from risk.table import Table

__all__ = ["Bank", "Exit", "Session"]


_REMEMBERED = 64
PENDING = "approval-pending"


class Exit(Protocol):
    """The part of the gate that a session uses."""

    async def send(self, outgoing: Outgoing) -> int | None:
        """Record, sync, send."""
        ...

    def on_receipt(self, receipt: bytes) -> None:
        """Check and keep a receipt."""
        ...


@dataclass(frozen=True, slots=True)
class Bank:
    """What a session works with; `rules` carry the identity and the pinned coordinator.

    past_votes: reads the votes of an earlier process in a job from the node's own log. decided: records `job.decided`,
    with the reason of a refusal and, last, the person who decided. alarmed: records `alarm.raised` for a job and the
    error that refused it. write: writes the result of a job that ended in a state. archive: keeps what an auditor needs
    to recompute a part. minutes: writes down what was computed, given away and seen opened. precautions: what jobs with
    noise need. offers: where offers wait for a person, None where the standing permit decides alone.
    """

    rules: MemberRules
    pins: Pins
    permit: Permit
    usage: Usage
    rows: tuple[Dictionary, Table]
    past_votes: Callable[[Manifest], dict[int, Vote]]
    decided: Callable[..., None]
    alarmed: Callable[[str, PrivacyError], None]
    write: Callable[[str, Seat], None]
    archive: Archive
    minutes: Minutes
    precautions: Precautions
    offers: OfferBook | None = None


class Session:
    """Take messages of the coordinator's one at a time."""

    def __init__(self, bank: Bank, gate: Exit) -> None:
        self._bank = bank
        self._gate = gate
        self._offers: dict[str, Manifest] = {}
        self._held: dict[str, Manifest] = {}
        self._seat: Seat | None = None
        self._standing_by = False
        self._over: set[str] = set()
        self._purposes: dict[str, str] = {}
        self._taken: deque[bytes] = deque(maxlen=_REMEMBERED)

    async def take(self, raw: bytes) -> None:
        """Handle one message; only a fault of this node's own disk or code raises."""
        try:
            packet = decode_packet(raw)
            envelope = self._open(packet)
        except (PeerError, VerificationError) as error:
            await self._stop("", error)
            return
        if envelope.raw in self._taken:
            self._arrived(envelope, len(raw), "duplicate")
            return  # the same message again changes nothing
        self._taken.append(envelope.raw)
        try:
            await self._handle(envelope, packet)
        except MisuseError as error:
            self._bank.alarmed(envelope.address.job, error)
            raise
        except (PeerError, RefusalError, VerificationError, RiskError) as error:
            self._arrived(envelope, len(raw), error.code)
            stated = PeerError(error.code, error.message) if isinstance(error, RiskError) else error
            await self._stop(envelope.address.job, stated)
        else:
            self._arrived(envelope, len(raw))

    def _arrived(self, envelope: Envelope, size: int, refusal: str = "") -> None:
        """Write a job's message down; what the gate takes (receipts, checkpoints) is no job's."""
        job = envelope.address.job
        if job and not isinstance(envelope.message, msg.Receipt):
            self._bank.minutes.arrived(envelope, size, self._purposes.get(job, "operations"), refusal)

    async def stand_by(self, reason: str) -> None:
        """Keep the seat and forget its keys: the session that it ran in is gone; whoever calls next goes on from it.

        Called in turn with `take`: what computes in a thread would not bear to be dropped under it.
        """
        self._taken.clear()  # an offer that comes again is the same bytes
        if self._seat and not self._standing_by:
            say("job_waits", job=self._seat.member.manifest.job, reason=reason)
            self._seat.member.stand_by()
            self._standing_by = True

    async def _handle(self, envelope: Envelope, packet: Packet) -> None:
        message = envelope.message
        if isinstance(message, msg.Receipt):
            self._gate.on_receipt(message.receipt)
        elif isinstance(message, msg.Offer):
            await self._offer(envelope, message)
        elif isinstance(message, msg.Charter):
            await self._charter(envelope, message)
        elif self._seat is None or envelope.address.job != self._seat.member.manifest.job:
            if envelope.address.job not in self._over and not isinstance(message, msg.Ended):
                raise PeerError("job-unknown", f"a {envelope.kind} for job {envelope.address.job}, which is not ours")
        else:
            await self._step(self._seat, envelope, packet)

    async def _step(self, seat: Seat, envelope: Envelope, packet: Packet) -> None:
        member, minutes = seat.member, self._bank.minutes
        match envelope.kind:
            case "assemble":
                fresh, outgoing = member.assemble(envelope, packet)
                self._standing_by = False
                await self._feed(seat, fresh, envelope, packet)
                assert isinstance(envelope.message, msg.Assemble)  # the kind says so
                minutes.assembled(envelope.message.roster)
                await self._gate.send(outgoing)
            case "setups":
                await self._gate.send(member.setups(envelope, packet))
            case "ready":
                member.ready(envelope, packet)
            case "open":
                await self._feed(seat, member.open(envelope, packet), envelope, packet)
                outgoing = await asyncio.to_thread(self._answer, seat, envelope)
                if not seat.spec.private:
                    charge_upload(self._bank.usage, self._bank.permit, len(outgoing.message))
                await self._gate.send(outgoing)
                seat.sent()
            case "close":
                outgoing = member.close(envelope, packet)
                self._accuse(seat)
                assert isinstance(envelope.message, msg.Close)  # `close` checked it
                if not seat.spec.private:
                    settle_cohort(self._bank.usage, self._bank.permit, envelope.message.survivors)
                await self._gate.send(minutes.giving(outgoing))
            case "certificate":
                await self._gate.send(minutes.giving(member.certify(envelope, packet)))
            case "check-part":
                await asyncio.to_thread(member.check_part, envelope, packet)
            case "check":
                await self._gate.send(await asyncio.to_thread(member.check, envelope))
            case "catch-up" if self._bank.archive.has_sum(envelope.message, member.history.rounds):
                pass  # this process kept its seat
            case "catch-up":
                request, plan = seat.replay.request, seat.replay.plan
                fresh = member.catch_up(envelope, packet, request.encode(), plan)
                await self._feed(seat, fresh, envelope, packet)
            case "ended":
                await self._ended(seat, envelope, packet)
            case _:
                raise PeerError("kind-unexpected", f"the coordinator sent a {envelope.kind}")

    def _accuse(self, seat: Seat) -> None:
        """Write down whose box holds no share of theirs; the round goes on with the shares of the others."""
        member = seat.member
        for sender, code in member.blamed.items():
            message = f"the box of {sender} in epoch {member.epoch_number} does not hold the share that it signed"
            self._bank.alarmed(member.manifest.job, PeerError(code, message))
        member.blamed.clear()

    async def _feed(self, seat: Seat, opened: OpenedSum | None, envelope: Envelope, packet: Packet) -> None:
        """Learn from a sum, if the coordinator's message showed a new one."""
        if opened is not None:
            await asyncio.to_thread(self._learn, seat, opened)
            self._bank.minutes.opened(opened, envelope, packet)

    def _learn(self, seat: Seat, opened: OpenedSum) -> None:
        self._bank.archive.keep_sum(opened)
        seat.feed(opened)

    def _answer(self, seat: Seat, envelope: Envelope) -> Outgoing:
        history, started = seat.member.history, time.monotonic_ns()
        assert isinstance(envelope.message, msg.Open)  # `open` checked it
        outgoing = seat.answer((envelope.address.epoch, envelope.address.position, envelope.message.round))
        elapsed_ms = (time.monotonic_ns() - started) // 1_000_000
        self._bank.minutes.trained(outgoing.round or 0, history.transcript, elapsed_ms)
        self._bank.archive.keep_upload(outgoing, seat.noise_key)
        return outgoing

    # -- joining -----------------------------------------------------------------------------------------------------

    async def _offer(self, envelope: Envelope, message: msg.Offer) -> None:
        manifest = self._manifest(envelope, message.manifest)
        try:
            self._decide(manifest)
        except (RefusalError, PeerError) as error:
            self._bank.decided(manifest, error.message)
            say("job_declined", job=manifest.job, code=error.code, reason=error.message)
            await self._reply(manifest, msg.Decline(_told(error)))
            return
        if self._bank.offers is not None:
            decision = self._bank.offers.hold(manifest, time.time_ns() // 1000)
            if decision is None:
                self._held[manifest.job] = manifest
                say("job_offered", job=manifest.job, recipe=manifest.recipe, reason="waits for a person here")
                await self._reply(manifest, msg.Decline(PENDING))
            else:
                await self._answer_offer(manifest, decision, msg.Decline("refused-by-person"))
            return
        self._offers[manifest.job] = manifest
        self._bank.decided(manifest, "")
        say("job_accepted", job=manifest.job, recipe=manifest.recipe)
        await self._reply(manifest, msg.Accept())

    async def settle_offers(self) -> None:
        """Answer the offers that somebody here has decided since."""
        for job, manifest in list(self._held.items()):
            decision = self._bank.offers.decision(job) if self._bank.offers else None
            if decision is not None:
                del self._held[job]
                # A second decline would be the same message as the one that said to wait.
                await self._answer_offer(manifest, decision, msg.Halt("refused-by-person"))

    async def _answer_offer(self, manifest: Manifest, decision: Decision, refusal: msg.Message) -> None:
        reason = "" if decision.accepted else decision.reason or "refused by a person at the bank"
        self._bank.decided(manifest, reason, decision.who)
        say("job_accepted" if decision.accepted else "job_declined", job=manifest.job, reason=reason)
        if decision.accepted:
            self._offers[manifest.job] = manifest
        await self._reply(manifest, msg.Accept() if decision.accepted else refusal)

    async def _charter(self, envelope: Envelope, message: msg.Charter) -> None:
        manifest = self._manifest(envelope, message.manifest)
        if self._seat is not None and self._standing_by:
            if self._seat.member.manifest == manifest:
                return  # the seat is kept; the call to an epoch follows
            if self._seat.member.manifest.job != manifest.job:
                say("job_dropped", job=self._seat.member.manifest.job, reason="the coordinator went on to another job")
                await self._leave(self._seat, "failed")
        if self._seat is None and self._bank.archive.is_done(manifest.job):
            self._over.add(manifest.job)  # an earlier process took the end, and the coordinator does not know it
            return
        offered = self._offers.pop(manifest.job, None)
        try:
            self._check_charter(manifest, offered)
            seat = await asyncio.to_thread(self._take_seat, manifest)
        except (PeerError, RefusalError, RiskError) as error:
            # Told at once: nobody waits for a set-up that will not come. What else comes for the job is no news.
            self._over.add(manifest.job)
            self._bank.decided(manifest, error.message)
            await self._reply(manifest, msg.Halt(_told(error)))
            raise
        if manifest.dp is None:
            self._bank.usage.join(manifest.job, manifest.roster.members)
        self._seat = seat
        say("job_started", job=manifest.job, recipe=manifest.recipe, members=len(manifest.seats))

    def _take_seat(self, manifest: Manifest) -> Seat:
        self._bank.archive.begin(manifest)
        self._bank.minutes.begin(manifest)
        rules = self._bank.rules if manifest.dp is None else replace(self._bank.rules, may_exclude=_noise_hides)
        votes = self._bank.past_votes(manifest)
        return Seat(manifest, rules, self._bank.rows, votes, self._bank.precautions)

    def _check_charter(self, manifest: Manifest, offered: Manifest | None) -> None:
        """Decide on the final roster: its thresholds are not those of the offer."""
        if manifest.job in self._over or self._seat is not None:
            raise PeerError("charter-again", f"job {manifest.job} is over at this node, or another one is running")
        if offered is not None and offered.seated(manifest.roster).encode() != manifest.encode():
            raise PeerError("manifest-changed", "the manifest differs from the offer in more than its roster")
        if self._bank.offers is not None and not self._bank.offers.approved(manifest):
            raise RefusalError("approval-missing", "nobody at this bank has agreed to this job; see the node's offers")
        self._decide(manifest)
        if manifest.dp is None:
            check_change(self._bank.usage, self._bank.permit, manifest.job, manifest.roster.members)

    def _decide(self, manifest: Manifest) -> None:
        check_manifest(manifest, self._bank.pins)
        if self._bank.rules.own not in manifest.roster:
            raise PeerError("seat-missing", f"job {manifest.job} has no seat for this bank")
        target = self._bank.rows[1].target
        spent = self._bank.usage.spent_before(manifest.job)
        refusal = self._bank.permit.decide(offer_of(manifest, len(target), int(target.sum())), spent)
        if refusal:
            raise refusal
        check_budget(self._bank.precautions.budget, manifest, self._bank.rows[0])
        check_models(manifest, self._bank.rows[0], self._bank.precautions)
        models = self._bank.precautions.models
        check_windows(manifest, self._bank.usage.jobs, self._bank.archive, self._bank.rows[0], models)

    def _manifest(self, envelope: Envelope, raw: bytes) -> Manifest:
        manifest = decode_manifest(raw)
        envelope.expect(Address(manifest.job, manifest_sha256=manifest.sha256()), self._bank.rules.own)
        self._purposes[manifest.job] = manifest.purpose
        return manifest

    # -- ending ------------------------------------------------------------------------------------------------------

    async def _ended(self, seat: Seat, envelope: Envelope, packet: Packet) -> None:
        manifest, message = seat.member.manifest, envelope.message
        assert isinstance(message, msg.Ended)  # the kind says so
        how = "done" if message.state == "done" else "failed"
        await self._feed(seat, seat.member.ended(envelope, packet), envelope, packet)
        if how == "done" and not seat.replay.done:
            raise PeerError("ended-early", "the job is called done before its last round")
        self._over.add(manifest.job)
        if how == "failed":
            seat.end_early(message.reason)
        await self._leave(seat, how)
        say("job_ended", job=manifest.job, state=how, reason=message.reason)

    async def _stop(self, job: str, error: PrivacyError) -> None:
        say("job_refused", job=job, code=error.code, reason=error.message)
        self._bank.alarmed(job, error)
        seat = self._seat
        if seat and seat.member.manifest.job == job:
            outgoing = None if seat.member.state is State.ENDED else seat.member.halt(_told(error))
            self._over.add(job)
            seat.end_early(error.message, error.code)
            await self._leave(seat, "refused")
            if outgoing:
                await self._gate.send(outgoing)

    async def _leave(self, seat: Seat, how: str) -> None:
        """Write how the job ended here, and be free for the next one."""
        self._seat, self._standing_by = None, False
        await asyncio.to_thread(self._bank.write, how, seat)
        self._bank.minutes.end()
        seat.close()

    # -- small parts -------------------------------------------------------------------------------------------------

    def _open(self, packet: Packet) -> Envelope:
        def identity_of(sender: str) -> bytes:
            if sender != COORDINATOR:
                raise PeerError("envelope-sender", f"{sender!r} speaks where only the coordinator may")
            return self._bank.rules.coordinator

        return open_envelope(packet.signed, identity_of)

    async def _reply(self, manifest: Manifest, message: msg.Message) -> None:
        at = Address(manifest.job, manifest_sha256=manifest.sha256())
        envelope = sign_envelope(self._bank.rules.identity, self._bank.rules.own, COORDINATOR, at, message)
        await self._gate.send(
            Outgoing(
                kind=f"secagg.{envelope.kind}",
                msg_id=envelope.msg_id,
                to=COORDINATOR,
                job=manifest.job,
                round=None,
                purpose=manifest.purpose,
                protection="signed",
                message=encode_packet(Packet(envelope.raw)),
                payload_sha256=envelope.payload_sha256,
                record={"manifest_sha256": manifest.sha256().hex()},
            )
        )


def _told(error: PrivacyError | RiskError) -> str:
    """Return the code that the coordinator is told: what a bank has left to spend is the bank's own business."""
    return "refused" if error.code == "budget-cap" else error.code


def _noise_hides(_lost: frozenset[str]) -> None:
    """Let a job with noise go on without lost members: each sum is noised and charged anew, so none is a difference."""
