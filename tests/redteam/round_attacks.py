"""Attacks inside a round: two votes, split views, false certificates, replays."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from privacy import messages as say
from privacy.envelope import COORDINATOR, Envelope, open_envelope
from privacy.field import Plan
from privacy.outgoing import Outgoing
from privacy.secagg.cohort import check_cohort_size, check_vote
from privacy.secagg.downlink import Downlink
from privacy.secagg.epoch import Epoch, PositionKeys, self_key
from privacy.secagg.evidence import check_votes
from privacy.secagg.member import Member
from privacy.secagg.sum import MaskedSum
from privacy.wire import Packet, decode_signed, encode_packet
from tests.privacy.secagg.scenes import ASK, closing, content, narrowed, plan_of, said, signed_of, uploaded, voted
from tests.privacy.table import Bench, bench, identity_of, names_of, packet_of, sign_as
from tests.redteam.attack import attack, together, without
from tests.redteam.cheats import certificate_for, packet, rebuild, unmask

__all__ = ["counted_by_copies"]

NAMES = names_of(7)  # t = 5, c = 2, u_min = 5
VICTIM, LOST = NAMES[0], NAMES[6]
PLAN = plan_of(NAMES)


def upload_of(table: Bench, name: str) -> Packet:
    """Return what a member uploaded."""
    return packet(next(each for who, each in table.sent if who == name and each.kind == "secagg.upload"))


def read_victim(table: Bench, shares: dict[str, bytes], seeds: dict[str, bytes], name: str = LOST) -> np.ndarray:
    """Return a member's part from shares of its self seed and its peers' pair seeds."""
    bound = table.here(name).binding
    seed = rebuild(table.manifest.roster, shares)
    return unmask(upload_of(table, name).vector, PLAN, name, seeds, self_key(bound, seed))


# -- two answers where one is due --------------------------------------------------------------------------------------


def _trusting(member: Member, envelope: Envelope, _packet: Packet) -> Outgoing:
    """Answer a certificate as Flower's client answers: both lists come from the server."""
    at, keys = member._at, member._at.keys  # type: ignore[union-attr]
    assert at is not None and keys is not None and isinstance(envelope.message, say.Certificate)
    lost = [name for name in NAMES if name not in envelope.message.survivors]
    reveal = say.Reveal((), tuple(say.PairSeed(name, keys.mask[name]) for name in lost if name in keys.mask))
    here = member._address(member._root, at.number, at.bound)
    return member._outgoing(reveal, here, "share", None)[0]


@attack(
    "6", ("member", "Member.certify"), "certificate-cohort",
    without="shares and pair seeds of one bank come out: its part is read",
    unguarded=lambda: patch.object(Member, "certify", _trusting),
)  # fmt: skip
def living_and_dead() -> None:
    """Name one member as survivor first and as dropped afterwards."""
    table, parts = uploaded(NAMES)
    close, headers, downlinks = closing(table, VICTIM)
    votes = voted(table, list(downlinks))
    shares = {name: said(raw, say.Consent).shares[6].value for name, raw in votes.items()}
    fewer, _ = narrowed(close, headers, [0, 1, 2, 3, 4, 5])
    reveals = certificate_for(table, fewer, list(votes.values()), NAMES[:6])
    seeds = {name: reveal.seeds[0].value for name, reveal in reveals.items()}
    assert (read_victim(table, shares, seeds) == parts[LOST]).all()


