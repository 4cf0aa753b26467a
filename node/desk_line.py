"""The line to the enrolment desk: TLS pinned to the authority's key, one greeting, one application, one answer.

It decides nothing about answers (`node.join`). Theory: at first nothing is known but the hash of the authority's public
key, from the join code. So a first connection, on which nothing is said, only fetches the authority's certificate; its
key must have that hash. The second one is made by the ordinary rules of TLS with this authority as the only root, and
nobody in the middle can pass those. There is no way to skip this.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.dial import dial
from node.reach import split_endpoint
from privacy.enrolment import LARGEST_ANSWER, Answer, Application, Greeting, decode_answer, decode_greeting
from privacy.errors import InputError, PeerError, VerificationError
from privacy.keys import same_bytes

__all__ = ["LARGEST_SKEW", "DeskLine", "clock_complaint", "fetch_authority"]

LARGEST_SKEW = timedelta(minutes=5)
_LENGTH_BYTES = 4
_BROKE = (
    "the connection was closed without an answer: the enrolment desk may be full or restarting, so try again in a "
    "minute; or this is not the desk's port"
)


@dataclass(slots=True)
class DeskLine:
    """One verified connection; use it in a `with` statement. greeting: the desk's first words."""

    _line: ssl.SSLSocket
    greeting: Greeting

    @classmethod
    def open(cls, endpoint: str, authority_pem: str, now: datetime, timeout_s: float) -> "DeskLine":
        """Connect by the ordinary rules of TLS with this authority as the only root.

        now: aware, UTC, to explain a wrong clock. Raises `InputError`, or `VerificationError` for a certificate that
        TLS does not accept.
        """
        host, _ = split_endpoint(endpoint)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=authority_pem)
        raw = dial(endpoint, timeout_s)
        try:
            line = context.wrap_socket(raw, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise _explain(error, host, now) from error
        except (ssl.SSLError, OSError) as error:
            raise _no_tls(endpoint) from error
        try:
            return cls(line, decode_greeting(_read(line, LARGEST_ANSWER)))
        except BaseException:
            line.close()
            raise

    def apply(self, application: Application, wait_s: float) -> Answer:
        """Send an application and return the answer, which may take so many seconds."""
        message = application.encode()
        self._line.settimeout(wait_s)
        try:
            self._line.sendall(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
        except OSError as error:
            raise InputError("desk-closed", _BROKE) from error
        return decode_answer(_read(self._line, LARGEST_ANSWER))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        self._line.close()


def fetch_authority(endpoint: str, pin: bytes, timeout_s: float) -> Greeting:
    """Return a greeting whose authority has the key with this SHA-256; nothing is said on this connection.

    Raises:
        VerificationError: `authority-other`: somebody else answers there.
        InputError: the desk cannot be reached or is none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    # Only to learn the authority's certificate, which must match the pin before anything is said to anybody.
    context.verify_mode = ssl.CERT_NONE
    raw = dial(endpoint, timeout_s)
    try:
        with context.wrap_socket(raw, server_hostname=split_endpoint(endpoint)[0]) as line:
            greeting = decode_greeting(_read(line, LARGEST_ANSWER))
    except (ssl.SSLError, OSError) as error:
        raise _no_tls(endpoint) from error
    except PeerError as error:
        raise InputError("desk-other", f"{endpoint} is no enrolment desk of this version: {error.message}") from error
    try:
        key = x509.load_pem_x509_certificate(greeting.authority_pem.encode("utf-8")).public_key()
        found = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except ValueError:
        found = b""
    if not same_bytes(found, pin):
        raise VerificationError(
            "authority-other",
            f"{endpoint} shows another authority than the join code names: the code is of another consortium, or "
            "somebody is in the middle; nothing was sent. Ask the operator by telephone",
        )
    return greeting


def clock_complaint(greeting: Greeting, now: datetime) -> str:
    """Return what is wrong with this machine's clock beside the coordinator's, empty for nothing. now: aware, UTC."""
    theirs = datetime.fromtimestamp(greeting.time_us / 1e6, UTC)
    skew = now - theirs
    if abs(skew) <= LARGEST_SKEW:
        return ""
    way = "ahead of" if skew > timedelta(0) else "behind"
    return (
        f"this machine's clock is {_length(abs(skew))} {way} the coordinator's ({now:%Y-%m-%d %H:%M} here, "
        f"{theirs:%Y-%m-%d %H:%M} there, UTC); set it by NTP and try again; if this one is right, tell the operator"
    )


def _length(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


def _read(line: ssl.SSLSocket, largest: int) -> bytes:
    try:
        size = int.from_bytes(_exactly(line, _LENGTH_BYTES), "big")
        if size > largest:
            raise PeerError("desk-size", "the desk's message is larger than any that this version knows")
        return _exactly(line, size)
    except TimeoutError as error:
        raise InputError("desk-silent", "the enrolment desk does not answer in time; try again") from error
    except OSError as error:
        raise InputError("desk-closed", _BROKE) from error


def _exactly(line: ssl.SSLSocket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        piece = line.recv(size - len(parts))
        if not piece:
            raise InputError("desk-closed", _BROKE)
        parts += piece
    return bytes(parts)


def _no_tls(endpoint: str) -> InputError:
    return InputError(
        "desk-other", f"{endpoint} broke off the TLS handshake; it may be full, or not be the enrolment desk's port"
    )


def _explain(error: ssl.SSLCertVerificationError, host: str, now: datetime) -> VerificationError:
    # The codes are X509_V_ERR_* of OpenSSL's x509_vfy.h.
    match error.verify_code:
        case 62 | 64:
            says = f"the coordinator's certificate is not for {host!r}; ask the operator for a code that fits"
        case 10:
            says = f"the coordinator's certificate has expired, or the clock here ({now:%Y-%m-%d %H:%M} UTC) is ahead"
        case 9:
            says = (
                f"certificate not yet valid: this machine's clock ({now:%Y-%m-%d %H:%M} UTC) is behind; set it by NTP "
                "and try again"
            )
        case _:
            says = "the coordinator's certificate is of another authority than the join code names; ask the operator"
    return VerificationError("desk-certificate", says)
