"""DSSE envelopes of in-toto statements: a known answer, and every way to bend one."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import VerificationError
from privacy.log.statement import PAYLOAD_TYPE, Statement, encode_envelope, open_envelope

SEED = b"s" * 32
STATEMENT = Statement({"log.jsonl": "ab" * 32}, "creditmesh:export/v1", {"rows": 3})


def test_what_was_signed_is_opened() -> None:
    statement, public = open_envelope(encode_envelope(STATEMENT, SEED))
    assert statement == STATEMENT
    assert public == Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    assert open_envelope(encode_envelope(STATEMENT, None)) == (STATEMENT, None)


def test_the_signature_is_dsses() -> None:
    envelope = json.loads(encode_envelope(STATEMENT, SEED))
    payload = base64.b64decode(envelope["payload"])
    # DSSE v1: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, with lengths in decimal.
    signed = b" ".join([b"DSSEv1", b"28", b"application/vnd.in-toto+json", str(len(payload)).encode(), payload])
    key = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    document = json.loads(payload)
    assert document["_type"] == "https://in-toto.io/Statement/v1" and envelope["payloadType"] == PAYLOAD_TYPE
    assert document["subject"] == [{"name": "log.jsonl", "digest": {"sha256": "ab" * 32}}]


def bent(**changes: Any) -> bytes:
    return json.dumps({**json.loads(encode_envelope(STATEMENT, SEED)), **changes}).encode()


def payload(**changes: Any) -> str:
    document = {**json.loads(STATEMENT.encode()), **changes}
    return base64.b64encode(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).decode()


SUBJECT = {"name": "a", "digest": {"sha256": "ab" * 32}}
SIGNATURE = json.loads(encode_envelope(STATEMENT, SEED))["signatures"][0]


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"", "statement-malformed"),
        (b"[]", "statement-malformed"),
        (b"{}", "statement-malformed"),
        (bent(payloadType="text/plain"), "statement-malformed"),
        (bent(signatures=[SIGNATURE, SIGNATURE]), "statement-malformed"),
        (bent(signatures={}), "statement-malformed"),
        (bent(signatures=[{**SIGNATURE, "keyid": "rsa:00"}]), "statement-malformed"),
        (bent(signatures=[{**SIGNATURE, "keyid": "ed25519:00"}]), "statement-signature"),
        (bent(signatures=[{**SIGNATURE, "keyid": "ed25519:" + "00" * 32}]), "statement-signature"),
        (bent(signatures=[{**SIGNATURE, "sig": "AAAA"}]), "statement-signature"),
        (bent(payload="!"), "statement-malformed"),
        (bent(payload=payload(predicate={"rows": 4})), "statement-signature"),
        (bent(payload=payload(_type="https://in-toto.io/Statement/v0.1"), signatures=[]), "statement-malformed"),
        (bent(payload=payload(subject=[SUBJECT, SUBJECT]), signatures=[]), "statement-malformed"),
        (bent(payload=payload(subject=[{"name": "a", "digest": {}}]), signatures=[]), "statement-malformed"),
        (bent(payload=payload(subject=[{"name": 5, "digest": {"sha256": "ab" * 32}}]), signatures=[]),
         "statement-malformed"),
        (bent(payload=payload(predicate=[]), signatures=[]), "statement-malformed"),
        (bent(payload=base64.b64encode(b"{ }").decode(), signatures=[]), "not-canonical"),
    ],
)  # fmt: skip
def test_bent_envelopes_are_refused(encoded: bytes, code: str) -> None:
    with pytest.raises(VerificationError) as caught:
        open_envelope(encoded)
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_no_bytes_make_it_stumble(raw: bytes) -> None:
    for encoded in (raw, json.dumps({"payload": base64.b64encode(raw).decode(), "payloadType": PAYLOAD_TYPE,
                                     "signatures": []}).encode()):  # fmt: skip
        with pytest.raises(VerificationError):
            open_envelope(encoded)
