"""A bank that is asked to sign models off, without a link: records on disk, a log in a list, messages in a list."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from node import model_store
from node.archive import Archive
from node.record_store import RecordStore
from node.result import write_whole
from node.signing import Signing
from node.signoff_rules import Signer
from node.signoff_store import Request, SignoffStore
from privacy.envelope import COORDINATOR, Address, open_envelope
from privacy.log.record import Entry
from privacy.log.signoff import Ballot, Proposal, sign_ballot
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.signoff_messages import Promoted, Propose, SignOff
from privacy.wire import decode_packet
from risk.lineage import figures_bytes, figures_digest
from tests.privacy.table import identity_of, manifest_of, names_of, sign_as

__all__ = ["NAMES", "SignoffBank", "ballot_of", "proposal_of"]

NAMES = names_of(7)
FIGURES = {"auc": 0.75, "rows": 1000}
MODEL = b'{"a model":1}'


def proposal_of(**changes: Any) -> Proposal:
    """Return an honest proposal for the model of the bank's own job, with changes."""
    manifest = manifest_of(NAMES)
    honest = Proposal(
        number=3, consortium="test", coordinator=identity_of(COORDINATOR).public.hex(), role="champion",
        model=hashlib.sha256(MODEL).hexdigest(), job="job-1", recipe="scorecard",
        manifest_sha256=manifest.sha256().hex(), members=tuple(NAMES), quorum=5, replaces="", rollback=False,
        proposed_us=1, evidence={"figures": figures_digest(FIGURES)},
    )  # fmt: skip
    return replace(honest, **changes)


def ballot_of(name: str, proposal: Proposal, decision: str = "approve", by: str = "") -> bytes:
    """Return a member's ballot, signed by its own key or by another's."""
    key = identity_of(by or name)
    ballot = Ballot(name, decision, "figures" if decision == "reject" else "", "risk-1", 2)
    return sign_ballot(proposal, ballot, key.public, key.sign)


@dataclass
class SignoffBank:
    """The first of seven banks; `joined`: whether it went through the job itself."""

    state: Path
    joined: bool = True
    rule: str = "two-thirds"
    pinned: Sequence[str] = tuple(NAMES)
    sent: list[Outgoing] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    member: str = NAMES[0]

    def __post_init__(self) -> None:
        if self.joined:
            self._remember()
        self.store = SignoffStore(self.state)
        self.signing = self._process()

    def _process(self) -> Signing:
        identities = {name: identity_of(name).public for name in self.pinned}
        signer = Signer(self.member, "test", identity_of(COORDINATOR).public, identities, self.rule)
        gate, log = SimpleNamespace(send=self._send), SimpleNamespace(
            defer=self.entries.extend, append=self.entries.extend, of_kinds=self._of_kinds)  # fmt: skip
        return Signing(signer, identity_of(self.member), gate, cast(RecordStore, log), self.state)

    def restart(self) -> None:
        """Replace the process; what is on disk stays."""
        self.signing = self._process()

    def hear(self, message: Message, job: str = "job-1", position: int = 3, by: str = COORDINATOR) -> str:
        """Take a message; return the code of its refusal, empty if it was accepted."""
        raw = sign_as(by, self.member, Address(job, 7, position), message)
        return self.hear_raw(raw)

    def hear_raw(self, raw: bytes) -> str:
        """Take these bytes; return the code of the refusal, `unopened` if nothing was even written down."""
        before = len(self.entries)
        assert self.signing.take(raw)
        asyncio.run(self.signing._handle(self.signing._waiting.get_nowait()))
        said = [entry for entry in self.entries[before:] if entry.kind == "ingress.received"]
        return str(said[0].body.get("reason", "")) if said else "unopened"

    def propose(self, proposal: Proposal, held: bool = False) -> str:
        """Hear a proposal."""
        return self.hear(Propose(proposal.encode(), held), proposal.job, proposal.number)

    def promote(self, proposal: Proposal, ballots: Iterable[bytes]) -> str:
        """Hear a promotion."""
        return self.hear(Promoted(proposal.encode(), tuple(ballots)), proposal.job, proposal.number)

    def wish(self, proposal: Proposal, decision: str = "approve") -> None:
        """Let a person decide, and the node take it up."""
        self.leave(proposal, decision)
        asyncio.run(self.signing._sign_requests())

    def leave(self, proposal: Proposal, decision: str = "approve") -> None:
        """Let a person decide while the node does not look."""
        reason = "figures" if decision == "reject" else ""
        self.store.leave_request(Request(proposal.sha256(), decision, reason, "risk-1", 2))

    def ballots(self) -> list[bytes]:
        """Return the ballots that left."""
        found = []
        for outgoing in self.sent:
            envelope = open_envelope(decode_packet(outgoing.message).signed, lambda name: identity_of(name).public)
            assert isinstance(envelope.message, SignOff)
            found.append(envelope.message.ballot)
        return found

    def promoted(self) -> dict[str, Any]:
        """Return `promoted.json`, empty for none."""
        path = self.state / "promoted.json"
        document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return document

    def kinds(self) -> list[str]:
        """Return the kinds of what was written into the log, but for arrivals."""
        return [entry.kind for entry in self.entries if entry.kind != "ingress.received"]

    async def _send(self, outgoing: Outgoing) -> None:
        self.sent.append(outgoing)

    def _of_kinds(self, *kinds: str) -> list[Any]:
        return [SimpleNamespace(body=entry.body) for entry in self.entries if entry.kind in kinds]

    def _remember(self) -> None:
        manifest = manifest_of(NAMES)
        Archive(self.state, "0" * 64).begin(manifest)
        digest = model_store.put(self.state, MODEL)
        result: Mapping[str, object] = {"job": "job-1", "recipe": "scorecard", "state": "done",
                                        "models": {"network": digest, "own": digest, "head": digest}}  # fmt: skip
        write_whole(self.state / "jobs" / "job-1" / "result.json", json.dumps(result).encode())
        write_whole(self.state / "jobs" / "job-1" / "figures.json", figures_bytes(FIGURES))
