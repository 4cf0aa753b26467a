"""Signed notes: a text, and lines that say who signed it (C2SP signed-note v1.0.0).

A note is UTF-8 text that ends in a newline, an empty line, and one line per signature: an em dash, a space, the key's
name, a space, and base64 of a 4-byte key id with the signature. Key types: 0x01 Ed25519 over the text itself, 0x04
Ed25519 over a time-stamped text (C2SP tlog-cosignature v1). Lines of unknown keys are carried and ignored; room for
other types (ML-DSA) is therefore there. The module reads no clock and makes no keys: seeds and times are arguments.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.errors import InputError, VerificationError

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "NOTE_LIMIT_BYTES",
    "SIGNATURE_LIMIT",
    "Note",
    "NoteSigner",
    "Signature",
    "VerifierKey",
    "parse_note",
]

ED25519 = 0x01
COSIGNATURE = 0x04
SIGNATURE_LIMIT = 16
NOTE_LIMIT_BYTES = 65_536
_DASH = "— "
_NAME = re.compile(r"[!-*,-~]{1,255}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name, its 4-byte id, and the bytes that the key's type defines."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.value).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text (with its last newline) and its signature lines in order."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return (self.text + "\n" + "".join(each.line() for each in self.signatures)).encode("utf-8")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and type, written as `name+id+base64` (a vkey)."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4-byte id: the first bytes of SHA-256(name | newline | type | key)."""
        return _key_id(self.name, self.kind, self.public)

    def encode(self) -> str:
        """Return the vkey text."""
        material = base64.b64encode(bytes([self.kind]) + self.public).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a vkey strictly.

        Raises:
            InputError: `vkey-malformed` for a wrong form, an unknown key type or an id that does not belong to the key.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
            raise InputError("vkey-malformed", "verifier key is not of the form name+id+base64")
        material = _decode_base64(parts[2])
        if material is None or len(material) != 33 or material[0] not in (ED25519, COSIGNATURE):
            raise InputError("vkey-malformed", "verifier key holds no Ed25519 key of type 1 or 4")
        key = cls(parts[0], material[0], material[1:])
        if key.key_id.hex() != parts[1]:
            raise InputError("vkey-malformed", f"verifier key of {key.name} carries the id of another key")
        return key

    def verify(self, note: Note) -> int | None:
        """Check this key's signature on the note.

        Returns:
            Unix seconds that a cosignature states, None for a plain signature.

        Raises:
            VerificationError: `signature-missing` without a line of this key, `signature-invalid` for a wrong one.
        """
        found = [each for each in note.signatures if each.name == self.name and each.key_id == self.key_id]
        if not found:
            raise VerificationError("signature-missing", f"the note carries no signature by {self.name}")
        value, stated = found[0].value, None
        message = note.text.encode("utf-8")
        if self.kind == COSIGNATURE:
            stated, value = int.from_bytes(value[:8], "big"), value[8:]
            message = _cosigned(message, stated)
        try:
            _opened(self.public).verify(value, message)
        except (InvalidSignature, ValueError):
            raise VerificationError("signature-invalid", f"the signature by {self.name} does not hold") from None
        return stated


class NoteSigner:
    """Sign notes under one name with one Ed25519 key; the key never prints."""

    __slots__ = ("_key", "name")

    def __init__(self, name: str, seed: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise InputError(
                "key-name-malformed", "a key's name is 1 to 255 printable ASCII characters without + or space"
            )
        if len(seed) != 32:
            raise InputError("log-key-size", f"log key holds {len(seed)} bytes, expected 32")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def __repr__(self) -> str:
        return "NoteSigner(...)"

    def verifier(self, kind: int = ED25519) -> VerifierKey:
        """Return the public half as a key of the given type."""
        return VerifierKey(self.name, kind, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign the text (type 0x01)."""
        return Signature(self.name, self.verifier().key_id, self._key.sign(text.encode("utf-8")))

    def cosign(self, text: str, unix_seconds: int) -> Signature:
        """Sign the text with the time at which it was seen (type 0x04)."""
        value = unix_seconds.to_bytes(8, "big") + self._key.sign(_cosigned(text.encode("utf-8"), unix_seconds))
        return Signature(self.name, self.verifier(COSIGNATURE).key_id, value)


def parse_note(encoded: bytes) -> Note:
    """Read a note strictly; signatures are not checked here.

    Raises:
        VerificationError: `note-malformed` for a wrong form, a control character, more than 16 signatures, or two
            lines of one key.
    """
    if len(encoded) > NOTE_LIMIT_BYTES:
        raise VerificationError(
            "note-malformed", f"note of {len(encoded)} bytes, at most {NOTE_LIMIT_BYTES} are accepted"
        )
    try:
        whole = encoded.decode("utf-8")
    except UnicodeDecodeError:
        raise VerificationError("note-malformed", "note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise VerificationError("note-malformed", "note holds a control character")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n"):
        raise VerificationError("note-malformed", "note has no empty line before its signatures or no last newline")
    lines = whole[cut + 2 : -1].split("\n")
    if len(lines) > SIGNATURE_LIMIT:
        raise VerificationError(
            "note-malformed", f"note carries {len(lines)} signatures, at most {SIGNATURE_LIMIT} are accepted"
        )
    signatures = tuple(_parse_signature(line) for line in lines)
    if len({(each.name, each.key_id) for each in signatures}) != len(signatures):
        raise VerificationError("note-malformed", "note carries two signatures of one key")
    return Note(whole[: cut + 1], signatures)


# A log has one key and an auditor reads hundreds of thousands of its checkpoints.
@lru_cache(maxsize=256)
def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode("ascii") + b"\n" + bytes([kind]) + public).digest()[:4]


@lru_cache(maxsize=256)
def _opened(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


def _parse_signature(line: str) -> Signature:
    name, space, material = line.removeprefix(_DASH).partition(" ")
    raw = _decode_base64(material)
    if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name) or raw is None or len(raw) < 5:
        raise VerificationError("note-malformed", "a signature line is not of the form: em dash, name, base64")
    return Signature(name, raw[:4], raw[4:])


def _decode_base64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None


def _cosigned(message: bytes, unix_seconds: int) -> bytes:
    return b"cosignature/v1\ntime " + str(unix_seconds).encode("ascii") + b"\n" + message
