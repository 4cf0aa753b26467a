"""Reconciliation on exchanges whose truth is known."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audit.cli import main
from audit.reconcile import reconcile
from coordinator.receipt import arrival
from privacy.arrival import arrival_body
from privacy.envelope import COORDINATOR as COORDINATOR_NAME
from privacy.envelope import EVERYONE, Address, sign_envelope
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from privacy.messages import Halt
from tests.audit.conftest import Exchange
from tests.audit.logs import IDENTITY, coordinator_store, envelope, named_store
from tests.privacy.logs import HandClock, MemoryLog, egress, ingress, opened

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
    assert run([egress(1)], [ingress(1, accepted=False)]) == [("low", "refused")]
    assert run([egress(1)], [ingress(1), ingress(1, accepted=False)]) == [("medium", "arrived-twice")]
    assert run([egress(1)], [ingress(1), ingress(1)]) == [("medium", "accepted-twice")]
    assert run([egress(1, attempt=1), egress(1, attempt=2)], [ingress(1)]) == [("low", "sent-again")]
    assert run([egress(1, attempt=1), egress(1, attempt=2)], [ingress(1), ingress(1, accepted=False)]) == []
    assert run([egress(1)], [ingress(1)], IDENTITY.public) == [("critical", "signature")]
    assert run([egress(1)], [ingress(1, **{"from": "bank-b"})]) == [("low", "not-received")]


def test_clocks_that_disagree_are_said() -> None:
    node, peer = MemoryLog(), MemoryLog("coordinator/privacy-log")
    node.append(egress(1))
    peer.clock.pass_us(6_000_000)
    peer.append(ingress(1))
    out = reconcile(node.events(), peer.events(), "bank-a", None)
    assert [(finding.severity, finding.code) for finding in out.findings] == [("low", "clock")]


def test_clocks_that_admit_their_error_may_differ_by_it() -> None:
    node, peer = MemoryLog(), MemoryLog("coordinator/privacy-log")
    who = replace(node.appender._journal.author, clock_source="ntp", clock_error_us=1_000_000)
    node.appender._journal.author = who
    node.append(egress(1))
    peer.clock.pass_us(5_900_000)
    peer.append(ingress(1))
    assert reconcile(node.events(), peer.events(), "bank-a", None).findings == []


def test_control_blocks_are_counted_apart() -> None:
    node = MemoryLog()
    body = {**egress(1).body, "payload_kind": "control", "frames": 10, "bytes": 500}
    del body["payload_sha256"]
    node.append(replace(egress(1), body=body), egress(2))
    peer = MemoryLog("coordinator/privacy-log")
    peer.append(ingress(2))
    out = reconcile(node.events(), peer.events(), "bank-a", None)
    assert (out.control_bytes, out.sent_bytes, out.received_bytes, out.findings) == (500, 102, 102, [])


COORDINATOR = IdentityKey.from_seed(b"c" * 32)


def said(number: int, part: str = "", identity: IdentityKey = COORDINATOR, accepted: bool = True) -> Entry:
    """Return a node's record of a message of the coordinator's."""
    address = Address("job-1", 1, number, manifest_sha256=b"m" * 32)
    signed = sign_envelope(identity, COORDINATOR_NAME, EVERYONE, address, Halt("stop"))
    body = arrival_body(signed, 100 + number, "" if accepted else "late") | ({"part": part} if part else {})
    return Entry("ingress.received", body, "credit-risk-model", "job-1")


def told(number: int, to: str = "bank-a", part: str = "", **more: Any) -> Entry:
    """Return the coordinator's record of the same message."""
    body = said(number).body
    shared = {key: body[key] for key in ("msg_id", "bytes", "payload_kind", "payload_sha256")}
    record = {**shared, "to": to, "protection": "signed", **({"part": part} if part else {}), **more}
    return Entry("egress.authorised", record, "credit-risk-model", "job-1")


def seated(*members: str) -> Entry:
    body = {
        "job": "job-1", "decision": "accepted", "reason": "enough", "spec_sha256": "00" * 32, "min_cohort": 3,
        "approvers": list(members),
    }  # fmt: skip
    return Entry("job.decided", body, "credit-risk-model", "job-1")


def crash() -> Entry:
    return replace(opened(), body={**opened().body, "unclean": True})


def down(coordinator: list[Entry], node: list[Entry], wait_us: int = 0) -> list[tuple[str, str]]:
    """Return what is found in the direction from the coordinator to bank-a."""
    mine, theirs = MemoryLog(), MemoryLog("coordinator/privacy-log")
    for entry in node:
        mine.append(entry)
    theirs.clock.pass_us(1_000_000)
    for entry in coordinator:
        theirs.append(entry)
    theirs.clock.pass_us(wait_us)
    theirs.append(opened())
    out = reconcile(mine.events(), theirs.events(), "bank-a", None, COORDINATOR.public)
    return [(finding.severity, finding.code) for finding in out.findings]


def test_what_the_coordinator_says_is_compared_too() -> None:
    assert down([told(1)], [said(1)]) == []
    assert down([seated("bank-a", "bank-b"), told(1, "*", recipients="10")], [said(1)]) == []
    assert down([seated("bank-a", "bank-b"), told(1, "*", recipients="01")], [said(1)]) == [("critical", "down-hidden")]
    assert down([told(1, "bank-b")], []) == []
    assert down([told(1)], []) == [("low", "down-not-received")]
    assert down([told(1)], [], wait_us=700_000_000) == [("medium", "down-not-received")]
    assert down([], [said(1)]) == [("critical", "down-hidden")]
    assert down([], [said(1, identity=IDENTITY)]) == [("critical", "down-invented")]
    assert down([told(1)], [said(1, identity=IDENTITY)]) == [("critical", "down-signature")]
    assert down([told(1, bytes=7)], [said(1)]) == [("critical", "down-differs")]
    assert down([told(1)], [said(1), said(1)]) == [("medium", "down-accepted-twice")]
    assert down([told(1)], [said(1, accepted=False)]) == [("low", "down-refused")]


def test_parts_of_one_sum_are_different_messages() -> None:
    assert down([told(1, part="bank-b"), told(1, part="bank-c")], [said(1, "bank-b"), said(1, "bank-c")]) == []
    assert down([told(1, part="bank-b")], [said(1, "bank-c")]) == [
        ("critical", "down-hidden"), ("low", "down-not-received")]  # fmt: skip


def test_a_crash_of_the_coordinator_takes_records_but_not_the_blame() -> None:
    assert down([crash()], [said(1)]) == [("medium", "down-lost")]
    assert down([crash()], [said(1, identity=IDENTITY)]) == [("critical", "down-invented")]


def test_records_for_nobody_in_particular_prove_nothing() -> None:
    assert down([told(1, "*", recipients="10")], [said(1)]) == []
    assert down([told(1, "*")], []) == []


def test_many_banks_at_once(make_exchange: Make, capsys: Lines) -> None:
    exchange = make_exchange()
    store = named_store(exchange.root / "bank-b", "bank-b", HandClock())
    store.close()
    arguments = ["reconcile", str(exchange.node), str(exchange.root / "bank-b"), str(exchange.coordinator)]
    assert main([*arguments, "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["banks"]
    assert (first["member"], first["matched"], first["exit_code"]) == ("bank-a", 6, 0)
    # The coordinator of this exchange recorded an arrival from bank-b that bank-b's log lacks.
    assert [each["code"] for each in second["findings"]] == ["one-sided"]
    assert main([*arguments[:2], str(exchange.node), str(exchange.coordinator)]) == 2
    assert main(arguments[:2]) == 2
    capsys.readouterr()
