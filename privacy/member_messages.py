"""Messages about who belongs to the network, as values: the list of members, an entry, a certificate that is renewed.

They belong to no job and travel in the same signed envelopes as a job's (`privacy.envelope`). Theory: as in
`privacy.messages`, a message that exists is of a bounded size; what is in it is read by `privacy.member_entry` and by
whoever issues certificates.
"""

from dataclasses import dataclass

from privacy.errors import PeerError
from privacy.member_entry import LARGEST_LIST
from privacy.messages import Message

__all__ = ["Introduce", "Members", "Renew", "Renewed"]

_LARGEST_CREDENTIAL = 8 * 1024
_LONGEST_CODE = 64


def _credential(value: bytes) -> None:
    if len(value) > _LARGEST_CREDENTIAL:
        message = f"a certificate or entry holds {len(value)} bytes, at most {_LARGEST_CREDENTIAL}"
        raise PeerError("message-size", message)


@dataclass(frozen=True, slots=True)
class Members(Message):
    """Show all members' own signed entries (`privacy.member_entry`)."""

    members: bytes

    def __post_init__(self) -> None:
        if len(self.members) > LARGEST_LIST:
            raise PeerError("message-size", f"a member list holds {len(self.members)} bytes, at most {LARGEST_LIST}")


@dataclass(frozen=True, slots=True)
class Introduce(Message):
    """Give the coordinator this member's own signed entry, for the list."""

    entry: bytes

    def __post_init__(self) -> None:
        _credential(self.entry)


@dataclass(frozen=True, slots=True)
class Renew(Message):
    """Ask for a certificate for a new key (PKCS #10, PEM)."""

    request: bytes

    def __post_init__(self) -> None:
        _credential(self.request)


@dataclass(frozen=True, slots=True)
class Renewed(Message):
    """Give a certificate (PEM), or the code of a refusal."""

    certificate: bytes
    code: str

    def __post_init__(self) -> None:
        _credential(self.certificate)
        if len(self.code) > _LONGEST_CODE or not self.code.isprintable():
            raise PeerError("message-code", f"a code is longer than {_LONGEST_CODE} characters or not printable")
