"""The only door to protobuf: strict both ways, and what is unknown stays outside."""

from dataclasses import replace

import pytest
from creditmesh_wire.v1 import secagg_pb2 as pb
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from privacy import messages as say
from privacy import wire
from privacy.errors import MisuseError, PeerError
from privacy.member_messages import Introduce, Members, Renew, Renewed
from privacy.signoff_messages import InForce, Promoted, Propose, SignOff, Withdrawn
from tests.privacy.table import refused

D = bytes(range(32))
OPENED = say.Opened(1, 2, 3, ("a", "b"), D, D)
HEADER = say.Header(5, 64, D, D, D, (bytes(32), D), (D, D), D)
MESSAGES: list[say.Message] = [
    say.Offer(b"{}"), say.Accept(), say.Decline("permit-rows"), say.Charter(b"{}"), say.Setup(D, D), say.Setups(),
    say.Agree(), say.Ready(), say.Assemble(("a", "b"), OPENED), say.Assemble(("a", "b"), None),
    say.Open(1, D, None), say.Open(2, D, OPENED), HEADER, say.Close(("a", "b"), D, (b"", bytes(48))),
    say.Consent(D, ()), say.Consent(D, (say.Share("a", D), say.Share("b", D))), say.Certificate(("a", "b"), D),
    say.Reveal((say.Share("a", D),), (say.PairSeed("b", D),)), say.Ended("done", "", OPENED),
    say.Ended("failed", "a member was lost", None), say.CatchUp(OPENED, D, 2), say.Receipt(b"{}"), say.Halt("disk"),
    say.CheckPart("a"), say.Check(D, (say.SelfSeed("a", bytes(31)),), (say.HeldSeed("a", "b", D),)),
    say.SumSignature(D, D), say.AddCheckpoint(b"old 0"), say.Cosigned(409, b"7", b"note"), Members(b"[]"),
    Introduce(b"{}"), Renew(b"request"), Renewed(b"certificate", ""),
    Propose(b"{}", False), Propose(b"{}", True), SignOff(b"{}"), Promoted(b"{}", (b"{}", b"[]")),
    Withdrawn(D, "rejected"), InForce(0, 2**40),
]  # fmt: skip
SIGNED = wire.SignedFields("agree", "job-1", 1, 2, "a", "coordinator", D, D, D, b"payload", bytes(64))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back(message: say.Message) -> None:
    assert wire.decode_payload(wire.kind_of(message), wire.encode_payload(message)) == message


def test_every_kind_is_tried() -> None:
    assert {type(message) for message in MESSAGES} == {shape for shape, _ in wire._KINDS.values()}


@given(st.data())
def test_a_packet_is_read_as_protobuf_reads_it(data: st.DataObject) -> None:
    lengths = st.sampled_from([0, 1, 127, 128, 129, 16_383, 16_384])
    fields = st.lists(st.tuples(st.sampled_from([0x0A, 0x12, 0x1A]), lengths), max_size=4)
    raw = b"".join(bytes([tag]) + wire._varint(size) + bytes([tag]) * size for tag, size in data.draw(fields))
    raw = raw[: len(raw) - data.draw(st.integers(0, 3))] + data.draw(st.binary(max_size=2))
    try:
        theirs: pb.Packet | None = pb.Packet.FromString(raw)
    except DecodeError:
        theirs = None
    try:
        ours: wire.Packet | None = wire.decode_packet(raw)
    except PeerError:
        ours = None
    if theirs is None or len(UnknownFieldSet(theirs)):
        assert ours is None
    else:
        assert ours == wire.Packet(theirs.signed, tuple(theirs.attachments), theirs.vector)
        assert pb.Packet.FromString(wire.encode_packet(ours)) == theirs
        assert wire.encode_packet(ours) == theirs.SerializeToString()


def test_a_packet_and_a_signed_message_come_back() -> None:
    packet = wire.Packet(b"signed", (b"", b"one"), b"vector")
    assert wire.decode_packet(wire.encode_packet(packet)) == packet
    assert wire.decode_signed(wire.encode_signed(SIGNED)) == SIGNED


def test_only_whole_messages_are_sent() -> None:
    with refused("message-kind", MisuseError):
        wire.kind_of(OPENED)


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x00"], ids=["tag", "cut", "zero"])
def test_bytes_that_do_not_parse_are_refused(raw: bytes) -> None:
    for read in (wire.decode_packet, wire.decode_signed, lambda raw: wire.decode_payload("consent", raw)):
        with refused("wire-malformed", PeerError):
            read(raw)


