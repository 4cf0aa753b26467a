"""Cosignatures: what a witness signs, and which lines are taken."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.cosignature import cosign, parse_lines, read_line, valid_cosignatures, verify_line
from privacy.log.note import COSIGNATURE, NoteSigner, Signature, VerifierKey

TEXT = Checkpoint("bank-a/privacy-log", 7, bytes(range(32))).text()
SEED = bytes([4] * 32)
WITNESS = NoteSigner("bank-b/witness", SEED)
KEY = WITNESS.verifier(COSIGNATURE)
WHEN = 1_790_000_000


def test_the_bytes_are_those_of_the_specification() -> None:
    signature = read_line(cosign(TEXT, WITNESS, WHEN))
    message = f"cosignature/v1\ntime {WHEN}\n{TEXT}".encode()
    assert signature.value == WHEN.to_bytes(8, "big") + Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
    assert signature.key_id == KEY.key_id
    assert verify_line(TEXT, signature, KEY) == WHEN


def test_another_time_text_or_key_does_not_hold() -> None:
    signature = read_line(cosign(TEXT, WITNESS, WHEN))
    later = Signature(signature.name, signature.key_id, (WHEN + 1).to_bytes(8, "big") + signature.value[8:])
    other = Checkpoint("bank-a/privacy-log", 8, bytes(range(32))).text()
    for text, line in ((TEXT, later), (other, signature)):
        with pytest.raises(VerificationError) as caught:
            verify_line(text, line, KEY)
        assert caught.value.code == "signature-invalid"
    with pytest.raises(VerificationError) as caught:
        verify_line(TEXT, signature, VerifierKey(KEY.name, COSIGNATURE, bytes(32)))
    assert caught.value.code == "signature-missing"


def test_a_logs_plain_signature_is_no_cosignature() -> None:
    plain = WITNESS.sign(TEXT)
    with pytest.raises(VerificationError) as caught:
        verify_line(TEXT, plain, WITNESS.verifier())
    assert caught.value.code == "signature-missing"
    with pytest.raises(VerificationError):
        verify_line(TEXT, Signature(KEY.name, KEY.key_id, plain.value), KEY)


@pytest.mark.parametrize("size", [0, 8, 71, 73, 2428])
def test_a_value_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_line(TEXT, Signature(KEY.name, KEY.key_id, bytes(size)), KEY)
    assert caught.value.code == "signature-invalid"


def test_a_time_past_the_limit_is_refused_although_signed() -> None:
    with pytest.raises(VerificationError):
        verify_line(TEXT, WITNESS.cosign(TEXT, 2**63), KEY)
    assert verify_line(TEXT, WITNESS.cosign(TEXT, 2**63 - 1), KEY) == 2**63 - 1


def test_of_two_lines_of_one_witness_the_later_time_is_told() -> None:
    lines = [WITNESS.cosign(TEXT, WHEN + 9), WITNESS.cosign(TEXT, WHEN)]
    assert valid_cosignatures(TEXT, lines, {"bank-b": KEY}) == {"bank-b": WHEN + 9}
    assert valid_cosignatures(TEXT, lines, {}) == {}


def line(place: int) -> str:
    return cosign(TEXT, NoteSigner(f"w{place}", bytes([place] * 32)), WHEN)


def test_an_answer_holds_one_to_sixteen_lines() -> None:
    lines = [line(place) for place in range(17)]
    assert len(parse_lines("".join(lines[:16]).encode())) == 16
    for wrong in ("", "\n", "".join(lines), lines[0][:-1], lines[0] + "\n", "\n" + lines[0], "x\n\n" + lines[0],
                  lines[0] * 2, lines[0].replace("—", "-"), lines[0].replace("\n", "\r\n")):  # fmt: skip
        with pytest.raises(VerificationError):
            parse_lines(wrong.encode())
    with pytest.raises(VerificationError):
        read_line(lines[0] + lines[1])


def test_base64_has_one_form() -> None:
    name, _, material = line(1).removeprefix("— ").strip().partition(" ")
    raw = base64.b64decode(material)
    for wrong in (material.rstrip("="), material + "=", base64.b64encode(raw[:4]).decode(), material[:-2] + "/="):
        with pytest.raises(VerificationError):
            read_line(f"— {name} {wrong}\n")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(encoded: bytes) -> None:
    try:
        found = parse_lines(encoded)
    except VerificationError:
        return
    assert "".join(each.line() for each in found).encode() == encoded
