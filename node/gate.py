"""The only exit of a node: it writes the record, syncs it to disk, then sends.

Nothing else in `node/` may import a link. The gate makes no message, opens none but receipts, and signs nothing: the
log's store signs checkpoints. Theory: fail closed. A payload leaves only after its `egress.authorised` record is
durable; when recording fails, the error goes to the caller and nothing is sent. Control frames (greetings,
heartbeats, acknowledgements), and checkpoints with their cosignatures, are of bounded size and authorised in blocks.
The coordinator's receipt proves that it wrote the same digest into its own log; what it proves is kept, and rides on
the next commit, so a round costs a node at most two.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from node.grpc_link import GrpcLink, probe
from node.link import ControlBlock, Link, LinkSettings
from node.record_store import RecordStore
from privacy.errors import InputError, MisuseError, VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.note import VerifierKey
from privacy.log.receipt import Seen, decode_receipt, verify_receipt
from privacy.log.record import BLOCKS, Entry, Event
from privacy.outgoing import Outgoing

__all__ = ["Gate", "GateSettings", "LinkEvents", "LinkFactory", "ask_admission", "grpc_link"]

FLUSH_S = 0.25
SIGNATURE = "secagg.sum-signature"
VOTE = "secagg.consent"
SIGNATURE_FRAMES = 64
SIGNATURE_BYTES = SIGNATURE_FRAMES * 1024
REMEMBERED_MESSAGES = 10_000
CONTROL_PURPOSE = "operations"

LinkFactory = Callable[[Callable[[], ControlBlock]], Link]
"""Make the link, given the function that authorises its next block of control frames."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Say who we are and whom we trust to give receipts.

    Attributes:
        member: this bank's id, the sender that receipts must name.
        coordinator: the receiver's id.
        coordinator_log: the pinned key of the coordinator's log; its name is that log's origin.
        boot: this process's boot id, which makes the names of control blocks unique.
        control_frames, control_bytes: size of one block of the link's frames.
        cosign_frames, cosign_bytes: size of one block of checkpoints and cosignatures.
    """

    member: str
    coordinator: str
    coordinator_log: VerifierKey
    boot: bytes
    control_frames: int = 4096
    control_bytes: int = 1 << 20
    cosign_frames: int = 4096
    cosign_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What a link calls on the event loop; `node.link.Link` says when."""

    on_message: Callable[[bytes], None]
    on_up: Callable[[bytes, bool], None]
    on_down: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    payload_sha256: str
    size: int
    attempts: int
    job: str
    round: int | None
    purpose: str


def grpc_link(settings: LinkSettings, boot: bytes, events: LinkEvents) -> LinkFactory:
    """Return a factory for the gRPC link of these settings."""

    def make(authorise_control: Callable[[], ControlBlock]) -> Link:
        return GrpcLink(
            settings,
            boot=boot,
            authorise_control=authorise_control,
            on_message=events.on_message,
            on_up=events.on_up,
            on_down=events.on_down,
        )

    return make


def ask_admission(settings: LinkSettings) -> str:
    """Return why the coordinator would refuse our certificate now, as a slug; empty if it would not.

    It says nothing of the bank's and carries no message, so there is nothing to record. Blocking.
    """
    return probe(settings)


