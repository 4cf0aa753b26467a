"""A running node and the coordinator's word: lists are checked, swaps refused with an alarm, certificates renewed.

The gate is a list here; keys, signatures, files and the book of pins are real.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator import authority
from coordinator.enrolment import check_request
from node import config
from node.certificate import new_tls_key
from node.keys_file import Peers, read_keys
from node.membership import Membership, MembershipDesk
from node.pin_book import PinBook, open_book
from node.rotation import ROTATE_FILE
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.keys import IdentityKey
from privacy.log.note import NoteSigner
from privacy.log.record import Entry
from privacy.member_entry import SignedEntry, encode_list
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.wire import Packet, decode_packet, encode_packet
from tests.node.bank import make_bank
from tests.privacy.test_member_entry import entry_for, identity_for


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the node look at its files a hundred times a second."""
    monkeypatch.setattr("node.membership._LOOK_S", 0.01)


OWN, BETA = entry_for("alpha", "demo"), entry_for("beta", "demo")
OPERATOR = identity_for("coordinator")


class Stage:
    """A node's membership with its coordinator played by the test."""

    def __init__(self, folder: Path) -> None:
        bank = make_bank(folder)
        (folder / "identity.key").write_text(bytes(identity_seed("alpha")).hex())
        log = NoteSigner("coordinator/privacy-log", bytes(32)).verifier().encode()
        (folder / "members.json").unlink()  # the room's, with other keys
        open_book(folder / "members.json", {"identity": OPERATOR.public.hex(), "log": log}, OWN.entry)
        self.root = authority.create_authority("demo", datetime.now(UTC))
        (folder / "ca.pem").write_bytes(self.root.certificate_pem)
        key = (folder / "node.key").read_bytes()
        (folder / "node.pem").write_bytes(self.issue(key))
        self.config = config.load(bank.config)
        self.config.state.dir.mkdir(exist_ok=True)
        self.keys = read_keys(self.config, datetime.now(UTC))
        self.sent: list[Outgoing] = []
        self.shown: list[tuple[bytes, bytes]] = []
        self.adopted: list[Peers] = []
        self.entries: list[Entry] = []
        self.news = asyncio.Event()
        self.now = datetime.now(UTC)

    def issue(self, key: bytes, member: str = "alpha", root: authority.Credential | None = None) -> bytes:
        public = authority.public_key_of(key)
        return authority.issue_member_certificate(root or self.root, member, public, datetime.now(UTC))

    # -- the gate ----------------------------------------------------------------------------------------------------

    async def send(self, outgoing: Outgoing) -> int | None:
        self.sent.append(outgoing)
        self.news.set()
        return None

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        self.shown.append((certificate_pem, key_pem))
        self.news.set()

    async def adopt(self, peers: Peers) -> None:
        self.adopted.append(peers)
        self.news.set()

    def defer(self, entries: list[Entry]) -> None:
        self.entries += entries
        self.news.set()

    # -- the coordinator ---------------------------------------------------------------------------------------------

    def say(self, message: Message, by: IdentityKey = OPERATOR, sender: str = COORDINATOR, to: str = "alpha") -> bytes:
        return encode_packet(Packet(sign_envelope(by, sender, to, Address(""), message).raw))

    def list(self, *entries: SignedEntry) -> bytes:
        return self.say(Members(encode_list("demo", entries)))

    def book(self) -> dict[str, str]:
        book = PinBook(self.config.identity.peers, "alpha", "demo")
        return {each.member: each.state for each in book.standings()}

    async def until(self, ready: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not ready():
                self.news.clear()
                if not ready():
                    await self.news.wait()


def identity_seed(member: str) -> bytes:
    return member.encode().ljust(32, b"\0")


def play(folder: Path, act: Callable[[Stage, Membership], Awaitable[None]]) -> Stage:
    """Run a membership beside what the test does."""

    async def run() -> Stage:
        stage = Stage(folder)
        desk = MembershipDesk(stage.config, stage.keys, stage, stage.adopt, stage.defer, lambda: stage.now)
        membership = Membership(desk)
        confirmed = asyncio.Event()
        confirmed.set()
        work = asyncio.create_task(membership.run(confirmed.wait))
        try:
            await act(stage, membership)
        finally:
            work.cancel()
        return stage

    return asyncio.run(run())


def test_a_bank_that_was_compared_counts_in_the_running_node(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        assert membership.take(stage.list(OWN, BETA))
        await stage.until(lambda: stage.adopted)
        assert set(stage.adopted[-1].members) == {"alpha"}  # it waits
        PinBook(stage.config.identity.peers, "alpha", "demo").verify("beta", BETA.entry.fingerprint())
        await stage.until(lambda: set(stage.adopted[-1].members) == {"alpha", "beta"})

    assert play(tmp_path, act).book() == {"alpha": "own", "beta": "telephone"}


def test_a_coordinator_that_swaps_a_key_raises_an_alarm_and_changes_nothing(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        book = PinBook(stage.config.identity.peers, "alpha", "demo")
        book.take([BETA], verified_only=False)
        book.verify("beta", BETA.entry.fingerprint())
        membership.take(stage.list(OWN, entry_for("beta", "demo", b"swapped")))
        await stage.until(lambda: stage.entries)

    stage = play(tmp_path, act)
    assert [entry.kind for entry in stage.entries] == ["alarm.raised"]
    assert "entry-changed" in str(stage.entries[0].body["evidence"])
    assert stage.book()["beta"] == "changed"
    assert all(peers.members.get("beta") == bytes.fromhex(BETA.entry.identity) for peers in stage.adopted)


def test_lists_that_the_coordinator_did_not_sign_for_us_are_dropped(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        news = Members(encode_list("demo", [OWN, BETA]))
        assert membership.take(stage.say(news, by=identity_for("beta")))
        assert membership.take(stage.say(news, by=identity_for("beta"), sender="beta"))
        assert membership.take(stage.say(news, to="gamma"))
        assert not membership.take(b"no message")
        assert not membership.take(stage.say(Renew(b"")))  # not for us to take
        membership.take(stage.say(Members(b"{}")))
        await stage.until(lambda: stage.entries)  # the one that was signed is judged, and no good

    stage = play(tmp_path, act)
    assert stage.book() == {"alpha": "own"}
    assert "list-malformed" in str(stage.entries[0].body["evidence"])


def test_a_bank_that_is_not_in_the_list_introduces_itself(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        membership.take(stage.list(BETA))
        await stage.until(lambda: stage.sent)

    (outgoing,) = play(tmp_path, act).sent
    envelope = open_envelope(decode_packet(outgoing.message).signed, lambda sender: identity_for(sender).public)
    assert isinstance(envelope.message, Introduce)
    assert (outgoing.kind, outgoing.protection) == ("membership.introduce", "signed")


def test_a_certificate_is_renewed_at_half_its_life_with_a_new_key(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        membership.up()
        stage.now += timedelta(days=16)
        await stage.until(lambda: stage.sent)
        _answer_renewal(stage, membership)
        await stage.until(lambda: stage.shown)

    stage = play(tmp_path, act)
    certificate, key = stage.shown[0]
    assert (stage.config.tls.certificate.read_bytes(), stage.config.tls.key.read_bytes()) == (certificate, key)
    assert key != stage.keys.tls.key_pem
    assert read_keys(stage.config, datetime.now(UTC)).tls.key_pem == key


def test_a_person_can_ask_for_it_at_once(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        (stage.config.state.dir / ROTATE_FILE).touch()
        membership.up()
        await stage.until(lambda: stage.sent)

    stage = play(tmp_path, act)
    assert [outgoing.kind for outgoing in stage.sent] == ["membership.renew"]
    assert not (stage.config.state.dir / ROTATE_FILE).exists()


def test_a_certificate_for_somebody_else_or_unasked_is_not_taken(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        membership.take(stage.say(Renewed(stage.issue(new_tls_key()), "")))  # nothing was asked
        (stage.config.state.dir / ROTATE_FILE).touch()
        membership.up()
        await stage.until(lambda: stage.sent)
        membership.take(stage.say(Renewed(stage.issue(membership._new_key, "beta"), "")))
        await stage.until(lambda: stage.entries)

    stage = play(tmp_path, act)
    assert "certificate-other" in str(stage.entries[0].body["evidence"])
    assert stage.shown == []
    assert stage.config.tls.key.read_bytes() == stage.keys.tls.key_pem


def _answer_renewal(stage: Stage, membership: Membership) -> None:
    envelope = open_envelope(decode_packet(stage.sent[-1].message).signed, lambda sender: identity_for(sender).public)
    assert isinstance(envelope.message, Renew)
    public = check_request(envelope.message.request.decode())
    issued = authority.issue_member_certificate(stage.root, "alpha", public, datetime.now(UTC))
    membership.take(stage.say(Renewed(issued, "")))


def test_modes_of_the_files(tmp_path: Path) -> None:
    async def act(stage: Stage, membership: Membership) -> None:
        (stage.config.state.dir / ROTATE_FILE).touch()
        membership.up()
        await stage.until(lambda: stage.sent)
        _answer_renewal(stage, membership)
        await stage.until(lambda: stage.shown)

    stage = play(tmp_path, act)
    assert os.stat(stage.config.tls.key).st_mode & 0o777 == 0o600
