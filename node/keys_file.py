"""Read this bank's identity, its TLS credential and the identities of the others; check that they belong together.

This module writes nothing and makes no key. Theory: a secret is a file of its own that only its owner may read
(0600), so neither a configuration nor a log can carry it. What would fail only later, in a handshake, as a closed
socket (a key of another certificate, a certificate of another CA or another member, an expired one) is found here and
said in one line.
"""

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from node.config import NodeConfig, TlsSettings
from privacy.errors import InputError, PrivacyError
from privacy.keys import IdentityKey
from privacy.log.note import COSIGNATURE, ED25519, VerifierKey
from privacy.log.policy import REGULATOR
from privacy.roster import check_member_id

__all__ = [
    "NodeKeys",
    "Peers",
    "TlsFiles",
    "consortium_of",
    "read_identity",
    "read_keys",
    "read_peers",
    "read_tls",
]

LARGEST_KEY_FILE = 64 * 1024
LARGEST_PEERS_FILE = 1 << 20
# How a member's keys came to be pinned: by hand, as this bank's own, compared by telephone, or at first sight.
CHECKED = ("founding", "own", "telephone", "first-use")
_SEED = re.compile(rb"[0-9a-f]{64}\n?")
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM bytes of the consortium's CA, this node's certificate and its key; the key is never printed."""

    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Peers:
    """What this bank has pinned: 32-byte Ed25519 identities, and the keys of logs and witnesses.

    coordinator_log is a C2SP signed-note verifier key in text. members maps id to identity and holds this bank too;
    logs and witnesses map the same ids to verifier keys, witnesses also `regulator` where there is one. unverified are
    those whose keys were taken at first sight and that nobody has compared by telephone.
    """

    coordinator: bytes
    coordinator_log: str
    members: Mapping[str, bytes]
    logs: Mapping[str, VerifierKey]
    witnesses: Mapping[str, VerifierKey]
    unverified: frozenset[str] = frozenset()

    def without_unverified(self) -> "Peers":
        """Return what is left when those whose keys nobody compared do not count."""
        members = {name: key for name, key in self.members.items() if name not in self.unverified}
        logs = {name: key for name, key in self.logs.items() if name not in self.unverified}
        witnesses = {name: key for name, key in self.witnesses.items() if name not in self.unverified}
        return replace(self, members=members, logs=logs, witnesses=witnesses, unverified=frozenset())


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """Everything secret or pinned that a node starts with."""

    identity: IdentityKey
    tls: TlsFiles
    peers: Peers


def read_keys(config: NodeConfig, now: datetime) -> NodeKeys:
    """Return the keys that `config` names; now: aware, UTC.

    Raises `InputError` for a file that is missing, readable by others, malformed, or does not fit the rest: the
    identity must be the one that members.json pins for this member.
    """
    identity = read_identity(config.identity.key)
    tls = read_tls(config.tls, config.member.id, now)
    peers = read_peers(config.identity.peers)
    pinned = peers.members.get(config.member.id)
    if pinned is None:
        raise InputError("peers-self", f"{config.identity.peers}: this member ({config.member.id}) is not in it")
    if pinned != identity.public:
        message = f"{config.identity.key}: not the key whose public half {config.identity.peers} pins for this member"
        raise InputError("identity-mismatch", message)
    return NodeKeys(identity, tls, peers)


def read_identity(path: Path) -> IdentityKey:
    """Return the Ed25519 identity whose seed stands in `path` as 64 lower-case hex digits; the file has mode 0600."""
    raw = _read_secret(path)
    if not _SEED.fullmatch(raw):
        message = f"{path}: found {len(raw)} bytes, expected an identity seed of 64 hex digits (0-9, a-f)"
        raise InputError("identity-key-format", message)
    return IdentityKey.from_seed(bytes.fromhex(raw.decode("ascii")))


def read_tls(settings: TlsSettings, member: str, now: datetime) -> TlsFiles:
    """Return the PEM files of `settings`, checked against each other, `member` and the time (aware, UTC)."""
    files = TlsFiles(
        _read(settings.ca, LARGEST_KEY_FILE), _read(settings.certificate, LARGEST_KEY_FILE), _read_secret(settings.key)
    )
    authority = _certificate(settings.ca, files.ca_pem)
    certificate = _certificate(settings.certificate, files.certificate_pem)
    key = _private_key(settings.key, files.key_pem)
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*shape) != certificate.public_key().public_bytes(*shape):
        raise InputError("tls-key-mismatch", f"{settings.key}: not the key of the certificate {settings.certificate}")
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError) as error:
        message = (
            f"{settings.certificate}: not issued by the authority in {settings.ca}; ask the operator for a new one"
        )
        raise InputError("tls-foreign-authority", message) from error
    _check_period(settings.certificate, certificate, now)
    if not any(uri.startswith("spiffe://") and uri.endswith(f"/member/{member}") for uri in _uris(certificate)):
        raise InputError("tls-member", f"{settings.certificate}: does not name this member ({member})")
    return files


def _check_period(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    """Refuse a certificate out of its time. The coordinator compares clocks too, where it can be reached."""
    begins, ends, here = certificate.not_valid_before_utc, certificate.not_valid_after_utc, f"{now:%Y-%m-%d %H:%M} UTC"
    if now < begins:
        message = f"{path}: valid from {begins:%Y-%m-%d %H:%M} UTC on, but this machine's clock says {here}"
        raise InputError("tls-early", f"{message}; set the clock by NTP")
    if now > ends:
        raise InputError(
            "tls-expired",
            f"{path}: expired on {ends:%Y-%m-%d %H:%M} UTC, and it is {here}; if this clock is right, ask the operator "
            "for a new join code and run: creditmesh-node join CODE (keys, log and node.toml stay as they are)",
        )


def consortium_of(certificate_pem: bytes, member: str) -> str:
    """Return the name of the consortium that a member's certificate was issued for, from its SPIFFE id."""
    for uri in _uris(x509.load_pem_x509_certificate(certificate_pem)):
        if uri.startswith("spiffe://") and uri.endswith(f"/member/{member}"):
            return uri.removeprefix("spiffe://").removesuffix(f"/member/{member}")
    raise InputError("tls-member", f"the certificate does not name this member ({member})")


