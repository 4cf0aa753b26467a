"""A bank's own statement of its public keys, signed by the bank, and the list of all banks' statements.

It decides on nobody: whether a bank pins an entry is that bank's matter. Theory: the authority that issues
certificates vouches for connections alone. The keys behind masks, logs and cosignatures are stated by their owner and
signed with the identity that is stated, so whoever passes a list on, the coordinator above all, can leave out an entry
or put a whole false bank into it, but cannot change a key under a name that somebody has checked. What is checked is
the fingerprint: it covers every key of the statement, and no certificate, which changes every few weeks.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privacy.digest import digest
from privacy.errors import PeerError, PrivacyError
from privacy.fingerprint import spoken
from privacy.keys import IdentityKey, verify
from privacy.log.canonical import decode_object, encode
from privacy.log.note import COSIGNATURE, ED25519, VerifierKey
from privacy.roster import MAX_MEMBERS, check_member_id

__all__ = ["LARGEST_LIST", "MemberEntry", "SignedEntry", "decode_list", "encode_list", "entry_of", "sign_entry"]

LARGEST_LIST = 256 * 1024
_FORMAT = "creditmesh-member/1"
_LIST_FORMAT = "creditmesh-members/1"
_CONSORTIUM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_IDENTITY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """One bank's keys: identity is its Ed25519 public key in hex, log and witness are verifier keys in text.

    Raises `PeerError` unless every part is well formed and the keys bear the bank's name.
    """

    consortium: str
    member: str
    identity: str
    log: str
    witness: str

    def __post_init__(self) -> None:
        try:
            check_member_id(self.member)
            _check_key(self.log, ED25519, f"{self.member}/privacy-log")
            _check_key(self.witness, COSIGNATURE, f"{self.member}/witness")
        except PrivacyError as error:
            raise PeerError("entry-malformed", f"a member's entry: {error.message}") from None
        if not _CONSORTIUM.fullmatch(self.consortium) or not _IDENTITY.fullmatch(self.identity):
            raise PeerError("entry-malformed", "a member's entry has a consortium or an identity of a wrong form")

    def encode(self) -> bytes:
        """Return the statement's exact bytes, canonical JSON: what is signed and what the fingerprint covers."""
        return encode({"format": _FORMAT, "consortium": self.consortium, **self.keys(), "member": self.member})

    def keys(self) -> dict[str, str]:
        """Return the keys by role: identity, log, witness."""
        return {"identity": self.identity, "log": self.log, "witness": self.witness}

    def fingerprint(self) -> str:
        """Return what is read out on the telephone, 8 groups of 5 characters."""
        return spoken(digest("member-entry", self.encode()))


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """A statement with its signature (128 hex digits) under the identity that it states; `check` before use."""

    entry: MemberEntry
    signature: str

    def check(self) -> MemberEntry:
        """Return the statement; raises `PeerError` unless its own identity signed it."""
        if not _SIGNATURE.fullmatch(self.signature):
            raise PeerError("entry-malformed", "the signature of a member's entry has a wrong form")
        try:
            what = f"the entry of {self.entry.member}"
            verify(bytes.fromhex(self.entry.identity), bytes.fromhex(self.signature), _signing_input(self.entry), what)
        except PrivacyError as error:
            raise PeerError("entry-signature", error.message) from None
        return self.entry

    def document(self) -> dict[str, str]:
        """Return the entry as it stands in a list."""
        return {"member": self.entry.member, **self.entry.keys(), "signature": self.signature}


def sign_entry(identity: IdentityKey, entry: MemberEntry) -> SignedEntry:
    """Return the statement signed by the bank it speaks of."""
    return SignedEntry(entry, identity.sign(_signing_input(entry)).hex())


def entry_of(consortium: str, document: object) -> SignedEntry:
    """Read one entry of a list, strictly; raises `PeerError`."""
    names = ("member", "identity", "log", "witness", "signature")
    if not isinstance(document, dict) or set(document) != set(names):
        raise PeerError("entry-malformed", f"a member's entry has other keys than {', '.join(names)}")
    values: Mapping[str, object] = document
    if not all(isinstance(value, str) and len(value) <= _LONGEST_KEY for value in values.values()):
        raise PeerError("entry-malformed", "a member's entry holds what is no short text")
    member, identity, log, witness, signature = (str(values[name]) for name in names)
    return SignedEntry(MemberEntry(consortium, member, identity, log, witness), signature)


def encode_list(consortium: str, entries: Sequence[SignedEntry]) -> bytes:
    """Return the list of a consortium's banks, canonical JSON in order of their ids."""
    ordered = sorted(entries, key=lambda each: each.entry.member)
    return encode({"format": _LIST_FORMAT, "consortium": consortium, "members": [each.document() for each in ordered]})


def decode_list(raw: bytes, consortium: str) -> tuple[SignedEntry, ...]:
    """Read a list strictly; signatures are not checked here. Raises `PeerError`."""
    try:
        parts = decode_object(raw, LARGEST_LIST, "member list")
    except PrivacyError as error:
        raise PeerError("list-malformed", error.message) from None
    listed = parts.get("members")
    if set(parts) != {"format", "consortium", "members"} or parts["format"] != _LIST_FORMAT:
        raise PeerError("list-malformed", "a member list has other keys or another format than this version knows")
    if parts["consortium"] != consortium:
        raise PeerError("list-consortium", "a member list of another consortium")
    if not isinstance(listed, list) or len(listed) > MAX_MEMBERS:
        raise PeerError("list-malformed", f"a member list names more than {MAX_MEMBERS} banks, or is no list")
    entries = tuple(entry_of(consortium, document) for document in listed)
    names = [each.entry.member for each in entries]
    if names != sorted(set(names)):
        raise PeerError("list-malformed", "a member list is unordered or names a bank twice")
    return entries


def _check_key(text: str, kind: int, name: str) -> None:
    key = VerifierKey.parse(text) if len(text) <= _LONGEST_KEY else None
    if key is None or (key.kind, key.name) != (kind, name):
        raise PeerError("entry-malformed", f"expected a key of {name}, type {kind}")


def _signing_input(entry: MemberEntry) -> bytes:
    return digest("member-entry-signature", entry.encode())
