"""What lies between this node and the coordinator, examined step by step: proxy, name, port, TLS, clock, membership.

Findings are (check, state, text), as in `node.doctor`. Theory: each step needs those before it, so the first that fails
is the one to mend, and what comes after it is not guessed at. The clock is compared with what the enrolment desk says
over TLS; where no desk is known, with the period of the coordinator's certificate.
"""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.config import NodeConfig
from node.desk_line import clock_complaint, fetch_authority
from node.dial import dial, proxy_for
from node.gate import ask_admission
from node.keys_file import read_tls
from node.link import LinkSettings
from node.reach import explain_certificate, explain_refusal, split_endpoint
from privacy.errors import PrivacyError

__all__ = ["examine_network"]

TIMEOUT_S = 5.0
_STEPS = {"name-unresolved": "name", "proxy-refused": "proxy"}
_Finding = tuple[str, str, str]


def examine_network(settings: NodeConfig, now: Callable[[], datetime]) -> Iterator[_Finding]:
    """Yield findings up to the first step that fails; now: the time, aware, UTC."""
    endpoint = settings.coordinator.endpoint
    host, _ = split_endpoint(endpoint)
    proxy = proxy_for(host)
    yield "proxy", "ok", f"through {proxy} (https_proxy)" if proxy else "none; the coordinator is dialled directly"
    try:
        dial(endpoint, TIMEOUT_S).close()
    except PrivacyError as error:
        yield _STEPS.get(error.code, "port"), "wrong", error.message
        return
    yield "name", "ok", f"{host} is known{' to the proxy' if proxy else ''}"
    yield "port", "ok", f"{endpoint} answers"
    yield from _clock(settings, now)
    wrong = _handshake(settings)
    if wrong:
        yield "tls", "wrong", wrong
        return
    yield "tls", "ok", "the coordinator's certificate is of the pinned authority and for this name"
    yield _membership(settings, now())


def _handshake(settings: NodeConfig) -> str:
    """Return what is wrong with the coordinator's certificate, empty for nothing."""
    endpoint = settings.coordinator.endpoint
    host, _ = split_endpoint(endpoint)
    try:
        authority = settings.tls.ca.read_text("ascii")
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=authority)
        context.set_alpn_protocols(["h2"])
        with dial(endpoint, TIMEOUT_S) as raw, context.wrap_socket(raw, server_hostname=host):
            return ""
    except ssl.SSLCertVerificationError as error:
        return explain_certificate(error, host)
    except (ssl.SSLError, UnicodeError):
        return f"{endpoint} does not complete a TLS handshake; is it the coordinator's gRPC port?"
    except OSError as error:
        return f"{endpoint} broke off the TLS handshake ({(error.strerror or type(error).__name__).lower()})"
    except PrivacyError as error:
        return error.message


def _clock(settings: NodeConfig, now: Callable[[], datetime]) -> Iterator[_Finding]:
    desk = settings.coordinator.enrolment
    if desk is None:
        yield "clock", "ok", f"{now():%Y-%m-%d %H:%M} UTC here; not compared: node.toml names no enrolment desk"
        return
    try:
        key = x509.load_pem_x509_certificate(settings.tls.ca.read_bytes()).public_key()
        pin = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        greeting = fetch_authority(desk, pin, TIMEOUT_S)
    except (PrivacyError, OSError, ValueError) as error:
        reason = error.message if isinstance(error, PrivacyError) else "[tls] ca cannot be read"
        yield "clock", "attention", f"{now():%Y-%m-%d %H:%M} UTC here; not compared: {reason}"
        return
    here = now()
    complaint = clock_complaint(greeting, here)
    skew = here - datetime.fromtimestamp(greeting.time_us / 1e6, UTC)
    yield (
        "clock",
        "wrong" if complaint else "ok",
        complaint or f"{abs(skew).total_seconds():.1f} s from the coordinator's",
    )


def _membership(settings: NodeConfig, now: datetime) -> _Finding:
    """Ask whether our certificate would be let in."""
    try:
        tls = read_tls(settings.tls, settings.member.id, now)
        link = LinkSettings(
            settings.coordinator.endpoint, tls.ca_pem, tls.certificate_pem, tls.key_pem, settings.member.id
        )
        slug = ask_admission(link)
    except PrivacyError as error:
        return "membership", "wrong", error.message
    if slug:
        return (
            "membership",
            "wrong",
            explain_refusal(slug) or "the coordinator refuses this certificate; ask the operator",
        )
    return "membership", "ok", "the coordinator lets this certificate in"
