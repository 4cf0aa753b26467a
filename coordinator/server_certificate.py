"""Renew the coordinator's own certificate at half its life, with a new key, where the authority's key is at hand.

It talks to nobody. Theory: key and certificate are two files and no file system replaces two at once, so both are
written whole beside the old ones first (`.next`) and then take their places; whoever starts after a crash in between
finishes that, or throws away what is incomplete.
"""

import os
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from coordinator import authority
from coordinator.config import CoordinatorConfig
from coordinator.enrolment import load_authority
from coordinator.journal_line import say
from coordinator.keys_file import TlsFiles, read_public, read_tls
from privacy.errors import InputError

__all__ = ["finish_renewal", "hosts_of", "renew_if_due", "replace_authority"]


def renew_if_due(config: CoordinatorConfig, now: datetime) -> TlsFiles | None:
    """Issue and write a new server certificate if half the old one's life is over; None if nothing was done.

    now: aware, UTC. Without [authority] nothing is done: who issues certificates elsewhere renews them there.
    """
    if config.authority is None:
        return None
    try:
        old = x509.load_pem_x509_certificate(read_public(config.tls.certificate))
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None  # whoever reads the files at the start says what is wrong with them
    if now < old.not_valid_before_utc + (old.not_valid_after_utc - old.not_valid_before_utc) / 2:
        return None
    hosts = [str(name.value) for name in names]
    fresh = authority.issue_server_certificate(load_authority(config), hosts, now, config.policy.certificate_days)
    _write(_next(config.tls.key), fresh.key_pem, 0o600)
    _write(_next(config.tls.certificate), fresh.certificate_pem, 0o644)
    finish_renewal(config)
    say("server_certificate_renewed")
    return read_tls(config.tls, now)


def hosts_of(certificate_pem: bytes) -> list[str]:
    """Return the names and addresses that a server's certificate is for; raises `InputError` if it is none."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise InputError(
            "certificate-unreadable", "[tls] certificate is no server's certificate in PEM form"
        ) from error
    return [str(name.value) for name in names]


def replace_authority(
    config: CoordinatorConfig, root: authority.Credential, server: authority.Credential, now: datetime
) -> list[Path]:
    """Put another authority and its server certificate in place; return where the authority's old files are kept."""
    assert config.authority is not None  # the caller looked
    kept = []
    for path, content, mode in (
        (config.authority.key, root.key_pem, 0o600), (config.tls.ca, root.certificate_pem, 0o644),
        (config.tls.key, server.key_pem, 0o600), (config.tls.certificate, server.certificate_pem, 0o644),
    ):  # fmt: skip
        _write(_next(path), content, mode)
        if path in (config.authority.key, config.tls.ca):
            before = path.with_name(f"{path.name}.until-{now:%Y%m%dT%H%M%SZ}")
            path.replace(before)
            kept.append(before)
        _next(path).replace(path)
    return kept


def finish_renewal(config: CoordinatorConfig) -> None:
    """Bring a renewal to its end that a crash left half done; call it before the files are read."""
    key, certificate = config.tls.key, config.tls.certificate
    if not _next(certificate).exists():
        _next(key).unlink(missing_ok=True)
        return
    if _next(key).exists() and _belong(_next(key), _next(certificate)):
        _next(key).replace(key)
    if _belong(key, _next(certificate)):
        _next(certificate).replace(certificate)
    else:
        _next(certificate).unlink()
        _next(key).unlink(missing_ok=True)


def _belong(key: Path, certificate: Path) -> bool:
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        public = load_pem_private_key(key.read_bytes(), password=None).public_key().public_bytes(*shape)
        return public == x509.load_pem_x509_certificate(certificate.read_bytes()).public_key().public_bytes(*shape)
    except (ValueError, TypeError, OSError):
        return False


def _next(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unwritable", f"{path}: cannot be written ({reason})") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
