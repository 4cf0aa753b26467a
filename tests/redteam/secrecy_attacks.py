"""Attacks that nobody refuses: everything a coalition may know, and the part stays hidden all the same."""

import random
from unittest.mock import patch

import numpy as np

from privacy import mask
from privacy import messages as say
from privacy.field import Plan
from privacy.keys import open_box
from privacy.secagg import part as part_module
from privacy.secagg.epoch import box_purpose, self_key
from tests.privacy.secagg.scenes import ASK, closing, content, voted
from tests.privacy.table import Bench, bench, names_of
from tests.redteam.attack import HeldError, attack
from tests.redteam.cheats import certificate_for, looks_uniform, packet, rebuild, unmask

__all__: list[str] = []

NAMES = names_of(7)
LOST = NAMES[6]
PLAN = Plan(4096, 64, 1000, 7)


def filled(alive: list[str] = NAMES) -> tuple[Bench, dict[str, np.ndarray]]:
    """Return a table whose members uploaded parts that are easy to tell from noise."""
    table = bench(NAMES)
    table.assemble()
    table.begin(ASK, PLAN)
    parts = {name: np.full(4096, place + 1, np.int64) for place, name in enumerate(NAMES)}
    table.upload(parts, alive)
    return table, parts


def vector_of(table: Bench, name: str) -> bytes | memoryview:
    """Return a member's masked vector."""
    return packet(next(each for who, each in table.sent if who == name and each.kind == "secagg.upload")).vector


@attack(
    "11", ("the self-mask", "mask_part"), "stays-hidden",
    without="a member that delivered and is called dropped is read with its peers' pair seeds",
    unguarded=lambda: patch.object(part_module, "self_key", lambda _bound, _seed: bytes(32)),
)  # fmt: skip
def delivered_and_called_dropped() -> None:
    """Call a member dropped that delivered, and take off every mask that comes out."""
    table, parts = filled(NAMES[:6])
    late = packet(table.members[LOST].upload(parts[LOST]))
    close, _headers, downlinks = closing(table, NAMES[0])
    votes = voted(table, list(downlinks))
    reveals = certificate_for(table, close, list(votes.values()), NAMES[:6])
    assert not [share for reveal in reveals.values() for share in reveal.shares if share.owner == LOST]
    seeds = {name: reveal.seeds[0].value for name, reveal in reveals.items()}
    shares = {name: _box(table, name, late.attachments) for name in NAMES[:2]}  # two colluders open theirs
    assert len(shares) == table.manifest.roster.colluders
    left = unmask(late.vector, PLAN, LOST, seeds)
    known = unmask(late.vector, PLAN, LOST, seeds, bytes(32))
    if looks_uniform(left) and looks_uniform(known):
        raise HeldError("stays-hidden", "what is left of the vector is noise")
    assert (known == parts[LOST]).all()


def _box(table: Bench, name: str, boxes: tuple[bytes, ...]) -> bytes:
    at = table.members[name]._at
    assert at is not None and at.keys is not None
    return open_box(at.keys.box_from[LOST], boxes[NAMES.index(name)], box_purpose(LOST, name) + at.bound)


@attack(
    "27", ("the pair masks", "mask_part"), "stays-hidden",
    without="t - 1 members and the coordinator read every other bank by itself",
    unguarded=lambda: patch.object(part_module, "pair_signs", lambda _own, _others: ([], [])),
)  # fmt: skip
def coalition() -> None:
    """Pool all that t - 1 members and the coordinator know."""
    table, parts = filled()
    coalition_, honest = NAMES[:4], NAMES[4:]
    _close, _headers, downlinks = closing(table, NAMES[0])
    for downlink in downlinks:
        table.up(downlink.to, table.answer(downlink.to, downlink.message))
    consents = {who: content(each, say.Consent) for who, each in table.sent if each.kind == "secagg.consent"}
    bound, total, hidden = table.here(NAMES[0]).binding, np.zeros(4096, np.int64), True
    for name in honest:
        place = NAMES.index(name)
        seed = rebuild(table.manifest.roster, {who: each.shares[place].value for who, each in consents.items()})
        pairs = {other: _mask_seed(table, other, name) for other in coalition_}
        with patch.object(part_module, "pair_signs", lambda _own, _others: ([], [])):
            left = unmask(vector_of(table, name), PLAN, name, pairs, self_key(bound, seed))
        plain = unmask(vector_of(table, name), PLAN, name, {}, self_key(bound, seed))
        hidden = hidden and looks_uniform(left) and looks_uniform(plain)
        total += left
        if not hidden:
            assert (plain == parts[name]).all()
    if hidden:
        assert (total == sum(parts[name] for name in honest)).all()  # their sum, and nothing else
        raise HeldError("stays-hidden", "each honest vector is noise, only their sum is known")


