"""The settings of the coordinator, read from `coordinator.toml`.

    [consortium]  name                        appears in every member's certificate
    [listen]      grpc                        "host:port"; port 0 takes a free one
    [tls]         ca, certificate, key        PEM files; the key has mode 0600
    [authority]?  key                         the CA's key (0600), if certificates are issued here
    [identity]    key                         Ed25519 seed file (0600)
    [storage]     url                         SQLAlchemy URL; a SQLite path is relative to this file
    [policy]      lost_after_s, rejoin_s, ... deadlines and the smallest network (every key has a default)
    [log]?        url                         PostgreSQL for the privacy log; without it a file in the state folder
    [console]?    listen, certificate, key,   the operator's console; without it loopback, port 8080
                  hosts
    [metrics]?    listen                      Prometheus' port on loopback; off without it
    [state]       dir                         log, registry and outcomes; made with mode 0700

This module opens no key and no database. Theory: `coordinator.toml_file`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo

from coordinator.toml_file import RelativePath, Section, read_model

__all__ = [
    "CONSORTIUM_NAME",
    "AuthoritySettings",
    "ConsoleSettings",
    "ConsortiumSettings",
    "CoordinatorConfig",
    "EnrolmentSettings",
    "IdentitySettings",
    "ListenSettings",
    "LogSection",
    "MetricsSettings",
    "PolicySettings",
    "StateSettings",
    "StorageSettings",
    "TlsSettings",
    "check_address",
    "is_loopback",
    "load",
]

CONSORTIUM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
_SQLITE = "sqlite:///"
_HERE = {"localhost", "127.0.0.1", "::1"}


def check_address(value: str) -> str:
    """Return "host:port" as it is; raises `ValueError` unless the port is 0 to 65535."""
    match = _ADDRESS.fullmatch(value)
    if not match or int(match.group(1)) > 65535:
        raise ValueError('"host:port" with a port from 0 to 65535')
    return value


def is_loopback(address: str) -> bool:
    """Say whether a "host:port" can be reached from this machine alone."""
    host = address.rpartition(":")[0].strip("[]")
    return host in _HERE or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _loopback(value: str) -> str:
    if not is_loopback(check_address(value)):
        raise ValueError("an address of this machine alone, such as 127.0.0.1:9464")
    return value


def _consortium(value: str) -> str:
    if not CONSORTIUM_NAME.fullmatch(value):
        raise ValueError("1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit")
    return value


def _storage_url(value: str, validation: ValidationInfo) -> str:
    if value.startswith(("postgresql://", "postgresql+")):
        return value
    name = value.removeprefix(_SQLITE)
    if name == value or not name or ":memory:" in name:
        raise ValueError('"sqlite:///FILE" or "postgresql+DRIVER://..."')
    folder: Path = (validation.context or {}).get("folder", Path())
    return _SQLITE + str(folder / Path(name))


def _log_url(value: str) -> str:
    url = urlsplit(value)
    asked = parse_qs(url.query)
    if url.scheme not in {"postgresql", "postgresql+psycopg"} or not url.path.strip("/") or url.fragment:
        raise ValueError('"postgresql+psycopg://HOST/DATABASE"')
    if url.password is not None or "password" in asked:
        raise ValueError("a URL without a password: put it into a file (0600) and add ?passfile=FILE")
    hosts = [url.hostname or "", *asked.get("host", []), *asked.get("hostaddr", [])]
    far = any(host and host not in _HERE and not host.startswith("/") for host in hosts)
    if far and asked.get("sslmode") != ["verify-full"]:
        raise ValueError("?sslmode=verify-full for a server that is not on this machine")
    return value


class ConsortiumSettings(Section):
    """`[consortium]`: the network's name, part of every member's SPIFFE identity."""

    name: Annotated[str, AfterValidator(_consortium)]


class ListenSettings(Section):
    """`[listen]`: the address that members dial."""

    grpc: Annotated[str, AfterValidator(check_address)] = "127.0.0.1:0"


class TlsSettings(Section):
    """`[tls]`: PEM files of the consortium's CA certificate, the server certificate and its key (0600)."""

    ca: RelativePath
    certificate: RelativePath
    key: RelativePath


