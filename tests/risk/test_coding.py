"""Bins of values: special values, missing and ordinary ones never share; documents come back the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.coding import Coding, coding_from_document, decode_codings, encode_codings, unmerged
from risk.errors import InputError, MisuseError
from tests.risk.rooms import category, flag, number, room_dictionary

ROOM = room_dictionary(number("x", (0, 100), special=[-9, 7]), flag("f"), category("c", 4))


def test_numbers_cut_from_the_left() -> None:
    coding = unmerged(ROOM.field("x"), (1.0, 5.0))
    values = np.array([0.0, 1.0, 4.999, 5.0, 100.0, -9.0, 7.0, np.nan])
    assert coding.codes(values).tolist() == [0, 1, 1, 2, 2, 3, 4, 5]
    beyond = np.array([-0.001, 100.001, -1e300, 1e300, -np.inf, np.inf, -8.999])
    assert set(coding.codes(beyond).tolist()) == {5}
    assert coding.codes(np.array([-0.0])).tolist() == [0]
    assert (coding.ordinary, coding.bins) == (3, 6)


def test_flags_and_categories() -> None:
    values = np.array([0.0, -0.0, 1.0, np.nan, 2.0, 0.5, np.inf, -1.0])
    assert unmerged(ROOM.field("f")).codes(values).tolist() == [0, 0, 1, 2, 2, 2, 2, 2]
    coding = unmerged(ROOM.field("c")).merged([[2], [0, 3], [1]])
    assert coding.codes(np.array([0, 1, 2, 3, -1, 9], dtype=np.int16)).tolist() == [1, 2, 0, 1, 3, 3]


@given(
    st.lists(st.floats(0, 100), unique=True, max_size=8),
    st.lists(st.floats(-200, 200) | st.just(float("nan")) | st.sampled_from([-9.0, 7.0]), min_size=1, max_size=40),
)
def test_special_and_missing_never_share_a_bin(cuts: list[float], values: list[float]) -> None:
    coding = unmerged(ROOM.field("x"), sorted(value + 0.0 for value in set(cuts)))
    for value, code in zip(values, coding.codes(np.array(values)).tolist(), strict=True):
        if value in (-9.0, 7.0):
            assert code == coding.ordinary + (-9.0, 7.0).index(value)
        elif not 0.0 <= value <= 100.0:
            assert code == coding.bins - 1
        else:
            assert code == sum(value >= cut for cut in coding.cuts) < coding.ordinary


def test_merging_numbers_keeps_the_cuts_between() -> None:
    coding = unmerged(ROOM.field("x"), (1.0, 2.0, 3.0))
    assert coding.merged([[0, 1], [2], [3]]).cuts == (2.0, 3.0)
    assert coding.merged([[0, 1, 2, 3]]).cuts == ()
    with pytest.raises(MisuseError, match="partition"):
        coding.merged([[0, 1], [3]])


def test_documents_come_back() -> None:
    codings = [unmerged(ROOM.field("x"), (0.1, 5.0)), unmerged(ROOM.field("f")), unmerged(ROOM.field("c"))]
    assert list(decode_codings(encode_codings(codings))) == codings
    assert encode_codings(codings).tobytes() == encode_codings(codings).tobytes()
    # A file from before bounds were told is read, and written back as it was.
    old = {key: value for key, value in codings[0].to_document().items() if key != "bounds"}
    assert coding_from_document(old).bounds is None and coding_from_document(old).to_document() == old


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "text"},
        {"name": 3},
        {"cuts": [2.0, 1.0]},
        {"cuts": [1.0, 1.0]},
        {"cuts": ["1"]},
        {"cuts": [True]},
        {"groups": [[0], [0]]},
        {"groups": [[0, 2]]},
        {"groups": [[]]},
        {"groups": 5},
        {"special": None},
        {"colour": 1},
        {"bounds": [0.0]},
        {"bounds": [1.0, 1.0]},
        {"bounds": ["0", "1"]},
        {"bounds": None},
        {"bounds": [0.0, 1.0], "kind": "flag", "cuts": [0.5]},
    ],
)
def test_broken_documents_are_refused(change: dict[str, object]) -> None:
    document = {**Coding("x", "number", (1.0, 2.0)).to_document(), **change}
    with pytest.raises(InputError, match="model file"):
        coding_from_document(document)
    with pytest.raises(InputError, match="model file"):
        coding_from_document([document])