def _mask_seed(table: Bench, holder: str, other: str) -> bytes:
    at = table.members[holder]._at
    assert at is not None and at.keys is not None
    return at.keys.mask[other]


@attack(
    "12", ("coordinator", "Aggregator._upload"), "discarded",
    without="a vector that comes after the vote is added to a sum that nobody voted for",
    unguarded=lambda: patch("privacy.secagg.aggregator.Aggregator._upload", _add_whenever),
)  # fmt: skip
def late_vector() -> None:
    """Deliver a vector after the cohort was closed without it."""
    table, parts = filled(NAMES[:6])
    late = table.members[LOST].upload(parts[LOST])
    downlinks = list(table.coordinator.close())
    table.up(LOST, late)
    table.dead.add(LOST)
    table.down(downlinks)
    table.down(table.coordinator.certify())
    total = table.coordinator.sum
    assert total is not None
    opened = PLAN.encode(np.zeros(4096, np.int64)) + total.open()
    if (opened.view(np.int64) == sum(parts[name] for name in NAMES[:6])).all():
        raise HeldError("discarded", "the sum is that of the cohort")


def _add_whenever(coordinator: object, envelope: object, packet_: object) -> list[object]:
    total = coordinator.sum  # type: ignore[attr-defined]
    total._total += total.plan.from_bytes(packet_.vector)  # type: ignore[attr-defined]
    if not total.survivors:
        total._total -= total.plan.from_bytes(packet_.vector)  # type: ignore[attr-defined]
        total.add(envelope.sender, envelope.message, packet_)  # type: ignore[attr-defined]
    return []


# -- masks themselves --------------------------------------------------------------------------------------------------


class _FoldedStream:
    """A mask as Flower 1.41 makes it: the seed folded to 32 bits, and a generator that is not cryptographic."""

    def __init__(self, key: bytes) -> None:
        folded = 0
        for at in range(0, len(key), 4):
            folded ^= int.from_bytes(key[at : at + 4], "big")
        self._draw = random.Random(folded)

    def update_into(self, source: bytes, buffer: bytearray) -> int:
        """Write as many bytes as came in."""
        buffer[: len(source)] = self._draw.randbytes(len(source))
        return len(source)


@attack(
    "34", ("the keystream", "apply_masks"), "half-the-bits",
    without="two seeds that differ in two bits make one mask: 2^32 guesses take it off",
    unguarded=lambda: patch.object(mask, "_cipher", lambda key, _mode: _FoldedStream(key)),
)  # fmt: skip
def related_seeds() -> None:
    """Look for seeds that make related masks."""
    key, bits = bytes(range(32)), 256 * 32
    plain = mask.keystream(key, 256, 32).view(np.uint8)

    def changed(*flips: int) -> int:
        other = bytearray(key)
        for bit in flips:
            other[bit // 8] ^= 1 << (bit % 8)
        return int(np.unpackbits(plain ^ mask.keystream(bytes(other), 256, 32).view(np.uint8)).sum())

    single = [changed(bit) for bit in range(256)]
    double = [changed(bit, bit + 32) for bit in range(0, 224, 7)]
    limit = 6 * np.sqrt(bits / 4)
    if all(abs(count - bits / 2) < limit for count in single + double):
        raise HeldError("half-the-bits", "every flipped bit of a seed turns half the mask")
    assert 0 in double
