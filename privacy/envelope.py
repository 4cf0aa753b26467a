"""The envelope: every message of either side, signed over everything that says what it belongs to.

It keeps no state; `privacy.secagg` decides what may come when. Theory: one Ed25519 signature covers kind, job, epoch,
position, sender, recipient, manifest, agreement root, binding and the payload's digest, so a message cannot be moved
to another round, job, roster or member. The same signature later proves to an auditor who sent what.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from privacy import messages, wire
from privacy.digest import digest, number, sha256
from privacy.errors import PeerError, PrivacyError
from privacy.keys import IdentityKey, same_bytes, verify

__all__ = ["COORDINATOR", "EVERYONE", "Address", "Envelope", "open_envelope", "sign_envelope"]

COORDINATOR = "coordinator"
EVERYONE = "*"
_EMPTY = b""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message belongs: the fields that sender and receiver must agree on before they read it.

    manifest_sha256, agreement_root, binding: 32 bytes, or empty where they do not exist yet.
    """

    job: str
    epoch: int = 0
    position: int = 0
    manifest_sha256: bytes = _EMPTY
    agreement_root: bytes = _EMPTY
    binding: bytes = _EMPTY


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed message whose signature was checked: its address, its sender, its content and its exact bytes."""

    kind: str
    sender: str
    recipient: str
    address: Address
    message: messages.Message
    payload_sha256: str
    raw: bytes

    @property
    def msg_id(self) -> str:
        """Return the message's name, unique in the consortium while job ids are."""
        at = self.address
        return f"{at.job}/{at.epoch}/{at.position}/{self.kind}/{self.sender}>{self.recipient}"

    def expect(self, address: Address, recipient: str) -> None:
        """Raise `PeerError` unless the message belongs exactly there and is meant for this recipient."""
        for field in fields(Address):
            mine, theirs = getattr(address, field.name), getattr(self.address, field.name)
            equal = same_bytes(mine, theirs) if isinstance(mine, bytes) else mine == theirs
            if not equal:
                raise PeerError(
                    f"envelope-{field.name.replace('_', '-')}",
                    f"a {self.kind} of {self.sender} belongs to another {field.name.replace('_', ' ')}",
                )
        if self.recipient not in (recipient, EVERYONE):
            raise PeerError("envelope-recipient", f"a {self.kind} of {self.sender} is meant for another member")


def sign_envelope(
    identity: IdentityKey, sender: str, recipient: str, address: Address, message: messages.Message
) -> Envelope:
    """Return the message signed by its sender."""
    payload = wire.encode_payload(message)
    bare = wire.SignedFields(
        kind=wire.kind_of(message),
        job=address.job,
        epoch=address.epoch,
        position=address.position,
        sender=sender,
        recipient=recipient,
        manifest_sha256=address.manifest_sha256,
        agreement_root=address.agreement_root,
        binding=address.binding,
        payload=payload,
        signature=_EMPTY,
    )
    signed = replace(bare, signature=identity.sign(_signing_input(bare)))
    return Envelope(bare.kind, sender, recipient, address, message, sha256(payload).hex(), wire.encode_signed(signed))


def open_envelope(raw: bytes, identity_of: Callable[[str], bytes]) -> Envelope:
    """Return the message in raw after checking its signature.

    identity_of: maps a sender's id to its pinned 32-byte identity, raising for a stranger. A signature that does not
    verify, or bytes that are no message, raise `PeerError`.
    """
    signed = wire.decode_signed(raw)
    if any(len(value) not in (0, 32) for value in (signed.manifest_sha256, signed.agreement_root, signed.binding)):
        raise PeerError("envelope-digest", f"a {signed.kind} carries a digest that is not 32 bytes long")
    try:
        what = f"a {signed.kind} of {signed.sender}"
        verify(identity_of(signed.sender), signed.signature, _signing_input(signed), what)
    except PrivacyError as error:
        raise PeerError(error.code, error.message) from None
    address = Address(
        signed.job, signed.epoch, signed.position, signed.manifest_sha256, signed.agreement_root, signed.binding
    )
    message = wire.decode_payload(signed.kind, signed.payload)
    return Envelope(signed.kind, signed.sender, signed.recipient, address, message, sha256(signed.payload).hex(), raw)


def _signing_input(signed: wire.SignedFields) -> bytes:
    return digest(
        "message",
        number(wire.VERSION),
        signed.kind.encode(),
        signed.job.encode(),
        number(signed.epoch),
        number(signed.position),
        signed.sender.encode(),
        signed.recipient.encode(),
        signed.manifest_sha256,
        signed.agreement_root,
        signed.binding,
        sha256(signed.payload),
    )
