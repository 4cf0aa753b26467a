"""What a bank and the enrolment desk say to each other: a greeting, an application, an answer.

It opens no connection and decides nothing. Theory: each is one canonical JSON object behind a length, small and read
strictly. The greeting carries a nonce that the application must sign, so an application that was overheard cannot be
shown again; it is signed twice, by the key that comes from the join code's secret (this is the invited bank) and by the
identity that it states (this key is the bank's own), over the certificate request and every public key at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from privacy.digest import digest
from privacy.errors import PeerError, PrivacyError
from privacy.keys import IdentityKey, verify
from privacy.log.canonical import decode_object, encode
from privacy.member_entry import SignedEntry, entry_of

__all__ = [
    "LARGEST_ANSWER",
    "LARGEST_APPLICATION",
    "NONCE_BYTES",
    "Answer",
    "Application",
    "Greeting",
    "application_input",
    "decode_answer",
    "decode_application",
    "decode_greeting",
]

NONCE_BYTES = 32
LARGEST_APPLICATION = 16 * 1024
LARGEST_ANSWER = 384 * 1024
VERSION = 1
_STATES = ("pending", "approved", "refused")


@dataclass(frozen=True, slots=True)
class Greeting:
    """The desk's first words: a nonce (32 bytes), its time (UTC microseconds), consortium, and authority (PEM)."""

    nonce: bytes
    time_us: int
    consortium: str
    authority_pem: str

    def encode(self) -> bytes:
        """Return the greeting's bytes."""
        return encode(
            {
                "v": VERSION,
                "nonce": self.nonce.hex(),
                "time_us": self.time_us,
                "consortium": self.consortium,
                "authority": self.authority_pem,
            }
        )


@dataclass(frozen=True, slots=True)
class Application:
    """A bank asks for its certificate.

    request_pem: the PKCS #10 certificate request, PEM. proof, signature: 64 bytes each over `application_input`, by the
    key of the join code's secret and by the stated identity. hold: whether to keep the answer back for some seconds, in
    case a person decides meanwhile.
    """

    consortium: str
    request_pem: str
    entry: SignedEntry
    proof: bytes
    signature: bytes
    hold: bool = False

    def encode(self) -> bytes:
        """Return the application's bytes."""
        return encode(
            {
                "v": VERSION,
                "consortium": self.consortium,
                "request": self.request_pem,
                "entry": self.entry.document(),
                "proof": self.proof.hex(),
                "signature": self.signature.hex(),
                "hold": self.hold,
            }
        )

    @classmethod
    def make(
        cls, nonce: bytes, request_pem: str, entry: SignedEntry, keys: tuple[IdentityKey, IdentityKey], hold: bool
    ) -> "Application":
        """Return an application for this nonce, signed by two keys: the join code's and the bank's identity."""
        signed = application_input(nonce, request_pem, entry)
        invite, identity = keys
        return cls(entry.entry.consortium, request_pem, entry, invite.sign(signed), identity.sign(signed), hold)

    def check_identity(self, nonce: bytes) -> None:
        """Raise `PeerError` unless the stated identity signed its entry and this application for this nonce."""
        entry = self.entry.check()
        signed = application_input(nonce, self.request_pem, self.entry)
        try:
            verify(bytes.fromhex(entry.identity), self.signature, signed, "the application")
        except PrivacyError as error:
            raise PeerError("application-signature", error.message) from None

    def proves(self, nonce: bytes, invite_public: bytes) -> bool:
        """Say whether it was made with the secret whose public half this is, for this nonce."""
        try:
            verify(invite_public, self.proof, application_input(nonce, self.request_pem, self.entry), "the proof")
        except PrivacyError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the desk says to an application.

    state: pending, approved or refused; code says why. With approved: certificate and authority (PEM), the
    coordinator's identity (hex) and log key, "host:port" of the link, and the signed list of members.
    """

    state: str
    code: str = ""
    certificate_pem: str = ""
    authority_pem: str = ""
    coordinator_identity: str = ""
    coordinator_log: str = ""
    link: str = ""
    members: str = ""

    def encode(self) -> bytes:
        """Return the answer's bytes."""
        return encode({"v": VERSION, **{name: getattr(self, name) for name in self.__dataclass_fields__}})


def application_input(nonce: bytes, request_pem: str, entry: SignedEntry) -> bytes:
    """Return what both signatures of an application cover, 32 bytes."""
    return digest(
        "enrolment-application", nonce, request_pem.encode("utf-8"), entry.entry.encode(), entry.signature.encode()
    )


def decode_greeting(raw: bytes) -> Greeting:
    """Read a greeting strictly; raises `PeerError`."""
    parts = _object(raw, LARGEST_APPLICATION, {"nonce": str, "time_us": int, "consortium": str, "authority": str})
    nonce = _hex(parts["nonce"], NONCE_BYTES)
    return Greeting(nonce, int(str(parts["time_us"])), str(parts["consortium"]), str(parts["authority"]))


def decode_application(raw: bytes) -> Application:
    """Read an application strictly; no signature is checked here. Raises `PeerError`."""
    shape = {"consortium": str, "request": str, "entry": dict, "proof": str, "signature": str, "hold": bool}
    parts = _object(raw, LARGEST_APPLICATION, shape)
    consortium = str(parts["consortium"])
    entry = entry_of(consortium, parts["entry"])
    proof, signature = _hex(parts["proof"], 64), _hex(parts["signature"], 64)
    return Application(consortium, str(parts["request"]), entry, proof, signature, parts["hold"] is True)


def decode_answer(raw: bytes) -> Answer:
    """Read an answer strictly; raises `PeerError`."""
    parts = _object(raw, LARGEST_ANSWER, dict.fromkeys(Answer.__dataclass_fields__, str))
    if parts["state"] not in _STATES:
        raise PeerError("desk-answer", "the answer has an unknown state; update creditmesh-node")
    return Answer(**{name: str(parts[name]) for name in Answer.__dataclass_fields__})


def _object(raw: bytes, limit: int, shape: Mapping[str, type]) -> dict[str, object]:
    try:
        parts = decode_object(raw, limit, "enrolment message")
    except PrivacyError as error:
        raise PeerError("enrolment-malformed", error.message) from None
    if parts.get("v") != VERSION or type(parts["v"]) is not int:
        raise PeerError("enrolment-version", "the other side speaks another version of enrolment; update one of them")
    if set(parts) != {"v", *shape} or any(type(parts[name]) is not kind for name, kind in shape.items()):
        raise PeerError("enrolment-malformed", "an enrolment message has other keys or values than this version knows")
    return parts


def _hex(value: object, size: int) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value):
        raise PeerError("enrolment-malformed", f"an enrolment message has no {size} bytes in hex where they belong")
    return bytes.fromhex(value)
