"""Attacks of members and of the network between: false shares, false vectors, tampered boxes, endless streams."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from coordinator.authority import read_member_certificate
from coordinator.grpc_link import GrpcHub
from privacy import mask
from privacy import messages as say
from privacy.channel import Channel, ChannelLimits, Chunk
from privacy.envelope import open_envelope
from privacy.errors import PeerError
from privacy.field import Plan
from privacy.messages import Close
from privacy.secagg.part import take_share
from privacy.secagg.sum import MaskedSum
from tests.e2e.link_room import HubDiary, Room
from tests.privacy.secagg.scenes import ASK, closing, content, plan_of, uploaded
from tests.privacy.table import Bench, bench, names_of, parts_of
from tests.redteam.attack import HeldError, attack, together, without
from tests.redteam.cheats import packet
from tests.vectors import generate

__all__: list[str] = []

NAMES = names_of(7)
VICTIM, CHEAT = NAMES[0], NAMES[6]
PLAN = plan_of(NAMES)


def blamed_or_passed_on(table: Bench, close: Close, headers: tuple[bytes, ...], parts: dict[str, np.ndarray]) -> None:
    """Let the victim vote with a bad box: either it keeps its shares and blames, or it hands on a wrong share."""
    member = table.members[VICTIM]
    outgoing = table.tell(VICTIM, table.here(VICTIM), close, headers)
    if content(outgoing, say.Consent).shares == ():
        table.up(VICTIM, outgoing)
        raise PeerError(next(iter(member.blamed.values())), "a box of another member does not hold its share")
    try:
        table.up(VICTIM, outgoing)
    except PeerError as error:
        assert error.code == "share-hash" and VICTIM in error.message  # the honest member is taken for the liar
        return
    raise AssertionError(f"nothing happened to {parts.keys()}")


def _unchecked_box(key: bytes, box: bytes, _associated: bytes) -> bytes:
    """Open AES-GCM without looking at its tag."""
    counter = (2).to_bytes(16, "big")
    return Cipher(algorithms.AES256(key), modes.CTR(counter)).decryptor().update(box[:-16])


def unsealed() -> AbstractContextManager[Any]:
    """Take the seal off boxes, and the hash off shares."""
    return together(patch("privacy.secagg.part.open_box", _unchecked_box), without((take_share, "share-hash")))


@attack(
    "21", ("member", "take_share"), "share-hash",
    without="the bank that got a wrong share hands it on and is taken for the liar",
    unguarded=lambda: without((take_share, "share-hash")),
)  # fmt: skip
def wrong_share() -> None:
    """Deal one peer a share that the header does not name."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.begin(ASK, PLAN)
    with patch("privacy.secagg.part.share_digest", lambda *_: bytes(32)):
        false = table.members[CHEAT].upload(parts[CHEAT])
    table.upload(parts, NAMES[:6])
    table.up(CHEAT, false)
    close, headers, _downlinks = closing(table, VICTIM)
    blamed_or_passed_on(table, close, headers, parts)


@attack(
    "28", ("member", "open_box"), "box-altered",
    without="whoever touches a box on its way makes an honest bank hand on a wrong share",
    unguarded=unsealed,
)  # fmt: skip
def tampered_box() -> None:
    """Flip a bit of a box on its way."""
    table, parts = uploaded(NAMES)
    close, headers, _downlinks = closing(table, VICTIM)
    boxes = list(close.boxes)
    boxes[3] = bytes([boxes[3][0] ^ 1]) + boxes[3][1:]
    blamed_or_passed_on(table, replace(close, boxes=tuple(boxes)), headers, parts)


@attack(
    "29", ("member", "open_box"), "box-altered",
    without="a share passes under another dealer's name",
    unguarded=unsealed,
)  # fmt: skip
def swapped_boxes() -> None:
    """Swap the boxes of two senders."""
    table, parts = uploaded(NAMES)
    close, headers, _downlinks = closing(table, VICTIM)
    boxes = list(close.boxes)
    boxes[3], boxes[4] = boxes[4], boxes[3]
    blamed_or_passed_on(table, replace(close, boxes=tuple(boxes)), headers, parts)


# -- vectors -----------------------------------------------------------------------------------------------------------


def sum_of(table: Bench, plan: Plan) -> np.ndarray:
    """Open what was uploaded and return it before anybody verifies."""
    table.down(table.coordinator.close())
    table.coordinator.open_sum()
    return plan.decode(plan.from_bytes(table.coordinator._vector))


@attack(
    "22", ("node's own guard", "Plan.encode"), "part-bound",
    without="an entry of 2^32 wraps to nothing, and the sum is wrong without a sign",
    unguarded=lambda: without((Plan.encode, "part-bound")),
)  # fmt: skip
def out_of_range() -> None:
    """Send an entry beyond its bound."""
    plan = plan_of(NAMES, word_bits=32)
    table, parts = bench(NAMES), parts_of(NAMES, plan)
    parts[CHEAT] = np.full(6, 2**32, np.int64)
    table.assemble()
    table.begin(ASK, plan)
    table.upload(parts)
    assert (sum_of(table, plan) != sum(parts.values())).all()


