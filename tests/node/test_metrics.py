"""The running node's figures: their names, their sources, and a port that only this machine reaches."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node import metrics
from node.account import Account
from node.config import NodeConfig, load
from node.metrics import MetricsPort, Reading
from privacy.errors import InputError
from tests.node.bank import make_bank

NOW_US = int((datetime.now(UTC) + timedelta(seconds=1)).timestamp() * 1e6)


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    bank = make_bank(tmp_path)
    bank.config.write_text(bank.config.read_text() + '\n[metrics]\nlisten = "127.0.0.1:0"\n')
    found = load(bank.config)
    found.state.dir.mkdir(exist_ok=True)
    return found


def reading(config: NodeConfig, connected: bool = True) -> Reading:
    return Reading(config, lambda: connected, lambda: (7, NOW_US - 5_000_000), lambda: NOW_US)


@pytest.fixture
def port(config: NodeConfig) -> Iterator[MetricsPort]:
    assert config.metrics is not None
    with closing(MetricsPort(config.metrics.listen, reading(config))) as opened:
        yield opened


def asked(address: str, path: str = "/metrics", host: str | None = None, method: str = "GET") -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=30)) as line:
        line.request(method, path, headers={"Host": host} if host else {})
        answer = line.getresponse()
        return answer.status, answer.read().decode()


def figures(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_the_figures_have_the_documented_names(port: MetricsPort) -> None:
    status, text = asked(port.address)
    found = figures(text)
    assert status == 200 and found.keys() == {
        "creditmesh_link_up",
        "creditmesh_cert_expiry_seconds",
        "creditmesh_privacy_epsilon_spent",
        "creditmesh_privacy_epsilon_cap",
        "creditmesh_audit_entries_total",
        "creditmesh_audit_checkpoint_age_seconds",
        "creditmesh_disk_free_percent",
        "creditmesh_up",
    }
    expected = {"link_up": 1, "privacy_epsilon_spent": 0, "privacy_epsilon_cap": 8, "audit_entries_total": 7, "up": 1}
    assert {name: found[f"creditmesh_{name}"] for name in expected} == expected
    assert found["creditmesh_audit_checkpoint_age_seconds"] == 5 and found["creditmesh_cert_expiry_seconds"] > 0
    documented = (Path(__file__).resolve().parents[2] / "docs" / "runbook.md").read_text("utf-8")
    assert [name for name in found if f"`{name}`" not in documented] == []


def test_no_label_and_nothing_of_the_library(port: MetricsPort) -> None:
    text = asked(port.address)[1]
    assert "{" not in text and "python_" not in text and "process_" not in text


def test_a_source_that_fails_is_said_and_the_rest_stays(config: NodeConfig, port: MetricsPort) -> None:
    config.tls.certificate.unlink()
    found = figures(asked(port.address)[1])
    assert found["creditmesh_up"] == 0 and "creditmesh_cert_expiry_seconds" not in found
    assert found["creditmesh_audit_entries_total"] == 7


def test_epsilon_is_added_up_again_only_when_the_ledger_or_the_day_is_another(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[int] = []

    def account(_config: NodeConfig) -> Account:
        asked_for.append(len(asked_for) + 1)
        return Account("alpha", float(len(asked_for)), "8", "0.000001", 365, "record", (), {})

    monkeypatch.setattr(metrics, "read_account", account)
    clock = [NOW_US]
    found = Reading(config, lambda: True, lambda: (0, None), lambda: clock[0])
    assert [found.epsilon(), found.epsilon()] == [1.0, 1.0]
    (config.state.dir / "ledger").write_bytes(b"x")
    assert found.epsilon() == 2.0
    clock[0] += 86_400_000_000
    assert found.epsilon() == 3.0


@pytest.mark.parametrize(
    ("path", "host", "method"),
    [("/", None, "GET"), ("/metrics/../x", None, "GET"), ("/metrics", "evil.test", "GET"), ("/metrics", None, "POST")],
)
def test_nothing_else_is_answered(port: MetricsPort, path: str, host: str | None, method: str) -> None:
    status, text = asked(port.address, path, host, method)
    assert status == 404 and "creditmesh" not in text


def test_a_port_in_use_is_one_line(config: NodeConfig, port: MetricsPort) -> None:
    with pytest.raises(InputError, match="cannot be taken"):
        MetricsPort(port.address, reading(config))


@pytest.mark.parametrize("listen", ["0.0.0.0:9465", "10.0.0.1:9465", "bank.test:9465", "[::]:9465"])
def test_it_never_listens_beyond_this_machine(tmp_path: Path, listen: str) -> None:
    bank = make_bank(tmp_path)
    bank.config.write_text(bank.config.read_text() + f'\n[metrics]\nlisten = "{listen}"\n')
    with pytest.raises(InputError, match="this machine alone"):
        load(bank.config)
