"""Who may join: invitations, applications, approvals by a fingerprint that was read out, and revocation.

It listens on no port and prints nothing; the desk, the commands and the console call it. Theory: a join code alone lets
nobody in. It binds the first keys that are shown with it; then a person types the fingerprint that the bank reads out
on the telephone, since a question that is answered by a click is answered without looking. The fingerprint covers the
bank's identity, and that identity signed the certificate request, so one telephone call covers both.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coordinator import authority
from coordinator.certificate_store import CertificateStore
from coordinator.config import CoordinatorConfig, EnrolmentSettings
from coordinator.enrolment_store import Applied, EnrolmentStore, Grant, Invite
from coordinator.keys_file import read_public, read_secret
from coordinator.store import Member, Store
from privacy.enrolment import Application
from privacy.errors import InputError, PeerError, VerificationError
from privacy.fingerprint import check_whole, matches
from privacy.join_code import SECRET_BYTES, JoinCode, invite_key
from privacy.member_entry import MemberEntry, entry_of
from privacy.roster import check_member_id

__all__ = ["LONGEST_TTL", "Approval", "Enrolment", "Finding", "check_request", "desk_endpoint", "load_authority"]

LONGEST_TTL = timedelta(days=30)
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be answered to an application: pending, approved or refused, with a code and the invitation."""

    state: str
    code: str = ""
    invite: Invite | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """How an approval ended: complete, or waiting for a second person; copies: how often others showed its code."""

    complete: bool
    approvers: tuple[str, ...]
    fingerprint: str
    copies: int = 0


