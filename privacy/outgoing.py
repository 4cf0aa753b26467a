"""What a state machine hands to the gate: one message that is ready to leave, with what its record must say.

The module holds bytes and their description; it sends nothing, records nothing and parses nothing. Theory: a node's
only exit writes a record before it sends, so whoever makes a message must say beside it what it is, why it goes and
how it is protected, in terms an auditor can read without the message itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Outgoing"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Describe one message that wants to leave.

    Attributes:
        kind: payload kind, such as `secagg.masked`; it becomes `payload_kind` of the record.
        msg_id: unique name of the message, at most 256 printable ASCII characters.
        to: receiver's id.
        job: job id, empty when the message belongs to none.
        round: round number of the job, or None.
        purpose: purpose code of the job, such as `credit-risk-model`.
        protection: how the payload is protected, such as `masked` or `signed`.
        message: the exact bytes to send, a signed envelope; never re-encoded after this point.
        payload_sha256: 64 hex digits, digest of the payload that the envelope's signature covers.
        record: further body keys of the `egress.authorised` record (`privacy.log.kinds` lists them), for a vote
            `position`, `ask_sha256`, `cohort_sha256` and `cohort`.
    """

    kind: str
    msg_id: str
    to: str
    job: str
    round: int | None
    purpose: str
    protection: str
    message: bytes = field(repr=False)
    payload_sha256: str
    record: Mapping[str, object] = field(default_factory=dict)
