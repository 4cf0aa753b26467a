"""Why the coordinator cannot be reached: one plain sentence, found by trying again one step at a time.

It carries no messages and decides nothing. gRPC reports most failures as one word, UNAVAILABLE, so after a failed
attempt this module looks up the name, opens a connection and makes a TLS handshake with the standard library,
and says which step failed. A certificate of ours that the coordinator refuses cannot be seen from outside (with TLS
1.3 the client finishes first), so that is what remains when every step succeeds.
"""

import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from node.link import LinkSettings
from privacy.errors import InputError

__all__ = [
    "check_credentials",
    "explain_certificate",
    "explain_refusal",
    "explain_unreachable",
    "is_loopback",
    "split_endpoint",
]

REFUSALS = {
    "certificate-without-member": "our certificate does not name exactly one member; ask the operator for a new one",
    "other-consortium": "our certificate belongs to another consortium; check [tls] certificate",
    "certificate-expired": "our certificate has expired; ask the operator for a new one",
    "member-suspended": "the operator has suspended this bank; ask the operator",
    "member-revoked": "the operator has revoked this bank's membership; ask the operator, who can invite it anew",
    "certificate-revoked": "the operator has revoked this certificate; ask for a new join code",
    "certificate-replaced": "this certificate was replaced by a newer one of this bank, so it counts no more: does a "
    "copy of this node run, or with an old copy of its keys? If not, tell the operator, the keys may be stolen",
    "not-a-member": "the coordinator does not know this certificate as a member's, or has revoked it; ask the operator",
    "identity-mismatch": "our certificate names another member than [member] id; check both",
    "wire-version": "the coordinator speaks another version of the link; upgrade one of the two",
    "replaced": "another process took over this member's stream; is the node running twice?",
    "too-slow": "the coordinator gave up on us because too much was waiting for us",
    "silent": "the coordinator heard nothing from us for too long",
    "stopping": "the coordinator is shutting down",
    "no-greeting": "the coordinator did not receive our greeting in time",
    "internal": "the coordinator failed on an error of its own; its log says more",
}


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; raise InputError if it is neither."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError("endpoint-invalid", f"[coordinator] endpoint is {endpoint!r}, expected host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_credentials(settings: LinkSettings) -> None:
    """Raise InputError unless the three PEM texts can be read and the key belongs to the certificate."""
    for name, pem in (("ca", settings.ca_pem), ("certificate", settings.certificate_pem)):
        try:
            x509.load_pem_x509_certificate(pem)
        except ValueError as error:
            raise InputError("certificate-unreadable", f"[tls] {name} is not a certificate in PEM form") from error
    try:
        key = serialization.load_pem_private_key(settings.key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise InputError("private-key-unreadable", "[tls] key is not an unencrypted private key in PEM form") from error
    if key.public_key() != x509.load_pem_x509_certificate(settings.certificate_pem).public_key():
        raise InputError("private-key-other", "[tls] key does not belong to [tls] certificate")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, where no proxy can help."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def explain_refusal(slug: str) -> str | None:
    """Return the sentence for a slug that the coordinator ended our stream with, None if it is not one of them."""
    return REFUSALS.get(slug)


def explain_unreachable(settings: LinkSettings, now: datetime) -> str:
    """Return why no stream could be made. Blocking, up to twice lost_after_s: call it in a thread.

    now: aware, UTC; for the period of our own certificate.
    """
    host, port = split_endpoint(settings.endpoint)
    if not is_loopback(host) and os.environ.get("https_proxy"):
        return f"{settings.endpoint} cannot be reached through the proxy named by https_proxy; check both"
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return f"the name {host!r} cannot be resolved; check [coordinator] endpoint and DNS"
    try:
        with socket.create_connection((host, port), timeout=settings.lost_after_s) as raw:
            return _explain_handshake(settings, raw, host) or _explain_own_certificate(settings, now)
    except ConnectionRefusedError:
        return f"nothing listens at {settings.endpoint}; is the coordinator running, and is this its port?"
    except TimeoutError:
        return f"{settings.endpoint} does not answer; a firewall may drop the connection"
    except OSError as error:
        return f"{settings.endpoint} cannot be reached: {error.strerror or error}"


def _explain_handshake(settings: LinkSettings, raw: socket.socket, host: str) -> str | None:
    """Verify the coordinator's certificate as the link does; None if nothing is wrong with it."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=settings.ca_pem.decode("ascii"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(raw, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        return explain_certificate(error, host)
    except (ssl.SSLEOFError, ConnectionError):
        return f"{settings.endpoint} broke off the TLS handshake; is it the coordinator's gRPC port?"
    except ssl.SSLError:
        return f"{settings.endpoint} does not speak TLS; is it the coordinator's gRPC port?"


def explain_certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    """Return what is wrong with the coordinator's certificate, by what TLS found."""
    # The codes are X509_V_ERR_* of OpenSSL's x509_vfy.h.
    match error.verify_code:
        case 62 | 64:
            return f"the coordinator's certificate is not for {host!r}; check [coordinator] endpoint"
        case 10:
            return "the coordinator's certificate has expired; tell the operator"
        case 9:
            return "the coordinator's certificate is not valid yet; check this machine's clock"
        case 26:
            return "the coordinator shows a certificate that is no server's; tell the operator"
        case _:
            return "the coordinator's certificate is of another authority than [tls] ca; check the file's fingerprint"


def _explain_own_certificate(settings: LinkSettings, now: datetime) -> str:
    certificate = x509.load_pem_x509_certificate(settings.certificate_pem)
    authority = x509.load_pem_x509_certificate(settings.ca_pem)
    if certificate.not_valid_after_utc <= now.astimezone(UTC):
        return "our certificate has expired; ask the operator for a new one"
    if certificate.not_valid_before_utc > now.astimezone(UTC):
        return "our certificate is not valid yet; check this machine's clock"
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "our certificate is of another authority than [tls] ca; check [tls] certificate"
    return "the coordinator did not complete the connection; it may refuse our certificate, or be shutting down"
