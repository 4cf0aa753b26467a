"""A masked part: what it hides, what it binds, and whom its boxes are for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from privacy.digest import sha256
from privacy.errors import MisuseError, PeerError
from privacy.field import Plan
from privacy.keys import AgreementKey
from privacy.mask import apply_masks
from privacy.roster import Roster
from privacy.secagg.epoch import Epoch, PositionKeys, self_key
from privacy.secagg.part import (
    MaskedPart,
    boxes_digest,
    check_header,
    commit,
    mask_part,
    pair_seed_digest,
    share_digest,
    take_share,
)
from privacy.shamir import combine, lagrange_at_zero
from tests.privacy.table import names_of, parts_of, refused, seeded_bytes

NAMES = names_of(5)
ROSTER = Roster(tuple(NAMES))
PLAN = Plan(9, 32, 1000, 5)
ROOT, BOUND = bytes(32), b"\x05" * 32


def keys_of(bound: bytes = BOUND) -> dict[str, PositionKeys]:
    secrets = {name: AgreementKey.from_random(name.encode().ljust(32, b"k")) for name in NAMES}
    publics = {name: key.public for name, key in secrets.items()}
    return {name: Epoch(ROSTER, name, ROOT, secrets[name], publics).enter(1, bound) for name in NAMES}


def masked(name: str, part: np.ndarray, keys: PositionKeys) -> MaskedPart:
    return mask_part(part, PLAN, (ROSTER, name, BOUND), keys, b"\x09" * 32, seeded_bytes(ROSTER.index(name)))


def test_pair_masks_cancel_and_the_self_masks_remain() -> None:
    keys, parts = keys_of(), parts_of(NAMES, PLAN)
    total = np.zeros(9, np.uint32)
    seeds = []
    for name in NAMES:
        made = masked(name, parts[name], keys[name])
        total += PLAN.from_bytes(made.vector)
        seeds.append(self_key(BOUND, seeded_bytes(ROSTER.index(name))(31)))
    assert (total.view(np.int32) != sum(parts.values())).any()
    apply_masks(total, [], seeds)
    assert (PLAN.decode(total) == sum(parts.values())).all()


def test_a_header_names_exactly_what_leaves() -> None:
    keys, part = keys_of(), parts_of(NAMES, PLAN)[NAMES[2]]
    made = masked(NAMES[2], part, keys[NAMES[2]])
    assert made.header.vector_sha256 == sha256(made.vector)
    assert made.header.boxes_sha256 == boxes_digest(BOUND, made.boxes)
    assert made.header.commitment == commit(PLAN.encode(part), b"\x09" * 32)
    assert made.header.commitment != commit(PLAN.encode(part), b"\x08" * 32)
    assert [len(box) for box in made.boxes] == [48, 48, 0, 48, 48]
    assert made.header.share_sha256[2] == share_digest(BOUND, NAMES[2], NAMES[2], made.own_share)
    for place, other in enumerate(NAMES):
        seed = keys[NAMES[2]].mask.get(other)
        expected = pair_seed_digest(BOUND, seed) if seed else bytes(32)
        assert made.header.pair_seed_sha256[place] == expected
        assert seed is None or seed == keys[other].mask[NAMES[2]]
    assert repr(made) == "MaskedPart(...)" and repr(keys[NAMES[0]]) == "PositionKeys(...)"


def test_any_t_boxes_rebuild_the_self_seed() -> None:
    keys = keys_of()
    made = masked(NAMES[0], parts_of(NAMES, PLAN)[NAMES[0]], keys[NAMES[0]])
    shares = [made.own_share] + [
        take_share(made.boxes[place], (ROSTER, NAMES[place], BOUND), NAMES[0], made.header, keys[NAMES[place]])
        for place in range(1, 5)
    ]
    seed = seeded_bytes(0)(31)
    for holders in ([0, 1, 2, 3], [1, 2, 3, 4], [0, 2, 3, 4]):
        weights = lagrange_at_zero([place + 1 for place in holders])
        assert combine([shares[place] for place in holders], weights) == seed


@pytest.mark.parametrize("way", ["other-receiver", "other-sender", "other-binding", "flipped", "short"])
def test_a_box_opens_only_where_it_belongs(way: str) -> None:
    keys = keys_of()
    made = {name: masked(name, parts_of(NAMES, PLAN)[name], keys[name]) for name in NAMES[:2]}
    box, sender, place, own = made[NAMES[0]].boxes[2], NAMES[0], (ROSTER, NAMES[2], BOUND), keys[NAMES[2]]
    assert take_share(box, place, sender, made[sender].header, own)
    if way == "other-receiver":
        box = made[NAMES[0]].boxes[3]
    elif way == "other-sender":
        box = made[NAMES[1]].boxes[2]
    elif way == "other-binding":
        place = (ROSTER, NAMES[2], b"\x06" * 32)
    elif way == "flipped":
        box = box[:-1] + bytes([box[-1] ^ 1])
    else:
        box = box[:-1]
    with refused("box-altered", PeerError):
        take_share(box, place, sender, made[sender].header, own)


def test_a_share_that_was_not_signed_is_refused() -> None:
    keys = keys_of()
    made = masked(NAMES[0], parts_of(NAMES, PLAN)[NAMES[0]], keys[NAMES[0]])
    lying = replace(made.header, share_sha256=(bytes(32),) * 5)
    with refused("share-hash", PeerError):
        take_share(made.boxes[1], (ROSTER, NAMES[1], BOUND), NAMES[0], lying, keys[NAMES[1]])


def test_no_part_out_of_plan_is_masked() -> None:
    keys = keys_of()
    with refused("part-bound", MisuseError):
        masked(NAMES[0], np.full(9, 1001, np.int64), keys[NAMES[0]])


def test_a_header_s_shape_is_checked() -> None:
    keys = keys_of()
    header = masked(NAMES[0], parts_of(NAMES, PLAN)[NAMES[0]], keys[NAMES[0]]).header
    check_header(header, PLAN, ROSTER, NAMES[0])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"length": 8}, "header-shape"),
        ({"word_bits": 64}, "header-shape"),
        ({"pair_seed_sha256": ()}, "header-roster"),
        ({"share_sha256": ()}, "header-roster"),
    ]
    for change, code in cases:
        with refused(code, PeerError):
            check_header(replace(header, **change), PLAN, ROSTER, NAMES[0])
