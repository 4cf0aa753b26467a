"""An epoch's keys: agreed by both of a pair, bound to the root, used once and forgotten."""

import pytest

from privacy.errors import PeerError
from privacy.keys import AgreementKey
from privacy.roster import Roster
from privacy.secagg.epoch import MAX_JUMP, Epoch, box_purpose, pair_signs, self_key
from tests.privacy.table import names_of, refused

NAMES = names_of(4)
ROSTER = Roster(tuple(NAMES))
SECRETS = {name: AgreementKey.from_random(name.encode().ljust(32, b"k")) for name in NAMES}
PUBLICS = {name: key.public for name, key in SECRETS.items()}
BOUND = b"\x05" * 32


def epoch(name: str, root: bytes = bytes(32), publics: dict[str, bytes] | None = None) -> Epoch:
    return Epoch(ROSTER, name, root, SECRETS[name], publics or PUBLICS)


def test_both_of_a_pair_derive_the_same_keys() -> None:
    keys = {name: epoch(name).enter(3, BOUND) for name in NAMES}
    for one in NAMES:
        for other in NAMES:
            if one != other:
                assert keys[one].mask[other] == keys[other].mask[one]
                assert keys[one].box_to[other] == keys[other].box_from[one]
                assert keys[one].box_to[other] != keys[one].box_from[other]


def test_keys_differ_by_root_position_binding_and_pair() -> None:
    first = epoch(NAMES[0])
    one, two = first.enter(1, BOUND), first.enter(2, BOUND)
    seen = [one.mask[NAMES[1]], two.mask[NAMES[1]], one.mask[NAMES[2]], one.box_to[NAMES[1]], one.box_from[NAMES[1]],
            epoch(NAMES[0]).enter(1, b"\x06" * 32).mask[NAMES[1]],
            epoch(NAMES[0], b"\x01" * 32).enter(1, BOUND).mask[NAMES[1]]]  # fmt: skip
    assert len(set(seen)) == len(seen)


def test_a_leap_and_single_steps_reach_the_same_keys() -> None:
    slow, fast = epoch(NAMES[0]), epoch(NAMES[0])
    for position in range(1, 6):
        kept = slow.enter(position, BOUND)
    assert kept.mask == fast.enter(5, BOUND).mask


@pytest.mark.parametrize("position", [0, 1, 2 + MAX_JUMP])
def test_a_position_behind_or_far_ahead_is_refused(position: int) -> None:
    at = epoch(NAMES[0])
    at.enter(1, BOUND)
    before = dict(at._secrets)
    with refused("position-order", PeerError):
        at.enter(position, BOUND)
    assert at._secrets == before and at.position == 1


def test_an_old_secret_is_gone() -> None:
    at = epoch(NAMES[0])
    before = set(at._secrets.values())
    at.enter(1, BOUND)
    assert not before & set(at._secrets.values())


def test_equal_keys_and_low_order_keys_are_refused() -> None:
    with refused("agreement-key-repeated", PeerError):
        epoch(NAMES[0], publics={**PUBLICS, NAMES[3]: PUBLICS[NAMES[2]]})
    with refused("agreement-key-low-order", PeerError):
        epoch(NAMES[0], publics={**PUBLICS, NAMES[3]: bytes(32)})


def test_the_lower_id_of_a_pair_adds() -> None:
    plus, minus = pair_signs("bank-001", {"bank-000": b"a", "bank-002": b"b", "bank-003": b"c"})
    assert (plus, minus) == ([b"b", b"c"], [b"a"])


def test_a_box_s_purpose_and_a_self_key_say_where_they_belong() -> None:
    assert box_purpose("a", "b") != box_purpose("b", "a")
    assert self_key(BOUND, bytes(31)) != self_key(bytes(32), bytes(31))
