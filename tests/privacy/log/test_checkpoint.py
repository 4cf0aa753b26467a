"""Checkpoints: what is signed, what is refused, what a witness adds."""

import pytest

from privacy.errors import MisuseError, VerificationError
from privacy.log.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from privacy.log.note import COSIGNATURE, Note, NoteSigner

LOG = NoteSigner("bank-a/privacy-log", bytes(32))
HEAD = Checkpoint("bank-a/privacy-log", 7, bytes(range(32)))
ROOT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def signed(text: str) -> bytes:
    return Note(text, (LOG.sign(text),)).encode()


def test_text_is_three_lines() -> None:
    assert HEAD.text() == f"bank-a/privacy-log\n7\n{ROOT}\n"
    assert verify_checkpoint(sign_checkpoint(HEAD, LOG), LOG.verifier(), HEAD.origin) == HEAD


@pytest.mark.parametrize(
    "text",
    [
        f"bank-a/privacy-log\n007\n{ROOT}\n",
        f"bank-a/privacy-log\n-7\n{ROOT}\n",
        f"bank-a/privacy-log\n+7\n{ROOT}\n",
        f"bank-a/privacy-log\n7 \n{ROOT}\n",
        f"bank-a/privacy-log\n٧\n{ROOT}\n",
        f"bank-a/privacy-log\n9007199254740992\n{ROOT}\n",
        f"bank-a/privacy-log\n{'9' * 40}\n{ROOT}\n",
        f"bank-a/privacy-log\n\n{ROOT}\n",
        f"bank-a/privacy-log\n7\n{ROOT[:-1]}\n",
        f"bank-a/privacy-log\n7\n{ROOT[:-2]}9=\n",
        f"bank-a/privacy-log\n7\n{ROOT[:40]}\n",
        f"bank-a/privacy-log\n7\n{ROOT}\nextension\n",
        "bank-a/privacy-log\n7\n",
        f"\n7\n{ROOT}\n",
        f"bank a\n7\n{ROOT}\n",
        f"cosignature/v1\n7\n{ROOT}\n",
    ],
)
def test_other_texts_are_refused_although_signed(text: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(signed(text), LOG.verifier(), "bank-a/privacy-log")
    assert caught.value.code in {"checkpoint-malformed", "note-malformed"}


def test_another_log_and_another_key_are_refused() -> None:
    note = sign_checkpoint(HEAD, LOG)
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(note, LOG.verifier(), "bank-b/privacy-log")
    assert caught.value.code == "origin-mismatch"
    thief = NoteSigner("bank-a/privacy-log", b"t" * 32)
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(sign_checkpoint(HEAD, thief), LOG.verifier(), HEAD.origin)
    assert caught.value.code == "signature-missing"


def test_a_witness_adds_a_time_and_leaves_the_text() -> None:
    witness = NoteSigner("bank-b/witness", b"w" * 32)
    note = cosign_checkpoint(sign_checkpoint(HEAD, LOG), witness, 1_800_000_000)
    assert verify_checkpoint(note, LOG.verifier(), HEAD.origin) == HEAD
    assert verify_cosignature(note, witness.verifier(COSIGNATURE)) == 1_800_000_000
    with pytest.raises(VerificationError):
        verify_cosignature(sign_checkpoint(HEAD, LOG), witness.verifier(COSIGNATURE))
    with pytest.raises(VerificationError):
        verify_cosignature(note, LOG.verifier())
    assert parse_checkpoint(note)[0] == HEAD


@pytest.mark.parametrize(
    "head",
    [Checkpoint("cosignature/v1", 1, bytes(32)), Checkpoint("a b", 1, bytes(32)), Checkpoint("log", -1, bytes(32)),
     Checkpoint("log", 2**53, bytes(32)), Checkpoint("log", 1, bytes(31))],
)  # fmt: skip
def test_we_never_sign_what_we_would_refuse(head: Checkpoint) -> None:
    with pytest.raises(MisuseError):
        sign_checkpoint(head, LOG)
