"""Every message belongs to one place: the honest run goes on, and beside each step a cheat tries the step's elsewhere.

The cheat signs with the real key of whoever it speaks for; only the address, or the recipient, is another one.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope
from privacy.errors import PeerError
from privacy.outgoing import Outgoing
from privacy.wire import Packet, decode_packet
from tests.privacy.secagg.scenes import ASK, plan_of
from tests.privacy.table import Bench, bench, identity_of, names_of, parts_of, refused, sign_as

NAMES = names_of(7)
LOST, VICTIM = NAMES[-1], NAMES[1]
FIELDS = ["job", "epoch", "position", "manifest-sha256", "agreement-root", "binding", "recipient"]
# What a step takes from the message itself: an epoch to come, a position to come. Later steps check them.
FREE = {"assemble": {"epoch"}, "open": {"position", "binding"}}
DOWN = ["assemble", "setups", "ready", "open", "close", "certificate", "check-part", "check", "ended"]
UP = ["setup", "agree", "upload", "consent", "reveal", "sum-signature"]


def elsewhere(at: Address, what: str) -> Address:
    """Return an address that differs in one field."""
    changes: dict[str, object] = {
        "job": "job-2",
        "epoch": at.epoch + 1,
        "position": at.position + 1,
        "manifest-sha256": bytes(32),
        "agreement-root": bytes(32),
        "binding": bytes(32),
    }
    return replace(at, **{what.replace("-", "_"): changes[what]}) if what in changes else at  # type: ignore[arg-type]


@dataclass
class Meddled(Bench):
    """A table at which one kind of message is first tried at another place, with the same contents."""

    kind: str = ""
    field_: str = ""
    tried: list[str] = field(default_factory=list)

    def answer(self, name: str, raw: bytes) -> Outgoing | None:
        envelope, packet = self._opened(raw)
        if name == VICTIM and envelope.kind == self.kind:
            with refused(f"envelope-{self.field_}", PeerError):
                super().answer(name, self._forged(COORDINATOR, VICTIM, envelope, packet))
            self.tried.append(envelope.kind)
        return super().answer(name, raw)

    def up(self, name: str, outgoing: Outgoing | None) -> None:
        if outgoing and name == VICTIM and outgoing.kind == f"secagg.{self.kind}":
            envelope, packet = self._opened(outgoing.message)
            forged = decode_packet(self._forged(VICTIM, COORDINATOR, envelope, packet))
            with refused(f"envelope-{self.field_}", PeerError):
                self.coordinator.receive(open_envelope(forged.signed, self.coordinator.identity_of), forged)
            self.tried.append(envelope.kind)
        super().up(name, outgoing)

    def verify(self) -> np.ndarray:
        self.coordinator.open_sum()
        self.down(self.coordinator.check([VICTIM, *NAMES[2:4]]))
        return self.coordinator.finish()

    def _opened(self, raw: bytes) -> tuple[Envelope, Packet]:
        packet = decode_packet(raw)
        return open_envelope(packet.signed, lambda sender: identity_of(sender).public), packet

    def _forged(self, sender: str, to: str, envelope: Envelope, packet: Packet) -> bytes:
        recipient = NAMES[2] if self.field_ == "recipient" else to
        at = elsewhere(envelope.address, self.field_)
        return sign_as(sender, recipient, at, envelope.message, packet.attachments, bytes(packet.vector))


@pytest.mark.parametrize(
    ("kind", "what"), [(kind, what) for kind in DOWN + UP for what in FIELDS if what not in FREE.get(kind, set())]
)
def test_a_message_of_another_place_is_refused_and_changes_nothing(kind: str, what: str) -> None:
    honest = bench(NAMES)
    table = Meddled(honest.manifest, honest.members, honest.coordinator, kind=kind, field_=what)
    table.assemble()
    plan = plan_of(NAMES)
    parts = parts_of(NAMES, plan)
    total = table.round(ASK, plan, parts, mute=[LOST])
    table.down(table.coordinator.end("done", ""))
    assert table.tried
    assert (total == sum(parts[name] for name in NAMES if name != LOST)).all()
