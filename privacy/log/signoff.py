"""Sign-off of a model by a quorum of banks: the proposal, each bank's ballot, and whether the ballots carry it.

It keeps nothing and sends nothing. Theory: a proposal is canonical JSON, and its SHA-256 stands in every ballot, so a
ballot counts for one model in one role under one number in one consortium and nowhere else. A ballot is an in-toto
statement in a DSSE envelope, signed by the bank's pinned Ed25519 identity over its exact bytes. With n members the
least quorum is a majority; by default it is floor(2n/3) + 1, as in the secure sum: even if up to a third of the banks
sign two proposals of one number, no two of them carry (2t > n + (n - t)). Numbers rise, and the highest that carries is
in force, so ballots of yesterday's model do not bring it back.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import INTEGER_LIMIT, decode_object, encode
from privacy.log.kinds import is_hex, is_text
from privacy.log.statement import Statement, open_envelope, seal_envelope

__all__ = [
    "BALLOT_LIMIT_BYTES",
    "DECISIONS",
    "PROPOSAL_LIMIT_BYTES",
    "REASONS",
    "ROLES",
    "RULES",
    "SIGN_OFF_CLAIM",
    "Ballot",
    "Proposal",
    "Tally",
    "count_ballots",
    "decode_proposal",
    "kept_ballot",
    "least_quorum",
    "read_ballot",
    "sign_ballot",
    "tally_decisions",
]

SIGN_OFF_CLAIM = "creditmesh:model-sign-off/v1"
ROLES = ("champion", "challenger")
DECISIONS = ("approve", "reject")
REASONS = ("figures", "stability", "fairness", "documents", "privacy", "other")
RULES = ("majority", "two-thirds", "all")
PROPOSAL_LIMIT_BYTES = 64 * 1024
BALLOT_LIMIT_BYTES = 16 * 1024
_FORMAT = "creditmesh-proposal/1"
# Ids of members and jobs, which become names of folders.
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MOST_MEMBERS = 256
_MOST_EVIDENCE = 64
_is_sha256 = is_hex(32)
_is_code = is_text(64)


def least_quorum(rule: str, members: int) -> int:
    """Return how many of so many members must approve: `majority`, `two-thirds` (more than that) or `all`.

    Raises `InputError` for another rule.
    """
    if rule not in RULES:
        raise InputError("quorum-rule", f"quorum {rule!r}: expected one of {', '.join(RULES)}")
    return {"majority": members // 2 + 1, "two-thirds": 2 * members // 3 + 1, "all": members}[rule]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the banks are asked to sign: this model, in this role, in place of that one.

    Attributes:
        number: rises with every proposal of the consortium, from 1.
        consortium, coordinator: its name, and the 32-byte identity of its coordinator in hex.
        role: `champion` or `challenger`.
        model, job, recipe, manifest_sha256: the model file's SHA-256, the job that made it, the job's recipe and the
            digest of its manifest, 64 hex digits.
        members: those of the job, in order; they vote.
        quorum: how many of them must approve, at least a majority.
        replaces: the model in that role before, empty for none.
        rollback: whether this model was in that role before.
        evidence: SHA-256 by name of what speaks for it, `figures` and `validation/<job>` among them.
        proposed_us: UTC microseconds.
    """

    number: int
    consortium: str
    coordinator: str
    role: str
    model: str
    job: str
    recipe: str
    manifest_sha256: str
    members: tuple[str, ...]
    quorum: int
    replaces: str
    rollback: bool
    proposed_us: int
    evidence: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a proposal that is not well formed; raises `VerificationError`."""
        digests = (self.coordinator, self.model, self.manifest_sha256, *self.evidence.values())
        texts = (self.consortium, self.job, self.recipe, *self.evidence)
        numbers = (self.number, self.proposed_us, self.quorum)
        fine = (
            all(map(_is_sha256, digests))
            and all(map(_is_code, texts))
            and all(type(value) is int and 0 < value < INTEGER_LIMIT for value in numbers)
            and self.role in ROLES
            and _ID.fullmatch(self.job)
            and (self.replaces == "" or _is_sha256(self.replaces))
            and type(self.rollback) is bool
            and len(self.evidence) <= _MOST_EVIDENCE
        )
        if not fine:
            raise VerificationError("proposal-malformed", "a proposal holds a value of the wrong form")
        if not 0 < len(self.members) <= _MOST_MEMBERS or not all(map(_ID.fullmatch, self.members)):
            raise VerificationError("proposal-members", "a proposal names no members, too many, or one with a bad name")
        if list(self.members) != sorted(set(self.members)):
            raise VerificationError("proposal-members", "a proposal names a member twice or out of order")
        if not least_quorum("majority", len(self.members)) <= self.quorum <= len(self.members):
            raise VerificationError(
                "proposal-quorum", f"a quorum of {self.quorum} of {len(self.members)} members is no majority"
            )

    def encode(self) -> bytes:
        """Return the canonical JSON."""
        return encode({**asdict(self), "members": list(self.members), "format": _FORMAT})

    def sha256(self) -> str:
        """Return the SHA-256 of the canonical JSON in hex."""
        return hashlib.sha256(self.encode()).hexdigest()


def decode_proposal(raw: bytes) -> Proposal:
    """Return the proposal in canonical JSON bytes; anything else raises `VerificationError`."""
    document = decode_object(raw, PROPOSAL_LIMIT_BYTES, "a proposal")
    names = {each.name for each in fields(Proposal)}
    members, evidence = document.get("members"), document.get("evidence")
    if set(document) != {*names, "format"} or document.pop("format") != _FORMAT:
        raise VerificationError("proposal-malformed", f"a proposal is not of the format {_FORMAT}")
    if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
        raise VerificationError("proposal-members", "a proposal's members are not a list of names")
    if not isinstance(evidence, dict):
        raise VerificationError("proposal-malformed", "a proposal's evidence is not a table")
    values: dict[str, Any] = {**document, "members": tuple(members)}
    return Proposal(**values)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one bank says to a proposal: `approve`, or `reject` with one of `REASONS`.

    who: pseudonym of the person at the bank. signed_us: UTC microseconds.
    """

    member: str
    decision: str
    reason: str
    who: str
    signed_us: int

    def __post_init__(self) -> None:
        """Refuse a ballot that is not well formed; raises `VerificationError`."""
        fine = (
            isinstance(self.member, str)
            and _ID.fullmatch(self.member)
            and self.decision in DECISIONS
            and self.reason in (REASONS if self.decision == "reject" else ("",))
            and _is_code(self.who)
            and type(self.signed_us) is int
            and 0 < self.signed_us < INTEGER_LIMIT
        )
        if not fine:
            raise VerificationError(
                "ballot-malformed",
                f"a ballot approves, or rejects for one of {', '.join(REASONS)}, and names who signs (64 characters)",
            )


