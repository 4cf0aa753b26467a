"""Attacks of the coordinator beside the list: two jobs, crashes, copies of itself, old epochs, absurd messages."""

import json
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from privacy import messages as say
from privacy import wire
from privacy.envelope import COORDINATOR, Address, Envelope
from privacy.manifest import decode_manifest
from privacy.outgoing import Outgoing
from privacy.secagg import binding as bind
from privacy.secagg.aggregator import Aggregator
from privacy.secagg.evidence import check_votes
from privacy.secagg.history import History, Vote
from privacy.secagg.member import Member
from privacy.secagg.part import check_header
from privacy.wire import Packet
from risk.recipe import Ask
from tests.privacy.secagg.scenes import ASK, closing, content, narrowed, plan_of, said, signed_of, uploaded, voted
from tests.privacy.table import bench, identity_of, manifest_of, names_of, packet_of, parts_of, sign_as
from tests.redteam.attack import attack, together, without
from tests.redteam.cheats import packet
from tests.redteam.round_attacks import short_of_votes, uncertified
from tests.redteam.sender_attacks import receive

__all__: list[str] = []

NAMES = names_of(7)  # t = 5, c = 2, u_min = 5
VICTIM, CHEAT = NAMES[0], NAMES[6]
PLAN = plan_of(NAMES)


def anywhere(*_: object) -> None:
    """Take a message wherever it belongs."""


# -- two jobs, two coordinators, two epochs ----------------------------------------------------------------------------


@attack(
    "+1", ("member", "Envelope.expect"), "envelope-job",
    without="one vote counts in every job: pair seeds come out for a cohort that too few agreed to",
    unguarded=lambda: together(
        patch.object(Envelope, "expect", anywhere), without((check_votes, "certificate-vote"))
    ),
)  # fmt: skip
def vote_of_another_job() -> None:
    """Run two jobs at once, and fill a certificate of one with a vote of the other."""
    other, _parts = uploaded(NAMES, NAMES[:6], bench(NAMES, job="job-2"))
    _close, _headers, downlinks = closing(other, VICTIM)
    foreign = voted(other, [each for each in downlinks if each.to == NAMES[4]])[NAMES[4]]
    table, close, votes = short_of_votes()
    uncertified(table, close, [*votes, foreign])


@attack(
    "+2", ("member", "History.take"), "opened-vote",
    without="a bank that voted for seven goes on from a sum over five, and never says a word",
    unguarded=lambda: without((History.take, "opened-vote")),
)  # fmt: skip
def lie_at_the_crash() -> None:
    """Call the bank that crashed after its vote, and another one, no survivors of that very round."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.begin(ASK, PLAN)
    uploads = {name: table.members[name].upload(parts[name]) for name in NAMES}
    headers = tuple(packet(uploads[name]).signed for name in NAMES)
    boxes = tuple(packet(uploads[name]).attachments[0] for name in NAMES)
    whole = say.Close(tuple(NAMES), bind.headers_digest(headers), boxes)
    vote = content(table.tell(VICTIM, table.here(VICTIM), whole, headers), say.Consent)
    table.dead |= {VICTIM, CHEAT}
    for name in NAMES[1:6]:
        table.up(name, uploads[name])
    table.down(table.coordinator.close())
    table.down(table.coordinator.certify())
    table.verify()
    table.restart(VICTIM, {1: Vote(tuple(NAMES), vote.cohort_sha256)})  # what its own log holds
    table.catch_up(VICTIM, [ASK], PLAN)
    assert table.sums[VICTIM][0].survivors == tuple(NAMES[1:6])


@attack(
    "+3", ("member", "Envelope.expect"), "envelope-epoch",
    without="the vote for a position goes to an epoch that the member has left",
    unguarded=lambda: together(
        patch.object(Envelope, "expect", anywhere), without((Member._check_headers, "header-replaced"))
    ),
)  # fmt: skip
def close_of_another_epoch() -> None:
    """Replay the close of an epoch that was burnt in the one after it, in the same round and position."""
    table, parts = uploaded(NAMES)
    old, headers, _downlinks = closing(table, VICTIM)
    there = table.here(VICTIM)
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts)
    assert content(table.tell(VICTIM, there, old, headers), say.Consent).cohort_sha256


@attack(
    "+4", ("member", "Envelope.expect"), "envelope-epoch",
    without="two coordinators each close their own cohort, over the same uploads",
    unguarded=lambda: together(
        patch.object(Envelope, "expect", anywhere), without((Member._check_headers, "header-replaced"))
    ),
)  # fmt: skip
def two_coordinators() -> None:
    """Run two coordinators with one key: the second calls an epoch while the first has its uploads."""
    table, parts = uploaded(NAMES)
    first, there = table.coordinator, table.here(VICTIM)
    table.coordinator = Aggregator(table.manifest, identity_of(COORDINATOR))
    table.coordinator.epoch = first.epoch  # or every member would refuse its first epoch as an old one
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts, NAMES[:6])
    table.coordinator, second = first, table.coordinator
    close, headers, _downlinks = closing(table, VICTIM)
    consent = content(table.tell(VICTIM, there, close, headers), say.Consent)
    assert consent.cohort_sha256 and second.sum is not None


# -- what is asked, and with which rules -------------------------------------------------------------------------------


def _ask(bound: int) -> bytes:
    return Ask(
        recipe="scorecard/1", part="full", name="counts-1", rows="train", length=6, word_bits=64, bound=bound,
        row_linf=1, row_l1=1,
    ).encode()  # fmt: skip


def _derived(own: bytes, _offered: bytes) -> bytes:
    """Return the request that a node goes by: its own."""
    return own


@attack(
    "+5", ("member", "Member.derive"), "ask-mismatch",
    without="banks round to another grid than they proved headroom for",
    unguarded=lambda: patch(f"{__name__}._derived", lambda _own, offered: offered),
)  # fmt: skip
def same_name_other_bound() -> None:
    """Ask under the right name, with another bound."""
    table = bench(NAMES)
    table.assemble()
    own, offered = _ask(PLAN.bound), _ask(10**6 * PLAN.bound)
    table.down(table.coordinator.open(offered, PLAN))
    table.members[VICTIM].derive(_derived(own, offered), PLAN)
    assert table.members[VICTIM].history.ask_sha256 == bind.ask_digest(offered)


@attack(
    "+6", ("member", "Envelope.expect"), "envelope-manifest-sha256",
    without="banks train with parameters of their own, and the model is nobody's",
    unguarded=lambda: patch.object(Envelope, "expect", anywhere),
)  # fmt: skip
def negative_zero() -> None:
    """Give one bank the parameter -0.0 where the others have 0.0: equal as numbers, not as rules."""
    table, other = bench(NAMES, parameters={"ridge": 0.0}), bench(NAMES, parameters={"ridge": -0.0})
    assert table.manifest.parameters == other.manifest.parameters
    here = Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256())
    there = replace(here, manifest_sha256=other.manifest.sha256())
    everyone = say.Assemble(tuple(NAMES), None)
    setups = [signed_of(other.tell(VICTIM, there, everyone))]
    setups += [signed_of(table.tell(name, here, everyone)) for name in NAMES[1:]]
    assert content(other.tell(VICTIM, there, say.Setups(), tuple(setups)), say.Agree) is not None


_dumps = json.dumps


@attack(
    "+7", ("member", "decode_manifest"), "manifest-malformed",
    without="a parameter that equals nothing, itself included, passes every comparison with a limit",
    unguarded=lambda: patch("privacy.manifest.json.dumps", lambda *a, **k: _dumps(*a, **{**k, "allow_nan": True})),
)  # fmt: skip
def not_a_number() -> None:
    """Offer a manifest whose parameter is NaN."""
    raw = manifest_of(NAMES).encode().replace(b'"bins":8', b'"bins":NaN')
    bins: Any = decode_manifest(raw).parameters["bins"]
    assert not bins < 1 and not bins > 64


# -- absurd messages ---------------------------------------------------------------------------------------------------


@attack(
    "+8", ("member", "check_header"), "header-shape",
    without="a bank votes for a cohort whose parts cannot be added",
    unguarded=lambda: without((check_header, "header-shape")),
)  # fmt: skip
def header_of_another_length() -> None:
    """Pass on a colluder's header for a vector of another length."""
    table, _parts = uploaded(NAMES)
    close, headers, _downlinks = closing(table, VICTIM)
    header = replace(said(headers[6], say.Header), length=7)
    signed = packet_of(sign_as(CHEAT, COORDINATOR, table.here(CHEAT), header)).signed
    shown = (*headers[:6], signed)
    message = replace(close, headers_sha256=bind.headers_digest(shown))
    assert content(table.tell(VICTIM, table.here(VICTIM), message, shown), say.Consent).cohort_sha256


