"""What is read out is compared whole, and forgives only what the ear and the hand do to letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InputError, MisuseError
from privacy.fingerprint import check_whole, matches, spoken
from tests.privacy.table import refused

SHOWN = spoken(bytes(range(32)))


def test_eight_groups_of_five() -> None:
    assert SHOWN == "AAAQE AYEAU DAOCA JBIFQ YDIOB 4IBCE QTCQK RMFYY"
    with refused("fingerprint-size", MisuseError):
        spoken(bytes(24))


@pytest.mark.parametrize(
    "typed",
    [SHOWN, SHOWN.lower(), SHOWN.replace(" ", ""), SHOWN.replace(" ", "-"), SHOWN.replace("O", "0"), f" {SHOWN}\n"],
)
def test_ways_to_type_it(typed: str) -> None:
    assert matches(typed, SHOWN)


@pytest.mark.parametrize(
    "typed", ["", "yes", SHOWN[:-1], SHOWN[:-6], SHOWN + "A", SHOWN[6:], SHOWN.replace("Y", "4", 1)]
)
def test_ways_to_get_it_wrong(typed: str) -> None:
    assert not matches(typed, SHOWN)


@given(st.text(max_size=60))
def test_other_text_never_matches(text: str) -> None:
    plain = text.upper().translate(str.maketrans("018", "OIB", " \t\r\n-.,:'\""))
    assert matches(text, SHOWN) == (plain == SHOWN.replace(" ", ""))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_two_digests_have_two_fingerprints(one: bytes, other: bytes) -> None:
    assert matches(spoken(one), spoken(other)) == (one[:25] == other[:25])


def test_what_has_not_forty_letters_is_a_slip() -> None:
    check_whole(SHOWN.lower().replace(" ", "-"))
    for typed in ("", "yes", SHOWN[:-1], SHOWN + "A", SHOWN.replace("Q", "9")):
        with refused("fingerprint-shape", InputError):
            check_whole(typed)