class Enrolment:
    """The rules over one coordinator's database."""

    def __init__(self, config: CoordinatorConfig, store: Store) -> None:
        """store: the coordinator's database, open."""
        self._config = config
        self._store = store
        self.records = EnrolmentStore(store.engine)
        self.certificates = CertificateStore(store.engine)

    def invite(self, member: str, ttl: timedelta, endpoint: str) -> tuple[str, Invite]:
        """Invite a bank and return its join code, which is kept nowhere. endpoint: of the desk, as banks dial it.

        Raises `InputError` for a bad name or time.
        """
        check_member_id(member)
        if not timedelta(0) < ttl <= LONGEST_TTL:
            raise InputError("invite-ttl", f"an invitation holds for up to {LONGEST_TTL.days} days")
        secret, consortium = secrets.token_bytes(SECRET_BYTES), self._config.consortium.name
        root = read_public(self._config.tls.ca)
        code = JoinCode(endpoint, authority.key_sha256(root), consortium, member, secret)
        verifier = invite_key(secret, consortium, member).public.hex()
        return code.encode(), self.records.add_invite(member, verifier, int(ttl.total_seconds()) * _US)

    def consider(self, application: Application, nonce: bytes, source: str) -> Finding:
        """Decide on an application that came over a connection with this nonce from this address."""
        member = application.entry.entry.member
        if application.consortium != self._config.consortium.name:
            return Finding("refused", "other-consortium")
        proved = (
            each for each in self.records.invites_of(member) if application.proves(nonce, bytes.fromhex(each.verifier))
        )
        invite = next(proved, None)
        if invite is None:
            return Finding("refused", "invite-unknown")
        try:
            application.check_identity(nonce)
            check_request(application.request_pem)
        except PeerError as error:
            return Finding("refused", error.code, invite)
        standing = invite.standing(self.records.now_us())
        if standing in ("expired", "cancelled", "void"):
            return Finding("refused", f"invite-{standing}", invite)
        return self._bind(application, invite, source)

    def approve(self, member: str, typed: str, approver: str, now: datetime) -> Approval:
        """Approve the bank whose fingerprint was typed; issue its certificate once enough people did.

        approver: pseudonym of whoever typed it, such as `uid-1000`. now: aware, UTC.

        Raises:
            InputError: nobody waits under that name, its keys collide with a member's, or what was typed is no whole
                fingerprint, which costs no try.
            VerificationError: `fingerprint-wrong`; the third one voids the invitation.
        """
        invite = self._waiting(member)
        applied = invite.applied
        assert applied is not None  # the state says so
        check_whole(typed)
        if not matches(typed, applied.fingerprint):
            left = self.records.note_wrong(invite.number)
            says = f"{left} more and the invitation is void" if left else "the invitation is void; invite it again"
            raise VerificationError(
                "fingerprint-wrong",
                f"this is not the fingerprint that {member} shows here: either it was misheard, or another machine "
                f"applied in its name; ask again by telephone ({says})",
            )
        entry = entry_of(self._config.consortium.name, dict(applied.entry)).check()
        self._check_keys(entry)
        approvers = self.records.note_approval(invite.number, approver)
        if self._config.policy.two_person_approval and len(approvers) < 2:
            return Approval(False, approvers, applied.fingerprint, invite.copies)
        self._grant(invite, entry, now)
        return Approval(True, approvers, applied.fingerprint, invite.copies)

    def revoke(self, member: str) -> None:
        """Refuse a member for good: its certificates count no more, and what is undecided for it is cancelled."""
        self._store.set_member_status(member, "revoked")
        self.certificates.revoke(member)
        if any(each.state in ("open", "applied") for each in self.records.invites_of(member)):
            self.records.cancel(member)

    def _bind(self, application: Application, invite: Invite, source: str) -> Finding:
        if invite.state == "open":
            applied = Applied(
                application.request_pem,
                application.entry.document(),
                application.entry.entry.fingerprint(),
                source,
                self.records.now_us(),
            )
            self.records.apply(invite.number, applied)
            invite = self.records.invite(invite.number)
        same = invite.applied is not None and (
            dict(invite.applied.entry) == application.entry.document()
            and check_request(invite.applied.request_pem) == check_request(application.request_pem)
        )
        if not same:
            self.records.note_copy(invite.number)
            return Finding("refused", "invite-used", invite)
        return Finding("approved" if invite.state == "approved" else "pending", "", invite)

    def _waiting(self, member: str) -> Invite:
        known = self.records.invites_of(member)
        for invite in known:
            if invite.state == "applied":
                return invite
        if not known:
            raise InputError(
                "invite-absent", f"{member} was never invited; run: creditmesh-coordinator invite {member}"
            )
        standing = known[0].standing(self.records.now_us())
        says = {
            "open": "it has not shown its code yet; it runs: creditmesh-node join CODE",
            "approved": "it is approved already",
        }.get(standing, f"its invitation is {standing}; run: creditmesh-coordinator invite {member}")
        raise InputError("enrolment-absent", f"no application of {member} waits: {says}")

    def _check_keys(self, entry: MemberEntry) -> None:
        """Refuse keys that another member has, and other keys of a member that still counts."""
        mine = {entry.identity, entry.log.rpartition("+")[2], entry.witness.rpartition("+")[2]}
        for other in self._store.members():
            theirs = {other.identity, other.log.rpartition("+")[2], other.witness.rpartition("+")[2]}
            if other.id != entry.member and mine & theirs:
                raise InputError("keys-taken", f"{entry.member} shows a key of {other.id}; each needs its own")
            if other.id == entry.member and other.status != "revoked" and mine != theirs:
                raise InputError(
                    "member-exists",
                    f"{other.id} is a member with other keys; if it lost them, run: creditmesh-coordinator revoke "
                    f"{other.id}, and then invite it anew",
                )

    def _grant(self, invite: Invite, entry: MemberEntry, now: datetime) -> None:
        assert invite.applied is not None  # the caller looked
        root, days = load_authority(self._config), self._config.policy.certificate_days
        public = check_request(invite.applied.request_pem)
        issued = authority.issue_member_certificate(root, entry.member, public, now, days)
        certificate = authority.read_member_certificate(issued)
        member = Member(entry.member, entry.identity, certificate.serial, "active", entry.log, entry.witness)
        not_after = int(certificate.not_after.timestamp()) * _US
        if not self.records.grant(
            invite.number, Grant(member, invite.applied.entry, issued.decode("ascii"), not_after)
        ):
            raise InputError("enrolment-absent", f"the application of {entry.member} was decided meanwhile")


def check_request(request_pem: str) -> bytes:
    """Return the public key (PEM) of a certificate request for P-256 whose signature holds; raises `PeerError`."""
    try:
        request = x509.load_pem_x509_csr(request_pem.encode("utf-8"))
        key = request.public_key()
        fine = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        if not fine or not request.is_signature_valid:
            raise ValueError
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise PeerError("request-unusable", "a certificate request that is no PKCS #10 for P-256") from error
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_authority(config: CoordinatorConfig) -> authority.Credential:
    """Return the consortium's authority; raises `InputError` where its key is kept elsewhere."""
    if config.authority is None:
        raise InputError("authority-absent", "there is no [authority] key here, so no certificate can be issued")
    return authority.Credential(read_public(config.tls.ca), read_secret(config.authority.key))


def desk_endpoint(settings: EnrolmentSettings | None, taken: str = "") -> str:
    """Return "host:port" of the desk as banks dial it; taken: the address that the running desk listens on."""
    if settings is None:
        raise InputError(
            "enrolment-absent", "coordinator.toml has no [enrolment] section, so nobody can join by a code"
        )
    host, _, port = settings.endpoint.rpartition(":")
    port = port if port != "0" else taken.rpartition(":")[2]
    if not port:
        raise InputError("enrolment-port", "[enrolment] endpoint has port 0 and the coordinator does not run; start it")
    return f"{host}:{port}"
