"""The consortium's certificate authority: a root, the coordinator's certificate and one for each member.

It reads no files, no clock and asks nobody; callers pass bytes and times and store what comes back. It does not
revoke: status is looked up by serial number in the member table on every message.

Theory: X.509 (RFC 5280) on P-256. A member is known by one URI in its certificate,
`spiffe://<consortium>/member/<id>` (SPIFFE ID), and may only act as a TLS client; the coordinator's certificate
carries host names and may only act as a TLS server. The authority vouches for connections alone: what protects a
member's numbers are identities that the banks pin among themselves, so whoever holds this key can refuse service
but read nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from privacy.errors import InputError, VerificationError
from privacy.fingerprint import spoken

__all__ = [
    "Credential",
    "MemberCertificate",
    "create_authority",
    "fingerprint",
    "generate_key",
    "issue_member_certificate",
    "issue_server_certificate",
    "key_sha256",
    "public_key_of",
    "read_member_certificate",
]

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 30
# A member whose clock runs behind ours must be able to use its certificate at once.
CLOCK_SKEW = timedelta(minutes=5)
MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Credential:
    """Hold a certificate and its private key, both PEM; the key is never printed and belongs in a 0600 file."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MemberCertificate:
    """Say whom a certificate speaks for: consortium, member id, serial number and last moment (UTC)."""

    consortium: str
    member: str
    serial: int
    not_after: datetime


def generate_key() -> bytes:
    """Return a new P-256 private key as unencrypted PKCS#8 PEM; store it in a file of mode 0600."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def public_key_of(key_pem: bytes) -> bytes:
    """Return the public half of a private key as SubjectPublicKeyInfo PEM, the form that a member sends for issue."""
    public = _load_key(key_pem).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def create_authority(consortium: str, now: datetime, days: int = AUTHORITY_DAYS) -> Credential:
    """Make the consortium's root: a self-signed certificate that may sign leaves and nothing below them.

    consortium: `[a-z0-9][a-z0-9_-]{0,62}`, the trust domain of every member's URI. now: aware, UTC.
    """
    _check_name("consortium", consortium)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, consortium)])
    usage = _key_usage(signs_certificates=True)
    builder = (
        _builder(name, key.public_key(), now, timedelta(days=days))
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Credential(_certificate_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue_server_certificate(
    authority: Credential, names: Sequence[str], now: datetime, days: int = CERTIFICATE_DAYS
) -> Credential:
    """Issue the coordinator's certificate, with a new key, for the host names and addresses that nodes dial.

    names: at least one DNS name or IP address, such as `("127.0.0.1", "localhost")`.
    """
    if not names:
        raise InputError("server-name-missing", "a server certificate needs at least one host name or IP address")
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([_server_name(name) for name in names])
    certificate = _issue(
        authority, key.public_key(), alternatives, ExtendedKeyUsageOID.SERVER_AUTH, _Period(now, timedelta(days=days))
    )
    return Credential(certificate, _key_pem(key))


def issue_member_certificate(
    authority: Credential, member: str, public_key_pem: bytes, now: datetime, days: int = CERTIFICATE_DAYS
) -> bytes:
    """Issue a member's certificate (PEM) for the P-256 public key it made itself; its private key never travels.

    member: `[a-z0-9][a-z0-9_-]{0,62}`; becomes `spiffe://<consortium>/member/<member>`.
    """
    _check_name("member id", member)
    try:
        public_key = serialization.load_pem_public_key(public_key_pem)
    except ValueError as error:
        raise InputError("public-key-unreadable", "the member's public key is not SubjectPublicKeyInfo PEM") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise InputError("public-key-kind", "the member's public key must lie on the curve P-256")
    consortium = _common_name(x509.load_pem_x509_certificate(authority.certificate_pem))
    uri = x509.UniformResourceIdentifier(f"spiffe://{consortium}/member/{member}")
    return _issue(
        authority,
        public_key,
        x509.SubjectAlternativeName([uri]),
        ExtendedKeyUsageOID.CLIENT_AUTH,
        _Period(now, timedelta(days=days)),
    )


def read_member_certificate(certificate_pem: bytes) -> MemberCertificate:
    """Read whom a certificate speaks for; raise VerificationError unless it holds exactly one member URI.

    The signature and the period are for the TLS handshake to check; this only reads.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise VerificationError("certificate-without-member", "the certificate carries no member URI") from error
    uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    only = uris[0] if len(uris) == len(alternatives) == 1 else ""
    match = re.fullmatch(r"spiffe://([a-z0-9_-]+)/member/([a-z0-9_-]+)", only)
    if match is None or not all(MEMBER_ID.fullmatch(part) for part in match.groups()):
        raise VerificationError("certificate-without-member", "the certificate does not name exactly one member")
    consortium, member = match.groups()
    return MemberCertificate(consortium, member, certificate.serial_number, certificate.not_valid_after_utc)


def fingerprint(certificate_pem: bytes) -> str:
    """Return a certificate's key fingerprint for reading out on the telephone: 8 groups of 5 from A-Z and 2-7.

    The first 200 bits of SHA-256 over the SubjectPublicKeyInfo (RFC 7469, section 2.4), in base32 (RFC 4648).
    """
    return spoken(key_sha256(certificate_pem))


def key_sha256(certificate_pem: bytes) -> bytes:
    """Return SHA-256 of a certificate's SubjectPublicKeyInfo, 32 bytes: what a join code pins (RFC 7469)."""
    public = x509.load_pem_x509_certificate(certificate_pem).public_key()
    return sha256(
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).digest()


@dataclass(frozen=True, slots=True)
class _Period:
    """When a certificate begins to hold, and for how long."""

    start: datetime
    length: timedelta


def _issue(
    authority: Credential,
    public_key: ec.EllipticCurvePublicKey,
    alternatives: x509.SubjectAlternativeName,
    purpose: x509.ObjectIdentifier,
    period: _Period,
) -> bytes:
    """Sign one leaf certificate with the authority's key; the subject stays empty, the alternative name says it all."""
    root = x509.load_pem_x509_certificate(authority.certificate_pem)
    root_key = _load_key(authority.key_pem)
    builder = (
        _builder(x509.Name([]), public_key, period.start, period.length)
        .issuer_name(root.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        # RFC 5280, section 4.2.1.6: with an empty subject the alternative name is critical.
        .add_extension(alternatives, critical=True)
    )
    return _certificate_pem(builder.sign(root_key, hashes.SHA256()))


def _builder(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, length: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + length)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _server_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _check_name(what: str, name: str) -> None:
    if not MEMBER_ID.fullmatch(name):
        raise InputError(
            "name-invalid",
            f"the {what} {name!r} must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit",
        )


def _load_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise InputError("private-key-unreadable", "the private key is not unencrypted PKCS#8 PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError("private-key-kind", "the private key must lie on the curve P-256")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
