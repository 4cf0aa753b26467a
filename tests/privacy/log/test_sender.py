"""The sender's signature in a record: rebuilt from the record, equal to what the envelope signs."""

from dataclasses import replace

import pytest

from coordinator.receipt import arrival
from privacy.envelope import COORDINATOR, Address, sign_envelope
from privacy.errors import VerificationError
from privacy.keys import IdentityKey
from privacy.log.sender import verify_sender
from privacy.messages import Accept, Halt

KEY = IdentityKey.from_seed(bytes(32))
HERE = Address("job/with/strokes", 3, 17, b"m" * 32, b"r" * 32, b"c" * 32)


@pytest.mark.parametrize("address", [HERE, Address("job-1"), replace(HERE, binding=b"")])
def test_an_envelopes_signature_verifies_from_the_record(address: Address) -> None:
    envelope = sign_envelope(KEY, "bank-a", COORDINATOR, address, Halt("stopped"))
    verify_sender(arrival(envelope, 99, "credit-risk-model").entry().body, KEY.public)


@pytest.mark.parametrize(
    ("key", "value"),
    [("msg_id", "job/3/17/halt/bank-b>coordinator"), ("msg_id", "job-1"), ("msg_id", "a/x/1/halt/bank-a>coordinator"),
     ("from", "bank-b"), ("payload_sha256", "ab" * 32), ("binding", "ab" * 32), ("manifest_sha256", "ab" * 32),
     ("agreement_root", "ab" * 32), ("signature", "ab" * 64), ("signature", "zz"), ("signature", None),
     ("binding", None), ("msg_id", "job/with/strokes/-3/17/halt/bank-a>coordinator")],
)  # fmt: skip
def test_any_other_record_does_not_verify(key: str, value: str | None) -> None:
    envelope = sign_envelope(KEY, "bank-a", COORDINATOR, HERE, Accept())
    body = {**arrival(envelope, 99, "credit-risk-model").entry().body, key: value}
    with pytest.raises(VerificationError):
        verify_sender({name: each for name, each in body.items() if each is not None}, KEY.public)


def test_another_bank_cannot_have_sent_it() -> None:
    envelope = sign_envelope(KEY, "bank-a", COORDINATOR, HERE, Accept())
    with pytest.raises(VerificationError):
        verify_sender(arrival(envelope, 99, "p").entry().body, IdentityKey.from_seed(b"b" * 32).public)
