"""The lists behind `secagg.round`: known digests, every place bound, strict reading."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import VerificationError
from privacy.log.kinds import KINDS, fault_of
from privacy.log.rounds import LINE_LIMIT_BYTES, Pledge, RoundLists, bitmap_of, decode_round, members_of

SEATS = ("a", "b", "c", "d", "e")
LISTS = RoundLists(
    job="job-1",
    round=3,
    epoch=2,
    position=7,
    binding="0b" * 32,
    seats=SEATS,
    roster=("a", "b", "c", "d"),
    survivors=("a", "b", "c"),
    pledges=tuple(Pledge(name, "01" * 32, "02" * 32, "03" * 32) for name in ("a", "b", "c")),
    shares=("a", "b", "c"),
    seeds=("d",),
    aggregate_sha256="0a" * 32,
)


def test_a_line_comes_back_as_it_was_written() -> None:
    assert decode_round(LISTS.encode()) == LISTS
    assert decode_round(LISTS.encode() + b"\n") == LISTS
    assert LISTS.encode().isascii() and b"\n" not in LISTS.encode()


def test_the_event_names_cohort_survivors_and_dropouts_over_the_seats() -> None:
    body = LISTS.body()
    assert (body["cohort"], body["survivors"], body["dropouts"]) == ("11110", "11100", "00010")
    assert (body["epoch"], body["position"], body["threshold"]) == (2, 7, 3)
    assert fault_of(body, KINDS["secagg.round"]) is None


def test_the_digests_are_those_of_canonical_json() -> None:
    def digest(**parts: object) -> str:
        whole = {"job": "job-1", "epoch": 2, "position": 7, "binding": "0b" * 32, **parts}
        return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    pledges = [{"member": name, "commitment": "01" * 32, "vector_sha256": "02" * 32, "self_seed_sha256": "03" * 32}
               for name in "abc"]  # fmt: skip
    assert LISTS.revealed_sha256() == digest(shares=["a", "b", "c"], seeds=["d"])
    assert LISTS.commitments_sha256() == digest(pledges=pledges)


@pytest.mark.parametrize("change", [{"job": "job-2"}, {"epoch": 3}, {"position": 8}, {"binding": "0c" * 32}])
def test_both_digests_belong_to_one_place(change: dict[str, Any]) -> None:
    other = replace(LISTS, **change)
    assert other.revealed_sha256() != LISTS.revealed_sha256()
    assert other.commitments_sha256() != LISTS.commitments_sha256()


def test_what_was_given_and_what_was_pledged_have_digests_of_their_own() -> None:
    quiet = replace(LISTS, shares=(), seeds=())
    assert quiet.revealed_sha256() != LISTS.revealed_sha256()
    assert quiet.commitments_sha256() == LISTS.commitments_sha256()
    swapped = replace(LISTS, shares=("d",), seeds=("a", "b", "c"))
    assert swapped.revealed_sha256() != LISTS.revealed_sha256()


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"extra": 1},
        {"round": -1},
        {"binding": "zz"},
        {"roster": ["b", "a"]},
        {"roster": ["a", "a", "b", "c"]},
        {"roster": ["a", "b", "c", "x"]},
        {"survivors": ["a", "b"]},
        {"survivors": ["a", "b", "e"]},
        {"shares": ["e"]},
        {"seeds": "d"},
        {"pledges": []},
        {"pledges": [{"member": "a"}] * 3},
        {"seats": [1]},
    ],
)
def test_a_line_that_does_not_fit_together_is_refused(change: dict[str, Any]) -> None:
    parts = {**json.loads(LISTS.encode()), **change}
    with pytest.raises(VerificationError) as caught:
        decode_round(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())
    assert caught.value.code == "round-malformed"


def test_another_spelling_and_a_long_line_are_refused() -> None:
    for line in (LISTS.encode().replace(b":", b": ", 1), b" " * (LINE_LIMIT_BYTES + 1), b"", b"[]"):
        with pytest.raises(VerificationError) as caught:
            decode_round(line)
        assert caught.value.code == "not-canonical"


def test_the_largest_round_fits_a_line() -> None:
    names = tuple(f"{number:03d}" + "m" * 60 for number in range(256))
    pledges = tuple(Pledge(name, "01" * 32, "02" * 32, "03" * 32) for name in names)
    largest = replace(LISTS, job="j" * 64, seats=names, roster=names, survivors=names, pledges=pledges, shares=names,
                      seeds=names)  # fmt: skip
    assert decode_round(largest.encode()) == largest


@given(st.sets(st.sampled_from(SEATS)))
def test_bitmaps_go_both_ways(members: set[str]) -> None:
    assert set(members_of(bitmap_of(members, SEATS), SEATS)) == members


def test_a_bitmap_of_another_length_is_refused() -> None:
    with pytest.raises(VerificationError):
        members_of("1111", SEATS)
