"""The envelope: one signature over everything that says where a message belongs."""

from dataclasses import fields, replace
from typing import Any

import pytest

from privacy import messages as say
from privacy import wire
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, EVERYONE, Address, open_envelope, sign_envelope
from privacy.errors import InputError, PeerError
from tests.privacy.table import identity_of, refused

AT = Address("job-1", 1, 2, b"\x01" * 32, b"\x02" * 32, b"\x03" * 32)
MADE = sign_envelope(identity_of("a"), "a", COORDINATOR, AT, say.Consent(bytes(32), ()))


def public_of(sender: str) -> bytes:
    if sender == "stranger":
        raise InputError("member-unknown", "no seat")
    return identity_of(sender).public


def test_an_envelope_comes_back() -> None:
    opened = open_envelope(MADE.raw, public_of)
    assert opened == MADE
    assert opened.msg_id == "job-1/1/2/consent/a>coordinator"
    assert opened.payload_sha256 == sha256(wire.encode_payload(MADE.message)).hex()


@pytest.mark.parametrize("field", [field.name for field in fields(wire.SignedFields)])
def test_every_field_is_signed(field: str) -> None:
    signed = wire.decode_signed(MADE.raw)
    value = getattr(signed, field)
    changed = {"kind": "agree", "payload": wire.encode_payload(say.Consent(b"\x01" * 32, ())), "sender": "b"}
    other: Any = changed.get(field)
    if other is None:
        other = value + 1 if isinstance(value, int) else value[:-1] + ("b" if isinstance(value, str) else b"\x7f")
    with refused("signature-invalid", PeerError):
        open_envelope(wire.encode_signed(replace(signed, **{field: other})), public_of)


def test_a_stranger_s_message_is_refused() -> None:
    raw = sign_envelope(identity_of("stranger"), "stranger", COORDINATOR, AT, say.Agree()).raw
    with refused("member-unknown", PeerError):
        open_envelope(raw, public_of)


@pytest.mark.parametrize("field", ["manifest_sha256", "agreement_root", "binding"])
def test_a_digest_of_another_size_is_refused(field: str) -> None:
    at = replace(AT, **{field: b"x"})  # type: ignore[arg-type]
    raw = sign_envelope(identity_of("a"), "a", COORDINATOR, at, say.Agree()).raw
    with refused("envelope-digest", PeerError):
        open_envelope(raw, public_of)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"job": "job-2"}, "envelope-job"), ({"epoch": 2}, "envelope-epoch"), ({"position": 3}, "envelope-position"),
     ({"manifest_sha256": bytes(32)}, "envelope-manifest-sha256"),
     ({"agreement_root": b""}, "envelope-agreement-root"), ({"binding": bytes(32)}, "envelope-binding")],
)  # fmt: skip
def test_a_message_of_another_place_is_refused(changes: dict[str, object], code: str) -> None:
    MADE.expect(AT, COORDINATOR)
    with refused(code, PeerError):
        MADE.expect(replace(AT, **changes), COORDINATOR)  # type: ignore[arg-type]


def test_a_message_for_another_member_is_refused() -> None:
    with refused("envelope-recipient", PeerError):
        MADE.expect(AT, "b")
    sign_envelope(identity_of(COORDINATOR), COORDINATOR, EVERYONE, AT, say.Ready()).expect(AT, "b")
