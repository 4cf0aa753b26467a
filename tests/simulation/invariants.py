"""What has to hold in every world, whatever the network and the processes did."""

from collections import defaultdict
from itertools import pairwise

from privacy import messages as say
from privacy.envelope import COORDINATOR, Envelope, open_envelope
from privacy.roster import Roster
from privacy.wire import decode_packet
from tests.simulation.world import LOST_AFTER_S, REJOIN_S, World, plain_sum

__all__ = ["findings"]

# A loss is noticed within LOST_AFTER_S and waited for REJOIN_S; the rest is what the messages of a job take.
LATEST_S = LOST_AFTER_S + REJOIN_S + 3
SLOWEST_MESSAGES = 150
HONEST_REFUSALS = {"permit-exclusion"}
Place = tuple[int, int]


def findings(world: World) -> list[str]:
    """List what broke in a world; empty if nothing did."""
    sent = [open_envelope(decode_packet(each.message).signed, world.manifest.identity_of)
            for bank in world.banks.values() for each in bank.emitted]  # fmt: skip
    return [
        *_wrong_sums(world), *_cohorts(world), *_end(world), *_refusals(world), *_both_secrets(world, sent),
        *_votes(sent), *_reused(sent),
    ]  # fmt: skip


def _refusals(world: World) -> list[str]:
    """An honest coordinator is refused nothing but an exclusion that a permit forbids."""
    return [f"{bank.name} refused {refusal}" for bank in world.banks.values() for refusal in bank.refusals
            if refusal.split(":")[0] not in HONEST_REFUSALS]  # fmt: skip


def _wrong_sums(world: World) -> list[str]:
    found = []
    for number, survivors, request, total in world.story.sums:
        if total != plain_sum(survivors, request):
            found.append(f"round {number} opened {total}, its cohort adds up to {plain_sum(survivors, request)}")
    return found


def _cohorts(world: World) -> list[str]:
    """After the first sum, a cohort stays or loses only those whom every later member agreed to leave behind."""
    found = []
    opened = world.story.sums
    for earlier, later in pairwise(opened):
        gone = set(earlier[1]) - set(later[1])
        if set(later[1]) - set(earlier[1]):
            found.append(f"round {later[0]} opened over a member that round {earlier[0]} lacked")
        for name in later[1]:
            if not gone <= world.banks[name].behind:
                found.append(f"round {later[0]} opened without {sorted(gone)}, which {name} never agreed to")
    if [number for number, *_ in opened] != list(range(1, len(opened) + 1)):
        found.append("rounds opened twice or out of order")
    return found


def _end(world: World) -> list[str]:
    story, found = world.story, []
    if story.state not in {"done", "failed"} or (story.state == "failed" and not story.reason):
        found.append(f"the job ended {story.state!r} because of {story.reason!r}")
    if story.ended > story.last_fault + LATEST_S + SLOWEST_MESSAGES * world.pace:
        found.append(f"the job ended {story.ended - story.last_fault:.0f} s after the last fault")
    learned = {bank.outcome for bank in world.banks.values() if bank.outcome}
    if story.state == "done" and (not learned <= {story.outcome} or len(story.sums) != world.rounds):
        found.append(f"members learned {learned}, the coordinator {story.outcome}")
    if story.state == "failed" and learned:
        found.append("a member calls a failed job done")
    return found


def _both_secrets(world: World, sent: list[Envelope]) -> list[str]:
    """Of one member at one position: never a share and a pair seed from one sender, never t shares and any seed."""
    found = []
    holders: dict[tuple[Place, str], set[str]] = defaultdict(set)
    seeds: dict[tuple[Place, str], set[str]] = defaultdict(set)
    for envelope in sent:
        place = (envelope.address.epoch, envelope.address.position)
        message = envelope.message
        if isinstance(message, say.Consent | say.Reveal):
            for share in message.shares:
                holders[place, share.owner].add(envelope.sender)
        if isinstance(message, say.Reveal):
            for seed in message.seeds:
                seeds[place, seed.dropped].add(envelope.sender)
    # An epoch has four members at least, so three shares are the fewest that rebuild anything.
    fewest = Roster(world.manifest.roster.members[:4]).threshold
    for (place, name), who in seeds.items():
        both = who & holders[place, name]
        if both or len(holders[place, name]) >= fewest:
            found.append(
                f"both secrets of {name} at {place} are out: {sorted(both)}, {len(holders[place, name])} shares"
            )
    return found


def _votes(sent: list[Envelope]) -> list[str]:
    """One vote a position and member, and no two certified cohorts at one position."""
    found = []
    votes: dict[Place, dict[str, bytes]] = defaultdict(dict)
    for envelope in sent:
        if isinstance(envelope.message, say.Consent):
            place = (envelope.address.epoch, envelope.address.position)
            if envelope.sender in votes[place]:
                found.append(f"{envelope.sender} voted twice at {place}")
            votes[place][envelope.sender] = envelope.message.cohort_sha256
    found += [f"two cohorts were voted for at {place}" for place, cast in votes.items() if len(set(cast.values())) > 1]
    return found


def _reused(sent: list[Envelope]) -> list[str]:
    """Two uploads of one member never share a binding: their masks would be the same."""
    found = []
    seen: set[tuple[str, bytes]] = set()
    for envelope in sent:
        if envelope.kind == "upload":
            assert envelope.recipient == COORDINATOR
            key = (envelope.sender, envelope.address.binding)
            if key in seen:
                found.append(f"{envelope.sender} masked twice for one binding")
            seen.add(key)
    return found
