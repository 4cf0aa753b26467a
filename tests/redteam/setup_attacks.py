"""Attacks on the set-up: false rosters, false keys, false seats, false rules."""

from unittest.mock import patch

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, Envelope
from privacy.keys import AgreementKey
from privacy.manifest import Manifest, decode_manifest
from privacy.roster import check_member_id
from privacy.secagg import member
from privacy.secagg.cohort import left_behind
from privacy.secagg.epoch import Epoch
from privacy.secagg.standing import State
from tests.privacy.secagg.scenes import content, plan_of, said, signed_of
from tests.privacy.table import bench, identity_of, manifest_of, names_of, packet_of, parts_of, sign_as
from tests.redteam.attack import attack, together, without
from tests.redteam.cheats import swindle

__all__: list[str] = []

NAMES = names_of(4)
VICTIM = NAMES[0]
EIGHT = names_of(8)


@attack(
    "2", ("member", "Member.ready"), "envelope-agreement-root",
    without="each side works in an epoch that the other never agreed to",
    unguarded=lambda: patch.object(member, "check_agreements", lambda *_: None),
)  # fmt: skip
def two_rosters() -> None:
    """Show two rosters at set-up."""
    table = bench(EIGHT)
    here = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    everyone, fewer = tuple(EIGHT), tuple(EIGHT[:7])
    shown = {name: everyone if name in (EIGHT[0], EIGHT[7]) else fewer for name in EIGHT}
    setups = {name: signed_of(table.tell(name, here, say.Assemble(shown[name], None))) for name in EIGHT}
    agreements = {
        name: signed_of(table.tell(name, here, say.Setups(), tuple(setups[each] for each in shown[name])))
        for name in EIGHT
    }
    for name in (EIGHT[1], EIGHT[0]):
        rooted = Address(here.job, 1, 0, here.manifest_sha256, table.members[name]._root)
        table.tell(name, rooted, say.Ready(), tuple(agreements[each] for each in shown[name]))
    one, other = table.members[EIGHT[0]], table.members[EIGHT[1]]
    assert one.state is other.state is State.WAITING and one._root != other._root


@attack(
    "3", ("member", "open_envelope"), "signature-invalid",
    without="the man in the middle holds every pair secret of the bank and reads its part",
    unguarded=lambda: patch("privacy.envelope.verify", lambda *_: None),
)  # fmt: skip
def swapped_keys() -> None:
    """Put the coordinator's own X25519 keys under the other members' names."""
    table, plan = bench(NAMES), plan_of(NAMES)
    part = parts_of(NAMES, plan)[VICTIM]
    coordinator = identity_of(COORDINATOR)
    read = swindle(table, VICTIM, dict.fromkeys(NAMES[1:], coordinator), part, plan)
    assert (read == part).all()


SYBILS = ["sybil-1", "sybil-2", "sybil-3"]


def _any_seat(manifest: Manifest, name: str) -> bytes:
    known = {seat.member: seat.identity for seat in manifest.seats}
    return known.get(name) or identity_of(name).public


@attack(
    "4", ("member", "Member.assemble"), "cohort-changed",
    without="a bank among puppets adds its part to three known ones and is read",
    unguarded=lambda: together(
        without((left_behind, "cohort-changed")), patch.object(Manifest, "identity_of", _any_seat)
    ),
)  # fmt: skip
def sybil_seats() -> None:
    """Seat puppets that are not in the manifest."""
    table, plan = bench(NAMES), plan_of(NAMES)
    part = parts_of(NAMES, plan)[VICTIM]
    read = swindle(table, VICTIM, {name: identity_of(name) for name in SYBILS}, part, plan)
    assert (read == part).all()


