"""Notes of commands: read strictly, and told as events without a name."""

import pytest

from privacy.errors import VerificationError
from privacy.log.access import AccessNote, decode_note
from privacy.log.kinds import KINDS, fault_of
from tests.privacy.logs import MemoryLog

NOTE = AccessNote("uid-1000", "submit", "job-1")


def test_a_note_comes_back_and_makes_an_event() -> None:
    assert decode_note(NOTE.encode()) == NOTE
    entry = NOTE.entry()
    assert fault_of(entry.body, KINDS["access.checked"]) is None
    log = MemoryLog()
    log.append(entry)
    assert b'"actor":{"auth":"file-permission","id":"uid-1000","role":"admin","type":"human"}' in log.events()[0]


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{}",
        b"[]",
        NOTE.encode().replace(b"allowed", b"perhaps"),
        NOTE.encode().replace(b"uid-1000", b"uid\\u001b[31m"),
        NOTE.encode()[:-1] + b',"x":1}',
        NOTE.encode().replace(b":", b": "),
        AccessNote("uid-1", "submit", "j" * 300).encode(),
    ],
)
def test_anything_else_is_no_note(note: bytes) -> None:
    with pytest.raises(VerificationError):
        decode_note(note)
