"""Banks and a coordinator that cosign each other's logs, in one process and on virtual time.

Logs, witnesses, gates, cosigning and relay are the real ones, on real files; only the line between them is a call. A
test says per message what becomes of it: carried, dropped, changed. `changes` is asked with sender, receiver and bytes.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coordinator.head_store import HeadStore
from coordinator.log_store import LOG_ORIGIN, LogSettings, LogStore
from coordinator.log_store import load_log_key as load_coordinator_key
from coordinator.relay import Relay, RelayDesk
from coordinator.restored import Restored
from coordinator.store import Member
from node.cosigning import Cosigner, Cosigning
from node.gate import Gate, GateSettings
from node.link import ControlBlock
from node.record_store import RecordStore, StoreSettings, load_log_key
from node.witness_store import WitnessStore, load_witness_key
from privacy.envelope import COORDINATOR
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.note import COSIGNATURE, NoteSigner, VerifierKey
from privacy.log.policy import Policy, network_policy
from privacy.log.record import Actor, Author
from privacy.log.verify import LogSource, Report, verify_log
from tests.privacy.logs import HandClock, egress
from tests.privacy.table import identity_of, names_of
from tests.virtual_time import run_virtual

__all__ = ["BankSide", "WitnessNetwork", "job", "opened_log", "play"]

WHEN = 1_790_000_000
Change = Callable[[str, str, bytes], bytes | None]


def opened_log(state: Path, member: str) -> RecordStore:
    """Open a bank's log in its state folder."""
    origin = f"{member}/privacy-log"
    author = Author(origin, bytes(16), Actor("service", "node", "node", "process"))
    signer = load_log_key(state, origin)
    return RecordStore(StoreSettings(state, author, signer, "creditmesh", "00" * 32, HandClock()))


@dataclass
class _Line:
    """The gate's link: carries to the coordinator."""

    carry: Callable[[bytes], None]

    async def run(self) -> None:
        """Stay up."""
        await asyncio.Event().wait()

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Stay as it is."""

    async def send(self, message: bytes) -> None:
        """Carry one message."""
        self.carry(message)


class BankSide:
    """One bank: its log, its witness, its gate and what asks and answers."""

    def __init__(self, network: "WitnessNetwork", name: str) -> None:
        self.network, self.name, self.state = network, name, network.folder / name
        self.sent = 0

    def open(self) -> None:
        """Open the files and begin; the coordinator is asked which head it holds."""
        keys = self.network.witness_keys()
        logs = {**self.network.log_keys(), COORDINATOR: self.network.key}
        self.store = opened_log(self.state, self.name)
        others = {key.name: key for owner, key in logs.items() if owner != self.name}
        self.witness = WitnessStore(self.state, load_witness_key(self.state, self.name), others, lambda: WHEN)
        settings = GateSettings(self.name, COORDINATOR, self.network.key, bytes(16))
        self.gate = Gate(settings, self.store, self._line)
        policy = network_policy(logs[self.name], self.name, keys)
        identities = {member: identity_of(member).public for member in (*self.network.names, COORDINATOR)}
        cosigner = Cosigner(self.name, identity_of(self.name), identities, logs[self.name], policy)
        self.policy = policy
        self.cosigning = Cosigning(cosigner, self.gate, self.store, self.witness, self.state)
        self.task = asyncio.create_task(self.cosigning.run())
        self.cosigning.begin()

    async def close(self) -> None:
        """Stop, and release the files."""
        self.task.cancel()
        with contextlib.suppress(BaseException):
            await self.task
        self.witness.close()
        self.store.close()

    def grow(self, count: int = 1) -> None:
        """Let the log gain records."""
        self.store.append([egress(self.network.number()) for _ in range(count)])

    def size(self) -> int:
        """Return the size of the newest checkpoint."""
        return parse_checkpoint(self.store.checkpoint())[0].size

    def verify(self, policy: Policy | None = None) -> Report:
        """Run the auditor's steps over what is on disk."""
        return self.network.verify(self.store, self.network.log_keys()[self.name], policy or self.policy)

    def _line(self, _authorise: Callable[[], ControlBlock]) -> _Line:
        return _Line(lambda message: self.network.carry(self.name, COORDINATOR, message))


