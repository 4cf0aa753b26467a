from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Packet(_message.Message):
    __slots__ = ("signed", "attachments", "vector")
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    signed: bytes
    attachments: _containers.RepeatedScalarFieldContainer[bytes]
    vector: bytes
    def __init__(self, signed: _Optional[bytes] = ..., attachments: _Optional[_Iterable[bytes]] = ..., vector: _Optional[bytes] = ...) -> None: ...

class Signed(_message.Message):
    __slots__ = ("version", "kind", "job", "epoch", "position", "sender", "recipient", "manifest_sha256", "agreement_root", "binding", "payload", "signature")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_SHA256_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ROOT_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    version: int
    kind: str
    job: str
    epoch: int
    position: int
    sender: str
    recipient: str
    manifest_sha256: bytes
    agreement_root: bytes
    binding: bytes
    payload: bytes
    signature: bytes
    def __init__(self, version: _Optional[int] = ..., kind: _Optional[str] = ..., job: _Optional[str] = ..., epoch: _Optional[int] = ..., position: _Optional[int] = ..., sender: _Optional[str] = ..., recipient: _Optional[str] = ..., manifest_sha256: _Optional[bytes] = ..., agreement_root: _Optional[bytes] = ..., binding: _Optional[bytes] = ..., payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: bytes
    def __init__(self, manifest: _Optional[bytes] = ...) -> None: ...

class Accept(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Decline(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: str
    def __init__(self, code: _Optional[str] = ...) -> None: ...

class Charter(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: bytes
    def __init__(self, manifest: _Optional[bytes] = ...) -> None: ...

class Setup(_message.Message):
    __slots__ = ("agreement_key", "nonce")
    AGREEMENT_KEY_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    agreement_key: bytes
    nonce: bytes
    def __init__(self, agreement_key: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class Setups(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Agree(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ready(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Opened(_message.Message):
    __slots__ = ("epoch", "position", "round", "survivors", "headers_sha256", "sum_sha256")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SURVIVORS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_SHA256_FIELD_NUMBER: _ClassVar[int]
    SUM_SHA256_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    position: int
    round: int
    survivors: _containers.RepeatedScalarFieldContainer[str]
    headers_sha256: bytes
    sum_sha256: bytes
    def __init__(self, epoch: _Optional[int] = ..., position: _Optional[int] = ..., round: _Optional[int] = ..., survivors: _Optional[_Iterable[str]] = ..., headers_sha256: _Optional[bytes] = ..., sum_sha256: _Optional[bytes] = ...) -> None: ...

class Assemble(_message.Message):
    __slots__ = ("roster", "previous")
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    roster: _containers.RepeatedScalarFieldContainer[str]
    previous: Opened
    def __init__(self, roster: _Optional[_Iterable[str]] = ..., previous: _Optional[_Union[Opened, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("round", "ask_sha256", "previous")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ASK_SHA256_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    round: int
    ask_sha256: bytes
    previous: Opened
    def __init__(self, round: _Optional[int] = ..., ask_sha256: _Optional[bytes] = ..., previous: _Optional[_Union[Opened, _Mapping]] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("length", "word_bits", "commitment", "vector_sha256", "self_seed_sha256", "pair_seed_sha256", "share_sha256", "boxes_sha256")
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    WORD_BITS_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_SHA256_FIELD_NUMBER: _ClassVar[int]
    SELF_SEED_SHA256_FIELD_NUMBER: _ClassVar[int]
    PAIR_SEED_SHA256_FIELD_NUMBER: _ClassVar[int]
    SHARE_SHA256_FIELD_NUMBER: _ClassVar[int]
    BOXES_SHA256_FIELD_NUMBER: _ClassVar[int]
    length: int
    word_bits: int
    commitment: bytes
    vector_sha256: bytes
    self_seed_sha256: bytes
    pair_seed_sha256: _containers.RepeatedScalarFieldContainer[bytes]
    share_sha256: _containers.RepeatedScalarFieldContainer[bytes]
    boxes_sha256: bytes
    def __init__(self, length: _Optional[int] = ..., word_bits: _Optional[int] = ..., commitment: _Optional[bytes] = ..., vector_sha256: _Optional[bytes] = ..., self_seed_sha256: _Optional[bytes] = ..., pair_seed_sha256: _Optional[_Iterable[bytes]] = ..., share_sha256: _Optional[_Iterable[bytes]] = ..., boxes_sha256: _Optional[bytes] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("survivors", "headers_sha256", "boxes")
    SURVIVORS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_SHA256_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    survivors: _containers.RepeatedScalarFieldContainer[str]
    headers_sha256: bytes
    boxes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, survivors: _Optional[_Iterable[str]] = ..., headers_sha256: _Optional[bytes] = ..., boxes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Share(_message.Message):
    __slots__ = ("owner", "value")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    owner: str
    value: bytes
    def __init__(self, owner: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class PairSeed(_message.Message):
    __slots__ = ("dropped", "value")
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    dropped: str
    value: bytes
    def __init__(self, dropped: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Consent(_message.Message):
    __slots__ = ("cohort_sha256", "shares")
    COHORT_SHA256_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    cohort_sha256: bytes
    shares: _containers.RepeatedCompositeFieldContainer[Share]
    def __init__(self, cohort_sha256: _Optional[bytes] = ..., shares: _Optional[_Iterable[_Union[Share, _Mapping]]] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("survivors", "headers_sha256")
    SURVIVORS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_SHA256_FIELD_NUMBER: _ClassVar[int]
    survivors: _containers.RepeatedScalarFieldContainer[str]
    headers_sha256: bytes
    def __init__(self, survivors: _Optional[_Iterable[str]] = ..., headers_sha256: _Optional[bytes] = ...) -> None: ...

class Reveal(_message.Message):
    __slots__ = ("shares", "seeds")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[Share]
    seeds: _containers.RepeatedCompositeFieldContainer[PairSeed]
    def __init__(self, shares: _Optional[_Iterable[_Union[Share, _Mapping]]] = ..., seeds: _Optional[_Iterable[_Union[PairSeed, _Mapping]]] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("state", "reason", "last")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    state: str
    reason: str
    last: Opened
    def __init__(self, state: _Optional[str] = ..., reason: _Optional[str] = ..., last: _Optional[_Union[Opened, _Mapping]] = ...) -> None: ...

class CatchUp(_message.Message):
    __slots__ = ("opened", "agreement_root", "agreements")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ROOT_FIELD_NUMBER: _ClassVar[int]
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    opened: Opened
    agreement_root: bytes
    agreements: int
    def __init__(self, opened: _Optional[_Union[Opened, _Mapping]] = ..., agreement_root: _Optional[bytes] = ..., agreements: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class Halt(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: str
    def __init__(self, code: _Optional[str] = ...) -> None: ...

class CheckPart(_message.Message):
    __slots__ = ("owner",)
    OWNER_FIELD_NUMBER: _ClassVar[int]
    owner: str
    def __init__(self, owner: _Optional[str] = ...) -> None: ...

class SelfSeed(_message.Message):
    __slots__ = ("owner", "value")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    owner: str
    value: bytes
    def __init__(self, owner: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class HeldSeed(_message.Message):
    __slots__ = ("holder", "dropped", "value")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    holder: str
    dropped: str
    value: bytes
    def __init__(self, holder: _Optional[str] = ..., dropped: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("cohort_sha256", "self_seeds", "pairs")
    COHORT_SHA256_FIELD_NUMBER: _ClassVar[int]
    SELF_SEEDS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    cohort_sha256: bytes
    self_seeds: _containers.RepeatedCompositeFieldContainer[SelfSeed]
    pairs: _containers.RepeatedCompositeFieldContainer[HeldSeed]
    def __init__(self, cohort_sha256: _Optional[bytes] = ..., self_seeds: _Optional[_Iterable[_Union[SelfSeed, _Mapping]]] = ..., pairs: _Optional[_Iterable[_Union[HeldSeed, _Mapping]]] = ...) -> None: ...

class SumSignature(_message.Message):
    __slots__ = ("cohort_sha256", "sum_sha256")
    COHORT_SHA256_FIELD_NUMBER: _ClassVar[int]
    SUM_SHA256_FIELD_NUMBER: _ClassVar[int]
    cohort_sha256: bytes
    sum_sha256: bytes
    def __init__(self, cohort_sha256: _Optional[bytes] = ..., sum_sha256: _Optional[bytes] = ...) -> None: ...

class AddCheckpoint(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    def __init__(self, request: _Optional[bytes] = ...) -> None: ...

class Cosigned(_message.Message):
    __slots__ = ("status", "body", "held")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    status: int
    body: bytes
    held: bytes
    def __init__(self, status: _Optional[int] = ..., body: _Optional[bytes] = ..., held: _Optional[bytes] = ...) -> None: ...

class Propose(_message.Message):
    __slots__ = ("proposal", "held")
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    proposal: bytes
    held: bool
    def __init__(self, proposal: _Optional[bytes] = ..., held: _Optional[bool] = ...) -> None: ...

class SignOff(_message.Message):
    __slots__ = ("ballot",)
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    ballot: bytes
    def __init__(self, ballot: _Optional[bytes] = ...) -> None: ...

class Promoted(_message.Message):
    __slots__ = ("proposal", "ballots")
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    BALLOTS_FIELD_NUMBER: _ClassVar[int]
    proposal: bytes
    ballots: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, proposal: _Optional[bytes] = ..., ballots: _Optional[_Iterable[bytes]] = ...) -> None: ...

class InForce(_message.Message):
    __slots__ = ("champion", "challenger")
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    CHALLENGER_FIELD_NUMBER: _ClassVar[int]
    champion: int
    challenger: int
    def __init__(self, champion: _Optional[int] = ..., challenger: _Optional[int] = ...) -> None: ...

class Withdrawn(_message.Message):
    __slots__ = ("proposal_sha256", "code")
    PROPOSAL_SHA256_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    proposal_sha256: bytes
    code: str
    def __init__(self, proposal_sha256: _Optional[bytes] = ..., code: _Optional[str] = ...) -> None: ...