@attack(
    "22b", ("coordinator", "Plan.from_bytes"), "vector-size",
    without="a vector of another length shifts every entry of the sum",
    unguarded=lambda: patch.object(Plan, "from_bytes", _padded),
)  # fmt: skip
def wrong_length() -> None:
    """Send a vector that is one entry short."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts, NAMES[:6])
    honest = packet(table.members[CHEAT].upload(parts[CHEAT]))
    receive(table, replace(honest, vector=honest.vector[:-8]))
    assert (table.coordinator._current()._total[-1:].view(np.int64) != 0).all()


def _padded(plan: Plan, raw: bytes | memoryview) -> np.ndarray:
    return np.frombuffer(bytes(raw).ljust(plan.size_bytes, b"\0")[: plan.size_bytes], dtype="<u8")


def receive(table: Bench, sent: Any) -> None:
    """Give the coordinator a packet."""
    table.coordinator.receive(open_envelope(sent.signed, table.coordinator.identity_of), sent)


@attack(
    "23", ("coordinator", "MaskedSum.part"), "upload-vector",
    without="what is added is not what was signed: no audit finds who sent it",
    unguarded=lambda: without((MaskedSum.part, "upload-vector")),
)  # fmt: skip
def changed_after_commitment() -> None:
    """Change a vector after signing its header."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts, NAMES[:6])
    honest = packet(table.members[CHEAT].upload(parts[CHEAT]))
    changed = (int.from_bytes(honest.vector[:8], "little") + 1) % 2**64
    receive(table, replace(honest, vector=changed.to_bytes(8, "little") + honest.vector[8:]))
    opened = sum_of(table, PLAN)
    assert opened[0] == sum(int(part[0]) for part in parts.values()) + 1
    shown = list(table.coordinator.check([VICTIM]))  # the coordinator finds it before it bothers a verifier
    assert len(shown) == 8


@attack(
    "25", ("coordinator", "MaskedSum.add"), "upload-late",
    without="a member that uploads twice is added twice",
    unguarded=lambda: without((MaskedSum.add, "upload-late")),
)  # fmt: skip
def two_uploads() -> None:
    """Upload twice in one round."""
    table, _parts = uploaded(NAMES)
    before = table.coordinator._current()._total.copy()
    again = packet(next(each for who, each in table.sent if who == CHEAT and each.kind == "secagg.upload"))
    receive(table, again)
    assert (table.coordinator._current()._total != before).any()


@attack(
    "36", ("every side", "Plan"), "plan-headroom",
    without="a sum wraps past 2^31 and comes out negative",
    unguarded=lambda: without((Plan.__post_init__, "plan-headroom")),
)  # fmt: skip
def one_bit_short() -> None:
    """Plan a sum with one bit too little headroom."""
    four, bound = names_of(4), 2**29
    table, plan = bench(four), Plan(6, 32, bound, 4)
    table.assemble()
    table.begin(ASK, plan)
    table.upload({name: np.full(6, bound, np.int64) for name in four})
    assert (sum_of(table, plan) == -(2**31)).all()


# -- the link ----------------------------------------------------------------------------------------------------------


class _Call:
    """A call whose TLS layer let any certificate of the authority pass."""

    def __init__(self, certificate_pem: bytes) -> None:
        self._pem = certificate_pem

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._pem]}


def identified(expel: bool, age: timedelta) -> None:
    """Let the hub read a member's certificate; a refusal comes out as `PeerError` with the hub's word for it."""
    room = Room()
    own = room.member("bank-a", age)
    diary = HubDiary(room.hub_settings())
    if expel:
        diary.expelled.add(_serial(own.certificate_pem))
    try:
        certificate = diary.hub._identify(_Call(own.certificate_pem))
        diary.hub._admit(certificate)
    except Exception as end:
        raise PeerError(getattr(end, "slug", type(end).__name__), "the hub ended the stream") from end
    assert certificate.member == "bank-a"


def _serial(pem: bytes) -> int:
    return read_member_certificate(pem).serial


@attack(
    "30", ("link", "GrpcHub._admit"), "certificate-expired",
    without="a key from an old backup speaks for the bank for ever",
    unguarded=lambda: without((GrpcHub._admit, "certificate-expired")),
)  # fmt: skip
def expired_certificate() -> None:
    """Come with a certificate that has run out."""
    identified(False, timedelta(days=31))


@attack(
    "30b", ("link", "GrpcHub._admit"), "not-a-member",
    without="a member that was removed goes on sending",
    unguarded=lambda: without((GrpcHub._admit, "why_refused")),
)  # fmt: skip
def revoked_certificate() -> None:
    """Come with a certificate that was revoked."""
    identified(True, timedelta(0))


@attack(
    "31", ("link", "Channel"), "message-too-large",
    without="one peer fills the other's memory",
    unguarded=lambda: without((Channel._check, "message-too-large")),
)  # fmt: skip
def endless_stream() -> None:
    """Announce a message without end and go on sending."""
    limits = ChannelLimits(max_message_bytes=1 << 20, max_queued_bytes=1 << 20)
    channel, piece = Channel(limits), bytes(1 << 20)
    for at in range(4):
        channel.receive(Chunk(1, at << 20, 1 << 60, piece, 0))
    assert channel._partial.tell() > limits.max_message_bytes


# -- the primitives themselves -----------------------------------------------------------------------------------------


@attack(
    "35", ("known answers", "tests/vectors"), "vectors-hold",
    without="a changed derivation in one release goes unseen: its sums are noise, or its masks are weak",
    unguarded=lambda: patch.object(mask, "_COUNTER_ZERO", (1).to_bytes(16, "big")),
)  # fmt: skip
def drifted_derivation() -> None:
    """Ship a derivation that differs from the written protocol."""
    made: Callable[[], dict[str, str]] = generate.documents
    kept = {path.name: path.read_text(encoding="ascii") for path in generate.FOLDER.glob("*.json")}
    if made() == kept:
        raise HeldError("vectors-hold", "what the code derives is what a second implementation derived")
