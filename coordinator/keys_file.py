"""Read and write the coordinator's secrets: identity seed, TLS key and, if it issues certificates, the authority's key.

This module makes no key. Theory: a secret is a file of its own, written once with mode 0600 and never over another one;
a certificate that does not fit its key or its authority is found at the start and said in one line, not later in a
handshake.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from coordinator.config import CoordinatorConfig, TlsSettings
from privacy.errors import InputError
from privacy.keys import IdentityKey

__all__ = [
    "CoordinatorKeys",
    "TlsFiles",
    "read_identity",
    "read_keys",
    "read_public",
    "read_secret",
    "read_tls",
    "write_new",
]

LARGEST_KEY_FILE = 64 * 1024
_SEED = re.compile(rb"[0-9a-f]{64}\n?")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM bytes of the consortium's CA, the server certificate and its key; the key is never printed."""

    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CoordinatorKeys:
    """Everything secret that the coordinator starts with."""

    identity: IdentityKey
    tls: TlsFiles


def read_keys(config: CoordinatorConfig, now: datetime) -> CoordinatorKeys:
    """Return the keys that `config` names; now: aware, UTC.

    Raises `InputError` for a file that is missing, readable by others, malformed, or does not fit the rest.
    """
    return CoordinatorKeys(read_identity(config.identity.key), read_tls(config.tls, now))


def read_identity(path: Path) -> IdentityKey:
    """Return the Ed25519 identity whose seed stands in `path` as 64 lower-case hex digits; the file has mode 0600."""
    raw = read_secret(path)
    if not _SEED.fullmatch(raw):
        message = f"{path}: found {len(raw)} bytes, expected an identity seed of 64 hex digits (0-9, a-f)"
        raise InputError("identity-key-format", message)
    return IdentityKey.from_seed(bytes.fromhex(raw.decode("ascii")))


def read_tls(settings: TlsSettings, now: datetime) -> TlsFiles:
    """Return the PEM files of `settings`, checked against each other and the time (aware, UTC)."""
    files = TlsFiles(read_public(settings.ca), read_public(settings.certificate), read_secret(settings.key))
    authority = _certificate(settings.ca, files.ca_pem)
    certificate = _certificate(settings.certificate, files.certificate_pem)
    try:
        key = load_pem_private_key(files.key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise InputError("tls-key-format", f"{settings.key}: not an unencrypted private key in PEM") from error
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*shape) != certificate.public_key().public_bytes(*shape):
        raise InputError("tls-key-mismatch", f"{settings.key}: not the key of the certificate {settings.certificate}")
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError) as error:
        message = f"{settings.certificate}: not issued by the authority in {settings.ca}"
        raise InputError("tls-foreign-authority", message) from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        until = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}"
        raise InputError("tls-period", f"{settings.certificate}: valid {until} UTC, not now; renew it or set the clock")
    return files


def read_public(path: Path) -> bytes:
    """Return a small file that holds no secret."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_KEY_FILE + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unreadable", f"{path}: cannot be read ({reason})") from error
    if len(raw) > LARGEST_KEY_FILE:
        raise InputError("file-too-large", f"{path}: larger than {LARGEST_KEY_FILE} bytes; some other file was given")
    return raw


def read_secret(path: Path) -> bytes:
    """Return a small file that nobody but its owner may read or write."""
    raw = read_public(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError("secret-mode", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
    return raw


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, with this mode from its first byte on."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise InputError("file-exists", f"{path}: exists already; it is never overwritten") from error
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)


def _certificate(path: Path, raw: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(raw)
    except ValueError as error:
        raise InputError("tls-certificate-format", f"{path}: not a certificate in PEM") from error
