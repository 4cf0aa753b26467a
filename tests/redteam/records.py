"""What the refusing side writes down: every refusal of the suite goes through the code that records refusals.

The logs are real ones on disk. A refusal of a bank is raised inside a real session, as the member machine raises it,
and must stand in the bank's log as an alarm that begins with its code; one of the coordinator goes through a real job
session and the counter into the coordinator's log; one of the link through the hub's refusals.
"""

import asyncio
import tempfile
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import Mock

from coordinator.counter import Counter
from coordinator.log_store import LOG_ORIGIN, LogSettings, LogStore
from coordinator.log_store import load_log_key as load_coordinator_key
from coordinator.presence import Presence
from coordinator.receipt import ReceiptDesk
from coordinator.refusals import Refusals
from coordinator.session import Desk, JobSession
from node.record_store import RecordStore, StoreSettings, load_log_key
from node.service import _alarmed
from node.session import Session
from privacy import messages as say
from privacy.envelope import COORDINATOR, Address
from privacy.errors import MisuseError, PrivacyError
from privacy.log.record import Event
from tests.network import Network
from tests.privacy.logs import ORIGIN, HandClock, author
from tests.privacy.table import identity_of, manifest_of, member_of, sign_as
from tests.redteam.attack import Attack, HeldError

__all__ = ["UNRECORDED", "Records"]

UNRECORDED = {
    "23": "coordinator: event members-excluded",  # found out when the part is shown, not when it came
    "+19": "node: exit code 4, nothing is written",  # a log that fell back is not written to
    "+20": "node: alarm.raised",  # the attack itself reads it there
}


class Records:
    """One bank's log and the coordinator's, for all attacks of a run."""

    def __enter__(self) -> "Records":
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        key = load_log_key(folder / "node", ORIGIN)
        settings = StoreSettings(folder / "node", author(), key, "test/1", "00" * 32, HandClock())
        self._node = self._stack.enter_context(closing(RecordStore(settings)))
        key = load_coordinator_key(folder / "coordinator", LOG_ORIGIN)
        mine = LogSettings(folder / "coordinator", author(LOG_ORIGIN), key, "test/1", "00" * 32, HandClock())
        self._coordinator = self._stack.enter_context(closing(LogStore(mine)))
        self._network = Network.of(folder, 4)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, case: Attack, error: PrivacyError) -> str:
        """Let the side that refuses record a refusal; return what its log says, which names the refusal's code."""
        if case.number in UNRECORDED:
            return UNRECORDED[case.number]
        if isinstance(error, HeldError):
            return "nothing is refused"
        if case.refuses == "coordinator":
            return "coordinator: " + asyncio.run(self._at_coordinator(error))
        if case.refuses == "link":
            return "coordinator: " + self._at_link(error)
        return "node: " + asyncio.run(self._at_node(error))

    async def _at_node(self, error: PrivacyError) -> str:
        """Let a member machine of a running job raise the error at a message of the coordinator's."""
        store = self._node
        bank = replace(self._network.nodes["bank-000"]._bank(), alarmed=partial(_alarmed, store), write=lambda *_: None)
        sent: list[Any] = []

        async def send(outgoing: Any) -> int:
            store.flush()  # what the gate's commit does
            sent.append(outgoing)
            return len(sent)

        manifest = manifest_of(self._network.names)
        member: Any = member_of(manifest, "bank-000", 1)
        member.ready = partial(_raise, error)
        session: Any = Session(bank, SimpleNamespace(send=send, on_receipt=_raise))
        session._seat = Mock(member=member)
        before = len(_events(store))
        with suppress(MisuseError):  # our own fault: the process ends, and says why in its log
            await session.take(sign_as(COORDINATOR, "bank-000", Address(manifest.job, 1), say.Ready()))
        store.flush()
        (event,) = _events(store)[before:]
        assert event.kind == "alarm.raised" and str(event.body["evidence"]).startswith(f"{error.code}: "), event.body
        assert isinstance(error, MisuseError) or sent[-1].kind == "secagg.halt"
        return event.kind

    async def _at_coordinator(self, error: PrivacyError) -> str:
        """Let the aggregator of a running job raise the error at a message of a member's."""
        manifest = manifest_of(self._network.names)
        desk = Desk(lambda *_: None, lambda _note: None, lambda *_: None, asyncio.get_running_loop().time)
        job: Any = JobSession(manifest, identity_of(COORDINATOR), Presence(lambda _name: 0.0, 5), desk)
        job.aggregator.receive = partial(_raise, error)
        identities = {seat.member: seat.identity for seat in manifest.seats}
        receipts: list[bytes] = []
        counter = Counter(
            identity_of(COORDINATOR), ReceiptDesk(self._coordinator), lambda: identities,
            lambda _member, raw: receipts.append(raw),
        )  # fmt: skip
        counter.serve(manifest.job, manifest.purpose, job.receive)
        counter.take("bank-000", sign_as("bank-000", COORDINATOR, Address(manifest.job, 1), say.Agree()))
        await counter.drain()
        event = _events(self._coordinator)[-1]
        assert (event.kind, event.body["accepted"], event.body["reason"]) == ("ingress.received", False, error.code)
        assert receipts  # and the member is told that it was refused
        return event.kind

    def _at_link(self, error: PrivacyError) -> str:
        before = len(_events(self._coordinator))
        Refusals(self._coordinator.defer, lambda: 0.0).note("bank-000", error.code)
        self._coordinator.flush()
        (event,) = _events(self._coordinator)[before:]
        assert event.kind == "alarm.raised" and str(event.body["evidence"]).startswith(f"{error.code}: ")
        return event.kind


def _events(store: RecordStore | LogStore) -> list[Event]:
    return store.events(0, 10_000)


def _raise(error: PrivacyError, *_: object) -> NoReturn:
    raise error
