"""A deed is one of two kinds with exactly their body, and its note reads back or is refused."""

from typing import Any

import pytest

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import encode
from privacy.log.deed import DEED_LIMIT_BYTES, Deed, decode_deed

BODY = {
    "doc_sha256": "ab" * 32,
    "type": "PIPIA",
    "scope": ["credit-risk-model"],
    "valid_to": "2027-12-31",
    "signatories": ["dpo-1"],
}


def test_a_deed_comes_back_as_it_was() -> None:
    deed = Deed("assessment.recorded", BODY, "uid-7")

    assert decode_deed(deed.encode()) == deed
    assert (deed.entry().kind, deed.entry().body, deed.entry().purpose) == ("assessment.recorded", BODY, "compliance")


@pytest.mark.parametrize(
    "changed",
    [
        {"doc_sha256": "AB" * 32},
        {"type": "other"},
        {"scope": "credit-risk-model"},
        {"valid_to": "2027\n"},
        {"signatories": [""]},
        {"name": "Li Hua"},
    ],
)
def test_a_body_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"assessment\.recorded"):
        Deed("assessment.recorded", {**BODY, **changed}, "uid-7")


def test_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="unknown kind"):
        Deed("decision.made", {}, "uid-7")


def test_a_note_is_bounded() -> None:
    with pytest.raises(InputError, match="longer than"):
        Deed("assessment.recorded", {**BODY, "scope": ["x" * 255] * 40}, "uid-7")
    with pytest.raises(VerificationError):
        decode_deed(b" " * (DEED_LIMIT_BYTES + 1))


@pytest.mark.parametrize("parts", [{}, {"kind": "erasure.done", "body": {}}, {"kind": 1, "body": {}, "subject": "u"}])
def test_half_a_note_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        decode_deed(encode(parts))
