"""Relay requests for cosignatures between the banks, keep the heads they show, and gather our own log's quorum.

It signs no head and counts as nobody's witness: between two banks it passes signed messages on as they are, so all it
can do is drop them. Theory: banks only dial out, so their requests come and go on their own streams. The coordinator's
log is cosigned by the banks; as long as fewer than the quorum cosigned, nothing is released.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coordinator.head_store import HeadStore
from coordinator.journal_line import say
from coordinator.log_store import LogStore
from coordinator.restored import Restored
from coordinator.store import Member
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.errors import InputError, PeerError, PrivacyError, VerificationError
from privacy.keys import IdentityKey
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.note import VerifierKey
from privacy.log.petition import Gain, OwnLog, Petition, Tally, Tempo
from privacy.log.policy import Policy, network_policy
from privacy.log.record import Entry
from privacy.log.witness import Answer
from privacy.wire import Packet, SignedFields, decode_packet, decode_signed, encode_packet

__all__ = ["Quorum", "Relay", "RelayDesk"]

TICK_S = 0.25
KINDS = ("add-checkpoint", "cosigned")
_MARKS = tuple(kind.encode("ascii") for kind in KINDS)
_LARGEST_MESSAGE = 256 * 1024
_MOST_WAITING_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class RelayDesk:
    """What the service lends.

    identity: the coordinator's. log: its log, with the log's public key. heads: the banks' heads. members: returns
    everyone who is enrolled, by id. send: queues bytes for a member; send_soon: the
    same, a moment later and in fewer frames. backlog: bytes that it has not acknowledged.
    is_busy: says whether a job runs. restored: whether this log was put back from a backup that nobody confirmed yet.
    """

    identity: IdentityKey
    log: LogStore
    key: VerifierKey
    heads: HeadStore
    members: Callable[[], Mapping[str, Member]]
    send: Callable[[str, bytes], None]
    send_soon: Callable[[str, bytes], None]
    backlog: Callable[[str], int]
    is_busy: Callable[[], bool]
    restored: Restored


@dataclass(frozen=True, slots=True)
class Quorum:
    """A head of our log that enough banks cosigned, and who did."""

    size: int
    cosigners: tuple[str, ...]


class Relay:
    """All calls are made on one event loop."""

    def __init__(self, desk: RelayDesk) -> None:
        self._desk = desk
        self._witnesses: dict[str, VerifierKey | None] = {}
        self._restored_note = desk.log.checkpoint_at(desk.restored.size) if desk.restored.waiting else b""
        self._own = OwnLog(desk.key, self._note, desk.log.consistency, desk.log.root)
        self._petition = Petition(self._own, self._witnesses)
        self._tally = Tally()
        self._tempo = Tempo()
        self._waiters: list[asyncio.Event] = []
        self._dirty = asyncio.Event()
        self.stands = asyncio.Event()
        """Set once nothing is in doubt: nothing was put back, or enough banks hold no newer head."""
        self._agreeing: set[str] = set()
        self.settle()
        self._agree("")
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def quorum(self) -> Quorum:
        """Return the largest head with a quorum that this process knows of; size 0 for none."""
        return Quorum(self._tally.size, self._tally.cosigners)

    def take(self, member: str, raw: bytes) -> bool:
        """Take a member's message if it is about cosignatures; False leaves it to others."""
        # Most messages are others', and a look is cheaper than reading them twice.
        if len(raw) > _LARGEST_MESSAGE or not any(mark in raw for mark in _MARKS):
            return False
        try:
            signed = decode_packet(raw).signed
            fields = decode_signed(signed)
        except PrivacyError:
            return False
        if fields.kind not in KINDS:
            return False
        try:
            if fields.sender != member:
                raise PeerError("sender-spoofed", f"{member} sent a message signed by {fields.sender}")
            if fields.recipient == COORDINATOR:
                self._handle(open_envelope(signed, self._identity_of))
            else:
                self._pass_on(fields, raw)
        except PrivacyError as error:
            say("message_refused", member=member, code=error.code, reason=error.message)
        return True

    async def gather(self, within_s: float) -> int:
        """Ask the banks to cosign the newest head and wait for the quorum, so long; return that head's size."""
        await asyncio.to_thread(self._desk.log.flush)
        size = self._own.head().size
        self.ask()
        try:
            async with asyncio.timeout(within_s):
                while self._tally.size < size:
                    await self.next_quorum()
        except TimeoutError:
            say("quorum_missing", members=len(self._witnesses))
        return size

    async def next_quorum(self) -> None:
        """Wait until some newer head got its quorum."""
        reached = asyncio.Event()
        self._waiters.append(reached)
        try:
            await reached.wait()
        finally:
            self._waiters.remove(reached)

    def ask(self) -> None:
        """Ask every bank to cosign the newest head."""
        self._refresh()
        self._tempo.asked(asyncio.get_running_loop().time(), self._own.head().size)
        for witness in self._witnesses:
            self._ask(witness)

    def settle(self) -> None:
        """Have what the log gains in the next seconds cosigned soon, and not only within a minute."""
        self._tempo.settle(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until cancelled; raises what contradicts our log, or a disk's fault."""
        tasks: list[asyncio.Future[None]] = [
            asyncio.ensure_future(self._beat()), asyncio.ensure_future(self._keep()), self.failed,
        ]  # fmt: skip
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _pass_on(self, fields: SignedFields, raw: bytes) -> None:
        if fields.recipient not in self._desk.members():
            raise PeerError("member-unknown", f"{fields.recipient!r} is not enrolled")
        if self._desk.backlog(fields.recipient) > _MOST_WAITING_BYTES:
            raise PeerError("receiver-behind", f"{fields.recipient} does not read; the request is dropped")
        self._desk.send(fields.recipient, raw)

    def _handle(self, envelope: Envelope) -> None:
        message = envelope.message
        if isinstance(message, msg.AddCheckpoint):
            answer = self._shown(envelope.sender, message.request)
            reply = msg.Cosigned(answer.status, answer.body, answer.held)
            packet = self._packet(envelope.sender, envelope.address.position, reply)
            self._desk.send_soon(envelope.sender, packet)
        elif isinstance(message, msg.Cosigned):
            answer = Answer(message.status, message.body, message.held)
            gain = self._petition.take(envelope.sender, envelope.address.position, answer)
            if gain is not None:
                self._gained(gain)

    def _shown(self, member: str, request: bytes) -> Answer:
        """Take a bank's newest head; a bank may show its own log only."""
        known = self._desk.members()[member]
        logs = {f"{member}/privacy-log": VerifierKey.parse(known.log)} if known.log else {}
        before = self._desk.heads.held(f"{member}/privacy-log")
        decision = self._desk.heads.decide(request, logs)
        if decision.held is not None and (before is None or decision.held.checkpoint != before.checkpoint):
            self._desk.log.defer([_peer_checkpoint(decision.held.checkpoint)])
            self._dirty.set()
            if not self._desk.is_busy():
                self.settle()
        elif decision.evidence:
            say("log_forked", member=member, code=f"status-{decision.answer.status}")
            evidence = f"{member} showed another history of its log: {decision.answer.status}"
            alarm = {"class": "fork", "severity": "critical", "evidence": evidence}
            self._desk.log.defer([Entry("alarm.raised", alarm)])
            self._dirty.set()
        return decision.answer

    def _gained(self, gain: Gain) -> None:
        if gain.conflict:
            if not self.failed.done():
                self.failed.set_exception(self._behind(gain))
            return
        if gain.fault:
            say("cosign_fault", member=gain.witness, code=gain.fault)
        if gain.again:
            self._ask(gain.witness)
        if gain.line:
            self._desk.log.defer((), (), [(gain.size, gain.line)])
            self._dirty.set()
            self._agree(gain.witness)
            if self._tally.add(gain, self._policy().threshold):
                for waiter in self._waiters:
                    waiter.set()

    def _agree(self, witness: str) -> None:
        """Count a bank that holds no newer head than the copy that was put back, and go on once they are enough."""
        if self.stands.is_set():
            return
        restored, policy = self._desk.restored, self._policy()
        self._agreeing |= {witness} & policy.witnesses.keys()
        if restored.waiting and len(self._agreeing) < policy.threshold:
            return
        if restored.waiting:
            restored.confirm()
            say("restore_confirmed", members=sorted(self._agreeing))
        self.stands.set()
        self.settle()

    def _behind(self, gain: Gain) -> VerificationError:
        """Return the error of a log that lacks what it has signed, with what is to be done."""
        theirs, restored = parse_checkpoint(gain.conflict)[0].size, self._desk.restored
        what, held = "this folder", self._desk.log.size
        if restored.waiting:
            what, held = f"the backup of {restored.made}", restored.size
        last = "; no bank was shown another history, so nothing is lost by this start" if restored.waiting else ""
        return VerificationError(
            "rolled-back",
            f"{gain.witness} holds a head of {theirs} records of the coordinator's log, {what} has {held} and does not "
            f"contain it: an older copy of the log was put back{last}; restore the newest copy (the newest of all is "
            "the old machine's own folder or database: run `backup` there, it may be stopped)",
        )

    def _note(self) -> bytes:
        """Return the head to show: of a copy that is in doubt, the one that it came with."""
        return self._restored_note if self._desk.restored.waiting else self._desk.log.checkpoint()

    # -- loops -------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Write heads and cosignatures to disk; those that come meanwhile share the next commit."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(TICK_S)
            self._dirty.clear()
            await asyncio.to_thread(self._desk.heads.flush)
            if not self._desk.is_busy():
                await asyncio.to_thread(self._desk.log.flush)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            # A copy in doubt is asked about even if its log was empty.
            cosigned = self._tally.size if self.stands.is_set() else -1
            if self._tempo.is_due(loop.time(), self._own.head().size, cosigned):
                self.ask()

    # -- small parts -------------------------------------------------------------------------------------------------

    def _ask(self, witness: str) -> None:
        asked = self._petition.ask(witness)
        self._desk.send(witness, self._packet(witness, asked.number, msg.AddCheckpoint(asked.body)))

    def _packet(self, to: str, number: int, message: msg.Message) -> bytes:
        envelope = sign_envelope(self._desk.identity, COORDINATOR, to, Address("", position=number), message)
        return encode_packet(Packet(envelope.raw))

    def _refresh(self) -> None:
        """Learn of witnesses that were enrolled meanwhile, and what each cosigned in an earlier process."""
        policy = self._policy()
        fresh = policy.witnesses.keys() - self._witnesses.keys()
        if fresh:
            cosigned = self._desk.log.cosigned()
            for name in fresh:
                key = policy.witnesses[name]
                self._witnesses[name] = key
                self._petition.known[name] = cosigned.get((key.name, key.key_id), 0)

    def _policy(self) -> Policy:
        here = {name: each for name, each in self._desk.members().items() if each.witness and each.status != "left"}
        keys = {name: VerifierKey.parse(each.witness) for name, each in here.items()}
        return network_policy(self._desk.key, COORDINATOR, keys)

    def _identity_of(self, sender: str) -> bytes:
        member = self._desk.members().get(sender)
        if member is None:
            raise InputError("member-unknown", f"{sender!r} is not enrolled")
        return bytes.fromhex(member.identity)


def _peer_checkpoint(head: Checkpoint) -> Entry:
    body = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "linked": True, "cosigners": []}
    return Entry("peer.checkpoint", body)