def read_peers(path: Path) -> Peers:
    """Return the pinned identities in a members.json file.

    `{"coordinator": {"identity": HEX, "log": VKEY}, "members": {ID: {"identity": HEX, "log": VKEY, "witness": VKEY},
    ...}, "regulator": {"witness": VKEY}}`, the last optional; an unknown or repeated key, a bad id, a key under another
    name than its owner's and a key that two institutions share are refused. A member may have `checked`, one of
    `founding`, `own`, `telephone` and `first-use`; and there may be `waiting`, what `node.pin_book` keeps beside.
    """
    raw = _read(path, LARGEST_PEERS_FILE)
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
        peers = _peers(document)
    except PrivacyError as error:
        raise InputError("peers-format", f"{path}: {error.message}") from None
    except UnicodeDecodeError:
        raise InputError("peers-format", f"{path}: not UTF-8 text") from None
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        reason = f"not JSON at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "not as expected"
        raise InputError(
            "peers-format", f"{path}: {reason}; expected coordinator and members with identities"
        ) from None
    if len({*peers.members.values(), peers.coordinator}) != len(peers.members) + 1:
        raise InputError("peers-twins", f"{path}: two institutions have one identity; each needs its own")
    publics = [key.public for key in (*peers.logs.values(), *peers.witnesses.values())]
    if len({*publics, VerifierKey.parse(peers.coordinator_log).public}) != len(publics) + 1:
        raise InputError("peers-shared-key", f"{path}: one key serves two logs or witnesses; each role needs its own")
    return peers


def _peers(document: Any) -> Peers:
    parts = dict(document)
    regulator, waiting = parts.pop("regulator", None), parts.pop("waiting", {})
    if not isinstance(waiting, dict):
        raise InputError("peers-keys", "expected an object under waiting")
    coordinator, listed = _exactly(parts, "coordinator", "members")
    identity, log = _exactly(coordinator, "identity", "log")
    members, logs, witnesses, unverified = {}, {}, {}, set()
    for member, entry in listed.items():
        keys = dict(entry)
        checked = keys.pop("checked", "founding")
        if checked not in CHECKED:
            raise InputError("peers-keys", f"expected checked to be one of {', '.join(CHECKED)}")
        if checked == "first-use":
            unverified.add(member)
        pinned, member_log, witness = _exactly(keys, "identity", "log", "witness")
        members[check_member_id(member)] = _key(pinned)
        logs[member] = _verifier_key(member_log, ED25519, f"{member}/privacy-log")
        witnesses[member] = _verifier_key(witness, COSIGNATURE, f"{member}/witness")
    if regulator is not None:
        witnesses[REGULATOR] = _verifier_key(_exactly(regulator, "witness")[0], COSIGNATURE)
    return Peers(_key(identity), _verifier_key(log, ED25519).encode(), members, logs, witnesses, frozenset(unverified))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        shown = repr(twice) if re.fullmatch(r"[\w-]{1,63}", twice) else "a name"
        raise InputError("peers-repeated", f"{shown} stands twice; every institution needs a name of its own")
    return document


def _exactly(entry: Any, *names: str) -> list[Any]:
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise InputError("peers-keys", f"expected an object with exactly {' and '.join(names)}")
    return [entry[name] for name in names]


def _key(value: Any) -> bytes:
    if not isinstance(value, str) or not _HEX_KEY.fullmatch(value):
        raise InputError("peers-identity", "an identity must be 64 hex digits (0-9, a-f)")
    return bytes.fromhex(value)


def _verifier_key(value: Any, kind: int, name: str = "") -> VerifierKey:
    if not isinstance(value, str) or len(value) > 1024:
        raise InputError("peers-log", "the key of a log or a witness is a verifier key in one line of text")
    key = VerifierKey.parse(value)
    if key.kind != kind or (name and key.name != name):
        raise InputError(
            "peers-log", f"found a key of {key.name} with type {key.kind}, expected {name or 'type'} {kind}"
        )
    return key


def _read(path: Path, largest: int) -> bytes:
    try:
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "no such file" if not path.exists() else "a special file"
            raise InputError("file-unreadable", f"{path}: {kind}, expected a file")
        with path.open("rb") as stream:
            raw = stream.read(largest + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unreadable", f"{path}: cannot be read ({reason})") from error
    if len(raw) > largest:
        raise InputError("file-too-large", f"{path}: larger than {largest} bytes; some other file was given")
    return raw


def _read_secret(path: Path) -> bytes:
    raw = _read(path, LARGEST_KEY_FILE)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError("secret-mode", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
    return raw


def _certificate(path: Path, raw: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(raw)
    except ValueError as error:
        raise InputError("tls-certificate-format", f"{path}: not a certificate in PEM") from error


def _private_key(path: Path, raw: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:
        raise InputError("tls-key-format", f"{path}: not an unencrypted private key in PEM") from error


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
