"""A member's side of one job as a state machine: bytes and parts in, signed packets out.

It opens no connection, reads no clock and keeps nothing on disk: the shell records every outgoing packet durably
before it sends it, and gives back past votes after a restart. Theory:

    idle -assemble-> agreeing -setups-> agreed -ready-> waiting -open-> opened -derive-> derived
    derived -upload-> uploaded -close-> voted -certificate-> revealed;  voted, revealed -open-> opened

The coordinator chooses nothing. An `open` names only the hash of the request; the member derives the request itself
from the sums it saw, and goes on only if the hashes agree. It votes once a position, reveals of each other member
either a share of the self seed or the pair seed, never both, and in an exact job (no noise) sticks to the first cohort
it voted for: a later epoch may only run over that cohort, or over fewer if the bank's permit allows an exclusion.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import MisuseError, PeerError, RefusalError
from privacy.field import Plan
from privacy.keys import AgreementKey, expand, same_bytes
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.checking import SumCheck
from privacy.secagg.cohort import check_cohort_size, check_vote, left_behind
from privacy.secagg.epoch import Epoch
from privacy.secagg.evidence import (
    check_agreements,
    check_opened,
    check_votes,
    parse_headers,
    parse_setups,
)
from privacy.secagg.history import History, OpenedSum, Vote
from privacy.secagg.part import MaskedPart, mask_part, take_share
from privacy.secagg.retrace import retrace, shown
from privacy.secagg.standing import MemberRules, Position, State
from privacy.wire import Packet, encode_packet

__all__ = ["Member"]

_T = TypeVar("_T")
_M = TypeVar("_M", bound=say.Message)


class Member:
    """Drive one member through one job."""

    def __init__(self, manifest: Manifest, rules: MemberRules, past_votes: Mapping[int, Vote] | None = None) -> None:
        """Start idle; past_votes: votes of an earlier process by round, from the node's own log."""
        if rules.own not in manifest.roster:
            raise RefusalError("seat-missing", f"job {manifest.job} has no seat for {rules.own}")
        self.manifest = manifest
        self.state, self.epoch_number = State.IDLE, 0
        self.history = History(manifest.sha256(), dict(past_votes or {}))
        self._rules = rules
        self._sha256, self._colluders = manifest.sha256(), manifest.roster.colluders
        self._agreement: AgreementKey | None = None
        self._roster: Roster | None = None
        self._own_setup = b""
        self._root = b""
        self._epoch: Epoch | None = None
        self._at: Position | None = None
        self._open: tuple[Envelope, Packet] | None = None
        self.blamed: dict[str, str] = {}

    # -- set-up of an epoch ---------------------------------------------------------------------------------------

    def assemble(self, envelope: Envelope, packet: Packet) -> tuple[OpenedSum | None, Outgoing]:
        """Answer the call for a new epoch with a fresh set-up; all keys of an older epoch are forgotten.

        Returns the last opened sum too if this member has not seen it yet; the caller feeds it to the generator.
        """
        self._in(tuple(state for state in State if state is not State.ENDED), "assemble")
        number = envelope.address.epoch
        at = Address(self.manifest.job, number, manifest_sha256=self._sha256)
        message = self._take(envelope, say.Assemble, at)
        if number <= self.epoch_number:
            raise PeerError("epoch-order", f"epoch {number} after {self.epoch_number}, expected a later one")
        roster = Roster(message.roster)
        shrunk = self._check_cohort(roster)
        fresh = self._previous(message.previous, packet)
        if shrunk:
            self.history.exclude(roster.members)
        self._epoch, self._at, self._open = None, None, None
        self.epoch_number, self._roster = number, roster
        self._agreement = AgreementKey.from_random(self._rules.random_bytes(32))
        setup = say.Setup(self._agreement.public, self._rules.random_bytes(32))
        outgoing, self._own_setup = self._outgoing(setup, self._address(), "public-key", None)
        self.state = State.AGREEING
        return fresh, outgoing

    def setups(self, envelope: Envelope, packet: Packet) -> Outgoing:
        """Check all set-ups and sign the agreement root over them."""
        self._in(State.AGREEING, "setups")
        self._take(envelope, say.Setups, self._address())
        roster, agreement = self._require(self._roster), self._require(self._agreement)
        publics = parse_setups(roster, packet.attachments, self._address(), self.manifest.identity_of)
        if packet.attachments[roster.index(self._rules.own)] != self._own_setup:
            raise PeerError("setup-replaced", "the coordinator shows another set-up than the one we sent")
        self._root = bind.agreement_root(self._sha256, self.epoch_number, self.history.transcript, packet.attachments)
        self._epoch = Epoch(roster, self._rules.own, self._root, agreement, publics)
        self._agreement = None
        outgoing, _ = self._outgoing(say.Agree(), self._address(self._root), "signed", None)
        self.state = State.AGREED
        return outgoing

    def ready(self, envelope: Envelope, packet: Packet) -> None:
        """Check that every member signed the same root; nothing starts before."""
        self._in(State.AGREED, "ready")
        self._take(envelope, say.Ready, self._address(self._root))
        here = self._address(self._root)
        check_agreements(self._require(self._roster), packet.attachments, here, self.manifest.identity_of)
        self.state = State.WAITING

    # -- a round ---------------------------------------------------------------------------------------------------

    def open(self, envelope: Envelope, packet: Packet) -> OpenedSum | None:
        """Take an `open`: return the sum before it if this member has not seen it yet, else None.

        The caller feeds a returned sum to the recipe's generator and then calls `derive`.
        """
        self._in((State.WAITING, State.UPLOADED, State.VOTED, State.REVEALED), "open")
        epoch, at = self._require(self._epoch), envelope.address
        # The binding alone waits for `derive`: it covers a request that this member has yet to derive.
        message = self._take(envelope, say.Open, self._address(self._root, at.position, at.binding))
        if not 1 <= message.round <= self.manifest.max_rounds:
            raise PeerError("round-range", f"round {message.round}, expected 1 to {self.manifest.max_rounds}")
        if at.position <= epoch.position:
            raise PeerError("position-order", f"position {at.position} after {epoch.position}")
        known = message.previous is None or self.history.known(message.previous)
        if message.round != self.history.rounds + (1 if known else 2):
            raise PeerError("round-order", f"round {message.round} after {self.history.rounds} opened sums")
        if self.history.cohort is not None and self.history.cohort != epoch.roster.members:
            raise RefusalError("cohort-epoch", "an exact job goes on with a changed cohort in a new epoch only")
        fresh = self._previous(message.previous, packet)
        self._open, self._at = (envelope, packet), None
        self.state = State.OPENED
        return fresh

    def derive(self, ask: bytes, plan: Plan) -> None:
        """Compare the request that this member derived with the one the coordinator opened, and enter the position."""
        self._in(State.OPENED, "derive")
        envelope, _ = self._require(self._open)
        epoch, at = self._require(self._epoch), envelope.address
        message = envelope.message
        assert isinstance(message, say.Open)  # `open` checked it
        ask_sha256 = bind.ask_digest(ask)
        if not same_bytes(ask_sha256, message.ask_sha256):
            raise RefusalError(
                "ask-mismatch", f"round {message.round} asks for something this member did not derive: refused"
            )
        bound = bind.binding(self._root, at.position, message.round, ask_sha256, self.history.transcript)
        envelope.expect(self._address(self._root, at.position, bound), self._rules.own)
        if plan.members < len(epoch.roster):
            raise MisuseError("plan-members", "a plan was made for fewer members than the epoch has")
        self._at = Position(at.position, message.round, bound, plan, epoch.enter(at.position, bound))
        self.history.ask_sha256 = ask_sha256
        self.state = State.DERIVED

    def upload(self, part: np.ndarray) -> Outgoing:
        """Mask this member's part, (length,) int64, and return the one upload of this position."""
        self._in(State.DERIVED, "upload")
        at, epoch = self._require(self._at), self._require(self._epoch)
        salt = expand(self._rules.commit_key, "commitment-salt", at.bound)
        masked = mask_part(part, self._plan(), (epoch.roster, self._rules.own, at.bound),
                           self._require(at.keys), salt, self._rules.random_bytes)  # fmt: skip
        at.own_share = masked.own_share
        record = {"position": at.number, "ask_sha256": self.history.ask_sha256.hex()}
        outgoing, at.own_header = self._outgoing(
            masked.header, self._address(self._root, at.number, at.bound), "masked", record, masked
        )
        self.state = State.UPLOADED
        return outgoing

    def close(self, envelope: Envelope, packet: Packet) -> Outgoing:
        """Vote for the cohort that uploaded; with the whole roster in it, give shares of its self seeds too."""
        self._in(State.UPLOADED, "close")
        at, epoch = self._require(self._at), self._require(self._epoch)
        message = self._take(envelope, say.Close, self._address(self._root, at.number, at.bound))
        headers = self._check_headers(message.survivors, message.headers_sha256, packet.attachments)
        if len(message.boxes) != len(message.survivors):
            raise PeerError("boxes-count", f"{len(message.boxes)} boxes for {len(message.survivors)} survivors")
        check_vote(self._rules.own, message.survivors, epoch.roster, self.history.cohort)
        place = (epoch.roster, self._rules.own, at.bound)
        for sender, box in zip(message.survivors, message.boxes, strict=True):
            if sender == self._rules.own:
                at.shares[sender] = at.own_share
                continue
            try:
                at.shares[sender] = take_share(box, place, sender, headers[sender], self._require(at.keys))
            except PeerError as error:
                self.blamed[sender] = error.code
        at.check = SumCheck(epoch.roster, self._plan(), at.bound, headers)
        cohort = bind.cohort_digest(at.bound, message.survivors, message.headers_sha256)
        at.survivors, at.cohort, at.headers_sha256 = message.survivors, cohort, message.headers_sha256
        shares = self._shares(at) if message.survivors == epoch.roster.members else ()
        record = {"ask_sha256": self.history.ask_sha256.hex(), **self._cohort_record(at)}
        outgoing, _ = self._outgoing(
            say.Consent(cohort, shares), self._address(self._root, at.number, at.bound), "vote", record
        )
        self.history.vote(at.round, Vote(message.survivors, cohort))
        self.state = State.VOTED
        return outgoing

    def certify(self, envelope: Envelope, packet: Packet) -> Outgoing:
        """Check t votes for the cohort this member voted for; reveal shares of the living, pair seeds of the lost."""
        self._in(State.VOTED, "certificate")
        at, epoch = self._require(self._at), self._require(self._epoch)
        here = self._address(self._root, at.number, at.bound)
        message = self._take(envelope, say.Certificate, here)
        if message.survivors != at.survivors or not same_bytes(message.headers_sha256, at.headers_sha256):
            raise PeerError("certificate-cohort", "a certificate names another cohort than the one we voted for")
        lost = [member for member in epoch.roster.members if member not in at.survivors]
        if not lost:
            raise PeerError("certificate-needless", "nobody dropped, so no pair seed is revealed")
        check_votes(
            packet.attachments, here, (at.survivors, at.cohort), epoch.roster.threshold, self._identity_in_epoch
        )
        keys = self._require(at.keys)
        reveal = say.Reveal(self._shares(at), tuple(say.PairSeed(member, keys.mask[member]) for member in lost))
        outgoing, _ = self._outgoing(reveal, here, "share", self._cohort_record(at))
        self.state = State.REVEALED
        return outgoing

    def check_part(self, envelope: Envelope, packet: Packet) -> None:
        """Take one masked part of the sum that this member was asked to verify."""
        self._in((State.VOTED, State.REVEALED), "check-part")
        at = self._require(self._at)
        message = self._take(envelope, say.CheckPart, self._address(self._root, at.number, at.bound))
        at.checking.add(message.owner, packet.vector)

    def check(self, envelope: Envelope) -> Outgoing:
        """Recompute the sum of the cohort this member voted for, and sign it."""
        self._in((State.VOTED, State.REVEALED), "check")
        at = self._require(self._at)
        here = self._address(self._root, at.number, at.bound)
        message = self._take(envelope, say.Check, here)
        if not same_bytes(message.cohort_sha256, at.cohort):
            raise PeerError("check-cohort", "a check is for another cohort than the one we voted for")
        signature = say.SumSignature(at.cohort, sha256(at.checking.open(message)))
        at.check = None
        return self._outgoing(signature, here, "signed", self._cohort_record(at))[0]

    # -- end and return --------------------------------------------------------------------------------------------

    def ended(self, envelope: Envelope, packet: Packet) -> OpenedSum | None:
        """Take the end of the job: return the last sum if this member has not seen it yet."""
        message = self._take(envelope, say.Ended, Address(self.manifest.job, manifest_sha256=self._sha256))
        fresh = self._previous(message.last, packet) if message.state == "done" else None
        self._epoch, self._at, self._agreement = None, None, None
        self.state = State.ENDED
        return fresh

    def catch_up(self, envelope: Envelope, packet: Packet, ask: bytes, plan: Plan) -> OpenedSum:
        """Take an opened sum of an earlier epoch, with the request this member derived for it."""
        self._in(State.IDLE, "catch-up")
        message = envelope.message
        if not isinstance(message, say.CatchUp):
            raise PeerError("envelope-kind", f"a {envelope.kind} where a catch-up was expected")
        opened = message.opened
        here = Address(self.manifest.job, opened.epoch, opened.position, self._sha256, message.agreement_root)
        envelope.expect(here, self._rules.own)
        fresh = retrace(self.manifest, self.history, shown(message, packet), ask, plan)
        self.epoch_number = max(self.epoch_number, opened.epoch)
        return fresh

    def stand_by(self) -> None:
        """Forget all keys until a new process of the coordinator calls to a later epoch; votes and sums stay."""
        self._in(tuple(state for state in State if state is not State.ENDED), "stand-by")
        self._epoch, self._agreement, self._open = None, None, None
        if self._at is not None:
            self._at.keys, self._at.check = None, None
        self.state = State.IDLE

    # -- checks ----------------------------------------------------------------------------------------------------

    def _previous(self, opened: say.Opened | None, packet: Packet) -> OpenedSum | None:
        if opened is None:
            if self.history.rounds:
                raise PeerError("previous-missing", "an open carries no sum though sums were opened")
            return None
        if self.history.known(opened):
            return None
        at = self._at
        if at is None or at.number != opened.position or opened.epoch != self.epoch_number or not at.cohort:
            raise PeerError("previous-unknown", f"the sum of position {opened.position} is not one we voted on")
        if not same_bytes(opened.headers_sha256, at.headers_sha256):
            raise PeerError("headers-digest", "the sum is shown over other headers than those we voted for")
        here = self._address(self._root, at.number, at.bound)
        seats = (self._require(self._roster), self._plan(), self._colluders)
        headers = check_opened(opened, packet.attachments, here, seats, self.manifest.identity_of)
        seats[1].from_bytes(packet.vector)
        return self.history.take(opened, packet.vector, headers, at.bound)

    def _check_cohort(self, roster: Roster) -> bool:
        """Say whether the roster lacks members of the standing cohort; refuse what permit and u_min do not allow."""
        lost = left_behind(self._rules.own, roster, self.history.cohort or self.manifest.roster.members)
        check_cohort_size(roster.members, self.manifest.roster)
        if lost:
            self._rules.may_exclude(lost)
        return bool(lost)

    def _check_headers(
        self, survivors: tuple[str, ...], digest: bytes, attachments: tuple[bytes, ...]
    ) -> dict[str, say.Header]:
        at, roster = self._require(self._at), self._require(self._epoch).roster
        if not same_bytes(bind.headers_digest(attachments), digest):
            raise PeerError("headers-digest", "the attached headers are not those that are named")
        here = self._address(self._root, at.number, at.bound)
        seats = (roster, self._plan())
        headers = parse_headers(survivors, attachments, here, seats, self.manifest.identity_of)
        if self._rules.own in survivors and attachments[survivors.index(self._rules.own)] != at.own_header:
            raise PeerError("header-replaced", "the coordinator shows another header than the one we sent")
        return headers

    # -- small parts -----------------------------------------------------------------------------------------------

    def receive(self, raw: bytes) -> Envelope:
        """Open a message of the coordinator's, its signature checked."""
        return open_envelope(raw, self._coordinator_only)

    def halt(self, code: str) -> Outgoing:
        """Say that this member cannot go on, and forget all keys."""
        self._epoch, self._at, self._agreement = None, None, None
        self.state = State.ENDED
        at = Address(self.manifest.job, manifest_sha256=self._sha256)
        return self._outgoing(say.Halt(code), at, "signed", None)[0]

    def _coordinator_only(self, sender: str) -> bytes:
        if sender != COORDINATOR:
            raise PeerError("envelope-sender", f"{sender!r} speaks where only the coordinator may")
        return self._rules.coordinator

    def _identity_in_epoch(self, sender: str) -> bytes:
        if sender not in self._require(self._roster):
            raise PeerError("member-unknown", f"{sender!r} is not in this epoch")
        return self.manifest.identity_of(sender)

    def _address(self, root: bytes = b"", position: int = 0, bound: bytes = b"") -> Address:
        return Address(self.manifest.job, self.epoch_number, position, self._sha256, root, bound)

    def _take(self, envelope: Envelope, kind: type[_M], at: Address) -> _M:
        if not isinstance(envelope.message, kind):
            raise PeerError("envelope-kind", f"a {envelope.kind} where a {kind.__name__.lower()} was expected")
        envelope.expect(at, self._rules.own)
        return envelope.message

    def _in(self, states: State | tuple[State, ...], what: str) -> None:
        allowed = states if isinstance(states, tuple) else (states,)
        if self.state not in allowed:
            raise PeerError("state-order", f"a {what} while this member is {self.state.value}")

    def _require(self, value: _T | None) -> _T:
        if value is None:
            raise MisuseError("state-missing", f"nothing to work on while {self.state.value}")
        return value

    def _shares(self, at: Position) -> tuple[say.Share, ...]:
        # Shares go out for the whole cohort or not at all: a bad box leaves the round to the others' shares.
        if len(at.shares) < len(at.survivors):
            return ()
        return tuple(say.Share(owner, at.shares[owner]) for owner in at.survivors)

    def _plan(self) -> Plan:
        return self._require(self._require(self._at).plan)

    def _cohort_record(self, at: Position) -> dict[str, object]:
        cohort = "".join("1" if seat.member in at.survivors else "0" for seat in self.manifest.seats)
        return {"position": at.number, "cohort_sha256": at.cohort.hex(), "cohort": cohort}

    def _outgoing(
        self,
        message: say.Message,
        at: Address,
        protection: str,
        record: Mapping[str, object] | None,
        masked: MaskedPart | None = None,
    ) -> tuple[Outgoing, bytes]:
        envelope = sign_envelope(self._rules.identity, self._rules.own, COORDINATOR, at, message)
        packet = Packet(envelope.raw, masked.boxes, masked.vector) if masked else Packet(envelope.raw)
        outgoing = Outgoing(
            kind=f"secagg.{envelope.kind}",
            msg_id=envelope.msg_id,
            to=COORDINATOR,
            job=at.job,
            round=self._at.round if self._at else None,
            purpose=self.manifest.purpose,
            protection=protection,
            message=encode_packet(packet),
            payload_sha256=envelope.payload_sha256,
            record={"epoch": at.epoch, "manifest_sha256": self._sha256.hex(), **(record or {})},
        )
        return outgoing, envelope.raw
