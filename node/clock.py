"""Whether this machine's clock can be believed, beside the coordinator's as its enrolment desk tells it.

It sets no clock. Theory: periods of certificates, times in the log and windows of budgets hang on the clock, and a
wrong one is noticed by nobody while everything works. The desk says the time over TLS pinned to the consortium's
authority and is told nothing, so asking costs nothing; where it cannot be asked, nothing is known.
"""

from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.config import NodeConfig
from node.desk_line import clock_complaint, fetch_authority
from privacy.enrolment import Greeting
from privacy.errors import InputError, PrivacyError

__all__ = ["ask_desk", "refuse_wrong_clock"]


def ask_desk(config: NodeConfig, timeout_s: float) -> Greeting:
    """Return the desk's greeting. Raises `PrivacyError` for a desk that is unknown, cannot be reached or is another."""
    if config.coordinator.enrolment is None:
        raise InputError("desk-unknown", "node.toml names no enrolment desk")
    try:
        key = x509.load_pem_x509_certificate(config.tls.ca.read_bytes()).public_key()
    except (OSError, ValueError) as error:
        raise InputError("tls-certificate-format", f"{config.tls.ca}: cannot be read as a certificate") from error
    pin = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return fetch_authority(config.coordinator.enrolment, pin, timeout_s)


def refuse_wrong_clock(config: NodeConfig, now: datetime, timeout_s: float = 3.0) -> None:
    """Raise `InputError` if the clock is more than five minutes off; a desk that does not answer stops nobody.

    now: aware, UTC.
    """
    try:
        complaint = clock_complaint(ask_desk(config, timeout_s), now)
    except PrivacyError:
        return
    if complaint:
        raise InputError("clock-wrong", complaint)