def sign_ballot(proposal: Proposal, ballot: Ballot, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return a member's ballot as a signed statement.

    public: the member's 32-byte identity. sign: its signature over bytes. One that is not among the proposal's members
    raises `InputError`.
    """
    if ballot.member not in proposal.members:
        raise InputError("ballot-stranger", f"{ballot.member} was not in job {proposal.job}, so it has no vote on it")
    return seal_envelope(_statement(proposal, proposal.sha256(), ballot), public, sign)


def read_ballot(raw: bytes, proposal: Proposal, identities: Mapping[str, bytes]) -> Ballot:
    """Return the ballot in a signed statement after checking every part of it.

    identities: the 32-byte pinned identity of each member. Raises `VerificationError` unless these are the canonical
    bytes of one ballot on exactly this proposal, signed by the identity of the member that it names.
    """
    return _read_ballot(raw, proposal, proposal.sha256(), identities)


def kept_ballot(raw: bytes) -> Ballot:
    """Return what a ballot says that was checked when it came, without checking it again: for showing it only.

    Raises `VerificationError` for bytes that are no ballot.
    """
    try:
        document = json.loads(base64.b64decode(json.loads(raw)["payload"]))["predicate"]
        return Ballot(**{each.name: document[each.name] for each in fields(Ballot)})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VerificationError("ballot-malformed", "a kept ballot is not what was written") from None


def _read_ballot(raw: bytes, proposal: Proposal, sha256: str, identities: Mapping[str, bytes]) -> Ballot:
    if len(raw) > BALLOT_LIMIT_BYTES:
        raise VerificationError("ballot-size", f"a ballot holds {len(raw)} bytes, at most {BALLOT_LIMIT_BYTES}")
    statement, signer = open_envelope(raw)
    document = dict(statement.predicate)
    ballot = Ballot(**{each.name: document.get(each.name) for each in fields(Ballot)})  # type: ignore[arg-type]
    if statement.encode() != _statement(proposal, sha256, ballot).encode():
        raise VerificationError(
            "ballot-elsewhere", f"a ballot of {ballot.member} is for another proposal, role, model or consortium"
        )
    if ballot.member not in proposal.members:
        raise VerificationError("ballot-stranger", f"{ballot.member} was not in the job and has no vote")
    if signer is None or ballot.member not in identities or signer != identities[ballot.member]:
        raise VerificationError("ballot-forged", f"a ballot of {ballot.member} is not signed by its pinned identity")
    if raw != _respelt(raw):
        raise VerificationError("ballot-spelling", f"the ballot of {ballot.member} is not spelt canonically")
    return ballot


@dataclass(frozen=True, slots=True)
class Tally:
    """Who approved and who rejected, in order of their names, and whether the proposal carries."""

    approved: tuple[str, ...]
    rejected: tuple[str, ...]
    quorum: int
    members: int

    @property
    def carries(self) -> bool:
        """Say whether the quorum approved."""
        return len(self.approved) >= self.quorum

    @property
    def fails(self) -> bool:
        """Say whether so many rejected that the quorum cannot be reached any more."""
        return self.members - len(self.rejected) < self.quorum


def count_ballots(proposal: Proposal, ballots: Sequence[bytes], identities: Mapping[str, bytes]) -> Tally:
    """Return the count of these ballots.

    Raises `VerificationError` for any ballot that does not hold (`read_ballot`), and `ballot-twice` for two of one
    member: whoever sends a set with a bad ballot in it is not believed about the others.
    """
    decisions: dict[str, str] = {}
    sha256 = proposal.sha256()  # once: of a proposal with hundreds of members it takes as long as a signature
    for raw in ballots:
        ballot = _read_ballot(raw, proposal, sha256, identities)
        if ballot.member in decisions:
            raise VerificationError("ballot-twice", f"two ballots of {ballot.member} on one proposal")
        decisions[ballot.member] = ballot.decision
    return tally_decisions(proposal, decisions)


def tally_decisions(proposal: Proposal, decisions: Mapping[str, str]) -> Tally:
    """Return the count of decisions by member, each of a ballot that was checked."""
    approved, rejected = (
        tuple(sorted(name for name, said in decisions.items() if said == decision)) for decision in DECISIONS
    )
    return Tally(approved, rejected, proposal.quorum, len(proposal.members))


def _statement(proposal: Proposal, sha256: str, ballot: Ballot) -> Statement:
    # What a person needs to read stands in the statement itself; the proposal's digest covers all the rest.
    stated = {
        name: getattr(proposal, name) for name in ("number", "consortium", "coordinator", "role", "job", "rollback")
    }
    subjects = {"model": proposal.model, "proposal": sha256}
    return Statement(subjects, SIGN_OFF_CLAIM, {**stated, **asdict(ballot)})


def _respelt(raw: bytes) -> bytes:
    """Return an envelope as `seal_envelope` would have spelt it, so that one ballot has one spelling."""
    try:
        envelope = json.loads(raw)
        (part,) = envelope["signatures"]
        spelt = {
            "payload": base64.b64encode(base64.b64decode(envelope["payload"])).decode("ascii"),
            "payloadType": envelope["payloadType"],
            "signatures": [{"keyid": part["keyid"], "sig": base64.b64encode(base64.b64decode(part["sig"])).decode()}],
        }
        return encode(spelt) + b"\n"
    except (ValueError, KeyError, TypeError, binascii.Error):
        return b""
