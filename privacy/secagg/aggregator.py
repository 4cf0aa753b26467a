"""The coordinator's side of one job as a state machine: signed packets in, signed packets out, sums in between.

It opens no connection, reads no clock and decides no deadline: the shell says when it stops waiting for somebody.
Theory: the coordinator relays and adds. It calls an epoch together, opens positions for requests that every member
derives for itself, closes a cohort, and collects what takes the masks off:

    idle -assemble-> assembling -set-ups-> agreeing -signatures-> ready -open-> uploading -close-> voting
    voting -t votes, nobody lost-> settled;  voting -t votes, somebody lost-> revealing -all reveals-> settled
    settled -open_sum-> checking -c + 1 equal signatures-> verified -finish-> ready
"""

from collections.abc import Callable, Iterator
from enum import Enum

import numpy as np

from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, EVERYONE, Address, Envelope, sign_envelope
from privacy.errors import MisuseError, PeerError
from privacy.field import Plan
from privacy.keys import IdentityKey, same_bytes
from privacy.manifest import Manifest
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.checking import order_of_verifiers
from privacy.secagg.downlink import Downlink, OpenedRound
from privacy.secagg.retrace import Retraced
from privacy.secagg.spool import MemorySpool, Spool
from privacy.secagg.sum import MaskedSum
from privacy.wire import Packet, encode_packet

__all__ = ["Aggregator", "Downlink", "OpenedRound", "Phase"]


class Phase(Enum):
    """What the coordinator is waiting for; the module's theory draws the transitions."""

    IDLE = "idle"
    ASSEMBLING = "assembling"
    AGREEING = "agreeing"
    READY = "ready"
    UPLOADING = "uploading"
    VOTING = "voting"
    REVEALING = "revealing"
    SETTLED = "settled"
    CHECKING = "checking"
    VERIFIED = "verified"