@dataclass
class WitnessNetwork:
    """So many banks and one coordinator.

    changes: says what becomes of a message; None drops it. busy: whether a job runs. backlog: bytes that wait
    for every bank. carried: who sent to whom.
    """

    folder: Path
    count: int
    changes: Change = lambda _sender, _receiver, message: message
    busy: bool = False
    backlog: int = 0
    carried: list[tuple[str, str]] = field(default_factory=list)
    _numbers: int = 0

    def __post_init__(self) -> None:
        self.names = names_of(self.count)
        self.banks = {name: BankSide(self, name) for name in self.names}
        self.keys: dict[str, tuple[NoteSigner, NoteSigner]] = {}
        for name in self.names:
            state = self.folder / name
            self.keys[name] = (load_log_key(state, f"{name}/privacy-log"), load_witness_key(state, name))
        self.key = load_coordinator_key(self.folder / COORDINATOR, LOG_ORIGIN).verifier()

    def open(self) -> None:
        """Open the coordinator and every bank."""
        self.open_coordinator()
        for bank in self.banks.values():
            bank.open()

    def open_coordinator(self) -> None:
        """Open the coordinator alone."""
        state = self.folder / COORDINATOR
        author = Author(LOG_ORIGIN, bytes(16), Actor("service", "coordinator", "coordinator", "process"))
        signer = load_coordinator_key(state, LOG_ORIGIN)
        self.log = LogStore(LogSettings(state, author, signer, "creditmesh", "00" * 32, HandClock()))
        self.heads = HeadStore(state)
        self.relay = Relay(
            RelayDesk(
                identity_of(COORDINATOR), self.log, self.key, self.heads, self.members,
                lambda member, message: self.carry(COORDINATOR, member, message),
                lambda member, message: self.carry(COORDINATOR, member, message), lambda _member: self.backlog,
                lambda: self.busy, Restored(state),
            )
        )  # fmt: skip
        self.task = asyncio.create_task(self.relay.run())

    async def close(self) -> None:
        """Stop everything."""
        for bank in self.banks.values():
            await bank.close()
        await self.close_coordinator()

    async def close_coordinator(self) -> None:
        """Stop the coordinator alone."""
        self.task.cancel()
        with contextlib.suppress(BaseException):
            await self.task
        self.heads.close()
        self.log.close()

    def carry(self, sender: str, receiver: str, message: bytes) -> None:
        """Carry a message, unless the test changes or drops it."""
        changed = self.changes(sender, receiver, message)
        if changed is None:
            return
        self.carried.append((sender, receiver))
        take = taking(self, sender, receiver, changed)
        asyncio.get_running_loop().call_soon(take)

    def number(self) -> int:
        """Return the next number for a message id."""
        self._numbers += 1
        return self._numbers

    def members(self) -> dict[str, Member]:
        """Return who is enrolled, with all keys."""
        return {
            name: Member(
                name, identity_of(name).public.hex(), place,
                log=self.log_keys()[name].encode(), witness=self.witness_keys()[name].encode(),
            )
            for place, name in enumerate(self.names)
        }  # fmt: skip

    def log_keys(self) -> dict[str, VerifierKey]:
        """Return the banks' log keys."""
        return {name: log.verifier() for name, (log, _) in self.keys.items()}

    def witness_keys(self) -> dict[str, VerifierKey]:
        """Return the banks' witness keys."""
        return {name: witness.verifier(COSIGNATURE) for name, (_, witness) in self.keys.items()}

    def policy(self) -> Policy:
        """Return the policy of the coordinator's log."""
        return network_policy(self.key, COORDINATOR, self.witness_keys())

    def verify(self, store: RecordStore | LogStore, key: VerifierKey, policy: Policy) -> Report:
        """Run the auditor's steps over a log's database."""
        database: Any = store._reader
        return verify_log(
            LogSource(
                origin=key.name,
                key=key,
                events=[bytes(row[0]) for row in database.execute("SELECT event FROM event ORDER BY seq")],
                checkpoints=[bytes(row[0]) for row in database.execute("SELECT note FROM checkpoint ORDER BY size")],
                cosignatures=list(database.execute("SELECT size, line FROM cosignature ORDER BY number")),
                policy=policy,
            )
        )

    def kinds(self, store: RecordStore | LogStore) -> list[str]:
        """Return the kinds of a log's events."""
        return [event.kind for event in store.events(0, 1 << 30)]


def taking(network: WitnessNetwork, sender: str, receiver: str, message: bytes) -> Callable[[], object]:
    """Return the call that hands a message to its receiver."""
    if receiver == COORDINATOR:
        return lambda: network.relay.take(sender, message)
    return lambda: network.banks[receiver].cosigning.take(message)


def play(folder: Path, script: Callable[[WitnessNetwork], Awaitable[None]], count: int = 4) -> None:
    """Run a script over an open network of so many banks."""

    async def test() -> None:
        network = WitnessNetwork(folder, count)
        network.open()
        await script(network)
        await network.close()

    run_virtual(test())


async def job(network: WitnessNetwork) -> None:
    """Let everybody's log grow, as a job does, and come to rest."""
    for bank in network.banks.values():
        bank.grow(5)
        bank.gate.departed.set()
    await asyncio.sleep(0.1)
    for bank in network.banks.values():
        bank.cosigning.settle()
    network.relay.settle()
    await asyncio.sleep(5)