@attack(
    "+9", ("member", "Close"), "message-members",
    without="three banks, two of them named twice, pass for a cohort of five",
    unguarded=lambda: patch("privacy.messages._members", anywhere),
)  # fmt: skip
def one_survivor_twice() -> None:
    """Name survivors twice until there are enough."""
    table, _parts = uploaded(NAMES)
    close, headers, _downlinks = closing(table, VICTIM)
    with patch("privacy.messages._members", anywhere):  # the cheat does not check itself
        few, shown = narrowed(close, headers, [0, 0, 1, 1, 2])
        raw = sign_as(COORDINATOR, VICTIM, table.here(VICTIM), few, shown)
    consent: Outgoing | None = table.answer(VICTIM, raw)
    assert content(consent, say.Consent).cohort_sha256
    assert len(set(few.survivors)) < table.manifest.roster.smallest_cohort


@attack(
    "+10", ("every side", "decode_packet"), "packet-size",
    without="two megabytes on the wire become a million objects, six hundred become the end of the process",
    unguarded=lambda: without((wire._split_vector, "packet-size"), (wire.decode_packet, "packet-size")),
)  # fmt: skip
def million_attachments() -> None:
    """Attach a million times nothing."""
    made = wire.decode_packet(wire.encode_packet(Packet(b"", (b"",) * 1_000_000)))
    assert len(made.attachments) == 1_000_000


@attack(
    "+11", ("coordinator", "check_header"), "header-shape",
    without="one bank's short vector is added to the first entries of everybody's",
    unguarded=lambda: together(
        without((check_header, "header-shape")), patch("privacy.field.Plan.from_bytes", lambda plan, raw: np.frombuffer(
            bytes(raw).ljust(plan.size_bytes, b"\0")[: plan.size_bytes], dtype="<u8"))),
)  # fmt: skip
def upload_of_another_length() -> None:
    """Upload a vector of another length under a header that says so."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.begin(ASK, PLAN)
    table.upload(parts, NAMES[:6])
    honest = packet(table.members[CHEAT].upload(parts[CHEAT]))
    header = replace(said(honest.signed, say.Header), length=5)
    sent = sign_as(CHEAT, COORDINATOR, table.here(CHEAT), header, honest.attachments, honest.vector[:-8])
    receive(table, packet_of(sent))
    assert CHEAT in table.coordinator._current().headers