class AuthoritySettings(Section):
    """`[authority]`: the CA's key (0600); absent where certificates come from elsewhere."""

    key: RelativePath


class IdentitySettings(Section):
    """`[identity]`: the Ed25519 seed (0600) that signs the coordinator's messages and checkpoints."""

    key: RelativePath


class StorageSettings(Section):
    """`[storage]`: where members, jobs and rounds are kept."""

    url: Annotated[str, AfterValidator(_storage_url)]


class LogSection(Section):
    """`[log]`: the PostgreSQL database of the privacy log, a database of its own; the password is not in the URL."""

    url: Annotated[str, AfterValidator(_log_url)]


class PolicySettings(Section):
    """`[policy]`: deadlines in whole seconds and the smallest network.

    lost_after_s: silence after which a member counts as lost. rejoin_s: how long a paused job waits for it.
    join_wait_s: how long a job waits for members to join. round_deadline_s: longest a round may take.
    min_members: fewest members a job starts with, never below 4. certificate_days: how long a certificate holds.
    two_person_approval: true if two accounts must approve a bank that joins. sign_off: how many members of a job must
    approve its model before it becomes champion or challenger: `two-thirds` (more than that), `majority` or `all`.
    """

    lost_after_s: int = Field(default=5, ge=1, le=3600)
    rejoin_s: int = Field(default=600, ge=0, le=86400)
    join_wait_s: int = Field(default=30, ge=1, le=86400)
    round_deadline_s: int = Field(default=600, ge=1, le=86400)
    min_members: int = Field(default=4, ge=4, le=256)
    sign_off: Literal["majority", "two-thirds", "all"] = "two-thirds"
    certificate_days: int = Field(default=30, ge=2, le=366)
    two_person_approval: bool = False


class ConsoleSettings(Section):
    """`[console]`: where people see the network in a browser.

    certificate and key (0600): PEM files, needed as soon as `listen` is not loopback. hosts: further names by which a
    browser may ask for it; the one in `listen` is known, and so are the names of loopback.
    """

    listen: Annotated[str, AfterValidator(check_address)] = "127.0.0.1:8080"
    certificate: RelativePath | None = None
    key: RelativePath | None = None
    hosts: tuple[str, ...] = Field(default=(), strict=False)


class MetricsSettings(Section):
    """`[metrics]`: where Prometheus asks; on this machine alone, since it carries no log-in."""

    listen: Annotated[str, AfterValidator(_loopback)]


class EnrolmentSettings(Section):
    """`[enrolment]`: where banks join, over TLS without a certificate of theirs.

    listen: the address of the desk. endpoint: the desk as banks dial it, which stands in every join code. link: the
    address under [listen] as banks dial it. A port 0 in one of them stands for the port that was taken.
    """

    listen: Annotated[str, AfterValidator(check_address)]
    endpoint: Annotated[str, AfterValidator(check_address)]
    link: Annotated[str, AfterValidator(check_address)]


class StateSettings(Section):
    """`[state]`: the folder for log, registry and outcomes."""

    dir: RelativePath


class CoordinatorConfig(Section):
    """All settings of the coordinator; paths are resolved against the folder of the file."""

    consortium: ConsortiumSettings
    listen: ListenSettings = ListenSettings()
    tls: TlsSettings
    authority: AuthoritySettings | None = None
    identity: IdentitySettings
    storage: StorageSettings
    log: LogSection | None = None
    policy: PolicySettings = PolicySettings()
    console: ConsoleSettings = ConsoleSettings()
    metrics: MetricsSettings | None = None
    enrolment: EnrolmentSettings | None = None
    state: StateSettings


def load(path: Path) -> CoordinatorConfig:
    """Return the settings in the file at `path`.

    Raises `privacy.errors.InputError` with one line: file, key, what was found, what was expected.
    """
    return read_model(Path(path), CoordinatorConfig)
