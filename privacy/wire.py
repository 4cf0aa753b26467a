"""The only door between protobuf bytes and the messages of the secure sum.

It decides nothing and signs nothing. Theory: decoding is strict (bounded sizes, no unknown field, the right kind) and
raises `PeerError` alone; what is hashed or signed are the bytes as they came, never a second serialisation, since
protobuf is not canonical.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from creditmesh_wire.v1 import membership_pb2
from creditmesh_wire.v1 import secagg_pb2 as pb
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto
from google.protobuf.unknown_fields import UnknownFieldSet

from privacy import member_messages, messages, signoff_messages
from privacy.errors import MisuseError, PeerError, PrivacyError

__all__ = ["Packet", "SignedFields", "decode_packet", "decode_payload", "decode_signed", "encode_packet",
           "encode_payload", "encode_signed", "kind_of"]  # fmt: skip

VERSION = 1
# The longest honest message is a `Check` of 256 members with 85 lost: 14 535 pair seeds, below 3 MiB.
_MAX_SIGNED = 4 * 2**20
_MAX_ATTACHMENTS = 1024
# All of a packet but its vector: the headers of 256 members are below 5 MiB.
_MAX_REST = 16 * 2**20
# Before a list of a message is looked at one by one; its own rules are stricter.
_MAX_LIST = 2**16
_VECTOR_TAG = bytes([pb.Packet.VECTOR_FIELD_NUMBER << 3 | 2])  # length-delimited
_PACKET_TAGS = (pb.Packet.SIGNED_FIELD_NUMBER << 3 | 2, pb.Packet.ATTACHMENTS_FIELD_NUMBER << 3 | 2, _VECTOR_TAG[0])

_KINDS: dict[str, tuple[type[messages.Message], type[Proto]]] = {
    "offer": (messages.Offer, pb.Offer),
    "accept": (messages.Accept, pb.Accept),
    "decline": (messages.Decline, pb.Decline),
    "charter": (messages.Charter, pb.Charter),
    "assemble": (messages.Assemble, pb.Assemble),
    "setup": (messages.Setup, pb.Setup),
    "setups": (messages.Setups, pb.Setups),
    "agree": (messages.Agree, pb.Agree),
    "ready": (messages.Ready, pb.Ready),
    "open": (messages.Open, pb.Open),
    "upload": (messages.Header, pb.Header),
    "close": (messages.Close, pb.Close),
    "consent": (messages.Consent, pb.Consent),
    "certificate": (messages.Certificate, pb.Certificate),
    "reveal": (messages.Reveal, pb.Reveal),
    "check-part": (messages.CheckPart, pb.CheckPart),
    "check": (messages.Check, pb.Check),
    "sum-signature": (messages.SumSignature, pb.SumSignature),
    "ended": (messages.Ended, pb.Ended),
    "catch-up": (messages.CatchUp, pb.CatchUp),
    "receipt": (messages.Receipt, pb.Receipt),
    "halt": (messages.Halt, pb.Halt),
    "add-checkpoint": (messages.AddCheckpoint, pb.AddCheckpoint),
    "cosigned": (messages.Cosigned, pb.Cosigned),
    "propose": (signoff_messages.Propose, pb.Propose),
    "sign-off": (signoff_messages.SignOff, pb.SignOff),
    "promoted": (signoff_messages.Promoted, pb.Promoted),
    "in-force": (signoff_messages.InForce, pb.InForce),
    "withdrawn": (signoff_messages.Withdrawn, pb.Withdrawn),
    "members": (member_messages.Members, membership_pb2.Members),
    "introduce": (member_messages.Introduce, membership_pb2.Introduce),
    "renew": (member_messages.Renew, membership_pb2.Renew),
    "renewed": (member_messages.Renewed, membership_pb2.Renewed),
}
_NESTED: dict[str, tuple[type[messages.Message], type[Proto]]] = {
    "previous": (messages.Opened, pb.Opened),
    "last": (messages.Opened, pb.Opened),
    "opened": (messages.Opened, pb.Opened),
    "shares": (messages.Share, pb.Share),
    "seeds": (messages.PairSeed, pb.PairSeed),
    "self_seeds": (messages.SelfSeed, pb.SelfSeed),
    "pairs": (messages.HeldSeed, pb.HeldSeed),
}


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on the link: signed bytes, attachments that the payload commits to, at most one vector."""

    signed: bytes
    attachments: tuple[bytes, ...] = ()
    vector: bytes | memoryview = b""


@dataclass(frozen=True, slots=True)
class SignedFields:
    """The fields of a signed message, signature included; see `privacy.envelope` for what they mean."""

    kind: str
    job: str
    epoch: int
    position: int
    sender: str
    recipient: str
    manifest_sha256: bytes
    agreement_root: bytes
    binding: bytes
    payload: bytes
    signature: bytes


def encode_packet(packet: Packet) -> bytes:
    """Return the bytes that cross the link, as protobuf would write them.

    The vector is the last field and by far the longest; protobuf would copy it three times, so it is joined here.
    """
    rest = pb.Packet(signed=packet.signed, attachments=packet.attachments).SerializeToString()
    if not packet.vector:
        return rest
    return b"".join((rest, _VECTOR_TAG, _varint(len(packet.vector)), packet.vector))


