"""A bank at the enrolment desk, and the operator's side of it, for tests that attack the one or the other."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coordinator import config
from coordinator.consortium import Founding, found
from coordinator.enrolment import Enrolment
from coordinator.store import Store
from node.certificate import make_request, new_tls_key
from privacy.enrolment import Application
from privacy.join_code import JoinCode, decode_join_code, invite_key
from privacy.member_entry import SignedEntry
from tests.privacy.test_member_entry import entry_for, identity_for

__all__ = ["NONCE", "Applicant", "Operation"]

NONCE = bytes(range(32))
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Operation:
    """A founded consortium with a clock that the test sets."""

    def __init__(self, folder: Path, policy: str = "") -> None:
        where = Founding("cn", "127.0.0.1:0", ("127.0.0.1",), "127.0.0.1:0", "127.0.0.1")
        found(folder, where, datetime.now(UTC))
        if policy:
            with (folder / "coordinator.toml").open("a") as stream:
                stream.write(f"\n[policy]\n{policy}\n")
        self.config = config.load(folder / "coordinator.toml")
        self.store = Store(self.config.storage.url)
        self.enrolment = Enrolment(self.config, self.store)
        self.now = NOW
        self.enrolment.records.now_us = lambda: int(self.now.timestamp()) * 1_000_000

    def invite(self, member: str, hours: int = 72) -> JoinCode:
        """Invite a bank and return what its code says."""
        return decode_join_code(self.enrolment.invite(member, timedelta(hours=hours), "127.0.0.1:1")[0])

    def admit(self, member: str) -> "Applicant":
        """Bring a bank in."""
        bank = Applicant(self.invite(member))
        self.enrolment.consider(bank.application(), NONCE, "here")
        assert self.enrolment.approve(member, bank.fingerprint, "uid-1", NOW).complete
        return bank


@dataclass
class Applicant:
    """A machine that shows a code; salt tells two machines of one name apart."""

    code: JoinCode
    salt: bytes = b""
    member: str = ""
    request: str = field(default_factory=lambda: make_request(new_tls_key()))

    @property
    def entry(self) -> SignedEntry:
        """Return its keys."""
        return entry_for(self.member or self.code.member, self.code.consortium, self.salt)

    @property
    def fingerprint(self) -> str:
        """Return what it reads out."""
        return self.entry.entry.fingerprint()

    def application(self, nonce: bytes = NONCE, hold: bool = False) -> Application:
        """Return what it sends."""
        member = self.member or self.code.member
        invite = invite_key(self.code.secret, self.code.consortium, self.code.member)
        return Application.make(nonce, self.request, self.entry, (invite, identity_for(member, self.salt)), hold)
