"""Signed notes: published examples, and every malformed note that the format's rules name."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InputError, VerificationError
from privacy.log.note import COSIGNATURE, SIGNATURE_LIMIT, Note, NoteSigner, VerifierKey, parse_note

# The example of Go's golang.org/x/mod/sumdb/note documentation, also that of C2SP signed-note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def signer(number: int = 1, name: str = "bank-a/privacy-log") -> NoteSigner:
    return NoteSigner(name, bytes([number]) * 32)


def note_of(text: str, *signers: NoteSigner) -> bytes:
    return Note(text, tuple(each.sign(text) for each in signers)).encode()


def test_published_example_verifies() -> None:
    key = VerifierKey.parse(GO_KEY)
    assert key.encode() == GO_KEY
    key.verify(parse_note(GO_NOTE))
    with pytest.raises(VerificationError):
        key.verify(parse_note(GO_NOTE.replace(b"problem is", b"Problem is")))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=80))
def test_signed_notes_parse_back(line: str) -> None:
    raw = note_of(line + "\n", signer(1), signer(2, "bank-b/privacy-log"))
    note = parse_note(raw)
    assert note.encode() == raw
    signer(1).verifier().verify(note)
    signer(2, "bank-b/privacy-log").verifier().verify(note)


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except VerificationError:
        return
    assert note.encode() == raw


@given(st.data())
def test_a_changed_byte_never_passes(data: st.DataObject) -> None:
    raw = bytearray(note_of("log\n3\nroot\n", signer()))
    spot = data.draw(st.integers(0, len(raw) - 1))
    raw[spot] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        signer().verifier().verify(parse_note(bytes(raw)))


def cosigners(count: int) -> list[NoteSigner]:
    return [signer(number, f"bank-{number}/privacy-log") for number in range(count)]


def test_sixteen_signatures_pass_and_seventeen_do_not() -> None:
    assert len(parse_note(note_of("text\n", *cosigners(SIGNATURE_LIMIT))).signatures) == 16
    with pytest.raises(VerificationError, match="17 signatures"):
        parse_note(note_of("text\n", *cosigners(SIGNATURE_LIMIT + 1)))


GOOD = note_of("text\n", NoteSigner("log", bytes(32)))
LINE = GOOD.split(b"\n\n")[1]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + LINE,
        GOOD.replace(b"text\n", b"te\rxt\n"),
        GOOD.replace(b"text\n", b"te\x1b[31mxt\n"),
        GOOD.replace(b"text\n", b"te\x00xt\n"),
        GOOD.replace(b"text\n", b"te\x7fxt\n"),
        GOOD.replace(b"text\n", "te\x9bxt\n".encode()),
        GOOD.replace(b"text\n", b"te\xffxt\n"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace("— ".encode(), b"- "),
        GOOD.replace("— log ".encode(), "—  log ".encode()),
        GOOD.replace("— log ".encode(), "— lo+g ".encode()),
        GOOD.replace("— log ".encode(), "— löog ".encode()),
        GOOD.replace("— log ".encode(), "— log  ".encode()),
        b"text\n\n" + "— log AAAA\n".encode(),
        b"text\n\n" + "— log not*base64\n".encode(),
        b"text\n\n" + LINE[:-2] + b"\n",
        b"x" * 70_000 + GOOD,
    ],
)
def test_malformed_notes_are_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_note(raw)
    assert caught.value.code == "note-malformed"


def test_unknown_signature_lines_are_carried_and_ignored() -> None:
    future = "— witness " + base64.b64encode(b"\x01\x02\x03\x04" + bytes(2420)).decode() + "\n"
    note = parse_note(GOOD + future.encode())
    NoteSigner("log", bytes(32)).verifier().verify(note)
    assert note.encode() == GOOD + future.encode()


def test_a_missing_signature_is_named() -> None:
    with pytest.raises(VerificationError) as caught:
        signer(2).verifier().verify(parse_note(note_of("text\n", signer(1))))
    assert caught.value.code == "signature-missing"


def test_a_cosignature_covers_its_time() -> None:
    witness, text = signer(3, "bank-c/witness"), "text\n"
    line = witness.cosign(text, 1_800_000_000)
    key = witness.verifier(COSIGNATURE)
    assert VerifierKey.parse(key.encode()) == key
    assert key.verify(Note(text, (line,))) == 1_800_000_000
    moved = type(line)(line.name, line.key_id, (1_800_000_001).to_bytes(8, "big") + line.value[8:])
    short = type(line)(line.name, line.key_id, line.value[:7])
    for forged in (moved, short):
        with pytest.raises(VerificationError):
            key.verify(Note(text, (forged,)))
    with pytest.raises(VerificationError):
        witness.verifier().verify(Note(text, (line,)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name+00000000",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY.replace("PeterNeumann", "Peter\nNeumann"),
        GO_KEY[:-4],
        GO_KEY[:-1] + "=",
        GO_KEY.replace("+ARpc", "+Bhpc"),
        "x" * 300 + "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_malformed_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        VerifierKey.parse(text)
    assert caught.value.code == "vkey-malformed"


def test_the_signing_key_never_prints() -> None:
    secret = bytes(range(32))
    assert secret.hex() not in repr(NoteSigner("log", secret)) and repr(NoteSigner("log", secret)) == "NoteSigner(...)"
    for name, seed in (("lo g", secret), ("", secret), ("lo+g", secret), ("log", secret[:31])):
        with pytest.raises(InputError):
            NoteSigner(name, seed)
