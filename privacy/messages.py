"""Messages of the secure sum as values: what each one says, with its sizes checked.

It holds no bytes format (`privacy.wire`) and no rule of who may say what when (`privacy.secagg`). Theory: a message
that exists is well formed: digests have 32 bytes, ids are ids, lists are bounded. Names follow the flow of a round:
open, upload, close, consent, certificate, reveal.
"""

from dataclasses import dataclass

from privacy.digest import DIGEST_BYTES
from privacy.errors import PeerError
from privacy.roster import MAX_MEMBERS, check_member_id
from privacy.shamir import SECRET_BYTES, SHARE_BYTES

__all__ = [
    "Accept", "AddCheckpoint", "Agree", "Assemble", "CatchUp", "Certificate", "Charter", "Check", "CheckPart", "Close",
    "Consent", "Cosigned", "Decline", "Ended", "Halt", "Header", "HeldSeed", "Message", "Offer", "Open", "Opened",
    "PairSeed", "Ready", "Receipt", "Reveal", "SelfSeed", "Setup", "Setups", "Share", "SumSignature",
]  # fmt: skip

BOX_BYTES = SHARE_BYTES + 16
_MAX_DOCUMENT = 256 * 1024
_MAX_CODE = 64
_MAX_COSIGN = 72 * 1024


def _digests(*values: bytes) -> None:
    if any(len(value) != DIGEST_BYTES for value in values):
        raise PeerError("message-digest", f"a digest or key is not {DIGEST_BYTES} bytes long")


def _members(values: tuple[str, ...]) -> None:
    if len(values) > MAX_MEMBERS or list(values) != sorted(set(values)):
        raise PeerError("message-members", "a list of members is too long, unordered or repeats one")
    for value in values:
        check_member_id(value)


def _short(value: str) -> None:
    if len(value) > _MAX_CODE or not value.isprintable():
        raise PeerError("message-code", f"a code is longer than {_MAX_CODE} characters or not printable")


def _document(value: bytes) -> None:
    if len(value) > _MAX_DOCUMENT:
        raise PeerError("message-size", f"a document holds {len(value)} bytes, expected at most {_MAX_DOCUMENT}")


def _cosign(value: bytes) -> None:
    if len(value) > _MAX_COSIGN:
        raise PeerError("message-size", f"a checkpoint's request holds {len(value)} bytes, at most {_MAX_COSIGN}")


@dataclass(frozen=True, slots=True)
class Message:
    """Root of all messages."""


@dataclass(frozen=True, slots=True)
class Offer(Message):
    """Ask a member whether this job (manifest JSON with everyone who was asked) may run with it."""

    manifest: bytes

    def __post_init__(self) -> None:
        _document(self.manifest)


@dataclass(frozen=True, slots=True)
class Accept(Message):
    """Say yes to an offer."""


@dataclass(frozen=True, slots=True)
class Decline(Message):
    """Say no to an offer; a code, never a figure."""

    code: str

    def __post_init__(self) -> None:
        _short(self.code)


@dataclass(frozen=True, slots=True)
class Charter(Message):
    """Give the job's manifest with its final roster."""

    manifest: bytes

    def __post_init__(self) -> None:
        _document(self.manifest)


@dataclass(frozen=True, slots=True)
class Setup(Message):
    """Offer a fresh X25519 key (32 bytes) and a nonce (32 bytes) for one epoch."""

    agreement_key: bytes
    nonce: bytes

    def __post_init__(self) -> None:
        _digests(self.agreement_key, self.nonce)


@dataclass(frozen=True, slots=True)
class Setups(Message):
    """Show all members' signed set-ups (attachments)."""


@dataclass(frozen=True, slots=True)
class Agree(Message):
    """Sign the agreement root (a field of the envelope)."""


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Show all members' signatures on the root (attachments)."""


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """Name a sum that was opened; headers are attached, the sum is the packet's vector."""

    epoch: int
    position: int
    round: int
    survivors: tuple[str, ...]
    headers_sha256: bytes
    sum_sha256: bytes

    def __post_init__(self) -> None:
        _members(self.survivors)
        _digests(self.headers_sha256, self.sum_sha256)


@dataclass(frozen=True, slots=True)
class Assemble(Message):
    """Ask for set-ups of a new epoch over these members; carry the last opened sum, if there is one."""

    roster: tuple[str, ...]
    previous: Opened | None

    def __post_init__(self) -> None:
        _members(self.roster)


@dataclass(frozen=True, slots=True)
class Open(Message):
    """D1: open a round whose request every member has derived; carry the sum before it."""

    round: int
    ask_sha256: bytes
    previous: Opened | None

    def __post_init__(self) -> None:
        _digests(self.ask_sha256)


@dataclass(frozen=True, slots=True)
class Header(Message):
    """U1: what a member binds itself to; lists run over the epoch's roster, its own pair seed hash is all zero."""

    length: int
    word_bits: int
    commitment: bytes
    vector_sha256: bytes
    self_seed_sha256: bytes
    pair_seed_sha256: tuple[bytes, ...]
    share_sha256: tuple[bytes, ...]
    boxes_sha256: bytes

    def __post_init__(self) -> None:
        _digests(self.commitment, self.vector_sha256, self.self_seed_sha256, self.boxes_sha256)
        if max(len(self.pair_seed_sha256), len(self.share_sha256)) > MAX_MEMBERS:
            raise PeerError("message-members", "a header speaks of more members than a roster has")
        _digests(*self.pair_seed_sha256, *self.share_sha256)


