"""Show this bank's log to witnesses and gather their cosignatures; answer the others as their witness.

It holds no rule of its own: `privacy.log.witness` says when a head is cosigned, `privacy.log.petition` whom to ask and
what an answer proves, and the gate is the exit. Theory: banks only dial out, so requests between banks go over the
coordinator, signed end to end; it can drop them, which leaves a checkpoint pending, and nothing else. After every
message that leaves, the coordinator is shown the newest head, at most one request at a time, so whatever it received
stands under a head that it holds. Before the first message of a session is taken, it says which head of this log it
holds: a log that is behind that was put back from a copy, and the node stops with the proof in `known-head.note`.
"""

import asyncio
import os
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from node.backup import RESTORED
from node.journal_line import say
from node.record_store import RecordStore
from node.witness_store import WitnessStore
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import PeerError, PrivacyError, VerificationError
from privacy.keys import IdentityKey
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.note import VerifierKey
from privacy.log.petition import Gain, OwnLog, Petition, Tally, Tempo
from privacy.log.policy import Policy
from privacy.log.record import Entry
from privacy.log.witness import Answer, parse_request
from privacy.wire import Packet, decode_packet, decode_signed, encode_packet

__all__ = ["Cosigner", "Cosigning", "Exit", "refuse_behind"]

TICK_S = 0.25
SHOW_S = 0.05
KINDS = ("add-checkpoint", "cosigned")
_MARKS = tuple(kind.encode("ascii") for kind in KINDS)
_LARGEST_MESSAGE = 256 * 1024
_MOST_WAITING = 1024
_EVIDENCE = "known-head.note"


class Exit(Protocol):
    """The part of the gate that is used here.

    departed: set after every message that left. proved: the note of the coordinator's newest head that came with a
    receipt, empty for none.
    """

    departed: asyncio.Event

    @property
    def proved(self) -> bytes:
        """Return that note."""

    async def send_cosign(self, message: bytes) -> None:
        """Send a checkpoint or a cosignature."""


@dataclass(frozen=True, slots=True)
class Cosigner:
    """Who takes part: our id and identity, the 32-byte identities of all by id, our log's key, and its policy."""

    member: str
    identity: IdentityKey
    identities: Mapping[str, bytes]
    log: VerifierKey
    policy: Policy


