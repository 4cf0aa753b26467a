"""Every field of every message is measured: one that is a byte short, out of order or no id stops the message."""

from collections.abc import Callable

import pytest

from privacy import messages as say
from privacy.errors import InputError, PeerError, PrivacyError
from privacy.roster import Roster
from tests.privacy.table import names_of, refused

D = bytes(32)
SHORT = bytes(31)
TWO = ("a", "b")


def header(**changes: object) -> Callable[[], say.Message]:
    values: dict[str, object] = {
        "length": 1, "word_bits": 32, "commitment": D, "vector_sha256": D, "self_seed_sha256": D,
        "pair_seed_sha256": (D, D), "share_sha256": (D, D), "boxes_sha256": D,
    }  # fmt: skip
    return lambda: say.Header(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["commitment", "vector_sha256", "self_seed_sha256", "boxes_sha256"])
def test_each_digest_of_a_header_is_measured(name: str) -> None:
    header()()
    with refused("message-digest", PeerError):
        header(**{name: SHORT})()


@pytest.mark.parametrize("name", ["pair_seed_sha256", "share_sha256"])
def test_each_list_of_a_header_is_measured(name: str) -> None:
    with refused("message-digest", PeerError):
        header(**{name: (D, SHORT)})()
    with refused("message-members", PeerError):
        header(**{name: (D,) * 257})()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: say.Setup(D, SHORT), "message-digest"),
        (lambda: say.Setup(SHORT, D), "message-digest"),
        (lambda: say.Opened(1, 1, 1, TWO, SHORT, D), "message-digest"),
        (lambda: say.Opened(1, 1, 1, TWO, D, SHORT), "message-digest"),
        (lambda: say.Close(("b", "a"), D, ()), "message-members"),
        (lambda: say.CheckPart("A"), "member-id"),
        (lambda: say.SelfSeed("A", bytes(31)), "member-id"),
        (lambda: say.SelfSeed("a", bytes(30)), "message-seed"),
        (lambda: say.SelfSeed("a", bytes(32)), "message-seed"),
        (lambda: say.HeldSeed("A", "b", D), "member-id"),
        (lambda: say.HeldSeed("a", "B", D), "member-id"),
        (lambda: say.HeldSeed("a", "b", SHORT), "message-digest"),
        (lambda: say.Check(SHORT, (), ()), "message-digest"),
        (lambda: say.Check(D, (say.SelfSeed("b", SHORT), say.SelfSeed("a", SHORT)), ()), "message-members"),
        (lambda: say.Check(D, (), (say.HeldSeed("a", "c", D), say.HeldSeed("a", "b", D))), "message-pairs"),
        (lambda: say.Check(D, (), (say.HeldSeed("a", "b", D), say.HeldSeed("a", "b", D))), "message-pairs"),
        (lambda: say.SumSignature(SHORT, D), "message-digest"),
        (lambda: say.SumSignature(D, SHORT), "message-digest"),
    ],
)
def test_a_field_that_is_not_measured_is_no_field(make: Callable[[], say.Message], code: str) -> None:
    with refused(code, PrivacyError):
        make()


def test_a_check_holds_one_pair_seed_for_each_pair_at_most() -> None:
    names = names_of(257)
    pairs = [say.HeldSeed(one, other, D) for one in names for other in names][: 256 * 256 + 1]
    say.Check(D, (), tuple(pairs[:-1]))
    with refused("message-pairs", PeerError):
        say.Check(D, (), tuple(pairs))


def test_a_roster_lists_ids() -> None:
    with refused("member-id", InputError):
        Roster(("A", "b", "c", "d"))
