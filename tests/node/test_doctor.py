"""Each common failure becomes one line that says what to do; no row and no key is ever in it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator import authority
from node import doctor, doctor_network
from node.doctor import TITLES, Report, examine
from node.pin_book import PinBook
from node.state_folder import open_state
from tests.node.bank import Bank, make_bank, write_table
from tests.privacy.test_member_entry import entry_for


@dataclass
class Patient:
    """A bank whose coordinator is a TLS server of the test that lets everybody in, or says it would not."""

    bank: Bank
    root: authority.Credential
    slug: str = ""

    def report(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Report:
        return examine(self.bank.config, now)

    def line(self, check: str) -> tuple[str, str]:
        """Return the state and text of the last finding of a check."""
        found = [(each.state, each.text) for each in self.report().findings if each.check == check]
        return found[-1] if found else ("", "")

    def set(self, old: str, new: str) -> None:
        text = self.bank.config.read_text()
        assert old in text
        self.bank.config.write_text(text.replace(old, new))


@contextmanager
def tls_server(folder: Path, credential: authority.Credential) -> Iterator[int]:
    """Complete handshakes on loopback until the test is over; return the port."""
    pair = folder / "server.pem"
    pair.write_bytes(credential.key_pem + credential.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as line:
                    line.recv(1)
            except OSError:
                pass  # a plain connection that was only a look at the port

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    bank, now = make_bank(tmp_path), datetime.now(UTC)
    root = authority.create_authority("demo", now)
    (tmp_path / "ca.pem").write_bytes(root.certificate_pem)
    public = authority.public_key_of((tmp_path / "node.key").read_bytes())
    (tmp_path / "node.pem").write_bytes(authority.issue_member_certificate(root, "alpha", public, now))
    (tmp_path / "state").chmod(0o700)
    write_table(bank.table, "b1,2007-02,1,10.5,0,31,north,0.5,0", "b2,2007-03,1,,1,52,south,,1")
    patient = Patient(bank, root)
    monkeypatch.setattr(doctor_network, "ask_admission", lambda _settings: patient.slug)
    monkeypatch.setattr(doctor, "free_percent", lambda _folder: 50.0)
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with tls_server(tmp_path, authority.issue_server_certificate(root, ("127.0.0.1",), now)) as port:
        patient.set("127.0.0.1:8443", f"127.0.0.1:{port}")
        yield patient


def test_a_healthy_bank_only_lacks_a_running_node(patient: Patient) -> None:
    report = patient.report()
    waits = [(each.check, each.state) for each in report.findings if each.state != "ok"]
    assert waits == [("log", "attention"), ("process", "attention")]
    assert report.exit_code == 3
    with open_state(patient.bank.folder / "state"):
        assert patient.line("process")[0] == "ok"
    document = json.loads(report.to_json())
    assert document["exit_code"] == 3
    assert {each["check"] for each in document["findings"]} == set(TITLES)
    assert all(each["title_zh"] for each in document["findings"])


def test_settings_that_are_not_there_or_wrong_are_the_first_thing_said(patient: Patient) -> None:
    patient.set("[state]", "[stale]")
    report = patient.report()
    assert report.exit_code == 1
    assert "unknown key stale" in next(report.lines())
    patient.bank.config.unlink()
    assert "creditmesh-node join" in next(patient.report().lines())


@pytest.mark.parametrize(
    ("spoil", "check", "says"),
    [
        (lambda p: (p.bank.folder / "identity.key").chmod(0o644), "files", "chmod 600"),
        (lambda p: (p.bank.folder / "node.key").unlink(), "files", "no such file"),
        (lambda p: (p.bank.folder / "state").chmod(0o755), "files", "chmod 700"),
        (lambda p: p.set('id = "alpha"', 'id = "beta"'), "certificate", "does not name this member"),
        (lambda p: (p.bank.folder / "ca.pem").write_bytes(p.bank.other.certificate_pem), "tls", "another authority"),
        (lambda p: p.set("127.0.0.1:", "localhost:"), "tls", "is not for 'localhost'"),
        (lambda p: p.set("127.0.0.1:", "no-such-host.invalid:"), "name", "cannot be resolved"),
        (lambda p: (p.bank.folder / "state" / "known-head.note").touch(), "log", "older copy"),
        (lambda p: (p.bank.folder / "state" / "log.db").write_bytes(b"torn" * 300), "log", "cannot be read"),
        (lambda p: write_table(p.bank.table, "b1,2007-02,1,10.5,9,31,north,0.5,0"), "table", "training would refuse"),
        (lambda p: p.bank.table.unlink(), "table", "cannot be read"),
        (lambda p: (p.bank.folder / "members.json").write_text("{}"), "peers", "expected"),
    ],
)
def test_each_failure_is_one_line_that_says_what_to_do(
    patient: Patient, spoil: Callable[[Patient], object], check: str, says: str
) -> None:
    spoil(patient)
    state, text = patient.line(check)
    assert state in ("wrong", "attention") and says in text, text
    assert "\n" not in text
    assert patient.report().exit_code in (1, 3)


def test_a_closed_port_and_a_port_of_something_else(patient: Patient) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        patient.set('endpoint = "', f'endpoint = "127.0.0.1:{nobody.getsockname()[1]}" #')
        assert "nothing listens" in patient.line("port")[1]
        assert patient.line("membership") == ("", "")  # nothing is guessed beyond the first failure


def test_what_the_coordinator_would_say(patient: Patient) -> None:
    for slug, says in (
        ("member-revoked", "revoked this bank's membership"),
        ("certificate-replaced", "replaced by a newer one"),
        ("not-a-member", "ask the operator"),
        ("something-new", "refuses this certificate"),
    ):
        patient.slug = slug
        state, text = patient.line("membership")
        assert (state, says in text) == ("wrong", True), text


@pytest.mark.parametrize(("free", "state"), [(50.0, "ok"), (9.0, "attention"), (4.0, "wrong")])
def test_the_disk(patient: Patient, monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    monkeypatch.setattr(doctor, "free_percent", lambda _folder: free)
    assert patient.line("disk")[0] == state


@pytest.mark.parametrize(
    ("days", "state", "says"),
    [(0, "ok", "30.0"), (23, "attention", "rotate"), (31, "wrong", "join CODE")],
)
def test_the_certificate_by_this_clock(patient: Patient, days: int, state: str, says: str) -> None:
    report = patient.report(lambda: datetime.now(UTC) + timedelta(days=days))
    (found,) = [each for each in report.findings if each.check == "certificate"]
    assert (found.state, says in found.text) == (state, True), found.text


def test_other_banks(patient: Patient) -> None:
    assert patient.line("peers") == ("ok", "3 banks are pinned and compared")
    book = PinBook(patient.bank.folder / "members.json", "alpha", "demo")
    book.take([entry_for("omega", "demo")], verified_only=True)
    state, text = patient.line("peers")
    assert state == "attention" and "omega" in text and "peers verify" in text
    book.take([entry_for("beta", "demo")], verified_only=True)
    state, text = patient.line("peers")
    assert state == "wrong" and "beta" in text


def test_a_proxy_is_named_and_one_that_refuses_is_told(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        line, _ = proxy.accept()
        with line:
            line.recv(4096)
            line.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
    patient.set('endpoint = "127.0.0.1', 'endpoint = "coordinator.invalid')
    findings = [(each.check, each.state, each.text) for each in patient.report().findings]
    thread.join(20)
    proxy.close()
    (ok, wrong) = [each for each in findings if each[0] == "proxy"]
    assert ok[1] == "ok" and "https_proxy" in ok[2]
    assert wrong[1] == "wrong" and "(403)" in wrong[2]
    assert not [each for each in findings if each[0] == "port"]
