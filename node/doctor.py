"""Examine everything that joining and running need, one line each: fine, or what to do.

It changes nothing and never prints a row or a key. Theory: most calls for help end at a name, a port, a clock, a proxy,
a certificate, a file's mode, a full disk or a table that does not fit the dictionary; a library's error names none of
them. So each is tried by itself, in the order in which one depends on the other. Exit code 0: all fine; 1: something
has to be mended; 3: it works, and something waits for a person.

JSON: `{"exit_code": int, "findings": [{"check", "title", "title_zh", "state": "ok|attention|wrong", "text"}]}`.
"""

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import python_version

from cryptography import x509

from node import config as node_config
from node.check import check_table
from node.config import NodeConfig
from node.disk_space import free_percent
from node.doctor_network import examine_network
from node.installed import installed_digest
from node.keys_file import consortium_of, read_keys, read_tls
from node.pin_book import PinBook
from node.state_folder import open_state
from privacy.errors import InputError, PrivacyError
from risk.errors import RiskError

__all__ = ["Finding", "Report", "examine"]

TITLES = {
    "settings": ("settings", "配置"),
    "versions": ("versions", "版本"),
    "files": ("key files", "密钥文件"),
    "certificate": ("certificate", "证书"),
    "proxy": ("proxy", "代理"),
    "name": ("name (DNS)", "域名解析"),
    "port": ("port", "端口"),
    "tls": ("TLS and authority", "TLS 与证书颁发机构"),
    "membership": ("membership", "成员资格"),
    "clock": ("clock", "时钟"),
    "peers": ("other banks", "其他银行"),
    "disk": ("disk", "磁盘"),
    "log": ("privacy log", "隐私日志"),
    "table": ("table and dictionary", "数据与字典"),
    "process": ("node process", "节点进程"),
}
_MARKS = {"ok": "ok  ", "attention": "look", "wrong": "MEND"}
_EVIDENCE = "known-head.note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: check (a key of `TITLES`), state (ok, attention, wrong), and what was found or is to be done."""

    check: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """All findings in order."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """Return 1 if something is wrong, 3 if something waits for a person, else 0."""
        states = {each.state for each in self.findings}
        return 1 if "wrong" in states else 3 if "attention" in states else 0

    def lines(self) -> Iterator[str]:
        """Yield one line for each finding, with its title in English and Chinese."""
        for each in self.findings:
            title, chinese = TITLES[each.check]
            yield f"{_MARKS[each.state]}  {title} / {chinese}: {each.text}"

    def to_json(self) -> str:
        """Return the report as JSON, keys as in the module's docstring."""
        findings = [
            {
                "check": each.check,
                "title": TITLES[each.check][0],
                "title_zh": TITLES[each.check][1],
                "state": each.state,
                "text": each.text,
            }
            for each in self.findings
        ]
        return json.dumps({"exit_code": self.exit_code, "findings": findings}, indent=1, ensure_ascii=False)


def examine(path: Path, now: Callable[[], datetime]) -> Report:
    """Examine the node whose settings are at `path`; now: the time, aware, UTC. Takes some seconds."""
    versions = Finding(
        "versions",
        "ok",
        f"creditmesh {metadata.version('creditmesh')}, Python {python_version()}, recipes {installed_digest()[:12]}",
    )
    try:
        settings = node_config.load(path)
    except InputError as error:
        return Report(
            (Finding("settings", "wrong", f"{error.message}; a bank gets it by: creditmesh-node join"), versions)
        )
    findings = [Finding("settings", "ok", f"{path}: member {settings.member.id}"), versions]
    findings += _tried("files", lambda: _files(settings))
    findings += _tried("certificate", lambda: _certificate(settings, now()))
    findings += [Finding(*each) for each in examine_network(settings, now)]
    findings += _tried("peers", lambda: _peers(settings))
    findings += _tried("disk", lambda: _disk(settings))
    findings += _tried("log", lambda: _log(settings))
    findings += _tried("table", lambda: _table(settings))
    findings.append(_process(settings))
    return Report(tuple(findings))


def _tried(check: str, look: Callable[[], Finding]) -> list[Finding]:
    """Return what a check found; an error of ours is a finding too."""
    try:
        return [look()]
    except (PrivacyError, RiskError) as error:
        return [Finding(check, "wrong", error.message)]
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [Finding(check, "wrong", f"{where}{(error.strerror or type(error).__name__).lower()}")]
    except (sqlite3.Error, ValueError) as error:
        return [Finding(check, "wrong", f"cannot be read ({type(error).__name__}); ask the operator for help")]


