"""A code is good once, for one bank, for a while; a person's ear decides; and nobody takes another's place."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator import authority
from coordinator.enrolment import check_request
from privacy.errors import InputError, PeerError, VerificationError
from tests.coordinator.applicant import NONCE, NOW, Applicant, Operation
from tests.privacy.table import refused


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Operation]:
    operation = Operation(tmp_path)
    yield operation
    operation.store.close()


def finding(desk: Operation, bank: Applicant) -> tuple[str, str]:
    found = desk.enrolment.consider(bank.application(), NONCE, "10.0.0.1")
    return found.state, found.code


def test_a_bank_that_was_approved_is_a_member_with_a_certificate_for_its_key(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    assert finding(desk, bank) == ("pending", "")
    assert desk.enrolment.approve("alpha", bank.fingerprint.lower(), "uid-1", NOW).complete

    found = desk.enrolment.consider(bank.application(), NONCE, "10.0.0.1")
    assert found.state == "approved" and found.invite is not None
    certificate = authority.read_member_certificate(found.invite.certificate_pem.encode())
    (member,) = desk.store.members()
    assert (certificate.consortium, certificate.member) == ("cn", "alpha")
    assert (member.id, member.certificate_serial, member.status) == ("alpha", certificate.serial, "active")
    (entry,) = desk.enrolment.records.entries("cn")
    assert entry == bank.entry
    assert certificate.not_after - NOW == timedelta(days=30)


def test_a_stolen_database_lets_nobody_in(desk: Operation, tmp_path: Path) -> None:
    code = desk.invite("alpha")
    (invite,) = desk.enrolment.records.invites()
    known = bytes.fromhex(invite.verifier)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("coordinator.db*"))
    assert invite.verifier.encode() in stored
    assert code.secret not in stored and code.secret.hex().encode() not in stored
    for guess in (known[:16], known[16:]):
        assert finding(desk, Applicant(replace(code, secret=guess))) == ("refused", "invite-unknown")


def test_a_code_of_one_bank_opens_no_other_name(desk: Operation) -> None:
    code = desk.invite("alpha")
    desk.invite("beta")
    assert finding(desk, Applicant(code, member="beta")) == ("refused", "invite-unknown")
    assert finding(desk, Applicant(replace(code, member="beta"))) == ("refused", "invite-unknown")
    assert finding(desk, Applicant(replace(code, member="gamma"))) == ("refused", "invite-unknown")
    assert finding(desk, Applicant(replace(code, consortium="other"))) == ("refused", "other-consortium")


def test_an_application_that_was_overheard_is_worth_nothing_on_another_connection(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    overheard = bank.application(NONCE)
    found = desk.enrolment.consider(overheard, bytes(32), "10.0.0.9")
    assert (found.state, found.code) == ("refused", "invite-unknown")


def test_other_keys_under_the_same_code_are_refused_before_and_after_approval(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    thief = Applicant(bank.code, salt=b"thief")
    assert finding(desk, bank) == ("pending", "")
    assert finding(desk, thief) == ("refused", "invite-used")
    # The right keys with another request: somebody who has a copy of the identity but not of the TLS key.
    assert finding(desk, replace(bank, request=thief.request)) == ("refused", "invite-used")
    desk.enrolment.approve("alpha", bank.fingerprint, "uid-1", NOW)
    assert finding(desk, thief) == ("refused", "invite-used")
    assert finding(desk, bank) == ("approved", "")
    assert desk.enrolment.records.invites()[0].copies == 3


def test_a_machine_that_was_faster_is_found_by_ear(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    assert finding(desk, Applicant(bank.code, salt=b"thief")) == ("pending", "")
    assert finding(desk, bank) == ("refused", "invite-used")
    with refused("fingerprint-wrong", VerificationError):
        desk.enrolment.approve("alpha", bank.fingerprint, "uid-1", NOW)
    assert desk.store.members() == []


def test_time_runs_out_for_showing_a_code_not_for_approving(desk: Operation) -> None:
    early, late = Applicant(desk.invite("alpha", hours=1)), Applicant(desk.invite("beta", hours=1))
    assert finding(desk, early) == ("pending", "")
    desk.now += timedelta(hours=1)
    assert finding(desk, late) == ("refused", "invite-expired")
    assert finding(desk, early) == ("pending", "")
    assert desk.enrolment.approve("alpha", early.fingerprint, "uid-1", NOW).complete
    with refused("enrolment-absent", InputError):
        desk.enrolment.approve("beta", late.fingerprint, "uid-1", NOW)


def test_what_can_be_no_fingerprint_costs_no_try(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    finding(desk, bank)
    for slip in (
        "",
        "yes",
        bank.fingerprint[:-1],
        bank.fingerprint + "A",
        bank.fingerprint.replace(bank.fingerprint[0], "9"),
    ):
        with refused("fingerprint-shape", InputError):
            desk.enrolment.approve("alpha", slip, "uid-1", NOW)
    assert desk.enrolment.records.invites()[0].wrong == 0
    assert desk.enrolment.approve("alpha", bank.fingerprint, "uid-1", NOW).complete


def test_the_third_wrong_fingerprint_voids_the_invitation(desk: Operation) -> None:
    bank = Applicant(desk.invite("alpha"))
    finding(desk, bank)
    for _ in range(3):
        with refused("fingerprint-wrong", VerificationError):
            desk.enrolment.approve("alpha", "AAAAA " * 8, "uid-1", NOW)
    with refused("enrolment-absent", InputError):
        desk.enrolment.approve("alpha", bank.fingerprint, "uid-1", NOW)
    assert finding(desk, bank) == ("refused", "invite-void")


def test_two_people_approve_where_the_policy_says_so(tmp_path: Path) -> None:
    desk = Operation(tmp_path, "two_person_approval = true")
    bank = Applicant(desk.invite("alpha"))
    finding(desk, bank)
    for _ in range(2):
        assert not desk.enrolment.approve("alpha", bank.fingerprint, "uid-1", NOW).complete
    assert finding(desk, bank) == ("pending", "")
    with refused("fingerprint-wrong", VerificationError):
        desk.enrolment.approve("alpha", "AAAAA " * 8, "uid-2", NOW)
    done = desk.enrolment.approve("alpha", bank.fingerprint, "uid-2", NOW)
    assert (done.complete, done.approvers) == (True, ("uid-1", "uid-2"))
    desk.store.close()


def test_a_member_is_not_replaced_before_it_is_revoked(desk: Operation) -> None:
    first = desk.admit("alpha")
    again = Applicant(desk.invite("alpha"), salt=b"new keys")
    finding(desk, again)
    with refused("member-exists", InputError):
        desk.enrolment.approve("alpha", again.fingerprint, "uid-1", NOW)

    desk.enrolment.revoke("alpha")
    assert finding(desk, again) == ("refused", "invite-cancelled")
    again = Applicant(desk.invite("alpha"), salt=b"new keys")
    finding(desk, again)
    assert desk.enrolment.approve("alpha", again.fingerprint, "uid-1", NOW).complete
    (member,) = desk.store.members()
    assert (member.status, member.identity) == ("active", again.entry.entry.identity)
    assert member.identity != first.entry.entry.identity
    states = sorted(each.state for each in desk.enrolment.certificates.of_member("alpha"))
    assert states == ["current", "replaced"]


def test_a_bank_that_lost_its_certificate_joins_anew_with_its_keys(desk: Operation) -> None:
    first = desk.admit("alpha")
    again = Applicant(desk.invite("alpha"))
    finding(desk, again)
    assert desk.enrolment.approve("alpha", first.fingerprint, "uid-1", NOW).complete
    assert [each.state for each in desk.enrolment.certificates.of_member("alpha")].count("current") == 1


def test_a_bank_that_shows_a_key_of_another_is_refused(desk: Operation) -> None:
    desk.admit("alpha")
    twin = Applicant(desk.invite("beta"))
    finding(desk, twin)
    (invite,) = desk.enrolment.records.invites_of("beta")
    assert invite.applied is not None
    alpha = desk.store.members()[0]
    desk.store.add_member(replace(alpha, id="gamma", identity=twin.entry.entry.identity, certificate_serial=7))
    with refused("keys-taken", InputError):
        desk.enrolment.approve("beta", twin.fingerprint, "uid-1", NOW)


@pytest.mark.parametrize("hours", [0, -1, 24 * 31])
def test_an_invitation_holds_for_some_time(desk: Operation, hours: int) -> None:
    with refused("invite-ttl", InputError):
        desk.invite("alpha", hours)


@pytest.mark.parametrize(
    "text", ["", "no request", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_a_request_that_is_none_is_refused(desk: Operation, text: str) -> None:
    with refused("request-unusable", PeerError):
        check_request(text)
    assert finding(desk, replace(Applicant(desk.invite("alpha")), request=text)) == ("refused", "request-unusable")


def test_a_request_for_another_kind_of_key_is_refused() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP384R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with refused("request-unusable", PeerError):
        check_request(request.public_bytes(Encoding.PEM).decode())


def test_a_renewed_certificate_ends_the_old_one_when_it_is_first_used(desk: Operation) -> None:
    desk.admit("alpha")
    certificates, old = desk.enrolment.certificates, desk.store.members()[0].certificate_serial
    certificates.add_next("alpha", 5, 1)
    certificates.add_next("alpha", 6, 2)
    assert desk.store.members()[0].certificate_serial == old
    assert not certificates.promote("alpha", 5)  # the reply to the first request was lost, and it was asked again
    assert not certificates.promote("beta", 6)
    assert certificates.promote("alpha", 6)
    assert not certificates.promote("alpha", 6)
    assert not certificates.promote("alpha", old)
    assert desk.store.members()[0].certificate_serial == 6
    states = {each.serial: each.state for each in certificates.of_member("alpha")}
    assert states == {old: "replaced", 5: "replaced", 6: "current"}

    certificates.add_next("alpha", 7, 3)
    desk.enrolment.revoke("alpha")
    assert not certificates.promote("alpha", 7)
    with refused("member-revoked", InputError):
        desk.store.set_member_status("alpha", "active")
    assert desk.enrolment.records.entries("cn") == []
