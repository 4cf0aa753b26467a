"""Keys sign, agree, derive and seal; they never print, and what is false does not verify."""

import pytest

from privacy.errors import InputError, PeerError, VerificationError
from privacy.keys import AgreementKey, IdentityKey, expand, extract, open_box, same_bytes, seal_box, verify
from tests.privacy.table import refused

SEED = bytes(range(32))


def test_identity_keys_follow_rfc_8032() -> None:
    key = IdentityKey.from_seed(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_a_signature_is_of_one_key_over_one_message() -> None:
    key, other = IdentityKey.from_seed(SEED), IdentityKey.from_seed(bytes(32))
    signature = key.sign(b"message")
    verify(key.public, signature, b"message", "a test")
    wrong = [(other.public, signature, b"message"), (key.public, signature, b"messagf"),
             (key.public, signature[:-1] + b"\0", b"message"), (key.public, b"", b"message"),
             (b"short", signature, b"message"), (bytes(32), signature, b"message")]  # fmt: skip
    for public, seal, message in wrong:
        with refused("signature-invalid", VerificationError):
            verify(public, seal, message, "a test")


def test_agreement_follows_rfc_7748() -> None:
    bob = AgreementKey.from_random(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    alice = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert bob.exchange(alice).hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_a_low_order_or_malformed_key_is_refused(public: bytes) -> None:
    with refused("agreement-key-low-order", PeerError):
        AgreementKey.from_random(SEED).exchange(public)


def test_derived_keys_differ_by_every_input() -> None:
    seen = {extract(SEED, b"s", "a"), extract(bytes(32), b"s", "a"), extract(SEED, b"t", "a"), extract(SEED, b"s", "b"),
            extract(SEED, b"s", "a", b"x"), extract(SEED, b"s", "a", b"x", b""), expand(SEED, "a"), expand(SEED, "b"),
            expand(SEED, "a", b"xy"), expand(SEED, "a", b"x", b"y")}  # fmt: skip
    assert len(seen) == 10 and {len(each) for each in seen} == {32}


def test_a_box_opens_with_its_key_and_purpose_only() -> None:
    box = seal_box(SEED, b"share", b"a>b")
    assert open_box(SEED, box, b"a>b") == b"share" and len(box) == 21
    for key, sealed, purpose in ((bytes(32), box, b"a>b"), (SEED, box, b"b>a"), (SEED, box[:-1], b"a>b"),
                                 (SEED, b"", b"a>b"), (SEED, bytes([box[0] ^ 1]) + box[1:], b"a>b")):  # fmt: skip
        with refused("box-altered", PeerError):
            open_box(key, sealed, purpose)


def test_keys_do_not_print_and_seeds_have_a_size() -> None:
    assert repr(IdentityKey.from_seed(SEED)) == "IdentityKey(...)"
    assert repr(AgreementKey.from_random(SEED)) == "AgreementKey(...)"
    with refused("identity-key-size", InputError):
        IdentityKey.from_seed(b"short")
    assert same_bytes(b"a", b"a") and not same_bytes(b"a", b"b") and not same_bytes(b"a", b"aa")
