"""One exchange between a bank and the coordinator, with receipts, as two closed state directories."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coordinator.receipt import ReceiptDesk, arrival
from node.gate import Gate, GateSettings
from node.link import ControlBlock
from privacy.log.note import VerifierKey
from privacy.outgoing import Outgoing
from tests.audit.logs import IDENTITY, coordinator_store, envelope, node_store
from tests.privacy.logs import HandClock, ingress

__all__: list[str] = []


@dataclass
class Exchange:
    """What passed between bank-a and the coordinator.

    node, coordinator: closed state directories. members: members.json. hidden: positions that the node did not
    record. lost: positions that the coordinator did not record. wait_us: time after the last message.
    """

    root: Path
    hidden: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    wait_us: int = 0
    positions: int = 6

    @property
    def node(self) -> Path:
        return self.root / "bank-a"

    @property
    def coordinator(self) -> Path:
        return self.root / "coordinator"

    @property
    def members(self) -> Path:
        return self.root / "members.json"

    def run(self) -> "Exchange":
        asyncio.run(self._run())
        document = {"members": {"bank-a": {"identity": IDENTITY.public.hex()}}}
        self.members.write_text(json.dumps(document))
        return self

    async def _run(self) -> None:
        clock = HandClock()
        node, coordinator = node_store(self.node, clock), coordinator_store(self.coordinator, clock)
        key = VerifierKey.parse((self.coordinator / "log.vkey").read_text())
        gate = Gate(GateSettings("bank-a", "coordinator", key, os.urandom(16)), node, _Silent)
        desk = ReceiptDesk(coordinator)
        for position in range(self.positions):
            clock.pass_us(20_000)
            signed = envelope(position)
            if position not in self.hidden:
                await gate.send(_outgoing(signed.msg_id, signed.payload_sha256, signed.raw))
            if position not in self.lost:
                receipt = await desk.acknowledge(arrival(signed, len(signed.raw), "credit-risk-model"))
                if position not in self.hidden:
                    gate.on_receipt(receipt)
        clock.pass_us(self.wait_us)
        coordinator.append([ingress(99, **{"from": "bank-b"})])
        node.close()
        coordinator.close()


class _Silent:
    def __init__(self, authorise: Callable[[], ControlBlock]) -> None:
        authorise()

    async def run(self) -> None:
        """Do nothing."""

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Stay as it is."""

    async def send(self, message: bytes) -> None:
        """Lose the message; the exchange hands it over itself."""


def _outgoing(msg_id: str, digest: str, raw: bytes) -> Outgoing:
    return Outgoing("secagg.halt", msg_id, "coordinator", "job-1", 1, "credit-risk-model", "signed", raw, digest, {})


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the auditor remembers between runs out of the home of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-of-the-auditor"))


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path).run()


@pytest.fixture
def make_exchange(tmp_path: Path) -> Callable[..., Exchange]:
    return lambda **how: Exchange(tmp_path / "made", **how).run()