def _files(settings: NodeConfig) -> Finding:
    state = settings.state.dir
    secrets = [settings.tls.key, settings.identity.key]
    secrets += [
        state / name for name in ("log.key", "witness.key", "commit.key", "split.key") if (state / name).exists()
    ]
    for path in secrets:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            return Finding("files", "wrong", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Finding("files", "attention", f"{state}: found mode {mode:04o}, expected 0700; run: chmod 700 {state}")
    return Finding("files", "ok", f"{len(secrets)} secrets, each for this account alone")


def _certificate(settings: NodeConfig, now: datetime) -> Finding:
    read_tls(settings.tls, settings.member.id, now)
    certificate = x509.load_pem_x509_certificate(settings.tls.certificate.read_bytes())
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    days = (ends - now).total_seconds() / 86_400
    text = f"good for {days:.1f} more days, until {ends:%Y-%m-%d %H:%M} UTC"
    if now > begins + (ends - begins) * 3 / 4:
        return Finding(
            "certificate", "attention", f"{text}; it was not renewed at half its life: run: creditmesh-node rotate"
        )
    return Finding("certificate", "ok", text)


def _peers(settings: NodeConfig) -> Finding:
    keys = read_keys(settings, datetime.now(UTC))
    consortium = consortium_of(keys.tls.certificate_pem, settings.member.id)
    book = PinBook(settings.identity.peers, settings.member.id, consortium)
    standings = book.standings()
    changed = [each.member for each in standings if each.state == "changed"]
    if changed:
        text = f"the coordinator lists other keys of {', '.join(changed)} than the pinned ones; call them"
        return Finding("peers", "wrong", text)
    unknown = [each.member for each in standings if each.state in ("waiting", "first-use")]
    if unknown:
        text = f'call {", ".join(unknown)} and compare: creditmesh-node peers verify BANK "FINGERPRINT"'
        return Finding("peers", "attention", text)
    others = len(standings) - 1
    if not others:
        return Finding("peers", "attention", "no other bank is known yet; the list comes with the first connection")
    return Finding("peers", "ok", f"{others} banks are pinned and compared")


def _disk(settings: NodeConfig) -> Finding:
    free, state = free_percent(settings.state.dir), settings.state
    text = f"{free:.0f} % of the disk of {state.dir} is free"
    if free <= state.stop_free_percent:
        return Finding("disk", "wrong", f"{text}; at {state.stop_free_percent} % nothing is sent: make room")
    if free <= state.alarm_free_percent:
        return Finding("disk", "attention", f"{text}; make room before {state.stop_free_percent} % stops sending")
    return Finding("disk", "ok", text)


def _log(settings: NodeConfig) -> Finding:
    state = settings.state.dir
    if (state / _EVIDENCE).exists():
        text = f"{state / _EVIDENCE} proves that an older copy of the log was put back; restore the newest copy"
        return Finding("log", "wrong", text)
    if not (state / "log.db").exists():
        return Finding("log", "attention", "there is none yet; it begins with: creditmesh-node run")
    with closing(sqlite3.connect(f"{(state / 'log.db').absolute().as_uri()}?mode=ro", uri=True)) as database:
        count = database.execute("SELECT COUNT(*) FROM event").fetchone()[0]
    return Finding("log", "ok", f"{count} records; verify them by: creditmesh-audit verify {state}")


def _table(settings: NodeConfig) -> Finding:
    report = check_table(settings.source.table, settings.source.schema_file, settings.permit)
    if not report.ok:
        text = f"{report.summary()}; training would refuse the file: creditmesh-node check says which"
        return Finding("table", "wrong", text)
    if report.warnings:
        return Finding("table", "attention", report.warnings[0])
    return Finding("table", "ok", f"{report.scan.rows} rows, {report.scan.bads} with target 1")


def _process(settings: NodeConfig) -> Finding:
    try:
        with open_state(settings.state.dir):
            return Finding("process", "attention", "the node does not run; start it: creditmesh-node run")
    except InputError as error:
        if error.code == "state-locked":
            return Finding("process", "ok", "a process holds the state folder")
        return Finding("process", "wrong", error.message)
