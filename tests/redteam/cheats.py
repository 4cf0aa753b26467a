"""What cheats can do with what they hold: take masks off, lead a member alone, certify behind everybody's back."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, sign_envelope
from privacy.field import Plan
from privacy.keys import AgreementKey, IdentityKey, open_box
from privacy.mask import apply_masks
from privacy.outgoing import Outgoing
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.epoch import Epoch, PositionKeys, box_purpose, pair_signs, self_key
from privacy.shamir import combine, lagrange_at_zero
from privacy.wire import Packet, decode_packet
from tests.privacy.secagg.scenes import ASK, content, said, signed_of
from tests.privacy.table import Bench

__all__ = ["certificate_for", "looks_uniform", "open_now", "packet", "rebuild", "swindle", "unmask"]


def packet(outgoing: Outgoing | None) -> Packet:
    """Return the packet that a member sent."""
    assert outgoing is not None
    return decode_packet(outgoing.message)


def unmask(
    vector: bytes | memoryview, plan: Plan, owner: str, seeds: Mapping[str, bytes], own_key: bytes | None = None
) -> np.ndarray:
    """Take off an owner's vector every pair mask in `seeds`, by other member, and the self-mask if its key is known."""
    words = plan.from_bytes(vector).copy()
    plus, minus = pair_signs(owner, seeds)
    apply_masks(words, minus, [*plus, own_key] if own_key else plus)
    return words.view(np.int32).astype(np.int64) if plan.word_bits == 32 else words.view(np.int64)


def rebuild(roster: Roster, shares: Mapping[str, bytes]) -> bytes:
    """Return the self seed that these holders' shares make."""
    holders = sorted(shares)[: roster.threshold]
    weights = lagrange_at_zero([roster.index(holder) + 1 for holder in holders])
    return combine([shares[holder] for holder in holders], weights)


def open_now(table: Bench, downlinks: Iterable[object]) -> np.ndarray:
    """Deliver a close and what follows from it, and return the sum that the coordinator can now read."""
    table.down(downlinks)  # type: ignore[arg-type]
    coordinator = table.coordinator
    if coordinator.certifiable():
        table.down(coordinator.certify())
    coordinator.open_sum()
    assert coordinator.sum is not None
    plan = coordinator.sum.plan
    return plan.decode(plan.from_bytes(coordinator._vector))


def certificate_for(
    table: Bench, close: say.Close, votes: Sequence[bytes], names: Iterable[str]
) -> dict[str, say.Reveal]:
    """Show these members votes for a cohort and return what they reveal."""
    message = say.Certificate(close.survivors, close.headers_sha256)
    return {name: content(table.tell(name, table.here(name), message, tuple(votes)), say.Reveal) for name in names}


def looks_uniform(numbers: np.ndarray) -> bool:
    """Say whether the bytes of these numbers pass a chi-square test for uniformity at six standard deviations."""
    raw = np.ascontiguousarray(numbers).view(np.uint8)
    counts = np.bincount(raw, minlength=256)
    expected = len(raw) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return abs(statistic - 255) < 6 * np.sqrt(2 * 255)


def swindle(table: Bench, victim: str, puppets: Mapping[str, IdentityKey], part: np.ndarray, plan: Plan) -> np.ndarray:
    """Play everybody but the victim with keys of the coordinator's own, and return the part that the victim uploads.

    puppets: by the name that is played, the key that signs for it.
    """
    member, roster = table.members[victim], Roster(tuple(sorted([victim, *puppets])))
    secrets = {name: AgreementKey.from_random(name.encode().ljust(32, b"p")) for name in puppets}
    here = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())

    def signed(name: str, at: Address, message: say.Message) -> bytes:
        return sign_envelope(puppets[name], name, COORDINATOR, at, message).raw

    own = signed_of(table.tell(victim, here, say.Assemble(roster.members, None)))
    setups = {name: signed(name, here, say.Setup(key.public, bytes(32))) for name, key in secrets.items()}
    setups[victim] = own
    agree = signed_of(table.tell(victim, here, say.Setups(), tuple(setups[name] for name in roster.members)))
    rooted = Address(here.job, 1, 0, here.manifest_sha256, member._root)
    agreements = {name: signed(name, rooted, say.Agree()) for name in puppets}
    agreements[victim] = agree
    table.tell(victim, rooted, say.Ready(), tuple(agreements[name] for name in roster.members))
    bound = bind.binding(member._root, 1, 1, bind.ask_digest(ASK), member.history.transcript)
    at = Address(here.job, 1, 1, here.manifest_sha256, member._root, bound)
    table.tell(victim, at, say.Open(1, bind.ask_digest(ASK), None))
    member.derive(ASK, plan)
    upload = packet(member.upload(part))
    publics = {name: key.public for name, key in secrets.items()}
    publics[victim] = said(own, say.Setup).agreement_key
    keys = {name: Epoch(roster, name, member._root, secrets[name], publics).enter(1, bound) for name in puppets}
    return _read(upload, victim, (roster, plan, bound), keys)


def _read(
    upload: Packet, victim: str, place: tuple[Roster, Plan, bytes], keys: Mapping[str, PositionKeys]
) -> np.ndarray:
    roster, plan, bound = place
    shares = {
        name: open_box(own.box_from[victim], upload.attachments[roster.index(name)], box_purpose(victim, name) + bound)
        for name, own in keys.items()
    }
    seeds = {name: own.mask[victim] for name, own in keys.items()}
    return unmask(upload.vector, plan, victim, seeds, self_key(bound, rebuild(roster, shares)))
