"""Messages about sign-off: nothing oversized or malformed becomes a message."""

from collections.abc import Callable

import pytest

from privacy.errors import PeerError
from privacy.messages import Message
from privacy.signoff_messages import Promoted, Propose, SignOff, Withdrawn
from tests.privacy.table import refused

BALLOT, PROPOSAL = 16 * 1024, 64 * 1024


@pytest.mark.parametrize("make", [
    lambda over: Propose(bytes(PROPOSAL + over), False), lambda over: SignOff(bytes(BALLOT + over)),
    lambda over: Promoted(bytes(PROPOSAL + over), ()), lambda over: Promoted(b"", (b"", bytes(BALLOT + over))),
    lambda over: Promoted(b"", (b"",) * (256 + over)),
])  # fmt: skip
def test_sizes_are_bounded(make: Callable[[int], Message]) -> None:
    make(0)
    with refused("message-size", PeerError):
        make(1)


def test_a_code_is_short_and_a_digest_has_32_bytes() -> None:
    Withdrawn(bytes(32), "x" * 64)
    for code in ("x" * 65, "a\nb"):
        with refused("message-code", PeerError):
            Withdrawn(bytes(32), code)
    with refused("message-digest", PeerError):
        Withdrawn(bytes(31), "rejected")
