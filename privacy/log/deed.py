"""What people at a bank did that belongs into the log and that no program saw: an assessment signed, an erasure done.

It writes no file. Theory: as with `privacy.log.access`, a command leaves a note and the process that holds the log
records it. A note can carry the two kinds of events that people report, with a body of exactly their schema, and
nothing else; documents appear as digests, people as pseudonyms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.kinds import KINDS, fault_of, is_text
from privacy.log.record import Actor, Entry

__all__ = ["DEEDS", "DEED_LIMIT_BYTES", "Deed", "decode_deed"]

DEEDS = ("assessment.recorded", "erasure.done")
DEED_LIMIT_BYTES = 6144


@dataclass(frozen=True, slots=True)
class Deed:
    """One event that a person reports: its kind, its body, and the account that reports it (`uid-1000`).

    Raises `InputError` where the body is not of the kind's form, or longer than a note may be.
    """

    kind: str
    body: Mapping[str, Any]
    subject: str

    def __post_init__(self) -> None:
        fault = "unknown kind" if self.kind not in DEEDS else fault_of(self.body, KINDS[self.kind])
        if fault is None and not is_text(64)(self.subject):
            fault = "key 'subject' has a wrong form"
        if fault:
            raise InputError("deed-form", f"record {self.kind[:32]}: {fault}; texts have no line ends")
        if len(self.encode()) > DEED_LIMIT_BYTES:
            raise InputError("deed-size", f"record {self.kind}: longer than {DEED_LIMIT_BYTES} bytes; split it")

    def encode(self) -> bytes:
        """Return the note as canonical JSON."""
        return encode({"kind": self.kind, "body": dict(self.body), "subject": self.subject})

    def entry(self) -> Entry:
        """Return the event."""
        actor = Actor("human", self.subject, "admin", "file-permission")
        return Entry(self.kind, dict(self.body), "compliance", actor=actor)


def decode_deed(encoded: bytes) -> Deed:
    """Read a note strictly; anything else raises `VerificationError`."""
    parts = decode_object(encoded, DEED_LIMIT_BYTES, "deed")
    kind, body, subject = (parts.get(name) for name in ("kind", "body", "subject"))
    if len(parts) != 3 or not isinstance(kind, str) or not isinstance(body, dict) or not isinstance(subject, str):
        raise VerificationError("deed", "deed: expected kind, body and subject")
    try:
        return Deed(kind, body, subject)
    except InputError as error:
        raise VerificationError("deed", error.message) from None
