"""A bank's entry is its own: whoever passes it on can change no key, name or consortium in it."""

from dataclasses import replace

import pytest

from privacy.errors import PeerError
from privacy.keys import IdentityKey
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.member_entry import MemberEntry, SignedEntry, decode_list, encode_list, entry_of, sign_entry
from tests.privacy.table import refused

__all__ = ["entry_for", "identity_for"]


def identity_for(member: str, salt: bytes = b"") -> IdentityKey:
    return IdentityKey.from_seed((member.encode() + salt).ljust(32, b"\0"))


def entry_for(member: str, consortium: str = "cn", salt: bytes = b"") -> SignedEntry:
    """Return the signed entry of a bank whose keys come from its name and a salt."""
    seed = (b"log" + member.encode() + salt).ljust(32, b"\0")
    log = NoteSigner(f"{member}/privacy-log", seed).verifier().encode()
    witness = NoteSigner(f"{member}/witness", seed[::-1]).verifier(COSIGNATURE).encode()
    identity = identity_for(member, salt)
    return sign_entry(identity, MemberEntry(consortium, member, identity.public.hex(), log, witness))


ALPHA, BETA = entry_for("alpha"), entry_for("beta")


def test_a_list_comes_back_and_every_entry_holds() -> None:
    again = decode_list(encode_list("cn", [BETA, ALPHA]), "cn")
    assert again == (ALPHA, BETA)
    assert [each.check().member for each in again] == ["alpha", "beta"]


def test_the_fingerprint_covers_every_key_and_the_names() -> None:
    other = entry_for("alpha", salt=b"2").entry
    same = ALPHA.entry
    changed = [replace(same, **{role: getattr(other, role)}) for role in ("identity", "log", "witness")]
    prints = {each.fingerprint() for each in (same, *changed, entry_for("alpha", "other").entry)}
    assert len(prints) == 5


@pytest.mark.parametrize("role", ["identity", "log", "witness"])
def test_a_key_that_was_changed_on_the_way_is_found(role: str) -> None:
    other = entry_for("alpha", salt=b"2").entry
    forged = SignedEntry(replace(ALPHA.entry, **{role: getattr(other, role)}), ALPHA.signature)
    with refused("entry-signature", PeerError):
        forged.check()


def test_an_entry_of_another_consortium_is_no_entry_here() -> None:
    with refused("entry-signature", PeerError):
        entry_of("other", ALPHA.document()).check()
    with refused("list-consortium", PeerError):
        decode_list(encode_list("cn", [ALPHA]), "other")


@pytest.mark.parametrize(
    "change",
    [
        {"member": "Alpha"}, {"member": "coordinator"}, {"identity": "A" * 64}, {"identity": "a" * 63},
        {"log": BETA.entry.log}, {"log": ALPHA.entry.witness}, {"witness": "x"}, {"log": "x" * 600}, {"more": "x"},
        {"signature": 5}, {"signature": "00"},
    ],
)  # fmt: skip
def test_a_malformed_entry_is_refused(change: dict[str, object]) -> None:
    with refused("entry-malformed", PeerError):
        entry_of("cn", {**ALPHA.document(), **change}).check()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b'{"consortium":"cn","format":"creditmesh-members/2","members":[]}',
        b" " + encode_list("cn", []),
        b'{"consortium":"cn","format":"creditmesh-members/1","members":{}}', encode_list("cn", [ALPHA, ALPHA]),
    ],
)  # fmt: skip
def test_a_malformed_list_is_refused(raw: bytes) -> None:
    with refused("list-malformed", PeerError):
        decode_list(raw, "cn")


def test_a_list_in_another_order_is_refused() -> None:
    raw, before = encode_list("cn", [ALPHA, BETA]), len(encode_list("cn", [])) - 2
    alpha, beta = (encode_list("cn", [each])[before:-2] for each in (ALPHA, BETA))
    swapped = raw.replace(alpha + b"," + beta, beta + b"," + alpha)
    assert swapped != raw
    with refused("list-malformed", PeerError):
        decode_list(swapped, "cn")
