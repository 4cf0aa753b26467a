"""How the coordinator's machine and settings stand: disk, database, certificates, clock, log, versions.

It changes nothing and repairs nothing. Theory: each finding is a code, a state (`ok`, `warn`, `fail`) and values; what
to do about it stands with the texts that people read, under the same code.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from cryptography import x509

from coordinator.config import CoordinatorConfig
from coordinator.log_reader import LogReader
from coordinator.store import Store
from privacy.errors import PrivacyError

__all__ = ["Finding", "findings"]

State = Literal["ok", "warn", "fail"]
LEAST_FREE_BYTES = 1 << 30
SOON_DAYS = 7
AHEAD_US = 5_000_000
_PACKAGES = ("creditmesh", "cryptography", "sqlalchemy", "grpcio", "protobuf", "numpy", "fastapi")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; values fill its text."""

    code: str
    state: State
    values: Mapping[str, object] = field(default_factory=dict)


def findings(config: CoordinatorConfig) -> list[Finding]:
    """Return what was found, in the order in which one would mend it."""
    checks: tuple[Callable[[CoordinatorConfig], list[Finding]], ...] = (
        _disk, _database, _process, _log, _clock, _certificates, _secrets,
    )  # fmt: skip
    return [finding for check in checks for finding in check(config)] + [_versions()]


def _disk(config: CoordinatorConfig) -> list[Finding]:
    try:
        usage = shutil.disk_usage(config.state.dir)
    except OSError as error:
        return [Finding("state-unreadable", "fail", {"folder": config.state.dir, "reason": error.strerror or "?"})]
    free = {"free": usage.free, "share": round(100 * usage.free / usage.total)}
    state: State = "ok" if usage.free >= LEAST_FREE_BYTES else "warn" if usage.free >= LEAST_FREE_BYTES // 8 else "fail"
    return [Finding("disk", state, free)]


def _database(config: CoordinatorConfig) -> list[Finding]:
    began = time.monotonic()
    try:
        with closing(Store(config.storage.url)) as store:
            jobs, kind = len(store.jobs()), store.engine.dialect.name
    except PrivacyError as error:
        return [Finding("database", "fail", {"reason": error.message, "kind": "", "jobs": 0, "ms": 0})]
    took = round((time.monotonic() - began) * 1000)
    return [Finding("database", "ok", {"kind": kind, "jobs": jobs, "ms": took, "reason": ""})]


def _process(config: CoordinatorConfig) -> list[Finding]:
    try:
        listening = json.loads((config.state.dir / "listening.json").read_bytes())
        address, pid = str(listening["grpc"]), int(listening["pid"])
        os.kill(pid, 0)
    except PermissionError:
        return [Finding("process", "ok", {"grpc": address, "pid": pid})]
    except (OSError, ValueError, KeyError, TypeError):
        return [Finding("process-absent", "warn")]
    return [Finding("process", "ok", {"grpc": address, "pid": pid})]


def _log(config: CoordinatorConfig) -> list[Finding]:
    reader = LogReader(config)
    if not reader.exists:
        return [Finding("log-absent", "warn")]
    try:
        head = reader.head()
    except PrivacyError as error:
        return [Finding("log-unreadable", "fail", {"reason": error.message})]
    return [Finding("log", "ok", {"size": head[0].size if head else 0})]


def _clock(config: CoordinatorConfig) -> list[Finding]:
    """Compare the clock with the newest record: a clock that was ahead then, or is behind now, is a step back."""
    reader = LogReader(config)
    if not reader.exists:
        return []
    try:
        newest = reader.opened_us()
    except PrivacyError:
        return []
    ahead = 0 if newest is None else newest - time.time_ns() // 1000
    if ahead < AHEAD_US:
        return [Finding("clock", "ok")]
    return [Finding("clock-behind", "fail", {"seconds": ahead // 1_000_000})]


def _certificates(config: CoordinatorConfig) -> list[Finding]:
    files = {"server": config.tls.certificate, "authority": config.tls.ca}
    if config.console.certificate is not None:
        files["console"] = config.console.certificate
    return [_certificate(name, path) for name, path in files.items()]


def _certificate(name: str, path: Path) -> Finding:
    try:
        end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return Finding("certificate-unreadable", "fail", {"name": name, "path": path})
    days = (end - datetime.now(UTC)).days
    state: State = "ok" if days > SOON_DAYS else "warn" if days >= 0 else "fail"
    return Finding(f"certificate-{name}", state, {"days": days, "end": f"{end:%Y-%m-%d %H:%M}"})


def _secrets(config: CoordinatorConfig) -> list[Finding]:
    paths = [config.tls.key, config.identity.key, config.state.dir / "log.key"]
    paths += [config.authority.key] if config.authority else []
    paths += [config.console.key] if config.console.key else []
    open_to_others = [path.name for path in paths if path.exists() and path.stat().st_mode & 0o077]
    if open_to_others:
        return [Finding("secrets-open", "fail", {"names": ", ".join(open_to_others)})]
    return [Finding("secrets", "ok", {"count": len(paths)})]


def _versions() -> Finding:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return Finding("versions", "ok", {"list": ", ".join(found)})
