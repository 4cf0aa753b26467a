"""The authority issues what the link accepts, nothing that signs further, and reads names strictly."""

import ipaddress
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from cryptography.x509.verification import VerificationError as ChainError

from coordinator.authority import (
    create_authority,
    fingerprint,
    generate_key,
    issue_member_certificate,
    issue_server_certificate,
    public_key_of,
    read_member_certificate,
)
from privacy.errors import InputError, VerificationError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AUTHORITY = create_authority("cn-credit", NOW)
ROOT = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem)


def member(name: str = "bank-a") -> x509.Certificate:
    pem = issue_member_certificate(AUTHORITY, name, public_key_of(generate_key()), NOW)
    return x509.load_pem_x509_certificate(pem)


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def test_the_root_signs_leaves_and_nothing_below_them() -> None:
    constraints = ROOT.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ROOT.extensions.get_extension_for_class(x509.KeyUsage)

    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0
    assert usage.critical and usage.value.key_cert_sign and not usage.value.digital_signature
    ROOT.verify_directly_issued_by(ROOT)


def test_a_member_certificate_says_who_and_for_how_long() -> None:
    certificate = member()

    read = read_member_certificate(pem_of(certificate))

    assert (read.consortium, read.member, read.serial) == ("cn-credit", "bank-a", certificate.serial_number)
    assert read.not_after == NOW + timedelta(days=30)
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    certificate.verify_directly_issued_by(ROOT)


def test_a_member_certificate_serves_tls_clients_only_and_signs_nothing() -> None:
    extensions = member().extensions

    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign
    assert extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_an_independent_verifier_accepts_the_server_by_its_names_only() -> None:
    credential = issue_server_certificate(AUTHORITY, ["127.0.0.1", "coord.example"], NOW)
    leaf = x509.load_pem_x509_certificate(credential.certificate_pem)
    policy = PolicyBuilder().store(Store([ROOT])).time(NOW)

    policy.build_server_verifier(x509.IPAddress(ipaddress.ip_address("127.0.0.1"))).verify(leaf, [])
    policy.build_server_verifier(x509.DNSName("coord.example")).verify(leaf, [])
    with pytest.raises(ChainError):
        policy.build_server_verifier(x509.DNSName("other.example")).verify(leaf, [])
    with pytest.raises(ChainError):
        policy.build_server_verifier(x509.DNSName("coord.example")).verify(member(), [])


def test_an_independent_verifier_accepts_a_member_as_client_while_it_holds() -> None:
    leaf = member()
    policy = PolicyBuilder().store(Store([ROOT]))

    policy.time(NOW + timedelta(days=29)).build_client_verifier().verify(leaf, [])
    for moment in (NOW + timedelta(days=31), NOW - timedelta(hours=1)):
        with pytest.raises(ChainError):
            policy.time(moment).build_client_verifier().verify(leaf, [])
    other = x509.load_pem_x509_certificate(create_authority("cn-credit", NOW).certificate_pem)
    with pytest.raises(ChainError):
        PolicyBuilder().store(Store([other])).time(NOW).build_client_verifier().verify(leaf, [])


def test_the_same_name_twice_gets_two_serial_numbers() -> None:
    assert member().serial_number != member().serial_number


@pytest.mark.parametrize("name", ["", "Bank", "-bank", "bank a", "bank/a", "a" * 64, "bänk", "bank\n", "../a"])
def test_a_name_that_would_bend_the_uri_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="member id"):
        member(name)
    with pytest.raises(InputError, match="consortium"):
        create_authority(name, NOW)


def test_only_keys_on_p256_are_certified() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        spki = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(InputError, match="P-256"):
            issue_member_certificate(AUTHORITY, "bank-a", spki, NOW)
    with pytest.raises(InputError, match="SubjectPublicKeyInfo"):
        issue_member_certificate(AUTHORITY, "bank-a", b"no key", NOW)


def test_a_private_key_that_cannot_be_used_is_one_line() -> None:
    with pytest.raises(InputError, match="PKCS#8"):
        public_key_of(b"no key")
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(InputError, match="P-256"):
        public_key_of(other)


def test_a_server_needs_a_name() -> None:
    with pytest.raises(InputError, match="at least one"):
        issue_server_certificate(AUTHORITY, [], NOW)


def with_names(*names: x509.GeneralName) -> bytes:
    """A self-signed certificate with these alternative names; reading does not look at the signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, NOW, NOW + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return pem_of(builder.sign(key, hashes.SHA256()))


URI = x509.UniformResourceIdentifier
GOOD = URI("spiffe://cn-credit/member/bank-a")


def test_reading_accepts_exactly_one_member_uri() -> None:
    assert read_member_certificate(with_names(GOOD)).member == "bank-a"


@pytest.mark.parametrize(
    "names",
    [
        (),
        (GOOD, GOOD),
        (GOOD, URI("spiffe://cn-credit/member/bank-b")),
        (GOOD, x509.DNSName("bank-a")),
        (x509.DNSName("spiffe://cn-credit/member/bank-a"),),
        (URI("spiffe://cn-credit/member/"),),
        (URI("spiffe://cn-credit/member/bank-a/"),),
        (URI("spiffe://cn-credit/member/bank-a?x=1"),),
        (URI("spiffe://cn-credit/member/-a"),),
        (URI("spiffe://cn-credit/member/" + "a" * 64),),
        (URI("spiffe:///member/bank-a"),),
        (URI("spiffe://cn-credit/operator/bank-a"),),
        (URI("SPIFFE://cn-credit/member/bank-a"),),
        (URI("spiffe://cn-credit/member/bank%2Da"),),
        (URI("https://cn-credit/member/bank-a"),),
        (URI("spiffe://cn-credit/member/bank-a\n"),),
    ],
)
def test_reading_refuses_everything_else(names: tuple[x509.GeneralName, ...]) -> None:
    with pytest.raises(VerificationError):
        read_member_certificate(with_names(*names))


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_reading_refuses_what_is_no_certificate(pem: bytes) -> None:
    with pytest.raises(VerificationError):
        read_member_certificate(pem)


def test_a_fingerprint_can_be_read_out_and_follows_the_key() -> None:
    first = fingerprint(AUTHORITY.certificate_pem)
    key = generate_key()
    old = issue_member_certificate(AUTHORITY, "bank-a", public_key_of(key), NOW)
    renewed = issue_member_certificate(AUTHORITY, "bank-a", public_key_of(key), NOW + timedelta(days=15))

    assert re.fullmatch(r"([A-Z2-7]{5} ){7}[A-Z2-7]{5}", first)
    assert fingerprint(old) == fingerprint(renewed) != first


def test_a_fingerprint_of_a_known_key() -> None:
    """The P-256 generator as a public key; the answer was computed with hashlib and base64 from SEC 2's coordinates."""
    known = "LTJFF 6YM5C JSINX 27DGN CBAJQ G4J5Z FNNOP 6TYVC"
    key = ec.derive_private_key(1, ec.SECP256R1())
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, NOW, NOW + timedelta(days=1))

    assert fingerprint(pem_of(builder.sign(key, hashes.SHA256()))) == known


def test_a_credential_does_not_print_its_key() -> None:
    assert "PRIVATE" not in repr(AUTHORITY) and "key_pem" not in repr(AUTHORITY)
