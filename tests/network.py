"""A network in one process and on virtual time: real sessions of nodes, a real job session, and lines that break.

Tests script who dies, freezes, restarts or lies, and when. What it leaves out is the link itself: a member that is
connected gets every message once and in order, as `privacy.channel` promises. No mask, vote or signature is faked.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from coordinator.presence import Presence
from coordinator.session import Desk, JobSession, RoundNote
from node.archive import Archive
from node.budget import Budget, cap_of
from node.config import PermitSettings
from node.ledger_store import LedgerStore
from node.minutes import Minutes, MinutesLog
from node.offer_book import OfferBook
from node.permit import Permit
from node.record_store import RecordStore
from node.result import write_result
from node.seat import Pins, Precautions, Seat
from node.service import _past_votes
from node.session import Bank, Session
from node.usage import Usage, allow_exclusion
from privacy.envelope import COORDINATOR, Envelope, open_envelope
from privacy.errors import PrivacyError
from privacy.log.record import Entry
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.secagg.replay import Replay
from privacy.secagg.standing import MemberRules
from privacy.wire import decode_packet
from risk.charter import spec_of
from risk.dictionary import Dictionary
from risk.job import contribute, rounds
from risk.table import Table
from tests.privacy.table import identity_of, manifest_of, names_of, seeded_bytes
from tests.risk.rooms import flag, number, room_dictionary, room_tables

__all__ = ["CODE", "Network", "Node", "Rows", "rows_of"]

CODE = "c" * 64
DATASET = "d" * 64
Rows = tuple[Dictionary, dict[str, Table]]


def rows_of(names: Iterable[str], rows: int = 120) -> Rows:
    """Return a small dictionary and a table for each member."""
    dictionary = room_dictionary(number("turnover", (0, 100), "down"), flag("arrears", "up"))
    names = list(names)
    tables = room_tables(dictionary, [rows] * len(names), seed=1)
    return dictionary, {name: replace(table, member=name) for name, table in zip(names, tables, strict=True)}


class Node:
    """One member: its log outlives its processes; `start` begins a new process."""

    def __init__(self, name: str, network: "Network", permit: Mapping[str, Any], state: Path) -> None:
        self.name, self.network, self.state = name, network, state
        self.permit = Permit(PermitSettings(**{"min_rows": 50, "allow_exclusion": 1, **permit}))
        self.usage = Usage(state / "usage.json", "rows")
        self.log: list[Outgoing] = []
        self.entries: list[Entry] = []
        self.spends: list[Entry] = []
        self.decisions: list[tuple[str, str]] = []
        self.deciders: list[str] = []
        self.alarms: list[tuple[str, str]] = []
        self.written: list[tuple[str, str]] = []
        self.rows = (network.rows[0], network.rows[1][name])
        self.before_send: Callable[[Outgoing], bool] = lambda _outgoing: True
        self.boots = 0
        self.alive = self.frozen = False

    # -- the gate ----------------------------------------------------------------------------------------------------

    async def send(self, outgoing: Outgoing) -> int:
        """Record and carry a message, unless the test says that it is lost here."""
        if self.before_send(outgoing) and self.alive:
            self.log.append(outgoing)
            asyncio.get_running_loop().call_soon(self.network.arrive, self, outgoing.message)
        return len(self.log)

    def on_receipt(self, receipt: bytes) -> None:
        """Take no receipts: this network gives none."""

    # -- its processes -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a new process and connect it."""
        self.boots += 1
        self.alive, self.frozen = True, False
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.session = Session(self._bank(), self)
        self._task = asyncio.create_task(self._take(self.session, self.inbox))
        self.network.presence.join(self.name, b"%s-%d" % (self.name.encode(), self.boots), True)
        self.network.changed()

    def die(self) -> None:
        """End the process at once, as SIGKILL does."""
        self.stop_hearing()
        self.alive = False
        self._task.cancel()
        self.network.presence.leave(self.name)
        self.network.changed()

    def freeze(self) -> None:
        """Stand still, as SIGSTOP does; what is sent to it waits."""
        self.stop_hearing()
        self.frozen = True

    def thaw(self) -> None:
        """Go on where it stood."""
        self.frozen = False
        self.network.presence.join(self.name, b"", False)
        self.network.changed()

    def stop_hearing(self) -> None:
        """Remember when the coordinator heard the last of it."""
        self.silent_since = asyncio.get_running_loop().time()

    def heard(self, now: float) -> float | None:
        """Return when the coordinator last heard it."""
        if not self.boots:
            return None
        return now if self.alive and not self.frozen else self.silent_since

    async def _take(self, session: Session, inbox: "asyncio.Queue[bytes]") -> None:
        while True:
            raw = await inbox.get()
            while self.frozen:
                await asyncio.sleep(1.0)
            await session.take(raw)

    def _bank(self) -> Bank:
        rules = MemberRules(
            own=self.name,
            identity=identity_of(self.name),
            coordinator=identity_of(COORDINATOR).public,
            commit_key=bytes(32),
            may_exclude=partial(allow_exclusion, self.usage, self.permit),
            random_bytes=seeded_bytes(self.boots * 1000 + self.network.names.index(self.name)),
        )
        pinned = {name: identity_of(name).public for name in self.network.names}
        return Bank(
            rules=rules,
            pins=Pins(pinned, CODE, self.rows[0].digest()),
            permit=self.permit,
            usage=self.usage,
            rows=self.rows,
            past_votes=partial(_past_votes, cast(RecordStore, self)),
            decided=lambda manifest, reason, who="permit": self.decided(manifest.job, reason, who),
            alarmed=lambda job, error: self.alarms.append((job, error.code)),
            write=self._write,
            archive=Archive(self.state, DATASET),
            minutes=Minutes(self.state, "dataset-1", MinutesLog(self.entries.extend, self._of_job)),
            precautions=self.precautions(),
            offers=OfferBook(self.state) if self.permit.settings.approval == "person" else None,
        )

    def decided(self, job: str, reason: str, who: str) -> None:
        """Note a decision, and who made it."""
        self.decisions.append((job, reason))
        self.deciders.append(who)

    def precautions(self) -> Precautions:
        """Return what its jobs with noise need; each process opens the ledger anew."""
        budget = Budget(
            LedgerStore(self.state, f"{self.name}/privacy-log"),
            cap_of(self.permit.settings),
            DATASET,
            self.spends.append,
            lambda: self.boots,
            "record" if self.rows[1].borrower is None else "borrower",
        )
        return Precautions(budget, lambda message: hmac.digest(self.name.encode(), message, "sha256"))

    def egress(self, kind: str, job: str) -> list[Any]:
        """Return records of what was sent, as the node's own log has them."""
        return [
            SimpleNamespace(body=outgoing.record, round=outgoing.round)
            for outgoing in self.log
            if (outgoing.job, outgoing.kind) == (job, kind)
        ]

    def _of_job(self, kind: str, job: str) -> list[Any]:
        if kind == "egress.authorised":
            return [
                SimpleNamespace(body={**outgoing.record, "payload_kind": outgoing.kind})
                for outgoing in self.log
                if outgoing.job == job
            ]
        return [entry for entry in self.entries if (entry.kind, entry.job) == (kind, job)]

    def _write(self, how: str, seat: Seat) -> None:
        self.written.append((seat.member.manifest.job, how))
        write_result(self.state, how, seat)