@attack(
    "4b", ("member", "check_member_id"), "member-id",
    without="whoever is called like the coordinator signs with the coordinator's key",
    unguarded=lambda: without((check_member_id, "member-id")),
)  # fmt: skip
def coordinator_in_a_seat() -> None:
    """Seat the coordinator itself as a member."""
    raw = manifest_of(NAMES).encode()
    own, last = identity_of(COORDINATOR).public, identity_of(NAMES[3]).public
    offered = raw.replace(NAMES[3].encode(), COORDINATOR.encode()).replace(last.hex().encode(), own.hex().encode())
    assert decode_manifest(offered).identity_of(COORDINATOR) == own


def _low_order_exchange(key: AgreementKey, other: bytes) -> bytes:
    try:
        return _exchange(key, other)
    except Exception:
        return bytes(32)


_exchange = AgreementKey.exchange


@attack(
    "5", ("member", "AgreementKey.exchange"), "agreement-key-low-order",
    without="whoever reads the wire knows that pair's masks: their secret is zero",
    unguarded=lambda: patch.object(AgreementKey, "exchange", _low_order_exchange),
)  # fmt: skip
def low_order_key() -> None:
    """Agree with a low-order key."""
    table = bench(NAMES)
    member_ = table.members[VICTIM]
    here = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    setups = [signed_of(table.tell(name, here, say.Assemble(tuple(NAMES), None))) for name in NAMES]
    weak = say.Setup(bytes(32), bytes(32))
    setups[3] = packet_of(sign_as(NAMES[3], COORDINATOR, here, weak)).signed
    table.tell(VICTIM, here, say.Setups(), tuple(setups))
    epoch = member_._epoch
    assert epoch is not None
    # An outsider with no key at all: any private key gives the same secret with this public one.
    publics = {name: said(raw, say.Setup).agreement_key for name, raw in zip(NAMES, setups, strict=True)}
    outsider = Epoch(epoch.roster, NAMES[3], epoch.root, AgreementKey.from_random(b"o" * 32), {
        **publics, VICTIM: bytes(32), NAMES[3]: publics[VICTIM]})  # fmt: skip
    bound = bytes(32)
    assert outsider.enter(1, bound).mask[VICTIM] == epoch.enter(1, bound).mask[NAMES[3]]


@attack(
    "5b", ("member", "Epoch"), "agreement-key-repeated",
    without="two seats speak with one key: a seat is counted that nobody holds",
    unguarded=lambda: without((Epoch.__init__, "agreement-key-repeated")),
)  # fmt: skip
def one_key_for_two_seats() -> None:
    """Show one agreement key under two names."""
    table = bench(NAMES)
    here = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    setups = [signed_of(table.tell(name, here, say.Assemble(tuple(NAMES), None))) for name in NAMES]
    copied = say.Setup(said(setups[2], say.Setup).agreement_key, bytes(32))
    setups[3] = packet_of(sign_as(NAMES[3], COORDINATOR, here, copied)).signed
    assert content(table.tell(VICTIM, here, say.Setups(), tuple(setups)), say.Agree) is not None


@attack(
    "15", ("member", "Envelope.expect"), "envelope-manifest-sha256",
    without="a member answers in a job whose rules it never signed",
    unguarded=lambda: patch.object(Envelope, "expect", lambda *_: None),
)  # fmt: skip
def changed_rules() -> None:
    """Raise the rounds in the middle of a job."""
    table, other = bench(NAMES), bench(NAMES, max_rounds=99_999)
    table.assemble()
    other.coordinator.epoch = 1
    downlink = other.coordinator.assemble(other.manifest.roster)[0]
    assert content(table.answer(VICTIM, downlink.message), say.Setup) is not None


@attack(
    "15b", ("member", "decode_manifest"), "manifest-canonical",
    without="a manifest may claim that two votes certify a cohort of seven",
    unguarded=lambda: without((decode_manifest, "manifest-canonical")),
)  # fmt: skip
def lowered_threshold() -> None:
    """Offer a manifest with a lower threshold."""
    raw = manifest_of(names_of(7)).encode()
    claimed = raw.replace(b'"threshold":5', b'"threshold":2')
    assert claimed != raw and decode_manifest(claimed).parameters == {"bins": 8}
