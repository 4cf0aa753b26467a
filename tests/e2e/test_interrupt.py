"""Ctrl-C in every phase that a process of ours can wait in: it ends with 130, says nothing strange, leaves no port."""

import json
import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator import authority
from coordinator.store import Member, Store
from tests.coordinator.operator import Operator, make_operator
from tests.e2e.command import COORDINATOR, NODE, Ended, collect, command, interrupt, run, started, wait_for
from tests.node.bank import Bank, make_bank


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    folder = tmp_path / "operator"
    folder.mkdir()
    return make_operator(folder)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    folder = tmp_path / "bank"
    folder.mkdir()
    return make_bank(folder)


def check_ended(ended: Ended) -> None:
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    assert len(ended.complaints) <= 1


def admit(operator: Operator, bank: Bank) -> None:
    """Enrol the bank's own key with this operator, and let the bank trust the operator's authority."""
    keys = operator.folder / "keys"
    root = authority.Credential((keys / "ca.pem").read_bytes(), (keys / "ca.key").read_bytes())
    public = authority.public_key_of((bank.folder / "node.key").read_bytes())
    certificate = authority.issue_member_certificate(root, "alpha", public, datetime.now(UTC))
    (bank.folder / "ca.pem").write_bytes(root.certificate_pem)
    (bank.folder / "node.pem").write_bytes(certificate)
    identity = json.loads((bank.folder / "members.json").read_text("utf-8"))["members"]["alpha"]["identity"]
    store = Store(f"sqlite:///{operator.database}")
    store.add_member(Member("alpha", identity, authority.read_member_certificate(certificate).serial))
    store.close()


def dial(bank: Bank, endpoint: str) -> None:
    text = bank.config.read_text(encoding="utf-8")
    bank.config.write_text(text.replace("127.0.0.1:8443", endpoint), encoding="utf-8")


def is_free(endpoint: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, port = endpoint.rsplit(":", 1)
        return probe.connect_ex((host, int(port))) != 0


def test_a_check_that_waits_for_its_settings(tmp_path: Path) -> None:
    pipe = tmp_path / "node.toml"
    os.mkfifo(pipe)
    with started(command(NODE, "check", "--config", pipe)) as process:
        # Opening for writing returns when the command has opened it for reading, so it is past its start. The signal is
        # there before the pipe ends, so it is seen however far the command had come.
        with pipe.open("wb"):
            process.send_signal(signal.SIGINT)
        ended = collect(process)

    check_ended(ended)
    assert ended.complaints == ["creditmesh-node: interrupted"]


def test_a_coordinator_that_waits_for_members(operator: Operator) -> None:
    with started(command(COORDINATOR, "run", "--config", operator.config)) as process:
        endpoint = wait_for(process, "listening")["grpc"]
        listening = operator.folder / "listening.json"
        assert json.loads(listening.read_text("utf-8"))["grpc"] == endpoint
        ended = interrupt(process)

    check_ended(ended)
    assert is_free(endpoint)
    assert not listening.exists()


def test_a_node_that_nobody_answers(bank: Bank) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        dial(bank, f"127.0.0.1:{silent.getsockname()[1]}")
        with started(command(NODE, "run", "--config", bank.config)) as process:
            assert wait_for(process, "disconnected")["reason"]
            ended = interrupt(process)

    check_ended(ended)


def test_a_connected_node_and_a_second_one_on_its_state(operator: Operator, bank: Bank) -> None:
    admit(operator, bank)
    with started(command(COORDINATOR, "run", "--config", operator.config)) as server:
        endpoint = wait_for(server, "listening")["grpc"]
        dial(bank, endpoint)
        with started(command(NODE, "run", "--config", bank.config)) as process:
            wait_for(process, "connected")
            second = run(command(NODE, "run", "--config", bank.config))
            check_ended(interrupt(process))
        second.check_one_line(NODE, 2, "in use by another process")
        check_ended(interrupt(server))

    assert is_free(endpoint)


def test_a_node_that_trusts_another_authority_says_so_and_can_be_stopped(operator: Operator, bank: Bank) -> None:
    with started(command(COORDINATOR, "run", "--config", operator.config)) as server:
        dial(bank, wait_for(server, "listening")["grpc"])
        with started(command(NODE, "run", "--config", bank.config)) as process:
            reason = wait_for(process, "disconnected")["reason"]
            check_ended(interrupt(process))
        check_ended(interrupt(server))

    assert "certificate" in reason


def state_of_only_job(operator: Operator) -> tuple[str, str]:
    listed = run(command(COORDINATOR, "jobs", "--config", operator.config, "--json"))
    (found,) = json.loads(listed.out)
    return found["state"], found["reason"]


def test_a_job_that_waited_for_members_waits_again_at_the_next_start(operator: Operator) -> None:
    store = Store(f"sqlite:///{operator.database}")
    for serial, member in enumerate(("alpha", "beta", "delta", "gamma"), start=1):
        store.add_member(Member(member, f"{serial:064x}", serial))
    store.close()
    assert run(command(COORDINATOR, "submit", operator.job, "--config", operator.config)).code == 0
    with started(command(COORDINATOR, "run", "--config", operator.config)) as process:
        wait_for(process, "listening")
        while state_of_only_job(operator)[0] == "queued":
            assert process.poll() is None
        check_ended(interrupt(process))

    with started(command(COORDINATOR, "run", "--config", operator.config)) as process:
        wait_for(process, "listening")
        state, reason = state_of_only_job(operator)
        check_ended(interrupt(process))

    assert (state in ("queued", "joining"), reason) == (True, "")
