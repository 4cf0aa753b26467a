"""The settings of one node, read from `node.toml`.

    [member]       id                                   this bank's name in the network
    [coordinator]  endpoint, enrolment?                 "host:port" of the link, and of the desk where it joined
    [tls]          ca, certificate, key                 PEM files; the key has mode 0600
    [identity]     key, peers                           Ed25519 seed (0600) and members.json
    [source]       table, schema                        the bank's CSV or Parquet file and the data dictionary
    [permit]       purposes, recipes, min_cohort, ...   what this bank agrees to (every key has a default)
    [state]        dir, alarm_free_percent, ...         log, models and results (mode 0700); room to keep free
    [scoring]      listen, policy, reference, ...       the decision API, for `creditmesh-node serve`
    [monitoring]   new_outcomes, least_rows, ...        when `creditmesh-node monitor` proposes a new training
    [metrics]?     listen                               Prometheus' port on loopback; off without it

This module opens no key and no table. Paths are relative to the file. Theory: `node.toml_file`.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from node.toml_file import RelativePath, Section, read_model
from privacy.errors import InputError
from privacy.roster import check_member_id

__all__ = [
    "CoordinatorSettings",
    "IdentitySettings",
    "MemberSettings",
    "MetricsSettings",
    "MonitoringSettings",
    "NodeConfig",
    "PermitSettings",
    "ScoringSettings",
    "SourceSettings",
    "StateSettings",
    "TlsSettings",
    "load",
]

_ENDPOINT = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,18})?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HERE = ("127.0.0.1", "::1", "localhost")


def _member_id(value: str) -> str:
    try:
        return check_member_id(value)
    except InputError:
        raise ValueError("1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit") from None


def _endpoint(value: str) -> str:
    match = _ENDPOINT.fullmatch(value)
    if not match or not 1 <= int(match.group(1)) <= 65535:
        raise ValueError('"host:port" with a port from 1 to 65535')
    return value


def _listen(value: str) -> str:
    # Port 0 lets the system choose; `scoring.json` then tells which.
    return value if value.endswith(":0") and _ENDPOINT.fullmatch(value) else _endpoint(value)


def _loopback(value: str) -> str:
    host = _listen(value).rpartition(":")[0].strip("[]")
    if host not in _HERE and not re.fullmatch(r"127(\.\d{1,3}){3}", host):
        raise ValueError("an address of this machine alone, such as 127.0.0.1:9465")
    return value


def _names(value: Any) -> Any:
    fine = (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value)
    )
    if not fine or len(set(value)) != len(value):
        raise ValueError("a list of one or more different names of a-z, 0-9, _ and -")
    return tuple(value)


def _decimal(value: str, above: Fraction, most: Fraction, expected: str) -> str:
    if not _DECIMAL.fullmatch(value) or not above <= Fraction(value) <= most:
        raise ValueError(expected)
    return value


def _epsilon(value: str) -> str:
    return _decimal(value, Fraction(0), Fraction(1000), 'a decimal in quotes from "0" (no such job) to "1000"')


def _delta(value: str) -> str:
    return _decimal(value, Fraction(1, 10**15), Fraction(1, 1000), 'a decimal in quotes up to "0.001"')


def _like(value: str, pattern: str, expected: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError(expected)
    return value


def _class(value: str) -> str:
    return _like(value, "C[123]", '"C1", "C2" or "C3"')


def _basis(value: str) -> str:
    return _like(value, "[a-z0-9][a-z0-9.-]{0,62}", "1 to 63 of a-z, 0-9, . and -")


def _day(value: str) -> str:
    return _like(value, "[0-9]{4}-[0-9]{2}-[0-9]{2}|unstated", 'a day as "2030-12-31", or "unstated"')


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class MemberSettings(Section):
    """`[member]`: who this node is."""

    id: Annotated[str, AfterValidator(_member_id)]


class CoordinatorSettings(Section):
    """`[coordinator]`: where the node dials out to; enrolment is the desk where it joined, which tells the time."""

    endpoint: Annotated[str, AfterValidator(_endpoint)]
    enrolment: Annotated[str, AfterValidator(_endpoint)] | None = None


class TlsSettings(Section):
    """`[tls]`: PEM files of the consortium's CA, this node's certificate and its key (0600)."""

    ca: RelativePath
    certificate: RelativePath
    key: RelativePath


class IdentitySettings(Section):
    """`[identity]`: the long-lived Ed25519 seed (0600) and the pinned identities of the others (members.json)."""

    key: RelativePath
    peers: RelativePath


class SourceSettings(Section):
    """`[source]`: the bank's rows (`.csv` or `.parquet`) and the consortium's data dictionary (`schema`).

    classified: class of the rows, C1 to C3 (JR/T 0171-2020). basis: code of the legal basis they are held on.
    retention_until: the day they must be gone, or `unstated`. The log says these of the dataset; nothing else does.
    """

    table: RelativePath
    schema_file: RelativePath = Field(alias="schema")
    classified: Annotated[str, AfterValidator(_class)] = "C2"
    basis: Annotated[str, AfterValidator(_basis)] = "consortium-agreement"
    retention_until: Annotated[str, AfterValidator(_day)] = "unstated"


class PermitSettings(Section):
    """`[permit]`: what this bank agrees to take part in.

    purposes, recipes: names that a job may carry. min_cohort: fewest banks behind any opened sum, 4 to 256.
    min_rows, min_bads: fewest rows with a target, and fewest bad ones, this bank joins with. max_rows: most rows it
    lets count.
    allow_exclusion: 1 if a job may go on for good without a lost bank. exact_jobs, exact_upload_bytes: most jobs
    without noise on one dataset, and most bytes of masked parts in them. exact_trees: true if trees may be grown from
    sums without noise, in which a few borrowers stand alone in a cell. epsilon_cap: most that all jobs with noise may
    cost in any `period_days` days, at `delta`, which no job's own delta may exceed. approval: `person` if somebody here
    has to agree to each job that the permit allows (`creditmesh-node offers`). sign_off: how many members of a job
    must have approved its model before this bank takes it as champion or challenger: `two-thirds` (more than that),
    `majority` or `all`.
    """

    purposes: Names = ("credit-risk-model",)
    recipes: Names = ("scorecard", "trees", "towers", "validation")
    min_cohort: int = Field(default=4, ge=4, le=256)
    min_rows: int = Field(default=100, ge=1, le=2**40)
    min_bads: int = Field(default=10, ge=1, le=2**40)
    max_rows: int = Field(default=2**24, ge=1, le=2**40)
    allow_exclusion: int = Field(default=0, ge=0, le=1)
    exact_jobs: int = Field(default=100, ge=0, le=10**6)
    exact_upload_bytes: int = Field(default=10**10, ge=0, le=10**15)
    epsilon_cap: Annotated[str, AfterValidator(_epsilon)] = "8"
    delta: Annotated[str, AfterValidator(_delta)] = "0.000001"
    period_days: int = Field(default=365, ge=1, le=36_500)
    exact_trees: bool = False
    approval: Literal["permit", "person"] = "permit"
    verified_peers_only: bool = True
    sign_off: Literal["majority", "two-thirds", "all"] = "two-thirds"


class StateSettings(Section):
    """`[state]`: the folder for the log, models and results.

    alarm_free_percent, stop_free_percent: share of its disk at which an alarm is raised, and nothing is sent any more.
    """

    dir: RelativePath
    alarm_free_percent: int = Field(default=10, ge=0, le=99)
    stop_free_percent: int = Field(default=5, ge=0, le=99)

    @model_validator(mode="after")
    def _ordered(self) -> "StateSettings":
        if self.stop_free_percent > self.alarm_free_percent:
            raise ValueError("stop_free_percent at most alarm_free_percent")
        return self


class ScoringSettings(Section):
    """`[scoring]`: the decision API that `creditmesh-node serve` opens.

    listen: "host:port". policy: the bank's lending policy. reference: the frozen quantiles that the portrait is drawn
    against. certificate, key: PEM files for TLS, needed beyond loopback. client_ca: callers must show a certificate
    of this CA besides their token.
    """

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8090"
    policy: RelativePath | None = None
    reference: RelativePath | None = None
    certificate: RelativePath | None = None
    key: RelativePath | None = None
    client_ca: RelativePath | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _protected(self) -> "ScoringSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key together, or neither")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("certificate and key beside client_ca")
        host = self.address[0]
        if self.certificate is None and host not in _HERE:
            raise ValueError("certificate and key, because listen is not on loopback")
        return self


class MonitoringSettings(Section):
    """`[monitoring]`: outcomes that make a new training worth it, and rows and bads below which no rule fires."""

    new_outcomes: int = Field(default=500, ge=1, le=2**40)
    least_rows: int = Field(default=100, ge=30, le=2**40)
    least_bads: int = Field(default=10, ge=5, le=2**40)


class MetricsSettings(Section):
    """`[metrics]`: where Prometheus asks the running node; on this machine alone, since it carries no log-in."""

    listen: Annotated[str, AfterValidator(_loopback)]


class NodeConfig(Section):
    """All settings of one node; paths are resolved against the folder of the file."""

    member: MemberSettings
    coordinator: CoordinatorSettings
    tls: TlsSettings
    identity: IdentitySettings
    source: SourceSettings
    permit: PermitSettings = PermitSettings()
    state: StateSettings
    scoring: ScoringSettings = ScoringSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    metrics: MetricsSettings | None = None


def load(path: Path) -> NodeConfig:
    """Return the settings in the file at `path`.

    Raises `privacy.errors.InputError` with one line: file, key, what was found, what was expected.
    """
    return read_model(Path(path), NodeConfig)
