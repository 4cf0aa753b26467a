"""A note that somebody used a command on a log's owner: made where the command runs, logged where the log is open.

It writes no file. Theory: only one process may write a log, and a command often runs beside it. So a command leaves a
note in the state folder, and the process that holds the log, now or at its next start, records `access.checked`.
People appear as the number of their account.
"""

from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.kinds import fault_of, is_text, one_of
from privacy.log.record import Actor, Entry

__all__ = ["NOTE_LIMIT_BYTES", "AccessNote", "decode_note"]

NOTE_LIMIT_BYTES = 2048
POLICY_VERSION = "file-access/1"
_SCHEMA = {
    "subject": is_text(64),
    "action": is_text(64),
    "resource": is_text(256),
    "decision": one_of("allowed", "denied"),
}


@dataclass(frozen=True, slots=True)
class AccessNote:
    """Who (`uid-1000`) did what (`submit`) to what (a job, a member, a folder), and whether it was allowed."""

    subject: str
    action: str
    resource: str
    decision: str = "allowed"

    def encode(self) -> bytes:
        """Return the note as canonical JSON."""
        return encode(
            {
                "subject": self.subject,
                "action": self.action,
                "resource": self.resource,
                "decision": self.decision,
            }
        )

    def entry(self) -> Entry:
        """Return the `access.checked` event; whoever may write the state folder was let in by the system."""
        body = {
            "subject": self.subject,
            "action": self.action,
            "resource": self.resource,
            "decision": self.decision,
            "policy_version": POLICY_VERSION,
        }
        return Entry("access.checked", body, actor=Actor("human", self.subject, "admin", "file-permission"))


def decode_note(encoded: bytes) -> AccessNote:
    """Read a note strictly; anything else raises `VerificationError`."""
    parts = decode_object(encoded, NOTE_LIMIT_BYTES, "access note")
    fault = fault_of(parts, _SCHEMA)
    if fault:
        raise VerificationError("access-note", f"access note: {fault}")
    return AccessNote(*(str(parts[name]) for name in ("subject", "action", "resource", "decision")))
