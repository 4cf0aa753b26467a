"""Health: each thing that can be wrong is found, and has a text and a way to mend it."""

import os
import time
from collections import namedtuple
from pathlib import Path

import pytest

from coordinator import config
from coordinator.console.language import load_texts
from coordinator.health import findings
from coordinator.service import open_log
from privacy.log.record import Entry
from tests.coordinator.operator import make_operator

TEXTS = load_texts()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def settings(tmp_path: Path) -> config.CoordinatorConfig:
    return config.load(make_operator(tmp_path).config)


def states(settings: config.CoordinatorConfig) -> dict[str, str]:
    found = findings(settings)
    assert all(f"health.{each.code}" in TEXTS for each in found)
    assert all(each.state == "ok" or f"mend.{each.code}" in TEXTS for each in found)
    return {each.code: each.state for each in found}


def test_a_new_consortium_is_fine_but_for_what_has_not_begun(settings: config.CoordinatorConfig) -> None:
    found = states(settings)
    assert {code for code, state in found.items() if state != "ok"} == {"process-absent", "log-absent"}
    assert {"disk", "database", "certificate-server", "certificate-authority", "secrets", "versions"} <= set(found)


@pytest.mark.parametrize(("free", "state"), [(2**40, "ok"), (2**29, "warn"), (2**20, "fail")])
def test_a_full_disk_is_found(
    settings: config.CoordinatorConfig, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(2**41, 0, free))
    assert states(settings)["disk"] == state


def test_a_running_process_is_seen_and_a_dead_one_is_not(settings: config.CoordinatorConfig) -> None:
    listening = settings.state.dir / "listening.json"
    listening.write_text(f'{{"grpc": "127.0.0.1:1", "pid": {os.getpid()}}}')
    assert states(settings)["process"] == "ok"
    for content in ('{"grpc": "127.0.0.1:1", "pid": 2147483000}', "[]", "", '{"grpc": "x"}'):
        listening.write_text(content)
        assert states(settings)["process-absent"] == "warn"


def test_a_secret_that_others_read_is_named(settings: config.CoordinatorConfig) -> None:
    settings.identity.key.chmod(0o640)
    assert states(settings)["secrets-open"] == "fail"


def test_an_unreadable_certificate_is_found(settings: config.CoordinatorConfig) -> None:
    settings.tls.certificate.write_text("nothing")
    assert states(settings)["certificate-unreadable"] == "fail"


def test_a_clock_that_fell_back_is_found(settings: config.CoordinatorConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(settings, bytes(32))
    log.append([Entry("alarm.raised", {"class": "disk", "severity": "low", "evidence": "x"})])
    log.close()
    assert states(settings)["clock"] == "ok"
    now = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now - 60 * 10**9)
    assert states(settings)["clock-behind"] == "fail"