@attack(
    "7", ("member", "Member.close"), "state-order",
    without="two cohorts are certified at one position: their difference is one bank's part",
    unguarded=lambda: without((Member._in, "state-order"), (check_vote, "cohort-changed")),
)  # fmt: skip
def second_close() -> None:
    """Close one position twice, over two cohorts."""
    table, parts = uploaded(NAMES)
    close, headers, downlinks = closing(table, VICTIM)
    closes = {each.to: packet_of(each.message) for each in downlinks}
    boxes = {name: said(each.signed, say.Close).boxes for name, each in closes.items()}
    votes = voted(table, table_downlinks(closes))
    shares = {name: said(raw, say.Consent).shares[6].value for name, raw in votes.items()}
    fewer, few_headers = narrowed(close, headers, [0, 1, 2, 3, 4, 5])
    again = {}
    for name in NAMES[:6]:
        message = replace(fewer, boxes=boxes[name][:6])
        again[name] = signed_of(table.tell(name, table.here(name), message, few_headers))
    reveals = certificate_for(table, fewer, list(again.values()), NAMES[:6])
    seeds = {name: reveal.seeds[0].value for name, reveal in reveals.items()}
    assert (read_victim(table, shares, seeds) == parts[LOST]).all()


# -- views -------------------------------------------------------------------------------------------------------------


def split_views(table: Bench, drops: dict[str, set[str]]) -> dict[str, say.Reveal]:
    """Show every member its own view (who is dropped in it), then the votes it can be shown, and return reveals."""
    names = list(table.manifest.roster.members)
    close, headers, downlinks = closing(table, names[0])
    boxes = {each.to: said(packet_of(each.message).signed, say.Close).boxes for each in downlinks}
    views: dict[str, say.Close] = {}
    votes: dict[bytes, list[bytes]] = {}
    for name, gone in drops.items():
        keep = [at for at, other in enumerate(names) if other not in gone]
        view, few = narrowed(replace(close, boxes=boxes[name]), headers, keep)
        consent = signed_of(table.tell(name, table.here(name), view, few))
        views[name] = view
        votes.setdefault(view.headers_sha256, []).append(consent)
    reveals: dict[str, say.Reveal] = {}
    for name, view in views.items():
        reveals |= certificate_for(table, view, votes[view.headers_sha256], [name])
    return reveals


def pooled(reveals: dict[str, say.Reveal]) -> tuple[dict[str, dict[str, bytes]], dict[frozenset[str], bytes]]:
    """Return shares by owner and holder, and pair seeds by pair, out of all reveals."""
    shares: dict[str, dict[str, bytes]] = {}
    edges: dict[frozenset[str], bytes] = {}
    for name, reveal in reveals.items():
        for share in reveal.shares:
            shares.setdefault(share.owner, {})[name] = share.value
        for seed in reveal.seeds:
            edges[frozenset((name, seed.dropped))] = seed.value
    return shares, edges


@attack(
    "8", ("member", "check_votes"), "certificate-votes",
    without="thirty banks' sum falls apart into a sum over 18 and one over 12, below u_min",
    unguarded=lambda: without((check_votes, "certificate-votes")),
)  # fmt: skip
def split_thirty() -> None:
    """Show thirty members four views, each large enough, that separate 18 of them from 12."""
    names = names_of(30)
    table, parts = uploaded(names)
    group, rest, plan = names[:18], names[18:], plan_of(names)
    drops = {name: {other for at, other in enumerate(rest) if (place + at) % 2 == 0}
             for place, name in enumerate(group)}  # fmt: skip
    drops |= {name: {other for place, other in enumerate(group) if (place + at) % 2 == 1}
              for at, name in enumerate(rest)}  # fmt: skip
    shares, edges = pooled(split_views(table, drops))
    roster, total = table.manifest.roster, np.zeros(plan.length, np.uint64)
    for name in rest:
        seeds = {other: edges[frozenset((name, other))] for other in group}
        own = self_key(table.here(name).binding, rebuild(roster, shares[name]))
        total += unmask(upload_of(table, name).vector, plan, name, seeds, own).view(np.uint64)
    assert (total.view(np.int64) == sum(parts[name] for name in rest)).all()
    assert len(rest) < roster.smallest_cohort


