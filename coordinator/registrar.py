"""What the running coordinator does for its members' keys: admit, renew, and pass on their signed entries.

It approves nobody (`coordinator.enrolment`). Theory: a member's certificate is asked about on every message; a next
certificate becomes the current one when it is first used, and the old one is refused from then on. A request to renew
is signed with the bank's identity, so a stolen certificate cannot renew itself. The list of entries is passed on as the
banks signed them: whoever gets it checks each signature, and this process can only leave something out.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator import authority
from coordinator.config import CoordinatorConfig
from coordinator.enrolment import Enrolment, Finding, check_request, load_authority
from coordinator.journal_line import say
from coordinator.keys_file import read_public
from coordinator.log_store import LOG_ORIGIN, load_log_key
from coordinator.store import Member
from privacy.enrolment import Answer
from privacy.envelope import COORDINATOR, Address, Envelope, sign_envelope
from privacy.errors import InputError, PeerError, PrivacyError
from privacy.keys import IdentityKey
from privacy.member_entry import encode_list, entry_of
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.messages import Message
from privacy.wire import Packet, encode_packet

__all__ = ["Registrar", "RegistrarDesk"]

_US = 1_000_000
_HOUR_US = 3600 * _US
_MOST_AN_HOUR = 12


@dataclass(frozen=True, slots=True)
class RegistrarDesk:
    """What the service lends.

    send: queues bytes for a member. members: everyone who is enrolled, by id. link: "host:port" of the link as banks
    dial it. now: the time, aware, UTC.
    """

    config: CoordinatorConfig
    identity: IdentityKey
    enrolment: Enrolment
    send: Callable[[str, bytes], None]
    members: Callable[[], Mapping[str, Member]]
    link: Callable[[], str]
    now: Callable[[], datetime]


class Registrar:
    """Calls are made on the event loop, but for `answer` and `list_now`, which only read."""

    def __init__(self, desk: RegistrarDesk) -> None:
        self._desk = desk
        self._log_key = load_log_key(desk.config.state.dir, LOG_ORIGIN).verifier().encode()
        self._list = b""

    # -- admission ---------------------------------------------------------------------------------------------------

    def promote(self, known: Member, serial: int) -> bool:
        """Make a certificate the member's current one if it is its next; then `members` is out of date."""
        if known.status != "active" or not self._desk.enrolment.certificates.promote(known.id, serial):
            return False
        say("certificate_renewed", member=known.id)
        return True

    def refusal(self, member: str, serial: int) -> str:
        """Return why this certificate does not count, as a slug that the node can explain."""
        known = self._desk.members().get(member)
        if known is None:
            return "not-a-member"
        if known.status != "active":
            return f"member-{known.status}"
        record = self._desk.enrolment.certificates.by_serial(serial)
        if record is None and serial != known.certificate_serial:
            return "certificate-unknown"  # by our authority: issued after the backup that this database came from
        state = record.state if record else ""
        return {"replaced": "certificate-replaced", "revoked": "certificate-revoked"}.get(state, "not-a-member")

    # -- the list ----------------------------------------------------------------------------------------------------

    def list_now(self) -> bytes:
        """Return the list as the database has it now, empty if nobody has a signed entry."""
        entries = self._desk.enrolment.records.entries(self._desk.config.consortium.name)
        return encode_list(self._desk.config.consortium.name, entries) if entries else b""

    def settle(self, listed: bytes, connected: Iterable[str]) -> None:
        """Take the list as it is now, and send it to everybody if it changed."""
        if listed != self._list:
            self._list = listed
            for member in connected:
                self.greet(member)

    def greet(self, member: str) -> None:
        """Send the list to a member that connected."""
        if self._list:
            self._send(member, Members(self._list))

    # -- messages ----------------------------------------------------------------------------------------------------

    def take_renew(self, envelope: Envelope, _packet: Packet, _size: int) -> str:
        """Issue a certificate for a member's new key; return the code of a refusal, which the member is told."""
        message, member = envelope.message, envelope.sender
        assert isinstance(message, Renew)  # the kind says so
        try:
            certificate = self._issue(member, message.request.decode("utf-8", "replace"))
        except (PeerError, InputError) as error:
            say("renewal_refused", member=member, code=error.code, reason=error.message)
            self._send(member, Renewed(b"", error.code))
            return error.code
        self._send(member, Renewed(certificate, ""))
        return ""

    def take_introduce(self, envelope: Envelope, _packet: Packet, _size: int) -> str:
        """Keep a member's own entry, if its keys are those that it was enrolled with."""
        message, member = envelope.message, envelope.sender
        assert isinstance(message, Introduce)  # the kind says so
        known = self._desk.members()[member]
        try:
            document = json.loads(message.entry.decode("utf-8"))
            signed = entry_of(self._desk.config.consortium.name, document)
            entry = signed.check()
        except (PrivacyError, ValueError, RecursionError) as error:
            return error.code if isinstance(error, PrivacyError) else "entry-malformed"
        if (entry.member, entry.identity, entry.log, entry.witness) != (
            member,
            known.identity,
            known.log,
            known.witness,
        ):
            return "entry-other-keys"
        self._desk.enrolment.records.put_entry(signed)
        return ""

    # -- the desk ----------------------------------------------------------------------------------------------------

    def answer(self, finding: Finding) -> Answer:
        """Return what the enrolment desk answers."""
        if finding.state != "approved" or finding.invite is None:
            return Answer(finding.state, finding.code)
        return Answer(
            state="approved",
            certificate_pem=finding.invite.certificate_pem,
            authority_pem=read_public(self._desk.config.tls.ca).decode("ascii"),
            coordinator_identity=self._desk.identity.public.hex(),
            coordinator_log=self._log_key,
            link=self._desk.link(),
            members=self.list_now().decode("ascii"),
        )

    def _issue(self, member: str, request_pem: str) -> bytes:
        desk = self._desk
        since = int(desk.now().timestamp()) * _US - _HOUR_US
        if sum(each.issued >= since for each in desk.enrolment.certificates.of_member(member)) >= _MOST_AN_HOUR:
            raise PeerError("renewals-too-many", f"{_MOST_AN_HOUR} certificates in an hour are enough for one member")
        public, root = check_request(request_pem), load_authority(desk.config)
        issued = authority.issue_member_certificate(
            root, member, public, desk.now(), desk.config.policy.certificate_days
        )
        certificate = authority.read_member_certificate(issued)
        not_after = int(certificate.not_after.timestamp()) * _US
        desk.enrolment.certificates.add_next(member, certificate.serial, not_after)
        return issued

    def _send(self, member: str, message: Message) -> None:
        envelope = sign_envelope(self._desk.identity, COORDINATOR, member, Address(""), message)
        self._desk.send(member, encode_packet(Packet(envelope.raw)))