def test_unknown_fields_are_refused_at_every_level() -> None:
    extra = b"\xfa\x3f\x01x"  # field 127, one byte
    nested = pb.Consent(
        cohort_sha256=D, shares=[pb.Share.FromString(pb.Share(owner="a", value=D).SerializeToString() + extra)]
    )
    for read, raw in (
        (wire.decode_packet, wire.encode_packet(wire.Packet(b"s")) + extra),
        (wire.decode_signed, wire.encode_signed(SIGNED) + extra),
        (lambda raw: wire.decode_payload("open", raw), wire.encode_payload(say.Open(1, D, None)) + extra),
        (lambda raw: wire.decode_payload("consent", raw), nested.SerializeToString()),
    ):
        with refused("wire-unknown-field", PeerError):
            read(raw)


def test_sizes_are_bounded() -> None:
    for attachments in (1025, 1_000_000):
        with refused("packet-size", PeerError):
            wire.decode_packet(wire.encode_packet(wire.Packet(b"", (b"",) * attachments)))
    with refused("packet-size", PeerError):
        wire.decode_packet(wire.encode_packet(wire.Packet(bytes(4 * 2**20 + 1))))
    with refused("packet-size", PeerError):
        wire.decode_packet(wire.encode_packet(wire.Packet(b"", (bytes(2**20),) * 17)))
    with refused("signed-size", PeerError):
        wire.decode_signed(bytes(4 * 2**20 + 1))
    assert len(wire.decode_packet(wire.encode_packet(wire.Packet(b"", (b"",) * 1024))).attachments) == 1024


def test_a_million_attachments_are_counted_and_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = wire.encode_packet(wire.Packet(b"", (b"",) * 1_000_000))
    monkeypatch.setattr(wire, "_parse", lambda *_: pytest.fail("the parser made them all"))

    with refused("packet-size", PeerError):
        wire.decode_packet(raw)


def test_attachments_under_a_longer_spelling_of_their_tag_are_bounded_too() -> None:
    # Protobuf reads 0x92 0x00 as 0x12; the walk does not, so the parser gets them, and no more than it can bear.
    with refused("packet-size", PeerError):
        wire.decode_packet(b"\x92\x00\x00" * 2000)
    with refused("packet-size", PeerError):
        wire.decode_packet(b"\x92\x00\x00" * (6 * 2**20))


def test_a_list_of_a_message_is_counted_before_it_is_read() -> None:
    raw = b"\x12\x00" * (2**16 + 1)  # field 2 of a consent, empty shares
    with refused("wire-list", PeerError):
        wire.decode_payload("consent", raw)


def test_the_longest_honest_check_is_no_too_long_message() -> None:
    names = [f"{place:03d}" + "m" * 60 for place in range(256)]
    check = say.Check(
        D,
        tuple(say.SelfSeed(name, bytes(31)) for name in names[:171]),
        tuple(say.HeldSeed(holder, lost, D) for holder in names[:171] for lost in names[171:]),
    )
    signed = replace(SIGNED, kind="check", payload=wire.encode_payload(check))
    packet = wire.decode_packet(wire.encode_packet(wire.Packet(wire.encode_signed(signed))))
    assert wire.decode_payload("check", wire.decode_signed(packet.signed).payload) == check


@pytest.mark.parametrize("changes", [{"kind": "gossip"}, {"kind": ""}, {"job": "j" * 65}, {"sender": "s" * 65},
                                     {"recipient": "r" * 65}], ids=str)  # fmt: skip
def test_a_signed_message_of_no_kind_or_of_long_names_is_refused(changes: dict[str, str]) -> None:
    with refused("signed-malformed", PeerError):
        wire.decode_signed(wire.encode_signed(replace(SIGNED, **changes)))  # type: ignore[arg-type]


def test_another_version_is_refused() -> None:
    raw = pb.Signed.FromString(wire.encode_signed(SIGNED))
    raw.version = 2
    with refused("wire-version", PeerError):
        wire.decode_signed(raw.SerializeToString())


def test_a_message_that_breaks_its_own_rules_is_the_peer_s_fault() -> None:
    raw = pb.Assemble(roster=["../etc"]).SerializeToString()
    with refused("member-id", PeerError):
        wire.decode_payload("assemble", raw)