@attack(
    "33", ("member", "check_votes"), "certificate-votes",
    without="each half of a parted network opens its own cohort: two openings, one bank read",
    unguarded=lambda: without((check_votes, "certificate-votes")),
)  # fmt: skip
def parted_network() -> None:
    """Part the network so that three sides vote for three cohorts, with two colluders voting for each."""
    table, parts = uploaded(NAMES)
    close, headers, downlinks = closing(table, VICTIM)
    closes = {each.to: packet_of(each.message) for each in downlinks}
    seen_whole, colluders = (*NAMES[:2], *NAMES[4:6]), NAMES[4:6]
    # Banks 0 and 1 see everybody, 2 and 3 see bank 6 gone, bank 6 sees 0 and 1 gone: every view has u_min members.
    whole = voted(table, [each for each in table_downlinks(closes) if each.to in seen_whole])
    shares = {name: said(raw, say.Consent).shares[6].value for name, raw in whole.items()}
    seeds = {name: _keys(table, name).mask[LOST] for name in colluders}
    for name, keep in ((NAMES[2], [0, 1, 2, 3, 4, 5]), (NAMES[3], [0, 1, 2, 3, 4, 5]), (LOST, [2, 3, 4, 5, 6])):
        view, few = narrowed(replace(close, boxes=said(closes[name].signed, say.Close).boxes), headers, keep)
        consent = table.tell(name, table.here(name), view, few)
        vote = replace(content(consent, say.Consent), shares=())
        bought = [packet_of(sign_as(each, COORDINATOR, table.here(each), vote)).signed for each in colluders]
        reveal = certificate_for(table, view, [signed_of(consent), *bought], [name])[name]
        if name == LOST:
            shares[LOST] = next(share.value for share in reveal.shares if share.owner == LOST)
            seeds |= {seed.dropped: seed.value for seed in reveal.seeds}
        else:
            seeds[name] = reveal.seeds[0].value
    assert (read_victim(table, shares, seeds) == parts[LOST]).all()


def table_downlinks(closes: dict[str, Packet]) -> list[Downlink]:
    """Return packets as what goes down to members."""
    opened = {name: open_envelope(each.signed, lambda sender: identity_of(sender).public)
              for name, each in closes.items()}  # fmt: skip
    return [Downlink(name, encode_packet(each), opened[name]) for name, each in closes.items()]


def _keys(table: Bench, name: str) -> PositionKeys:
    at = table.members[name]._at
    assert at is not None and at.keys is not None
    return at.keys


@attack(
    "10", ("member", "check_cohort_size"), "cohort-too-small",
    without="with one colluder the sum over three is a sum of two banks",
    unguarded=lambda: without((check_cohort_size, "cohort-too-small")),
)  # fmt: skip
def tiny_cohort() -> None:
    """Open a sum of four over three."""
    four = NAMES[:4]
    table, parts = uploaded(four, alive=four[:3])
    coordinator = table.coordinator
    total = coordinator.sum
    assert total is not None
    with without((MaskedSum.close, "cohort-too-small")):  # the cheat does not check itself
        table.down(coordinator.close())
    table.down(coordinator.certify())
    coordinator.open_sum()
    plan: Plan = total.plan
    assert (plan.decode(plan.from_bytes(coordinator._vector)) == sum(parts[name] for name in four[:3])).all()


# -- false certificates ------------------------------------------------------------------------------------------------


def short_of_votes() -> tuple[Bench, say.Close, list[bytes]]:
    """Return a table of which six uploaded, its close, and the votes of t - 1 of them."""
    table, _parts = uploaded(NAMES, alive=NAMES[:6])
    close, _headers, downlinks = closing(table, VICTIM)
    votes = voted(table, [each for each in downlinks if each.to in NAMES[:4]])
    return table, close, list(votes.values())


def uncertified(table: Bench, close: say.Close, votes: list[bytes]) -> None:
    """Let the victim answer a certificate and hold it to have revealed a pair seed."""
    reveal = certificate_for(table, close, votes, [VICTIM])[VICTIM]
    assert reveal.seeds[0].dropped == LOST and reveal.seeds[0].value


@attack(
    "9", ("member", "check_votes"), "certificate-votes",
    without="pair seeds come out for a cohort that four of seven agreed to; another four may agree to another",
    unguarded=lambda: without((check_votes, "certificate-votes")),
)  # fmt: skip
def one_vote_short() -> None:
    """Certify with t - 1 votes."""
    uncertified(*short_of_votes())


