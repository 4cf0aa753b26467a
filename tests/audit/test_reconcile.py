"""Reconciliation on exchanges whose truth is known."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audit.cli import main
from audit.reconcile import reconcile
from coordinator.receipt import arrival
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from tests.audit.conftest import Exchange
from tests.audit.logs import IDENTITY, coordinator_store, envelope
from tests.privacy.logs import HandClock, MemoryLog, egress, ingress

Make = Callable[..., Exchange]
Lines = pytest.CaptureFixture[str]


def compared(capsys: Lines, exchange: Exchange, *more: str) -> tuple[int, list[tuple[str, str]]]:
    code = main(["reconcile", str(exchange.node), str(exchange.coordinator), "--json", *more])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, [(finding["severity"], finding["code"]) for finding in document["findings"]]


def test_an_egress_that_was_never_received_is_found(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange(lost=(2,), wait_us=700_000_000)
    assert compared(capsys, exchange) == (3, [("medium", "not-received")])


def test_a_message_on_its_way_is_no_fault(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange(lost=(5,), wait_us=100_000_000)
    assert compared(capsys, exchange) == (0, [("low", "not-received")])


def test_a_hidden_egress_is_proved_by_the_nodes_own_signature(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange(hidden=(3,))
    members = ("--members", str(exchange.members))
    assert compared(capsys, exchange, *members) == (1, [("critical", "egress-hidden")])
    assert compared(capsys, exchange) == (1, [("critical", "one-sided")])


def test_an_invented_arrival_lacks_the_signature(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange()
    store = coordinator_store(exchange.coordinator, HandClock())
    store.append([arrival(envelope(50, IdentityKey.from_seed(b"x" * 32)), 10, "p").entry()])
    store.close()
    members = ("--members", str(exchange.members))
    assert compared(capsys, exchange, *members) == (1, [("critical", "arrival-invented")])


def test_a_coordinator_that_shows_the_node_another_log_is_found(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange()
    other = Exchange(exchange.root / "other").run()
    (exchange.coordinator / "log.db").write_bytes((other.coordinator / "log.db").read_bytes())
    (exchange.coordinator / "log.mark").unlink()
    for name in ("log.vkey", "log.key"):
        (exchange.coordinator / name).write_bytes((other.coordinator / name).read_bytes())
    code = main(["reconcile", str(exchange.node), str(exchange.coordinator)])
    assert code == 1 and capsys.readouterr().err.count("\n") == 1


def run(sent: list[Entry], received: list[Entry], identity: bytes | None = None) -> list[tuple[str, str]]:
    node, peer = MemoryLog(), MemoryLog("coordinator/privacy-log")
    for entry in sent:
        node.append(entry)
    for entry in received:
        peer.append(entry)
    out = reconcile(node.events(), peer.events(), "bank-a", identity)
    return [(finding.severity, finding.code) for finding in out.findings]


def test_every_disagreement_has_its_name() -> None:
    assert run([egress(1)], [ingress(1)]) == []
    assert run([egress(1)], [ingress(1, payload="cd")]) == [("critical", "differs")]
    assert run([egress(1)], [ingress(1, bytes=5)]) == [("critical", "differs")]
    assert run([egress(1)], [ingress(1), ingress(1, accepted=False)]) == [
        ("low", "refused"), ("medium", "arrived-twice")]  # fmt: skip
    assert run([egress(1, attempt=1), egress(1, attempt=2)], [ingress(1)]) == [("low", "not-received")]
    assert run([egress(1)], [ingress(1)], IDENTITY.public) == [("critical", "signature")]
    assert run([egress(1)], [ingress(1, **{"from": "bank-b"})]) == [("low", "not-received")]


def test_clocks_that_disagree_are_said() -> None:
    node, peer = MemoryLog(), MemoryLog("coordinator/privacy-log")
    node.append(egress(1))
    peer.clock.pass_us(6_000_000)
    peer.append(ingress(1))
    out = reconcile(node.events(), peer.events(), "bank-a", None)
    assert [(finding.severity, finding.code) for finding in out.findings] == [("low", "clock")]


def test_control_blocks_are_counted_apart() -> None:
    node = MemoryLog()
    body = {**egress(1).body, "payload_kind": "control", "frames": 10, "bytes": 500}
    del body["payload_sha256"]
    node.append(replace(egress(1), body=body), egress(2))
    peer = MemoryLog("coordinator/privacy-log")
    peer.append(ingress(2))
    out = reconcile(node.events(), peer.events(), "bank-a", None)
    assert (out.control_bytes, out.sent_bytes, out.received_bytes, out.findings) == (500, 102, 102, [])
