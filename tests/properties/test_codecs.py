"""Codecs hold both ways, and bytes from anywhere end in a message or in `PeerError`, never in another error."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from privacy import messages as say
from privacy import wire
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.errors import PeerError, PrivacyError
from privacy.manifest import Manifest, decode_manifest
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.signoff_messages import InForce, Promoted, Propose, SignOff, Withdrawn
from tests.privacy.table import identity_of, manifest_of, names_of

digests = st.binary(min_size=32, max_size=32)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
ids = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).filter(lambda name: name != "coordinator")
members = st.lists(ids, unique=True, max_size=8).map(lambda names: tuple(sorted(names)))
codes = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=64)
documents = st.binary(max_size=200)
boxes = st.lists(st.one_of(st.just(b""), st.binary(min_size=48, max_size=48)), max_size=8).map(tuple)
shares = members.flatmap(lambda names: st.tuples(*[st.builds(say.Share, st.just(name), digests) for name in names]))
seeds = members.flatmap(lambda names: st.tuples(*[st.builds(say.PairSeed, st.just(name), digests) for name in names]))
secrets = st.binary(min_size=31, max_size=31)
self_seeds = members.flatmap(
    lambda names: st.tuples(*[st.builds(say.SelfSeed, st.just(who), secrets) for who in names])
)
held = (
    st.lists(st.tuples(ids, ids), unique=True, max_size=6)
    .map(sorted)
    .flatmap(lambda pairs: st.tuples(*[st.builds(say.HeldSeed, st.just(a), st.just(b), digests) for a, b in pairs]))
)
opened = st.builds(say.Opened, uint32, uint64, uint32, members, digests, digests)
many = st.lists(digests, max_size=8).map(tuple)

MESSAGES: dict[str, st.SearchStrategy[Any]] = {
    "offer": st.builds(say.Offer, documents),
    "accept": st.builds(say.Accept),
    "decline": st.builds(say.Decline, codes),
    "charter": st.builds(say.Charter, documents),
    "setup": st.builds(say.Setup, digests, digests),
    "setups": st.builds(say.Setups),
    "agree": st.builds(say.Agree),
    "ready": st.builds(say.Ready),
    "assemble": st.builds(say.Assemble, members, st.none() | opened),
    "open": st.builds(say.Open, uint32, digests, st.none() | opened),
    "upload": st.builds(say.Header, uint32, uint32, digests, digests, digests, many, many, digests),
    "close": st.builds(say.Close, members, digests, boxes),
    "consent": st.builds(say.Consent, digests, shares),
    "certificate": st.builds(say.Certificate, members, digests),
    "reveal": st.builds(say.Reveal, shares, seeds),
    "check-part": st.builds(say.CheckPart, ids),
    "check": st.builds(say.Check, digests, self_seeds, held),
    "sum-signature": st.builds(say.SumSignature, digests, digests),
    "ended": st.builds(say.Ended, codes, st.text(max_size=512), st.none() | opened),
    "catch-up": st.builds(say.CatchUp, opened, digests, uint32),
    "receipt": st.builds(say.Receipt, documents),
    "halt": st.builds(say.Halt, codes),
    "add-checkpoint": st.builds(say.AddCheckpoint, documents),
    "cosigned": st.builds(say.Cosigned, st.integers(100, 599), documents, documents),
    "propose": st.builds(Propose, documents, st.booleans()),
    "sign-off": st.builds(SignOff, documents),
    "promoted": st.builds(Promoted, documents, st.lists(documents, max_size=8).map(tuple)),
    "in-force": st.builds(InForce, uint32, uint32),
    "withdrawn": st.builds(Withdrawn, digests, codes),
    "members": st.builds(Members, documents),
    "introduce": st.builds(Introduce, documents),
    "renew": st.builds(Renew, documents),
    "renewed": st.builds(Renewed, documents, codes),
}
messages = st.one_of(*MESSAGES.values())
empty_or_digest = st.just(b"") | digests
addresses = st.builds(Address, ids, uint32, uint64, empty_or_digest, empty_or_digest, empty_or_digest)
GOOD = manifest_of(names_of(5)).encode()


def message_or_peer_error(read: Callable[[], object]) -> None:
    try:
        read()
    except PeerError as error:
        assert error.code and error.message


def identity_or_stranger(sender: str) -> bytes:
    return identity_of(sender[:8]).public


def test_every_kind_is_drawn() -> None:
    assert set(MESSAGES) == set(wire._KINDS)


@given(messages)
def test_a_message_comes_back(message: say.Message) -> None:
    assert wire.decode_payload(wire.kind_of(message), wire.encode_payload(message)) == message


@given(st.builds(wire.Packet, st.binary(max_size=50), st.lists(st.binary(max_size=9), max_size=9).map(tuple),
                 st.binary(max_size=50)))  # fmt: skip
def test_a_packet_comes_back(packet: wire.Packet) -> None:
    assert wire.decode_packet(wire.encode_packet(packet)) == packet


@given(ids, ids, addresses, messages)
def test_an_envelope_comes_back(sender: str, to: str, at: Address, message: say.Message) -> None:
    made = sign_envelope(identity_of(sender[:8]), sender, to, at, message)
    again = open_envelope(made.raw, identity_or_stranger)
    assert again == made
    again.expect(at, to)


@given(st.binary(max_size=300))
def test_random_bytes_end_well(raw: bytes) -> None:
    message_or_peer_error(lambda: wire.decode_packet(raw))
    message_or_peer_error(lambda: wire.decode_signed(raw))
    message_or_peer_error(lambda: open_envelope(raw, identity_or_stranger))


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=300))
def test_random_payloads_end_well(kind: str, raw: bytes) -> None:
    message_or_peer_error(lambda: wire.decode_payload(kind, raw))


@given(st.sampled_from(sorted(MESSAGES)), messages, st.data())
def test_mutated_payloads_end_well(kind: str, message: say.Message, data: st.DataObject) -> None:
    raw = bytearray(wire.encode_payload(message))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    message_or_peer_error(lambda: wire.decode_payload(kind, bytes(raw)))
    message_or_peer_error(lambda: wire.decode_payload(wire.kind_of(message), bytes(raw)))


@given(ids, addresses, messages, st.data())
def test_a_mutated_envelope_never_verifies(sender: str, at: Address, message: say.Message, data: st.DataObject) -> None:
    made = sign_envelope(identity_of(sender[:8]), sender, COORDINATOR, at, message)
    raw = bytearray(made.raw)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        again = open_envelope(bytes(raw), identity_or_stranger)
    except PeerError:
        return
    # protobuf has several encodings of one message; what was signed is unchanged then.
    assert (again.kind, again.sender, again.recipient, again.address, again.message) == (
        made.kind, made.sender, made.recipient, made.address, made.message)  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_a_manifest_comes_back_or_cannot_be_made(parameters: dict[str, Any]) -> None:
    manifest = manifest_of(names_of(5), parameters=parameters)
    try:
        raw = manifest.encode()
    except ValueError:  # NaN and infinities have no canonical form
        return
    again = decode_manifest(raw)
    assert again.encode() == raw and again.sha256() == manifest.sha256()


@given(st.binary(max_size=200) | json_values.map(lambda value: repr(value).replace("'", '"').encode("utf-8", "ignore")))
def test_bytes_that_are_no_manifest_end_well(raw: bytes) -> None:
    message_or_peer_error(lambda: decode_manifest(raw))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 3), st.binary(max_size=4))
def test_a_mutated_manifest_is_refused_or_another_one(at: int, cut: int, paste: bytes) -> None:
    raw = GOOD[:at] + paste + GOOD[at + cut :]
    try:
        manifest = decode_manifest(raw)
    except PrivacyError:
        return
    assert isinstance(manifest, Manifest) and manifest.encode() == raw