def decode_packet(raw: bytes) -> Packet:
    """Return the packet in raw, its vector a view of raw and no copy; raise `PeerError` for anything else."""
    end, vector = _split_vector(raw)
    if end > _MAX_REST:
        raise PeerError("packet-size", f"a packet holds {end} bytes beside its vector, expected at most {_MAX_REST}")
    proto = _parse(pb.Packet, raw[:end], "packet")
    if len(proto.attachments) > _MAX_ATTACHMENTS or len(proto.signed) > _MAX_SIGNED:
        raise PeerError("packet-size", "a packet holds too many attachments or too long a message")
    return Packet(proto.signed, tuple(proto.attachments), proto.vector if vector is None else vector)


def encode_signed(signed: SignedFields) -> bytes:
    """Return the bytes of a signed message."""
    values = {field.name: getattr(signed, field.name) for field in fields(signed)}
    return pb.Signed(version=VERSION, **values).SerializeToString()


def decode_signed(raw: bytes) -> SignedFields:
    """Return the fields of a signed message; the signature is not checked here."""
    if len(raw) > _MAX_SIGNED:
        raise PeerError("signed-size", f"a signed message holds {len(raw)} bytes, expected at most {_MAX_SIGNED}")
    proto = _parse(pb.Signed, raw, "signed message")
    if proto.version != VERSION:
        raise PeerError("wire-version", f"message version {proto.version}, expected {VERSION}: update one side")
    if proto.kind not in _KINDS or len(proto.job) > 64 or len(proto.sender) > 64 or len(proto.recipient) > 64:
        raise PeerError("signed-malformed", "a signed message has an unknown kind or an overlong name")
    return SignedFields(**{field.name: getattr(proto, field.name) for field in fields(SignedFields)})


def encode_payload(message: messages.Message) -> bytes:
    """Return the payload bytes of a message."""
    return _to_proto(message, _KINDS[kind_of(message)][1]).SerializeToString()


def decode_payload(kind: str, raw: bytes) -> messages.Message:
    """Return the message of this kind in raw; raise `PeerError` for anything else."""
    shape, proto_shape = _KINDS[kind]
    try:
        return _from_proto(_parse(proto_shape, raw, kind), shape)
    except PeerError:
        raise
    except PrivacyError as error:
        raise PeerError(error.code, error.message) from None


def kind_of(message: messages.Message) -> str:
    """Return a message's kind."""
    for kind, (shape, _) in _KINDS.items():
        if type(message) is shape:
            return kind
    raise MisuseError("message-kind", f"{type(message).__name__} is not sent on its own")


def _varint(value: int) -> bytes:
    """Return a non-negative number as a base-128 varint (protobuf encoding, "Base 128 Varints")."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _split_vector(raw: bytes) -> tuple[int, memoryview | None]:
    """Return where the vector's field begins and the vector, if it is the last field; else the whole is protobuf's.

    Only a packet's own fields are walked over; whatever else comes is left to the parser. Counted here, since a parser
    would make an object of every attachment before anybody could count them.
    """
    at = count = 0
    while at < len(raw) and raw[at] in _PACKET_TAGS:
        count += 1
        if count > _MAX_ATTACHMENTS + 2:
            raise PeerError("packet-size", f"a packet holds more than {_MAX_ATTACHMENTS} attachments")
        start, size, shift = at + 1, 0, 0
        while start < len(raw) and raw[start] > 0x7F:
            size |= (raw[start] & 0x7F) << shift
            shift, start = shift + 7, start + 1
        if start == len(raw):
            break
        size |= raw[start] << shift
        start += 1
        if raw[at] == _VECTOR_TAG[0] and start + size == len(raw):
            return at, memoryview(raw)[start:]
        at = start + size
    return len(raw), None


def _parse(shape: type[Proto], raw: bytes, what: str) -> Any:
    try:
        proto = shape.FromString(raw)
    except DecodeError:
        raise PeerError("wire-malformed", f"a {what} does not parse") from None
    if len(UnknownFieldSet(proto)):
        raise PeerError("wire-unknown-field", f"a {what} carries a field that this version does not know")
    return proto


def _to_proto(message: messages.Message, shape: type[Proto]) -> Proto:
    values: dict[str, Any] = {}
    for field in fields(message):
        value = getattr(message, field.name)
        if value is None:
            continue
        if is_dataclass(value):
            value = _to_proto(value, _NESTED[field.name][1])  # type: ignore[arg-type]
        elif field.name in _NESTED:
            value = [_to_proto(item, _NESTED[field.name][1]) for item in value]
        values[field.name] = value
    return shape(**values)


def _from_proto(proto: Any, shape: type[messages.Message]) -> messages.Message:
    values: dict[str, Any] = {}
    for descriptor in proto.DESCRIPTOR.fields:
        value = getattr(proto, descriptor.name)
        if descriptor.is_repeated and len(value) > _MAX_LIST:
            raise PeerError("wire-list", f"a list holds {len(value)} entries, expected at most {_MAX_LIST}")
        if descriptor.message_type is not None:
            parts = value if descriptor.is_repeated else ([value] if proto.HasField(descriptor.name) else [])
            for part in parts:
                if len(UnknownFieldSet(part)):
                    raise PeerError("wire-unknown-field", "a message carries a field that this version does not know")
            built = [_from_proto(part, _NESTED[descriptor.name][0]) for part in parts]
            value = tuple(built) if descriptor.is_repeated else (built[0] if built else None)
        elif descriptor.is_repeated:
            value = tuple(value)
        values[descriptor.name] = value
    return shape(**values)
