"""The coordinator counts what banks signed, once, whatever they send, and shows the quorum to everybody who comes."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coordinator.ballot_box import BallotBox
from coordinator.log_store import LogStore
from coordinator.promotion import PromotionDesk, Promotions
from coordinator.registry import Registry
from coordinator.store import Member, ModelRecord, Store
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope
from privacy.log.signoff import Proposal
from privacy.messages import Halt, Message
from privacy.signoff_messages import InForce, Promoted, Propose, SignOff, Withdrawn
from privacy.wire import Packet, decode_packet
from tests.coordinator.test_log_store import opened
from tests.node.signoff_bank import MODEL, NAMES, ballot_of, proposal_of
from tests.privacy.table import identity_of, sign_as


@dataclass
class Office:
    """A coordinator without a link: its database and log are real, what it sends is kept."""

    folder: Path
    store: Store
    log: LogStore
    here: list[str] = field(default_factory=lambda: [*NAMES, "late"])
    sent: list[tuple[str, Message, tuple[bytes, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.job = self.store.add_job("scorecard", {})
        self.box = BallotBox(self.store.engine)
        Registry(self.folder / "models").put(MODEL)
        self.members = {name: Member(name, identity_of(name).public.hex(), place)
                        for place, name in enumerate([*NAMES, "late"])}  # fmt: skip
        self.restart()

    def restart(self) -> None:
        """Replace the process; what is on disk stays."""
        desk = PromotionDesk(identity_of(COORDINATOR), self.log, Registry(self.folder / "models"),
                             lambda: self.members, lambda: self.here, self._send)  # fmt: skip
        self.desk = Promotions(self.box, desk)
        self.settle()

    def settle(self) -> None:
        asyncio.run(self.desk._settle())

    def propose(self, **changes: Any) -> Proposal:
        def make(number: int, now_us: int) -> Proposal:
            return proposal_of(**{"number": number, "proposed_us": now_us, "job": self.job, **changes})

        return self.box.propose(make)

    def vote(self, name: str, proposal: Proposal, raw: bytes = b"", at: int = 0, decision: str = "approve") -> str:
        raw = raw or ballot_of(name, proposal, decision)
        message = sign_as(name, COORDINATOR, Address(self.job, 5, at or proposal.number), SignOff(raw))
        code = self.desk.take(self._open(message), Packet(b""), len(message))
        self.settle()
        return code

    def told(self, kind: type[Message]) -> list[str]:
        """Return who was sent a message of a kind since the last call, and forget it all."""
        found = [name for name, message, _ in self.sent if isinstance(message, kind)]
        self.sent.clear()
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.body) for event in self.log.of_kinds(kind)]

    def _send(self, member: str, raw: bytes) -> None:
        packet = decode_packet(raw)
        self.sent.append((member, self._open(raw).message, packet.attachments))

    @staticmethod
    def _open(raw: bytes) -> Envelope:
        return open_envelope(decode_packet(raw).signed, lambda name: identity_of(name).public)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    store, log = Store(f"sqlite:///{tmp_path}/c.db"), opened(tmp_path)
    yield Office(tmp_path, store, log)
    log.close()
    store.close()


def test_everybody_is_asked_once_and_told_when_the_quorum_stands(office: Office) -> None:
    proposal = office.propose()
    office.settle()
    assert sorted(office.told(Propose)) == sorted(office.here)
    office.settle()
    assert office.sent == []

    for name in NAMES[:4]:
        assert office.vote(name, proposal) == ""
    assert office.box.states() == {1: "open"} and office.sent == []
    assert office.vote(NAMES[4], proposal) == ""
    assert office.box.states() == {1: "promoted"}
    messages = {name: message for name, message, _ in office.sent}
    assert sorted(messages) == sorted(office.here)
    shown = messages[NAMES[6]]
    assert isinstance(shown, Promoted) and len(shown.ballots) == 5 and shown.proposal == proposal.encode()
    assert office.events("model.promoted")[0]["approvers"] == NAMES[:5]
    assert [event["member"] for event in office.events("model.signed")] == NAMES[:5]


def test_only_whoever_was_not_in_the_job_is_given_the_model_file(office: Office) -> None:
    proposal = office.propose()
    for name in NAMES[:5]:
        office.vote(name, proposal)
    files = {name: attached for name, message, attached in office.sent if isinstance(message, Promoted)}
    assert files["late"] == (MODEL,) and not any(files[name] for name in NAMES)
    assert hashlib.sha256(MODEL).hexdigest() == proposal.model


def test_a_ballot_that_does_not_hold_is_refused_and_not_counted(office: Office) -> None:
    proposal, other = office.propose(), office.propose(role="challenger")
    lies = {
        "ballot-forged": ballot_of(NAMES[0], proposal, by=NAMES[1]),
        "ballot-elsewhere": ballot_of(NAMES[0], other),
        "statement-malformed": b"{}",
    }
    for code, raw in lies.items():
        assert office.vote(NAMES[0], proposal, raw) == code
    assert office.vote(NAMES[1], proposal, ballot_of(NAMES[0], proposal)) == "ballot-forged"  # another's, passed on
    assert office.vote(NAMES[0], proposal, at=99) == "proposal-unknown"
    wide = proposal_of(members=(*NAMES, "late"), job=office.job)
    assert office.vote("late", proposal, ballot_of("late", wide)) == "ballot-elsewhere"
    assert office.box.one(1).ballots == {} and office.events("model.signed") == []

    halt = sign_as(NAMES[0], COORDINATOR, Address(office.job, 5, 1), Halt("x"))
    assert office.desk.take(office._open(halt), Packet(b""), 1) == "kind-unexpected"


def test_a_bank_that_votes_again_changes_nothing(office: Office) -> None:
    proposal = office.propose()
    assert [office.vote(NAMES[0], proposal) for _ in range(6)] == [""] * 6
    assert office.vote(NAMES[0], proposal, decision="reject") == "ballot-again"
    assert office.box.states() == {1: "open"} and len(office.events("model.signed")) == 1


def test_more_than_a_third_against_close_it_and_whoever_comes_later_is_too_late(office: Office) -> None:
    proposal = office.propose()
    for name in NAMES[:3]:
        office.vote(name, proposal, decision="reject")
    assert office.box.states() == {1: "rejected"}
    assert set(office.told(Withdrawn)) == set(office.here)
    assert office.vote(NAMES[5], proposal) == "proposal-closed"
    assert office.vote(NAMES[0], proposal, decision="reject") == ""  # what is here already, sent again
    assert len(office.box.one(1).ballots) == 3


def test_a_promotion_closes_what_was_open_for_that_role_before_it(office: Office) -> None:
    older, other = office.propose(model="aa" * 32), office.propose(role="challenger")
    newer, newest = office.propose(), office.propose(model="bb" * 32)
    for name in NAMES[:5]:
        office.vote(name, newer)
    assert office.box.states() == {1: "superseded", 2: "open", 3: "promoted", 4: "open"}
    assert office.vote(NAMES[0], newest) == ""
    assert office.vote(NAMES[0], older) == "proposal-closed" and office.vote(NAMES[0], other) == ""


@pytest.mark.parametrize("recorded", [False, True])
def test_a_coordinator_that_dies_with_the_last_ballot_promotes_when_it_comes_back(
    office: Office, recorded: bool
) -> None:
    proposal = office.propose()
    for name in NAMES[:5]:
        office.box.add_ballot(1, name, "approve", ballot_of(name, proposal))
    if recorded:  # it died between the log and the database
        office.desk._box.close = lambda *_: False  # type: ignore[method-assign]
        office.settle()
        del office.desk._box.close
        assert office.box.states() == {1: "open"}
    office.restart()
    assert office.box.states() == {1: "promoted"} and len(office.events("model.promoted")) == 1


def test_a_member_that_connects_is_shown_what_it_missed(office: Office) -> None:
    promoted, closed = office.propose(), office.propose(role="challenger")
    for name in NAMES[:5]:
        office.vote(name, promoted)
    office.box.close(2, "withdrawn")
    waiting = office.propose(model="aa" * 32)
    office.box.add_ballot(3, NAMES[0], "approve", ballot_of(NAMES[0], waiting))
    office.settle()
    office.sent.clear()

    office.desk.join(NAMES[0])
    office.desk.join(NAMES[1])
    office.settle()
    for name, held in ((NAMES[0], True), (NAMES[1], False)):
        messages = [message for to, message, _ in office.sent if to == name]
        assert [type(message) for message in messages] == [Promoted, Withdrawn, Propose]
        assert messages[1] == Withdrawn(bytes.fromhex(closed.sha256()), "withdrawn")
        assert messages[2] == Propose(waiting.encode(), held)


def test_a_bank_whose_identity_changed_no_longer_counts(office: Office) -> None:
    proposal = office.propose()
    for name in NAMES[:4]:
        office.vote(name, proposal)
    office.members[NAMES[0]] = Member(NAMES[0], identity_of("new").public.hex(), 0)
    assert office.vote(NAMES[4], proposal) == ""
    assert office.box.states() == {1: "open"}


def test_what_is_sent_is_written_down_each_under_its_own_name(office: Office) -> None:
    office.propose()
    office.settle()
    office.desk.join(NAMES[0])
    office.settle()
    names = [event["msg_id"] for event in office.events("egress.authorised")]
    assert len(names) == len(set(names)) == len(office.here) + 1
    assert json.dumps(office.events("egress.authorised")).count("secagg.propose") == len(names)


def test_a_quorum_that_no_longer_verifies_is_shown_to_nobody_new(office: Office) -> None:
    proposal = office.propose()
    for name in NAMES[:5]:
        office.vote(name, proposal)
    office.sent.clear()
    office.desk.join("late")
    office.settle()
    assert office.told(Promoted) == ["late"]
    office.members[NAMES[0]] = Member(NAMES[0], identity_of("new").public.hex(), 0)
    office.desk.join("late")
    office.settle()
    assert office.sent == [] and office.box.states() == {1: "promoted"}


def test_a_model_file_that_no_packet_holds_stays_here(office: Office) -> None:
    large = bytes(12 * 2**20 + 1)
    proposal = office.propose(model=Registry(office.folder / "models").put(large))
    for name in NAMES[:5]:
        office.vote(name, proposal)
    assert [attached for name, _, attached in office.sent if name == "late"][-1] == ()


def take_back(office: Office, proposal: Proposal, ballots: list[bytes], by: str = NAMES[0]) -> str:
    message = sign_as(
        by, COORDINATOR, Address(proposal.job, 5, proposal.number), Promoted(proposal.encode(), tuple(ballots))
    )
    code = office.desk.take_back(office._open(message), Packet(b""), len(message))
    office.settle()
    return code


def test_a_database_that_was_put_back_learns_of_a_promotion_from_a_bank(office: Office) -> None:
    office.store.add_model(ModelRecord("aa" * 32, office.job, "models/x.json"))
    office.store.release_model("aa" * 32, office.job)
    office.desk.join(NAMES[0])
    office.settle()
    assert [message for _, message, _ in office.sent] == [InForce(0, 0)]

    lost = proposal_of(number=7, job=office.job)
    ballots = [ballot_of(name, lost) for name in NAMES[1:6]]
    assert take_back(office, lost, ballots) == "" == take_back(office, lost, ballots)
    newest = office.box.in_force("champion")
    assert newest is not None and newest.proposal == lost and list(newest.ballots) == NAMES[1:6]
    assert sorted(office.told(Promoted)) == sorted(office.here)
    assert office.propose(model="aa" * 32).number == 8  # a number that banks know is not given again


def test_a_bank_cannot_give_back_what_no_quorum_signed(office: Office) -> None:
    lost = proposal_of(number=7, job=office.job)
    ballots = [ballot_of(name, lost) for name in NAMES[:5]]
    assert take_back(office, lost, ballots[:4]) == "quorum-missing"
    assert take_back(office, lost, [*ballots[:4], ballot_of(NAMES[4], lost, by=NAMES[0])]) == "ballot-forged"
    assert take_back(office, proposal_of(number=7, coordinator="00" * 32), []) == "proposal-elsewhere"
    unknown = proposal_of(number=7, job="job-unknown")
    assert take_back(office, unknown, [ballot_of(name, unknown) for name in NAMES[:5]]) == "store-integrity"
    assert office.box.all() == []
    office.propose()
    other = proposal_of(number=1, job=office.job)
    assert take_back(office, other, [ballot_of(name, other) for name in NAMES[:5]]) == "proposal-forked"
    assert office.box.states() == {1: "open"}
