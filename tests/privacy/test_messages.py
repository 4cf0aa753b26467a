"""A message that exists is well formed: ids are ids, digests have their size, lists are bounded."""

from collections.abc import Callable

import pytest

from privacy import messages as say
from privacy.errors import PrivacyError
from tests.privacy.table import names_of, refused

D = bytes(32)
TWO = ("a", "b")
MANY = tuple(names_of(257))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: say.Offer(b"x" * (256 * 1024 + 1)), "message-size"),
        (lambda: say.Charter(b"x" * (256 * 1024 + 1)), "message-size"),
        (lambda: say.Receipt(b"x" * (256 * 1024 + 1)), "message-size"),
        (lambda: say.Decline("x" * 65), "message-code"),
        (lambda: say.Decline("a\nb"), "message-code"),
        (lambda: say.Halt("\x1b[31m"), "message-code"),
        (lambda: say.Ended("a\0", "", None), "message-code"),
        (lambda: say.Ended("done", "x" * 513, None), "message-size"),
        (lambda: say.Setup(D[:-1], D), "message-digest"),
        (lambda: say.Setup(D, D + b"x"), "message-digest"),
        (lambda: say.Opened(1, 1, 1, TWO, D, b""), "message-digest"),
        (lambda: say.Opened(1, 1, 1, ("b", "a"), D, D), "message-members"),
        (lambda: say.Assemble(("a", "a"), None), "message-members"),
        (lambda: say.Assemble(MANY, None), "message-members"),
        (lambda: say.Assemble(("A",), None), "member-id"),
        (lambda: say.Assemble(("coordinator",), None), "member-id"),
        (lambda: say.Open(1, b"", None), "message-digest"),
        (lambda: say.Header(1, 32, D, D, D, (D,) * 257, (D,), D), "message-members"),
        (lambda: say.Header(1, 32, D, D, D, (D,), (b"",), D), "message-digest"),
        (lambda: say.Header(1, 32, D, D, b"", (D,), (D,), D), "message-digest"),
        (lambda: say.Close(TWO, b"", ()), "message-digest"),
        (lambda: say.Close(TWO, D, (b"x" * 47,)), "message-boxes"),
        (lambda: say.Close(TWO, D, (b"",) * 257), "message-boxes"),
        (lambda: say.Share("a", b""), "message-digest"),
        (lambda: say.Share("", D), "member-id"),
        (lambda: say.PairSeed("a", b""), "message-digest"),
        (lambda: say.PairSeed("*", D), "member-id"),
        (lambda: say.Consent(b"", ()), "message-digest"),
        (lambda: say.Consent(D, (say.Share("a", D), say.Share("a", D))), "message-members"),
        (lambda: say.Certificate(("b", "a"), D), "message-members"),
        (lambda: say.Certificate(TWO, b""), "message-digest"),
        (lambda: say.Reveal((say.Share("b", D), say.Share("a", D)), ()), "message-members"),
        (lambda: say.Reveal((), (say.PairSeed("a", D), say.PairSeed("a", D))), "message-members"),
        (lambda: say.CatchUp(say.Opened(1, 1, 1, TWO, D, D), b"", 2), "message-digest"),
        (lambda: say.AddCheckpoint(b"x" * (72 * 1024 + 1)), "message-size"),
        (lambda: say.Cosigned(200, b"x" * (72 * 1024 + 1), b""), "message-size"),
        (lambda: say.Cosigned(409, b"", b"x" * (72 * 1024 + 1)), "message-size"),
    ],
)
def test_a_malformed_message_does_not_exist(make: Callable[[], say.Message], code: str) -> None:
    with refused(code, PrivacyError):
        make()