class Gate:
    """Record, then send. All calls are made on one event loop."""

    def __init__(self, settings: GateSettings, store: RecordStore, make_link: LinkFactory) -> None:
        self._settings = settings
        self._store = store
        self._sent: dict[str, _Sent] = {}
        self._blocks = 0
        self._signatures = ControlBlock(0, 0)
        self._cosign = ControlBlock(0, 0)
        self._cosign_turn = asyncio.Lock()
        self.departed = asyncio.Event()
        self._seen = self._last_seen()
        kept = store.newest_receipt()
        self._proved = decode_receipt(kept).checkpoint if kept else b""
        self._link = make_link(self._authorise_control)

    @property
    def seen(self) -> Seen:
        """Return the newest head of the coordinator's log that a receipt proved; size 0 for none."""
        return self._seen

    @property
    def proved(self) -> bytes:
        """Return the note of the newest head of the coordinator's log that came with a receipt, empty for none."""
        return self._proved

    async def run(self) -> None:
        """Keep the link up until cancelled, and make what was deferred durable when it is due.

        Raises whatever ends the link, an `InputError` of the log among it.
        """
        flusher = asyncio.create_task(self._flush_often())
        try:
            await self._link.run()
        finally:
            flusher.cancel()

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Connect with this certificate from now on; the session and what is queued in it live on."""
        self._link.renew(certificate_pem, key_pem)

    async def send(self, outgoing: Outgoing) -> int | None:
        """Record the message, sync the record to disk, then hand the message to the link.

        Returns:
            leaf index of the `egress.authorised` record; None for a signature within an authorised block.

        Raises:
            InputError: `disk-full` or `log-unusable`; nothing was sent.
            MisuseError: `event-invalid` or `kind-reserved`; nothing was sent.
        """
        if outgoing.kind in BLOCKS:
            raise MisuseError("kind-reserved", f"the kind `{outgoing.kind}` names blocks of frames, not a message")
        before = self._sent.get(outgoing.msg_id)
        sent = _Sent(
            payload_sha256=outgoing.payload_sha256,
            size=len(outgoing.message),
            attempts=before.attempts + 1 if before else 1,
            job=outgoing.job,
            round=outgoing.round,
            purpose=outgoing.purpose,
        )
        index = await self._authorise(outgoing, sent)
        self._remember(outgoing.msg_id, sent)
        await self._link.send(outgoing.message)
        self.departed.set()  # whoever waits for this shows the log's new head to the coordinator
        return index

    async def send_cosign(self, message: bytes) -> None:
        """Send a checkpoint or a cosignature under a block that was recorded before; most cost no record.

        Raises:
            InputError: `disk-full` or `log-unusable`; nothing was sent.
            MisuseError: `cosign-size` for a message that no block holds.
        """
        settings = self._settings
        if len(message) > settings.cosign_bytes:
            raise MisuseError("cosign-size", f"a message of {len(message)} bytes is larger than a block")
        async with self._cosign_turn:
            left = self._cosign
            if left.frames < 1 or left.size < len(message):
                block = self._block("cosign", settings.cosign_frames, settings.cosign_bytes)
                await self._store.record([block])
                left = ControlBlock(settings.cosign_frames, settings.cosign_bytes)
            self._cosign = ControlBlock(left.frames - 1, left.size - len(message))
            await self._link.send(message)

    async def _authorise(self, outgoing: Outgoing, sent: _Sent) -> int | None:
        body = {
            **outgoing.record,
            "msg_id": outgoing.msg_id,
            "to": outgoing.to,
            "bytes": sent.size,
            "payload_kind": outgoing.kind,
            "protection": outgoing.protection,
            "payload_sha256": sent.payload_sha256,
            "attempt": sent.attempts,
        }
        entries = [Entry("egress.authorised", body, outgoing.purpose, outgoing.job, outgoing.round)]
        left = self._signatures
        if outgoing.kind == SIGNATURE and left.frames and sent.size <= left.size:
            self._signatures = ControlBlock(left.frames - 1, left.size - sent.size)
            self._store.defer(entries)
            return None
        if outgoing.kind == VOTE and not left.frames:
            entries.append(self._block("control", SIGNATURE_FRAMES, SIGNATURE_BYTES))
        index = (await self._store.record(entries))[0]
        if len(entries) > 1:
            self._signatures = ControlBlock(SIGNATURE_FRAMES, SIGNATURE_BYTES)
        return index

    def on_receipt(self, receipt: bytes) -> None:
        """Check a receipt of the coordinator's and keep what it proves; costs no commit of its own.

        Args:
            receipt: canonical JSON (`privacy.log.receipt`).

        Raises:
            VerificationError: the receipt is malformed, is not for a message of ours as it was sent, is not signed by
                the pinned log, or does not continue the log seen before. The alarm is recorded.
        """
        try:
            parts = decode_receipt(receipt)
            event, checkpoint, linked = verify_receipt(
                parts, self._settings.coordinator_log, self._settings.coordinator_log.name, self._seen
            )
            sent = self._matching(event)
        except VerificationError as error:
            self._raise_alarm(error)
            raise
        entries = [self._result(event, checkpoint, sent)]
        if checkpoint.size != self._seen.size:
            entries.append(_peer_checkpoint(checkpoint, linked))
            self._seen = Seen(checkpoint.size, checkpoint.root)
            self._proved = parts.checkpoint
        self._store.defer(entries, [(str(event.body["msg_id"]), receipt)])

    def _matching(self, event: Event) -> _Sent:
        body = event.body
        sent = self._sent.get(str(body["msg_id"]))
        stated = (body["from"], body["payload_sha256"], body["bytes"])
        if sent is None or stated != (self._settings.member, sent.payload_sha256, sent.size):
            raise VerificationError("receipt-mismatch", "the coordinator's receipt is not for a message as we sent it")
        return sent

    def _result(self, event: Event, checkpoint: Checkpoint, sent: _Sent) -> Entry:
        body = {
            "msg_id": event.body["msg_id"],
            "status": "received" if event.body["accepted"] else "refused",
            "attempts": sent.attempts,
            "peer": {
                "log": event.log,
                "index": event.seq,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
            },
        }
        return Entry("egress.result", body, sent.purpose, sent.job, sent.round)

    def _raise_alarm(self, error: VerificationError) -> None:
        forked = error.code == "consistency-proof"
        body = {
            "class": "fork" if forked else "mismatch",
            "severity": "critical" if forked else "high",
            "evidence": f"receipt of {self._settings.coordinator}: {error.code}",
        }
        self._store.defer([Entry("alarm.raised", body)])

    def _authorise_control(self) -> ControlBlock:
        settings = self._settings
        # The link calls this once in thousands of frames and must not send before it is durable, so it blocks.
        self._store.append([self._block("control", settings.control_frames, settings.control_bytes)])
        return ControlBlock(settings.control_frames, settings.control_bytes)

    def _block(self, kind: str, frames: int, size: int) -> Entry:
        body = {
            "msg_id": f"{kind}/{self._settings.boot.hex()}/{self._blocks}",
            "to": self._settings.coordinator,
            "bytes": size,
            "frames": frames,
            "payload_kind": kind,
            "protection": "fixed-size" if kind == "control" else "signed",
        }
        self._blocks += 1
        return Entry("egress.authorised", body, CONTROL_PURPOSE)

    def _remember(self, msg_id: str, sent: _Sent) -> None:
        self._sent.pop(msg_id, None)
        self._sent[msg_id] = sent
        if len(self._sent) > REMEMBERED_MESSAGES:
            del self._sent[next(iter(self._sent))]

    def _last_seen(self) -> Seen:
        event = self._store.last("peer.checkpoint")
        if event is None or event.body["origin"] != self._settings.coordinator_log.name:
            return Seen()
        return Seen(int(str(event.body["size"])), bytes.fromhex(str(event.body["root"])))

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await asyncio.to_thread(self._store.flush_due)
            except InputError:
                # What was deferred still waits; the next message to leave meets the same fault and reports it.
                continue


def _peer_checkpoint(checkpoint: Checkpoint, linked: bool) -> Entry:
    body = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "linked": linked,
        "cosigners": [],
    }
    return Entry("peer.checkpoint", body)
