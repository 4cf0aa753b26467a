"""The running coordinator renews, introduces and refuses; what it tells a member is signed, and for that member."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from coordinator import authority
from coordinator.registrar import Registrar, RegistrarDesk
from coordinator.store import Member
from node.certificate import check_certificate, make_request, new_tls_key
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope, sign_envelope
from privacy.keys import IdentityKey
from privacy.member_entry import SignedEntry, decode_list
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.messages import Message
from privacy.wire import Packet, decode_packet
from tests.coordinator.applicant import Operation
from tests.privacy.test_member_entry import entry_for, identity_for

OPERATOR = IdentityKey.from_seed(bytes(32))


class Office:
    """A registrar over a real database; what it sends is kept."""

    def __init__(self, folder: Path) -> None:
        self.operation = Operation(folder)
        self.sent: list[tuple[str, Envelope]] = []
        self.registrar = Registrar(
            RegistrarDesk(
                config=self.operation.config,
                identity=OPERATOR,
                enrolment=self.operation.enrolment,
                send=self._send,
                members=self.members,
                link=lambda: "127.0.0.1:1",
                now=lambda: datetime.now(UTC),
            )
        )

    def members(self) -> dict[str, Member]:
        return {member.id: member for member in self.operation.store.members()}

    def take(self, member: str, message: Message) -> str:
        envelope = sign_envelope(identity_for(member), member, COORDINATOR, Address("", position=1), message)
        take = self.registrar.take_renew if isinstance(message, Renew) else self.registrar.take_introduce
        return take(envelope, Packet(envelope.raw), len(envelope.raw))

    def _send(self, member: str, raw: bytes) -> None:
        envelope = open_envelope(decode_packet(raw).signed, lambda sender: {COORDINATOR: OPERATOR.public}[sender])
        envelope.expect(Address(""), member)
        self.sent.append((member, envelope))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    office.operation.admit("alpha")
    yield office
    office.operation.store.close()


def renewed(office: Office) -> Renewed:
    message = office.sent[-1][1].message
    assert isinstance(message, Renewed)
    return message


def test_a_renewal_is_a_certificate_for_the_new_key_that_counts_from_its_first_use(office: Office) -> None:
    key = new_tls_key()
    assert office.take("alpha", Renew(make_request(key).encode())) == ""

    certificate = renewed(office).certificate
    root = office.operation.config.tls.ca.read_bytes()
    check_certificate(certificate, root, key, "spiffe://cn/member/alpha")
    old, serial = office.members()["alpha"], authority.read_member_certificate(certificate).serial
    assert old.certificate_serial != serial
    assert office.registrar.refusal("alpha", old.certificate_serial) == "not-a-member"  # it is let in: nobody asks
    assert office.registrar.promote(old, serial)
    assert office.members()["alpha"].certificate_serial == serial
    assert office.registrar.refusal("alpha", old.certificate_serial) == "certificate-replaced"
    assert not office.registrar.promote(office.members()["alpha"], old.certificate_serial)


def test_a_revoked_member_renews_nothing_and_hears_why(office: Office) -> None:
    office.take("alpha", Renew(make_request(new_tls_key()).encode()))
    serial = authority.read_member_certificate(renewed(office).certificate).serial
    office.operation.enrolment.revoke("alpha")
    assert not office.registrar.promote(office.members()["alpha"], serial)
    assert office.registrar.refusal("alpha", serial) == "member-revoked"
    assert office.registrar.refusal("nobody", serial) == "not-a-member"


def test_a_certificate_that_the_database_never_heard_of_is_told_apart(office: Office) -> None:
    # So it is after a restore of a copy that is older than a bank's last renewal; nothing of it is believed.
    known = office.members()["alpha"]
    assert not office.registrar.promote(known, 12345)
    assert office.registrar.refusal("alpha", 12345) == "certificate-unknown"


def test_a_request_that_is_none_and_one_too_many_are_refused_with_a_code(office: Office) -> None:
    assert office.take("alpha", Renew(b"\xff no request")) == "request-unusable"
    assert renewed(office) == Renewed(b"", "request-unusable")
    key = make_request(new_tls_key()).encode()
    codes = [office.take("alpha", Renew(key)) for _ in range(13)]
    assert codes[:11] == [""] * 11 and codes[-1] == "renewals-too-many"
    assert len(office.operation.enrolment.certificates.of_member("alpha")) == 12


def test_a_bank_introduces_itself_with_the_keys_it_was_enrolled_with_alone(office: Office) -> None:
    def code(entry: SignedEntry) -> str:
        return office.take("alpha", Introduce(json.dumps(entry.document()).encode()))

    own = entry_for("alpha")
    assert code(own) == ""
    assert code(entry_for("alpha", salt=b"new")) == "entry-other-keys"
    assert code(entry_for("beta")) == "entry-other-keys"
    assert code(SignedEntry(own.entry, entry_for("beta").signature)) == "entry-signature"
    assert office.take("alpha", Introduce(b"[")) == "entry-malformed"
    assert office.operation.enrolment.records.entries("cn") == [own]


def test_everybody_hears_of_a_list_once_it_changed(office: Office) -> None:
    office.registrar.settle(office.registrar.list_now(), ["alpha"])
    office.registrar.settle(office.registrar.list_now(), ["alpha"])
    office.operation.admit("beta")
    office.registrar.settle(office.registrar.list_now(), ["alpha", "beta"])
    assert [member for member, _ in office.sent] == ["alpha", "alpha", "beta"]
    message = office.sent[-1][1].message
    assert isinstance(message, Members)
    assert decode_list(message.members, "cn") == (entry_for("alpha"), entry_for("beta"))


def test_a_network_that_was_enrolled_by_hand_hears_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.registrar.settle(office.registrar.list_now(), ["alpha"])
    office.registrar.greet("alpha")
    assert office.sent == []
    office.operation.store.close()


def test_certificates_name_nobody_but_their_member(office: Office) -> None:
    office.take("alpha", Renew(make_request(new_tls_key()).encode()))
    certificate = x509.load_pem_x509_certificate(renewed(office).certificate)
    assert list(certificate.subject) == []
