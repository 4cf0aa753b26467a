"""This node's TLS certificate: requests for it, checks of what was issued, when to renew, and the change of the files.

It sends nothing. Theory: a certificate is renewed at half its life with a new key, so there are weeks to notice that
renewing fails. Key and certificate are two files and no file system replaces two at once: both are written whole
beside the old ones first (`.next`) and then take their places; whoever starts after a crash in between finishes that.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from node.config import TlsSettings
from node.pin_book import write_whole
from privacy.errors import VerificationError

__all__ = [
    "check_certificate",
    "finish_renewal",
    "is_due",
    "keep_renewal",
    "make_request",
    "member_uri",
    "new_tls_key",
]

_SHAPE = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_tls_key() -> bytes:
    """Return a new P-256 key, unencrypted PKCS #8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_request(key_pem: bytes) -> str:
    """Return a certificate request (PKCS #10, PEM) for a P-256 key; who asks is said by the signatures around it."""
    key = load_pem_private_key(key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # made by `new_tls_key`
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def check_certificate(certificate_pem: bytes, authority_pem: bytes, key_pem: bytes, uri: str) -> None:
    """Raise `VerificationError` unless this authority issued a certificate for our key and exactly this member URI."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem))
        fine = member_uri(certificate_pem) == uri and _belong(key_pem, certificate_pem)
    except (ValueError, TypeError, InvalidSignature):
        fine = False
    if not fine:
        raise VerificationError(
            "certificate-other", "the coordinator issued a certificate that is not for this bank and its key; tell it"
        )


def member_uri(certificate_pem: bytes) -> str:
    """Return the one URI of a certificate, `spiffe://<consortium>/member/<id>`; empty if it has none or several."""
    try:
        extensions = x509.load_pem_x509_certificate(certificate_pem).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if len(uris) == 1 else ""


def is_due(certificate_pem: bytes, now: datetime) -> bool:
    """Say whether half of a certificate's life is over; now: aware, UTC."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begins + (ends - begins) / 2


def keep_renewal(tls: TlsSettings, key_pem: bytes, certificate_pem: bytes) -> None:
    """Put a new key (0600) and its certificate in the place of the old ones."""
    write_whole(_next(tls.key), key_pem, 0o600)
    write_whole(_next(tls.certificate), certificate_pem)
    finish_renewal(tls)


def finish_renewal(tls: TlsSettings) -> None:
    """Bring a renewal to its end that a crash left half done; call it before the files are read."""
    key, certificate = tls.key, tls.certificate
    if not _next(certificate).exists():
        _next(key).unlink(missing_ok=True)
        return
    if _next(key).exists() and _belong(_next(key).read_bytes(), _next(certificate).read_bytes()):
        _next(key).replace(key)
    if key.exists() and _belong(key.read_bytes(), _next(certificate).read_bytes()):
        _next(certificate).replace(certificate)
    else:
        _next(certificate).unlink()
        _next(key).unlink(missing_ok=True)


def _belong(key_pem: bytes, certificate_pem: bytes) -> bool:
    try:
        public = load_pem_private_key(key_pem, password=None).public_key().public_bytes(*_SHAPE)
        return public == x509.load_pem_x509_certificate(certificate_pem).public_key().public_bytes(*_SHAPE)
    except (ValueError, TypeError):
        return False


def _next(path: Path) -> Path:
    return path.with_name(path.name + ".next")
