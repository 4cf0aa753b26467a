"""Checks of what the coordinator relays: set-ups, signatures on a root, headers, votes.

It keeps no state. Theory: the coordinator is believed nothing; whatever it says about another member comes as that
member's own signed message, and each is checked against the pinned identity and the exact place it belongs to.
"""

from collections.abc import Callable, Sequence

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, Envelope, open_envelope
from privacy.errors import PeerError, VerificationError
from privacy.field import Plan
from privacy.keys import same_bytes
from privacy.roster import Roster
from privacy.secagg.binding import cohort_digest, headers_digest
from privacy.secagg.part import check_header

__all__ = [
    "IdentityOf",
    "check_agreements",
    "check_opened",
    "check_votes",
    "parse_headers",
    "parse_setups",
    "relayed",
]

IdentityOf = Callable[[str], bytes]


def relayed(raw: bytes, kind: str, member: str, at: Address, identity_of: IdentityOf) -> Envelope:
    """Return a member's own message that the coordinator relays; raise `PeerError` unless it belongs exactly here."""
    inner = open_envelope(raw, identity_of)
    if inner.kind != kind or inner.sender != member:
        raise PeerError("relayed-sender", f"expected a {kind} of {member}, found a {inner.kind} of {inner.sender}")
    inner.expect(at, COORDINATOR)
    return inner


def parse_setups(
    roster: Roster, attachments: Sequence[bytes], at: Address, identity_of: IdentityOf
) -> dict[str, bytes]:
    """Return every member's agreement key from the signed set-ups, which stand in roster order."""
    if len(attachments) != len(roster):
        raise PeerError("setups-count", f"{len(attachments)} set-ups for {len(roster)} members")
    publics: dict[str, bytes] = {}
    for member, raw in zip(roster.members, attachments, strict=True):
        message = relayed(raw, "setup", member, at, identity_of).message
        assert isinstance(message, say.Setup)  # the kind says so
        publics[member] = message.agreement_key
    return publics


def check_agreements(roster: Roster, attachments: Sequence[bytes], at: Address, identity_of: IdentityOf) -> None:
    """Raise `PeerError` unless every member of the roster signed this agreement root."""
    if len(attachments) != len(roster):
        raise PeerError("agreements-count", f"{len(attachments)} signatures for {len(roster)} members")
    for member, raw in zip(roster.members, attachments, strict=True):
        relayed(raw, "agree", member, at, identity_of)


def parse_headers(
    survivors: Sequence[str],
    attachments: Sequence[bytes],
    at: Address,
    seats: tuple[Roster, Plan],
    identity_of: IdentityOf,
) -> dict[str, say.Header]:
    """Return the survivors' headers, each signed by its member for this position and shaped as planned.

    seats: the epoch's roster and the plan of the sum.
    """
    roster, plan = seats
    if len(attachments) != len(survivors) or not set(survivors) <= set(roster.members):
        raise PeerError("headers-count", f"{len(attachments)} headers for {len(survivors)} survivors")
    headers: dict[str, say.Header] = {}
    for member, raw in zip(survivors, attachments, strict=True):
        message = relayed(raw, "upload", member, at, identity_of).message
        assert isinstance(message, say.Header)  # the kind says so
        check_header(message, plan, roster, member)
        headers[member] = message
    return headers


def check_votes(
    attachments: Sequence[bytes],
    at: Address,
    cohort: tuple[tuple[str, ...], bytes],
    threshold: int,
    identity_of: IdentityOf,
) -> None:
    """Raise `PeerError` unless at least `threshold` distinct members of the cohort voted for it at this position.

    cohort: the survivors and the digest that each vote must name.
    """
    survivors, cohort_sha256 = cohort
    voters: set[str] = set()
    for raw in attachments:
        vote = open_envelope(raw, identity_of)
        vote.expect(at, COORDINATOR)
        if not isinstance(vote.message, say.Consent) or not same_bytes(vote.message.cohort_sha256, cohort_sha256):
            raise PeerError("certificate-vote", f"a vote of {vote.sender} is not for this cohort")
        if vote.sender not in survivors or vote.sender in voters:
            raise PeerError("certificate-voter", f"{vote.sender} votes twice or without being in the cohort")
        voters.add(vote.sender)
    if len(voters) < threshold:
        raise PeerError("certificate-votes", f"{len(voters)} votes, expected {threshold}")


def check_opened(
    opened: say.Opened, evidence: Sequence[bytes], at: Address, seats: tuple[Roster, Plan, int], identity_of: IdentityOf
) -> tuple[bytes, ...]:
    """Return the survivors' signed headers if an opened sum has all it needs: headers and c + 1 sum signatures.

    evidence: the headers, then the signatures. at: the position that the sum was opened at. seats: the epoch's roster,
    the plan, and c of the whole job: who is lost may be the coordinator's choice, who colludes is not. `PeerError` for
    headers that do not fit, `VerificationError` for a sum that too few verified.
    """
    roster, plan, colluders = seats
    headers, signatures = tuple(evidence[: len(opened.survivors)]), evidence[len(opened.survivors) :]
    if not same_bytes(headers_digest(headers), opened.headers_sha256):
        raise PeerError("headers-digest", "the attached headers are not those that are named")
    parse_headers(opened.survivors, headers, at, (roster, plan), identity_of)
    cohort = cohort_digest(at.binding, opened.survivors, opened.headers_sha256)
    signers: set[str] = set()
    for raw in signatures:
        inner = open_envelope(raw, identity_of)
        inner.expect(at, COORDINATOR)
        signed = inner.message
        fits = isinstance(signed, say.SumSignature) and signed == say.SumSignature(cohort, opened.sum_sha256)
        if not fits or inner.sender not in opened.survivors or inner.sender in signers:
            raise VerificationError("sum-signature", f"{inner.sender} did not sign this sum, or is shown twice")
        signers.add(inner.sender)
    if len(signers) <= colluders:
        raise VerificationError("sum-unverified", f"{len(signers)} members verified the sum, expected {colluders + 1}")
    return headers
