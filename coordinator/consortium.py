"""Found a consortium on disk, and enrol its members.

This module talks to nobody; a bank's public keys come to it as values. Theory: whoever runs the coordinator vouches for
connections with the authority's key, and for nothing else: a member's masks and messages are signed with the identity
that the other banks pin, whose private half never comes here.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coordinator import authority
from coordinator.certificate_store import CertificateStore
from coordinator.config import CoordinatorConfig
from coordinator.keys_file import read_public, read_secret, write_new
from coordinator.log_store import LOG_ORIGIN, load_log_key
from coordinator.store import Member, Store
from privacy.errors import InputError
from privacy.log.note import COSIGNATURE, ED25519, VerifierKey
from privacy.roster import check_member_id

__all__ = ["Enrolment", "Founding", "enrol", "found"]

_HEX_KEY = re.compile(r"[0-9a-f]{64}")
_CONFIG = """\
[consortium]
name = "{name}"

[listen]
grpc = "{listen}"

[tls]
ca = "keys/ca.pem"
certificate = "keys/server.pem"
key = "keys/server.key"

[authority]
key = "keys/ca.key"

[identity]
key = "keys/identity.key"

[storage]
url = "sqlite:///coordinator.db"

[state]
dir = "."
"""
_ENROLMENT = """
[enrolment]
listen = "{listen}"
endpoint = "{endpoint}"
link = "{link}"
"""


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new consortium is called and where its coordinator answers.

    name: `[a-z0-9][a-z0-9_-]{0,62}`. listen: "host:port". hosts: names and addresses that members dial.
    enrolment: "host:port" of the desk where banks join, empty for none. dialled: the host in their join codes.
    """

    name: str
    listen: str
    hosts: tuple[str, ...]
    enrolment: str = ""
    dialled: str = ""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A bank that joins: its id, its Ed25519 identity (64 hex digits) and its P-256 public key (PEM).

    log and witness are the verifier keys that `creditmesh-node keys` prints, of its log and of its cosignatures.
    """

    member: str
    identity: str
    tls_public_pem: bytes
    log: str
    witness: str


def found(folder: Path, founding: Founding, now: datetime) -> str:
    """Make authority, server certificate, identity and coordinator.toml in `folder`; return its fingerprint.

    now: aware, UTC. The folder is made; raises `InputError` if it holds a coordinator already, so that no root is ever
    made twice.
    """
    config = folder / "coordinator.toml"
    if config.exists():
        raise InputError("consortium-exists", f"{config}: exists already; a consortium is founded once")
    root = authority.create_authority(founding.name, now)
    server = authority.issue_server_certificate(root, founding.hosts, now)
    keys = folder / "keys"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        keys.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("folder-unwritable", f"{folder}: cannot be written ({reason})") from error
    write_new(keys / "ca.pem", root.certificate_pem, 0o644)
    write_new(keys / "ca.key", root.key_pem, 0o600)
    write_new(keys / "server.pem", server.certificate_pem, 0o644)
    write_new(keys / "server.key", server.key_pem, 0o600)
    write_new(keys / "identity.key", secrets.token_hex(32).encode("ascii") + b"\n", 0o600)
    load_log_key(folder, LOG_ORIGIN)
    text = _CONFIG.format(name=founding.name, listen=founding.listen)
    if founding.enrolment:
        ports = (founding.enrolment.rpartition(":")[2], founding.listen.rpartition(":")[2])
        endpoint, link = (f"{founding.dialled}:{port}" for port in ports)
        text += _ENROLMENT.format(listen=founding.enrolment, endpoint=endpoint, link=link)
    write_new(config, text.encode("utf-8"), 0o644)
    return authority.fingerprint(root.certificate_pem)


def enrol(config: CoordinatorConfig, store: Store, bank: Enrolment, now: datetime) -> bytes:
    """Issue the bank's certificate (PEM, 30 days), write the bank down as an active member, and return the certificate.

    Raises `InputError` for a bad id or key, or if the id or the identity is already enrolled.
    """
    check_member_id(bank.member)
    if not _HEX_KEY.fullmatch(bank.identity):
        raise InputError("identity-format", "an identity is 64 hex digits (0-9, a-f), the bank's Ed25519 public key")
    _check_vkey(bank.log, ED25519, f"{bank.member}/privacy-log")
    _check_vkey(bank.witness, COSIGNATURE, f"{bank.member}/witness")
    if config.authority is None:
        raise InputError("authority-absent", "there is no [authority] key here, so no certificate can be issued")
    root = authority.Credential(read_public(config.tls.ca), read_secret(config.authority.key))
    certificate = authority.issue_member_certificate(root, bank.member, bank.tls_public_pem, now)
    issued = authority.read_member_certificate(certificate)
    store.add_member(Member(bank.member, bank.identity, issued.serial, log=bank.log, witness=bank.witness))
    not_after = int(issued.not_after.timestamp()) * 1_000_000
    CertificateStore(store.engine).add_current(bank.member, issued.serial, not_after)
    return certificate


def _check_vkey(text: str, kind: int, name: str) -> None:
    key = VerifierKey.parse(text)
    if (key.kind, key.name) != (kind, name):
        raise InputError("vkey-owner", f"found a key of {key.name}, type {key.kind}; expected {name}, type {kind}")