class Cosigning:
    """Run on the event loop; `take` is called with everything that comes over the link."""

    def __init__(self, cosigner: Cosigner, gate: Exit, store: RecordStore, witness: WitnessStore, state: Path) -> None:
        """state: the state directory, for evidence against our own log."""
        self._cosigner = cosigner
        self._gate = gate
        self._store = store
        self._witness = witness
        self._state = state
        own = OwnLog(cosigner.log, store.checkpoint, store.consistency, store.root)
        self._witnesses: dict[str, VerifierKey | None] = {**cosigner.policy.witnesses, COORDINATOR: None}
        cosigned = store.cosigned()
        known = {name: cosigned.get((key.name, key.key_id), 0) for name, key in cosigner.policy.witnesses.items()}
        self._own = own
        self._petition = Petition(own, self._witnesses, known)
        self._requests: asyncio.Queue[Envelope] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._kept = asyncio.Event()
        self._grown = asyncio.Event()
        self._tally = Tally()
        self._tempo = Tempo(retry_s=max(1.0, len(known) / 10))  # many banks do not all ask all others every second
        self._alarmed: set[str] = set()
        self._told: deque[str] = deque(maxlen=64)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._restored = own.head().size if (state / RESTORED).exists() else 0
        self._heard = False
        self.confirmed = asyncio.Event()

    def take(self, raw: bytes) -> bool:
        """Take a message if it is about cosignatures; False leaves it to others. A wrong one is told and dropped."""
        # Most messages are others', and a look is cheaper than reading them twice.
        if len(raw) > _LARGEST_MESSAGE or not any(mark in raw for mark in _MARKS):
            return False
        try:
            signed = decode_packet(raw).signed
            if decode_signed(signed).kind not in KINDS:
                return False
        except PrivacyError:
            return False
        try:
            envelope = open_envelope(signed, self._identity_of)
            if envelope.recipient != self._cosigner.member:
                raise PeerError("envelope-recipient", f"a {envelope.kind} for {envelope.recipient} came to us")
            self._handle(envelope)
        except PrivacyError as error:
            if error.message not in self._told:  # a bank that is not pinned yet asks every second
                self._told.append(error.message)
                say("cosign_refused", code=error.code, reason=error.message)
        return True

    def begin(self) -> None:
        """Begin anew: a fresh session with the coordinator stands."""
        self._petition.forget()
        self._tempo.settle(asyncio.get_running_loop().time())
        self.confirmed.clear()
        self._heard = False
        self._answered.set()
        self._gate.departed.set()

    def settle(self) -> None:
        """Have what the log gained, and gains in the next seconds, cosigned soon and not only within a minute."""
        self._tempo.settle(asyncio.get_running_loop().time())
        self._grown.set()

    def adopt(self, policy: Policy) -> None:
        """Ask these witnesses from now on: a bank came, left or has other keys, and people here compared them."""
        before = self._cosigner.policy.witnesses
        cosigned = self._store.cosigned()
        for name, key in policy.witnesses.items():
            if before.get(name) != key:
                self._petition.known[name] = cosigned.get((key.name, key.key_id), 0)
        self._witnesses.clear()
        self._witnesses.update({**policy.witnesses, COORDINATOR: None})
        self._cosigner = replace(self._cosigner, policy=policy)
        self.settle()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            VerificationError: `rolled-back` or `forked` when somebody proved that our log is not what it was.
            InputError: a disk's fault.
        """
        loops = [self._show(), self._answer(), self._keep(), self._ask_often(), self._beat()]
        tasks: list[asyncio.Future[None]] = [*(asyncio.ensure_future(each) for each in loops), self._fault]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *self._tasks):
                task.cancel()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _handle(self, envelope: Envelope) -> None:
        message = envelope.message
        if isinstance(message, msg.AddCheckpoint):
            if self._requests.qsize() >= _MOST_WAITING:
                raise PeerError("requests-too-many", f"{self._requests.qsize()} requests to cosign wait already")
            self._requests.put_nowait(envelope)
        elif isinstance(message, msg.Cosigned):
            answer = Answer(message.status, message.body, message.held)
            gain = self._petition.take(envelope.sender, envelope.address.position, answer)
            if gain is not None:
                self._gained(gain)

    def _gained(self, gain: Gain) -> None:
        if gain.conflict:
            self._behind(gain)
            return
        if gain.fault:
            say("cosign_fault", members=gain.witness, code=gain.fault)
        if gain.line:
            self._store.defer((), (), [(gain.size, gain.line)])
            self._kept.set()
            self._tally.add(gain, self._cosigner.policy.threshold)
        if gain.again:
            self._soon(self._ask(gain.witness))
        elif gain.witness == COORDINATOR:
            self._heard = True
            self._answered.set()
        self._confirm()

    def _confirm(self) -> None:
        """Let messages be taken once the coordinator said which head it holds.

        A log that was put back from a backup also waits until a quorum of the banks has cosigned it: what was spent
        since the backup is not to be forgotten because the coordinator alone keeps silent.
        """
        if self._restored and self._tally.size >= self._restored:
            (self._state / RESTORED).unlink(missing_ok=True)
            self._restored = 0
            say("restore_confirmed", members=list(self._tally.cosigners))
        if self._heard and not self._restored:
            self.confirmed.set()

    def _behind(self, gain: Gain) -> None:
        _write_whole(self._state / _EVIDENCE, gain.conflict)
        error = _contradiction(gain.witness, self._state)
        say("log_contradicted", code=error.code, reason=error.message)
        if not self._fault.done():
            self._fault.set_exception(error)

    # -- loops -------------------------------------------------------------------------------------------------------

    async def _show(self) -> None:
        """Show the coordinator the newest head whenever a message left, one request at a time."""
        while True:
            await self._gate.departed.wait()
            self._gate.departed.clear()
            self._answered.clear()
            await self._ask(COORDINATOR)
            await self._answered.wait()
            # What leaves within a moment is shown together: a request costs both ends as much as a message of a sum.
            await asyncio.sleep(SHOW_S)

    async def _answer(self) -> None:
        while True:
            group = [await self._requests.get()]
            while not self._requests.empty():
                group.append(self._requests.get_nowait())
            late = [each for each in group if self._is_behind(each)]
            for envelope in late:
                await self._send(envelope.sender, envelope.address.position, self._newer())
            group = [each for each in group if each not in late]
            requests = [each.message.request for each in group if isinstance(each.message, msg.AddCheckpoint)]
            decisions = await asyncio.to_thread(self._witness.answer, requests)
            for envelope, decision in zip(group, decisions, strict=True):
                answer = decision.answer
                if answer.status not in (200, 409):
                    say("checkpoint_refused", members=envelope.sender, code=f"status-{answer.status}")
                if decision.evidence:
                    self._alarm(decision.origin, answer.status)
                reply = msg.Cosigned(answer.status, answer.body, answer.held)
                await self._send(envelope.sender, envelope.address.position, reply)

    async def _keep(self) -> None:
        """Make gathered cosignatures durable; those that come meanwhile share the next commit."""
        while True:
            await self._kept.wait()
            self._kept.clear()
            await asyncio.to_thread(self._store.flush)

    async def _ask_often(self) -> None:
        while True:
            await self._grown.wait()
            self._grown.clear()
            size = self._own.head().size
            self._tempo.asked(asyncio.get_running_loop().time(), size)
            self._gate.departed.set()  # the coordinator is shown this head too
            for witness in self._cosigner.policy.witnesses:
                await self._ask(witness)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._tempo.asked(loop.time(), 0)
        while True:
            await asyncio.sleep(TICK_S)
            if self._tempo.is_due(loop.time(), self._own.head().size, self._tally.size):
                self._grown.set()

    def _is_behind(self, envelope: Envelope) -> bool:
        """Say whether the coordinator shows a head that is smaller than one that it gave a receipt under.

        Its receipts promise records. A copy that lacks them is told so by its own signature before anything is lost.
        """
        if (
            envelope.sender != COORDINATOR
            or not self._gate.proved
            or not isinstance(envelope.message, msg.AddCheckpoint)
        ):
            return False
        try:
            shown = parse_request(envelope.message.request).checkpoint
        except VerificationError:
            return False
        return shown.size < parse_checkpoint(self._gate.proved)[0].size

    def _newer(self) -> msg.Cosigned:
        origin = parse_checkpoint(self._gate.proved)[0].origin
        held = self._witness.held(origin)
        return msg.Cosigned(409, b"%d\n" % (held.checkpoint.size if held else 0), self._gate.proved)

    def _alarm(self, origin: str, status: int) -> None:
        """Record, once a process and log, that a log showed us another history; the request itself is kept."""
        if origin not in self._alarmed:
            self._alarmed.add(origin)
            evidence = f"{origin} asked to cosign another history: {status}"
            self._store.defer([Entry("alarm.raised", {"class": "fork", "severity": "critical", "evidence": evidence})])

    # -- small parts -------------------------------------------------------------------------------------------------

    async def _ask(self, witness: str) -> None:
        asked = self._petition.ask(witness)
        await self._send(witness, asked.number, msg.AddCheckpoint(asked.body))

    async def _send(self, to: str, number: int, message: msg.Message) -> None:
        cosigner = self._cosigner
        at = Address("", position=number)
        envelope = sign_envelope(cosigner.identity, cosigner.member, to, at, message)
        await self._gate.send_cosign(encode_packet(Packet(envelope.raw)))

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            try:
                await work
            except PrivacyError as error:
                if not self._fault.done():
                    self._fault.set_exception(error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _identity_of(self, sender: str) -> bytes:
        identity = self._cosigner.identities.get(sender)
        if identity is None:
            raise PeerError("member-unknown", f"{sender!r} is not among the members this bank has pinned")
        return identity


def refuse_behind(state: Path) -> None:
    """Refuse to start while there is proof that this log was put back from a copy, until an operator removed it.

    Raises:
        VerificationError: `rolled-back`.
    """
    if (state / _EVIDENCE).exists():
        raise _contradiction("somebody", state)


def _contradiction(holder: str, state: Path) -> VerificationError:
    return VerificationError(
        "rolled-back",
        f"{holder} holds a head that this log signed and does not contain ({state / _EVIDENCE}): an older copy of the "
        "log was put back; restore the newest copy and remove that file",
    )


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