@attack(
    "9b", ("member", "check_votes"), "certificate-voter",
    without="one member's vote counts as often as it is copied",
    unguarded=lambda: counted_by_copies(),
)  # fmt: skip
def doubled_vote() -> None:
    """Certify with one vote shown twice."""
    table, close, votes = short_of_votes()
    uncertified(table, close, [*votes, votes[0]])


class _Copies(set[str]):
    """A set that counts what was added, not what is in it."""

    def __init__(self, *content: Any) -> None:
        super().__init__(*content)
        self.added = super().__len__()

    def add(self, item: str) -> None:
        super().add(item)
        self.added += 1

    def __len__(self) -> int:
        return self.added


def counted_by_copies() -> AbstractContextManager[Any]:
    """Count votes as they come, however often one comes."""
    return together(
        without((check_votes, "certificate-voter")), patch("privacy.secagg.evidence.set", _Copies, create=True)
    )


@attack(
    "9c", ("member", "Member.certify"), "member-unknown",
    without="whoever makes keys makes votes",
    unguarded=lambda: together(
        patch.object(Member, "_identity_in_epoch", lambda _member, name: identity_of(name).public),
        without((check_votes, "certificate-voter")),
    ),
)  # fmt: skip
def foreign_vote() -> None:
    """Certify with the vote of somebody who has no seat."""
    table, close, votes = short_of_votes()
    stranger = sign_as("stranger", COORDINATOR, table.here(VICTIM), said(votes[0], say.Consent))
    uncertified(table, close, [*votes, packet_of(stranger).signed])


# -- replays -----------------------------------------------------------------------------------------------------------


@attack(
    "13", ("member", "Member.open"), "position-order",
    without="one position is masked twice",
    unguarded=lambda: without((Member.open, "position-order"), (Epoch.enter, "position-order")),
)  # fmt: skip
def replayed_open() -> None:
    """Replay the open of a position that has passed."""
    table = bench(NAMES)
    table.assemble()
    first = table.coordinator.open(ASK, PLAN)
    table.down(first)
    member = table.members[VICTIM]
    member.derive(ASK, PLAN)
    once = packet(member.upload(np.zeros(6, np.int64)))
    table.answer(VICTIM, first[0].message)
    member.derive(ASK, PLAN)
    twice = packet(member.upload(np.ones(6, np.int64)))
    assert decode_signed(once.signed).binding == decode_signed(twice.signed).binding
    assert once.vector != twice.vector


@attack(
    "13b", ("member", "Envelope.expect"), "envelope-job",
    without="a message of one job moves a member in another",
    unguarded=lambda: patch.object(Envelope, "expect", lambda *_: None),
)  # fmt: skip
def mixed_jobs() -> None:
    """Answer a round of one job with messages of another."""
    table, other = uploaded(NAMES)[0], bench(NAMES, job="job-2")
    other.assemble()
    other.coordinator.position = 1
    before = table.members[VICTIM]._at
    table.answer(VICTIM, other.coordinator.open(b"another", PLAN)[0].message)
    assert table.members[VICTIM]._at is not before


@attack(
    "32", ("member", "Member.close"), "state-order",
    without="a vote repeats with every copy, and steps run in any order",
    unguarded=lambda: without((Member._in, "state-order"), (check_vote, "cohort-changed")),
)  # fmt: skip
def doubled_message() -> None:
    """Deliver a close twice."""
    table, _parts = uploaded(NAMES)
    downlink = next(iter(table.coordinator.close()))
    first = content(table.answer(downlink.to, downlink.message), say.Consent)
    state, votes = table.members[VICTIM].state, dict(table.members[VICTIM].history._votes)
    try:
        second = content(table.answer(downlink.to, downlink.message), say.Consent)
    finally:
        assert table.members[VICTIM].state is state and table.members[VICTIM].history._votes == votes
    assert first == second