@dataclass(frozen=True, slots=True)
class Close(Message):
    """D2: the cohort that uploaded, and this member's boxes in the cohort's order (its own place is empty)."""

    survivors: tuple[str, ...]
    headers_sha256: bytes
    boxes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _members(self.survivors)
        _digests(self.headers_sha256)
        if len(self.boxes) > MAX_MEMBERS or any(len(box) not in (0, BOX_BYTES) for box in self.boxes):
            raise PeerError("message-boxes", f"a box is not {BOX_BYTES} bytes long")


@dataclass(frozen=True, slots=True)
class Share(Message):
    """One share (32 bytes) of `owner`'s self seed."""

    owner: str
    value: bytes

    def __post_init__(self) -> None:
        check_member_id(self.owner)
        _digests(self.value)


@dataclass(frozen=True, slots=True)
class PairSeed(Message):
    """The seed (32 bytes) of the mask between the sender and a dropped member, for one round."""

    dropped: str
    value: bytes

    def __post_init__(self) -> None:
        check_member_id(self.dropped)
        _digests(self.value)


@dataclass(frozen=True, slots=True)
class Consent(Message):
    """U2: the one vote of a position, and shares of the cohort's self seeds if the cohort is the roster."""

    cohort_sha256: bytes
    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        _digests(self.cohort_sha256)
        _members(tuple(share.owner for share in self.shares))


@dataclass(frozen=True, slots=True)
class Certificate(Message):
    """D3: votes (attachments: signed consents) on one cohort that is smaller than the roster."""

    survivors: tuple[str, ...]
    headers_sha256: bytes

    def __post_init__(self) -> None:
        _members(self.survivors)
        _digests(self.headers_sha256)


@dataclass(frozen=True, slots=True)
class Reveal(Message):
    """U3: shares of the survivors' self seeds and pair seeds with the dropped; never both of one member."""

    shares: tuple[Share, ...]
    seeds: tuple[PairSeed, ...]

    def __post_init__(self) -> None:
        _members(tuple(share.owner for share in self.shares))
        _members(tuple(seed.dropped for seed in self.seeds))


@dataclass(frozen=True, slots=True)
class CheckPart(Message):
    """V1: one survivor's masked part, the packet's vector, for a member that verifies the sum."""

    owner: str

    def __post_init__(self) -> None:
        check_member_id(self.owner)


@dataclass(frozen=True, slots=True)
class SelfSeed(Message):
    """The rebuilt self seed (31 bytes) of one survivor."""

    owner: str
    value: bytes

    def __post_init__(self) -> None:
        check_member_id(self.owner)
        if len(self.value) != SECRET_BYTES:
            raise PeerError("message-seed", f"a self seed is not {SECRET_BYTES} bytes long")


@dataclass(frozen=True, slots=True)
class HeldSeed(Message):
    """The pair seed (32 bytes) that a survivor revealed about a dropped member."""

    holder: str
    dropped: str
    value: bytes

    def __post_init__(self) -> None:
        check_member_id(self.holder)
        check_member_id(self.dropped)
        _digests(self.value)


@dataclass(frozen=True, slots=True)
class Check(Message):
    """V1: what took the masks off; the verifier recomputes the sum with it from the parts it was given."""

    cohort_sha256: bytes
    self_seeds: tuple[SelfSeed, ...]
    pairs: tuple[HeldSeed, ...]

    def __post_init__(self) -> None:
        _digests(self.cohort_sha256)
        _members(tuple(seed.owner for seed in self.self_seeds))
        places = [(pair.holder, pair.dropped) for pair in self.pairs]
        if places != sorted(set(places)) or len(places) > MAX_MEMBERS**2:
            raise PeerError("message-pairs", "pair seeds are unordered or repeat one")


@dataclass(frozen=True, slots=True)
class SumSignature(Message):
    """V2: the digest of the sum that this member recomputed for a cohort."""

    cohort_sha256: bytes
    sum_sha256: bytes

    def __post_init__(self) -> None:
        _digests(self.cohort_sha256, self.sum_sha256)


@dataclass(frozen=True, slots=True)
class Ended(Message):
    """Say how the job ended: `done` with the last sum, or `failed` with a reason."""

    state: str
    reason: str
    last: Opened | None

    def __post_init__(self) -> None:
        _short(self.state)
        if len(self.reason) > 512:
            raise PeerError("message-size", "a reason is longer than 512 characters")


@dataclass(frozen=True, slots=True)
class CatchUp(Message):
    """Give a member an opened sum that it lacks, with the signatures that made its epoch."""

    opened: Opened
    agreement_root: bytes
    agreements: int

    def __post_init__(self) -> None:
        _digests(self.agreement_root)


@dataclass(frozen=True, slots=True)
class Receipt(Message):
    """Give a member what the coordinator's log holds about its message (canonical JSON)."""

    receipt: bytes

    def __post_init__(self) -> None:
        _document(self.receipt)


@dataclass(frozen=True, slots=True)
class Halt(Message):
    """Say that this member cannot go on with the job; a code, never a figure."""

    code: str

    def __post_init__(self) -> None:
        _short(self.code)


@dataclass(frozen=True, slots=True)
class AddCheckpoint(Message):
    """Ask a witness to cosign a log's head (the body of C2SP tlog-witness's request)."""

    request: bytes

    def __post_init__(self) -> None:
        _cosign(self.request)


@dataclass(frozen=True, slots=True)
class Cosigned(Message):
    """Answer with a status of HTTP's, the body of C2SP tlog-witness's response, and the note held where it differs."""

    status: int
    body: bytes
    held: bytes

    def __post_init__(self) -> None:
        _cosign(self.body)
        _cosign(self.held)