@dataclass
class Network:
    """Members, and one job at a time."""

    folder: Path
    names: list[str]
    permits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: Rows = field(init=False)
    nodes: dict[str, Node] = field(default_factory=dict)
    notes: list[RoundNote] = field(default_factory=list)
    events: list[tuple[float, str, Mapping[str, Any]]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    heard_by: JobSession | None = None
    backlogs: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = rows_of(self.names)
        self.backlogs = dict.fromkeys(self.names, 0)
        for name in self.names:
            state = self.folder / name
            state.mkdir()
            self.nodes[name] = Node(name, self, self.permits.get(name, self.permits.get("*", {})), state)
        self.presence = Presence(lambda name: self.nodes[name].heard(self.now()), lost_after_s=5)

    @staticmethod
    def of(folder: Path, count: int, **permit: Any) -> "Network":
        """Return a network of so many members, all with this permit."""
        return Network(folder, names_of(count), {"*": permit})

    def now(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def changed(self) -> None:
        """Let whoever runs a job look at who is here."""
        if self.heard_by:
            self.heard_by.wake()

    def start(self, *names: str) -> None:
        """Start these members, all by default."""
        for name in names or self.names:
            self.nodes[name].start()

    # -- one job -----------------------------------------------------------------------------------------------------

    def manifest(self, job: str = "job-1", members: Iterable[str] | None = None, **changes: object) -> Manifest:
        """Return the manifest of a scorecard job over these members."""
        values = {"parameters": {}, "code_sha256": CODE, "dictionary_sha256": self.rows[0].digest(), "job": job}
        return manifest_of(self.names if members is None else members, **{"max_rows": 2**12, **values, **changes})

    def open_job(self, manifest: Manifest) -> JobSession:
        """Return the session of a job whose members' messages will reach it."""
        desk = Desk(self.carry, self.notes.append, self._note_event, self.now, self.backlogs.__getitem__)
        self.heard_by = JobSession(manifest, identity_of(COORDINATOR), self.presence, desk)
        return self.heard_by

    async def run(self, manifest: Manifest | None = None) -> tuple[str, str, Any]:
        """Run a job to its end; return state, reason, and what was learned. Members have a moment to take the end."""
        manifest = manifest or self.manifest()
        session = self.open_job(manifest)
        replay = Replay(rounds(spec_of(manifest, self.rows[0])), len(manifest.seats))
        state, reason = "done", ""
        try:
            await session.run(replay)
        except PrivacyError as error:
            state, reason = "failed", error.message
        self.ended_s = self.now()
        session.end(state, reason)
        await asyncio.sleep(1.0)
        return state, reason, replay.outcome

    def carry(self, name: str, message: bytes) -> None:
        """Carry a message of the coordinator's to the process that lives now; there is none, it is lost."""
        node = self.nodes[name]
        if node.alive:
            asyncio.get_running_loop().call_soon(node.inbox.put_nowait, message)

    def arrive(self, node: Node, message: bytes) -> None:
        """Hand a member's message to the running job."""
        packet = decode_packet(message)
        envelope: Envelope = open_envelope(packet.signed, lambda name: identity_of(name).public)
        if self.heard_by:
            code = self.heard_by.receive(envelope, packet, len(message))
            if code:
                self.refusals.append((node.name, code))

    # -- what happened -----------------------------------------------------------------------------------------------

    def _note_event(self, kind: str, body: Mapping[str, Any]) -> None:
        self.events.append((self.now(), kind, body))

    def kinds(self) -> list[str]:
        """Return the kinds of noted events, in order."""
        return [kind for _, kind, _ in self.events]

    def seat(self, manifest: Manifest, name: str) -> Seat:
        """Return a member's seat in a job, apart from the one it sits on."""
        node = self.nodes[name]
        return Seat(manifest, node._bank().rules, node.rows, {}, node.precautions())

    def check_sums(self) -> int:
        """Fail unless every opened sum is the plain sum of its survivors' parts; return how many there were."""
        assert self.heard_by is not None
        session = self.heard_by
        spec = spec_of(session.manifest, self.rows[0])
        seats = {seat.member: self.seat(session.manifest, seat.member) for seat in session.manifest.seats}
        replay = Replay(rounds(spec), len(session.manifest.seats))
        for past in session.aggregator.opened:
            parts = [contribute(replay.request, seats[name].book) for name in past.opened.survivors]
            total: np.ndarray = np.asarray(np.sum(parts, axis=0, dtype=np.int64))
            plan = replay.plan
            words = total.astype(np.uint32 if plan.word_bits == 32 else np.uint64)
            assert past.vector == words.astype(words.dtype.newbyteorder("<")).tobytes()
            replay.feed(past.vector)
        return len(session.aggregator.opened)
