"""The figures for Prometheus: their names, their labels, and a port that only this machine reaches."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from coordinator.config import MetricsSettings, load
from coordinator.metrics import Meters, MetricsPort, Reading
from coordinator.store import Member, RoundRecord, Store
from privacy.errors import InputError
from tests.coordinator.operator import make_operator

NOW_US = 1_700_000_100_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path}/coordinator.db")) as opened:
        for number in range(3):
            opened.add_member(Member(f"bank-{number}", f"{number:02x}" * 32, number + 1))
        opened.set_member_status("bank-2", "suspended")
        job = opened.add_job("scorecard", {})
        opened.record_round(RoundRecord(job, 1, 0, "secret-field-name", "opened", (), 10, 1, 2))
        opened.record_round(RoundRecord(job, 2, 1, "secret-field-name", "closed", (), 10, 1, None))
        folder = tmp_path / "jobs" / job
        folder.mkdir(parents=True)
        (folder / "outcome.json").write_text(json.dumps({"dropouts": 2, "dp": {"epsilon": "3"}}))
        yield opened


@pytest.fixture
def meters(store: Store, tmp_path: Path) -> Meters:
    return Meters(Reading(store, tmp_path, lambda: {"bank-0": 1.5}, lambda: (7, NOW_US - 5_000_000), lambda: NOW_US))


def asked(port: int, path: str = "/metrics", host: str | None = None, method: str = "GET") -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line:
        line.request(method, path, headers={"Host": host} if host else {})
        answer = line.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture
def port(meters: Meters) -> Iterator[int]:
    with closing(MetricsPort(MetricsSettings(listen="127.0.0.1:0"), meters)) as opened:
        yield opened.port


def test_the_figures_have_the_documented_names(meters: Meters, port: int) -> None:
    meters.received("bank-0", 100)
    meters.received("bank-0", 50)
    meters.timed("uploading", 0.07)
    status, text = asked(port)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert status == 200
    expected = {
        ("creditmesh_members", "active"): 2,
        ("creditmesh_members", "suspended"): 1,
        ("creditmesh_member_last_seen_seconds", "bank-0"): 1.5,
        ("creditmesh_round_phase_seconds_count", "uploading"): 1,
        ("creditmesh_rounds_total", "opened"): 1,
        ("creditmesh_rounds_total", "closed"): 1,
        ("creditmesh_round_dropouts_total",): 2,
        ("creditmesh_upload_bytes_total", "bank-0"): 150,
        ("creditmesh_audit_entries_total",): 7,
        ("creditmesh_audit_checkpoint_age_seconds",): 5,
        ("creditmesh_jobs", "queued"): 1,
        ("creditmesh_up",): 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert [value for name, value in found.items() if name[0] == "creditmesh_privacy_epsilon_spent"] == [3]


def test_no_free_text_and_no_field_becomes_a_label(meters: Meters, port: int) -> None:
    text = asked(port)[1]
    assert "secret-field-name" not in text
    assert "python_" not in text and "process_" not in text  # a registry of our own


@pytest.mark.parametrize(
    ("path", "host", "method"),
    [("/", None, "GET"), ("/metrics/../x", None, "GET"), ("/metrics", "evil.test", "GET"), ("/metrics", None, "POST")],
)
def test_nothing_else_is_answered(port: int, path: str, host: str | None, method: str) -> None:
    status, text = asked(port, path, host, method)
    assert status == 404 and "creditmesh" not in text


def test_a_source_that_fails_is_said(meters: Meters, port: int, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Store) -> None:
        raise InputError("database-unusable", "gone")

    monkeypatch.setattr(Store, "members", broken)
    status, text = asked(port)
    assert status == 200 and "creditmesh_up 0.0" in text and "creditmesh_audit_entries_total 7.0" in text


def test_a_port_in_use_is_one_line(meters: Meters, port: int) -> None:
    with pytest.raises(InputError, match="cannot be taken"):
        MetricsPort(MetricsSettings(listen=f"127.0.0.1:{port}"), meters)


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "10.0.0.1:9464", "bank.test:9464"])
def test_it_never_listens_beyond_this_machine(tmp_path: Path, listen: str) -> None:
    operator = make_operator(tmp_path)
    operator.config.write_text(operator.config.read_text() + f'\n[metrics]\nlisten = "{listen}"\n')
    with pytest.raises(InputError, match="this machine alone"):
        load(operator.config)