class Aggregator:
    """Drive one job's epochs and positions."""

    def __init__(
        self, manifest: Manifest, identity: IdentityKey, new_spool: Callable[[], Spool] = MemorySpool,
        past: Retraced | None = None,
    ) -> None:  # fmt: skip
        """Start idle; new_spool: makes the place where masked parts wait for verification; past: earlier sums."""
        self.manifest = manifest
        self.phase = Phase.IDLE
        self.epoch, self.position = 0, 0
        self.opened: list[OpenedRound] = []
        self.sum: MaskedSum | None = None
        self.blamed: dict[str, str] = {}
        self.roster = manifest.roster
        self._identity = identity
        self._sha256 = manifest.sha256()
        self._transcript = bind.transcript_start(self._sha256)
        if past is not None:
            self.epoch, self.opened, self._transcript = past.epoch, list(past.opened), past.history.transcript
        self._setups: dict[str, bytes] = {}
        self._agreements: dict[str, bytes] = {}
        self._root = self._cohort = self._headers_sha256 = b""
        self._votes: dict[str, bytes] = {}
        self._round, self._new_spool, self._revealed = 0, new_spool, set[str]()
        self._vector, self._sum_sha256 = b"", b""
        self._verifiers: set[str] = set()
        self._signatures: dict[str, bytes] = {}

    # -- what the shell calls ----------------------------------------------------------------------------------------

    def charter(self, roster: Roster) -> list[Downlink]:
        """Give these members the manifest with its final roster."""
        at = Address(self.manifest.job, manifest_sha256=self._sha256)
        return self._broadcast(say.Charter(self.manifest.encode()), at, roster=roster)

    def assemble(self, roster: Roster) -> list[Downlink]:
        """Call these members together in a new epoch; whatever was under way is dropped."""
        self.epoch, self.position, self.roster = self.epoch + 1, 0, roster
        self._setups, self._agreements, self._root = {}, {}, b""
        self.drop_sum()
        self.phase = Phase.ASSEMBLING
        last = self.opened[-1] if self.opened else None
        message = say.Assemble(roster.members, last.opened if last else None)
        return self._broadcast(message, self._address(), last.evidence if last else (), last.vector if last else b"")

    def open(self, ask: bytes, plan: Plan) -> list[Downlink]:
        """Open the next position for the round after the last opened sum."""
        self._in((Phase.READY, Phase.UPLOADING, Phase.VOTING, Phase.REVEALING))
        self.position += 1
        self._round = len(self.opened) + 1
        ask_sha256 = bind.ask_digest(ask)
        bound = bind.binding(self._root, self.position, self._round, ask_sha256, self._transcript)
        self.drop_sum()
        self.sum = MaskedSum(self.roster, plan, bound, self._new_spool())
        self._votes, self._revealed, self._cohort = {}, set(), b""
        self._verifiers, self._signatures, self._vector = set(), {}, b""
        last = self.opened[-1] if self.opened else None
        message = say.Open(self._round, ask_sha256, last.opened if last else None)
        self.phase = Phase.UPLOADING
        return self._broadcast(message, self._here(), last.evidence if last else (), last.vector if last else b"")

    def close(self) -> Iterator[Downlink]:
        """Close the cohort over those who uploaded; return what asks them to vote, made one at a time."""
        self._in(Phase.UPLOADING)
        total = self._current()
        survivors = total.close()
        headers = tuple(total.raw_headers[member] for member in survivors)
        self._headers_sha256 = bind.headers_digest(headers)
        self._cohort = bind.cohort_digest(total.bound, survivors, self._headers_sha256)
        self.phase = Phase.VOTING
        # Each member gets other boxes beside the same headers: n packets at once would hold n times n headers.
        return self._closes(total, headers, self._headers_sha256, self._here())

    def _closes(self, total: MaskedSum, headers: tuple[bytes, ...], digest: bytes, here: Address) -> Iterator[Downlink]:
        for member in total.survivors:
            message = say.Close(total.survivors, digest, total.boxes_for(member))
            yield from self._send([member], message, here, headers)

    def certify(self) -> list[Downlink]:
        """Show the survivors t votes for a cohort that lost somebody, and ask for what opens it."""
        self._in(Phase.VOTING)
        total = self._current()
        if len(self._votes) < self.roster.threshold or not total.lost:
            raise MisuseError("certificate-early", "a certificate needs t votes and somebody lost")
        votes = tuple(self._votes[member] for member in sorted(self._votes)[: self.roster.threshold])
        self.phase = Phase.REVEALING
        message = say.Certificate(total.survivors, self._headers_sha256)
        return self._send(list(total.survivors), message, self._here(), votes)

    def open_sum(self) -> None:
        """Take the masks off; the sum counts only once c + 1 members of the cohort have verified it.

        A sum beyond its bound raises `PeerError`; if a part is not the one its header names, its owner is `blamed`.
        """
        self._in(Phase.SETTLED)
        total = self._current()
        self.phase = Phase.READY  # the position is over, also if it does not open
        words = total.open()
        try:
            total.plan.check_sum(words)
        except PeerError:
            for owner in total.survivors:
                self._part(total, owner)  # one that is not the signed one explains it
            raise
        self._vector = total.plan.to_bytes(words)
        self._sum_sha256 = sha256(self._vector)
        self.phase = Phase.CHECKING

    def verifiers(self) -> list[str]:
        """Return the members that have not been asked to verify yet, in this position's order."""
        order = order_of_verifiers(self._current().bound, self._current().survivors)
        return [member for member in order if member not in self._verifiers]

    def check(self, verifiers: list[str]) -> Iterator[Downlink]:
        """Show these members every masked part and what took the masks off, one part at a time.

        A part that is not the one its header names raises `PeerError`, and its owner stands in `blamed`.
        """
        self._in(Phase.CHECKING)
        self._verifiers |= set(verifiers)
        return self._checks(verifiers, self._current(), self._here())

    def _checks(self, verifiers: list[str], total: MaskedSum, here: Address) -> Iterator[Downlink]:
        for owner in total.survivors:
            yield from self._send(verifiers, say.CheckPart(owner), here, (), self._part(total, owner))
        yield from self._send(verifiers, total.check(self._cohort), here)

    def drop_sum(self) -> None:
        """Forget the sum that is under way, and the masked parts that wait for its verification."""
        if self.sum is not None:
            self.sum.spool.close()
            self.phase = Phase.READY  # what still comes for it is over
        self.sum = None

    def missing_signatures(self) -> int:
        """Return how many more members must verify the sum."""
        return max(0, self.manifest.roster.colluders + 1 - len(self._signatures))

    def finish(self) -> np.ndarray:
        """Append the verified sum to the transcript and return it, (length,) int64."""
        self._in(Phase.VERIFIED)
        total = self._current()
        opened = say.Opened(
            self.epoch, self.position, self._round, total.survivors, self._headers_sha256, self._sum_sha256
        )
        headers = tuple(total.raw_headers[member] for member in total.survivors)
        agreements = tuple(self._agreements[member] for member in self.roster.members)
        signatures = tuple(self._signatures[member] for member in sorted(self._signatures))
        self._transcript = bind.next_transcript(self._transcript, total.bound, self._cohort, opened.sum_sha256)
        self.opened.append(OpenedRound(opened, self._root, agreements, headers, signatures, self._vector))
        self.drop_sum()
        return total.plan.decode(total.plan.from_bytes(self.opened[-1].vector))

    def catch_up(self, member: str, since: int = 0) -> list[Downlink]:
        """Give a member that came back every opened sum after the first `since`, in order."""
        downlinks = []
        for past in self.opened[since:]:
            at = Address(self.manifest.job, past.opened.epoch, past.opened.position, self._sha256, past.root)
            message = say.CatchUp(past.opened, past.root, len(past.agreements))
            downlinks += self._send([member], message, at, (*past.agreements, *past.evidence), past.vector)
        return downlinks

    def end(self, state: str, reason: str) -> list[Downlink]:
        """Tell every seat how the job ended: those of the last sum with it if it is done, those left behind without."""
        last = self.opened[-1] if self.opened and state == "done" else None
        at = Address(self.manifest.job, manifest_sha256=self._sha256)
        seats = self.manifest.roster.members
        cohort = last.opened.survivors if last else seats
        message = say.Ended(state, reason, last.opened if last else None)
        without = say.Ended("failed", "the job went on without this member", None)
        proof = (last.evidence, last.vector) if last else ((), b"")
        told = self._send(list(cohort), message, at, *proof, EVERYONE)
        return told + self._send([seat for seat in seats if seat not in cohort], without, at, recipient=EVERYONE)

    # -- what members send -------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, packet: Packet) -> list[Downlink]:
        """Take one member's message (its signature checked); return what it makes the coordinator send.

        A message that breaks the protocol raises `PeerError`; one of an epoch or position that is over is dropped.
        """
        steps: dict[str, Callable[[Envelope, Packet], list[Downlink]]] = {
            "setup": self._setup,
            "agree": self._agree,
            "upload": self._upload,
            "consent": self._consent,
            "reveal": self._reveal,
            "sum-signature": self._sum_signature,
        }
        step = steps.get(envelope.kind)
        if step is None:
            raise PeerError("kind-unexpected", f"{envelope.sender} sent a {envelope.kind} in a running job")
        if (envelope.address.epoch, envelope.address.position) < (self.epoch, self._expected_position(envelope.kind)):
            return []
        if envelope.sender not in self.roster:
            raise PeerError("member-excluded", f"{envelope.sender} is not in the current epoch")
        return step(envelope, packet)

    def identity_of(self, member: str) -> bytes:
        """Return a seat's identity, for `open_envelope`."""
        return self.manifest.identity_of(member)

    def pending(self) -> frozenset[str]:
        """Return the members that the current phase still waits for."""
        members = frozenset(self.roster.members)
        if self.phase is Phase.ASSEMBLING:
            return members - set(self._setups)
        if self.phase is Phase.AGREEING:
            return members - set(self._agreements)
        if self.phase is Phase.UPLOADING:
            return members - set(self._current().headers)
        if self.phase is Phase.VOTING:
            return frozenset(self._current().survivors) - set(self._votes)
        if self.phase is Phase.REVEALING:
            return frozenset(self._current().survivors) - self._revealed
        if self.phase is Phase.CHECKING:
            return frozenset(self._verifiers - set(self._signatures))
        return frozenset()

    @property
    def settled(self) -> bool:
        """Say whether everything that opens the sum is here."""
        return self.phase is Phase.SETTLED

    def certifiable(self) -> bool:
        """Say whether t votes are here for a cohort that lost somebody."""
        return self.phase is Phase.VOTING and bool(self._current().lost) and len(self._votes) >= self.roster.threshold

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _setup(self, envelope: Envelope, _packet: Packet) -> list[Downlink]:
        self._in(Phase.ASSEMBLING)
        envelope.expect(self._address(), COORDINATOR)
        self._setups.setdefault(envelope.sender, envelope.raw)
        if self.pending():
            return []
        setups = tuple(self._setups[member] for member in self.roster.members)
        self._root = bind.agreement_root(self._sha256, self.epoch, self._transcript, setups)
        self.phase = Phase.AGREEING
        return self._broadcast(say.Setups(), self._address(), setups)

    def _agree(self, envelope: Envelope, _packet: Packet) -> list[Downlink]:
        self._in(Phase.AGREEING)
        envelope.expect(self._address(self._root), COORDINATOR)
        self._agreements.setdefault(envelope.sender, envelope.raw)
        if self.pending():
            return []
        agreements = tuple(self._agreements[member] for member in self.roster.members)
        self.phase = Phase.READY
        return self._broadcast(say.Ready(), self._address(self._root), agreements)

    def _upload(self, envelope: Envelope, packet: Packet) -> list[Downlink]:
        if self.phase is not Phase.UPLOADING:
            return []  # the cohort is closed: a late vector is discarded
        envelope.expect(self._here(), COORDINATOR)
        message = envelope.message
        assert isinstance(message, say.Header)  # the kind says so
        self._current().add(envelope.sender, message, packet)
        return []

    def _consent(self, envelope: Envelope, _packet: Packet) -> list[Downlink]:
        if self.phase is not Phase.VOTING:
            return []  # enough votes came before this one
        envelope.expect(self._here(), COORDINATOR)
        total, message = self._current(), envelope.message
        assert isinstance(message, say.Consent)  # the kind says so
        if envelope.sender not in total.survivors or not same_bytes(message.cohort_sha256, self._cohort):
            raise PeerError("consent-cohort", f"{envelope.sender} votes for another cohort")
        if message.shares and total.lost:
            raise PeerError("consent-shares", f"{envelope.sender} gives shares before a certificate")
        if message.shares:
            total.take_shares(envelope.sender, message.shares)
        self._votes.setdefault(envelope.sender, envelope.raw)
        if not total.lost and len(total.shared) >= self.roster.threshold:
            self.phase = Phase.SETTLED
        return []

    def _reveal(self, envelope: Envelope, _packet: Packet) -> list[Downlink]:
        if self.phase is not Phase.REVEALING:
            return []
        envelope.expect(self._here(), COORDINATOR)
        total, message = self._current(), envelope.message
        assert isinstance(message, say.Reveal)  # the kind says so
        total.take_seeds(envelope.sender, message.seeds)
        if message.shares:
            total.take_shares(envelope.sender, message.shares)
        self._revealed.add(envelope.sender)
        if not self.pending() and len(total.shared) >= self.roster.threshold:
            self.phase = Phase.SETTLED
        return []

    def _sum_signature(self, envelope: Envelope, _packet: Packet) -> list[Downlink]:
        if self.phase is not Phase.CHECKING:
            return []  # enough members have verified the sum
        envelope.expect(self._here(), COORDINATOR)
        message = envelope.message
        assert isinstance(message, say.SumSignature)  # the kind says so
        if envelope.sender not in self._verifiers or not same_bytes(message.cohort_sha256, self._cohort):
            raise PeerError("sum-signature-cohort", f"{envelope.sender} signs a sum it was not asked to verify")
        if not same_bytes(message.sum_sha256, self._sum_sha256):
            raise PeerError("sum-mismatch", f"{envelope.sender} recomputes another sum")
        self._signatures.setdefault(envelope.sender, envelope.raw)
        if not self.missing_signatures():
            self.phase = Phase.VERIFIED
        return []

    def _part(self, total: MaskedSum, owner: str) -> bytes | memoryview:
        try:
            return total.part(owner)
        except PeerError as error:
            self.blamed[owner] = error.message
            raise

    # -- small parts ---------------------------------------------------------------------------------------------------

    def _expected_position(self, kind: str) -> int:
        return 0 if kind in ("setup", "agree") else self.position

    def _current(self) -> MaskedSum:
        if self.sum is None:
            raise MisuseError("no-sum", f"no sum is under way while {self.phase.value}")
        return self.sum

    def _in(self, phases: Phase | tuple[Phase, ...]) -> None:
        allowed = phases if isinstance(phases, tuple) else (phases,)
        if self.phase not in allowed:
            raise PeerError("phase-order", f"the coordinator is {self.phase.value}, not {allowed[0].value}")

    def _address(self, root: bytes = b"") -> Address:
        return Address(self.manifest.job, self.epoch, 0, self._sha256, root)

    def _here(self) -> Address:
        bound = self._current().bound
        return Address(self.manifest.job, self.epoch, self.position, self._sha256, self._root, bound)

    def _broadcast(
        self, message: say.Message, at: Address, attachments: tuple[bytes, ...] = (),
        vector: bytes | memoryview = b"", roster: Roster | None = None,
    ) -> list[Downlink]:  # fmt: skip
        return self._send(list((roster or self.roster).members), message, at, attachments, vector, EVERYONE)

    def _send(
        self, members: list[str], message: say.Message, at: Address, attachments: tuple[bytes, ...] = (),
        vector: bytes | memoryview = b"", recipient: str = "",
    ) -> list[Downlink]:  # fmt: skip
        to = recipient or (members[0] if len(members) == 1 else EVERYONE)
        envelope = sign_envelope(self._identity, COORDINATOR, to, at, message)
        raw = encode_packet(Packet(envelope.raw, attachments, vector))
        return [Downlink(member, raw, envelope) for member in members]
