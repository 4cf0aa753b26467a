"""Attacks on the cohort and on what is asked: differences of sums, chosen requests, forged sums."""

import copy
from unittest.mock import patch

import numpy as np

from privacy import messages as say
from privacy.digest import digest, number, sha256
from privacy.envelope import COORDINATOR, Address
from privacy.secagg import binding as bind
from privacy.secagg.aggregator import Phase
from privacy.secagg.checking import SumCheck
from privacy.secagg.cohort import check_vote
from privacy.secagg.evidence import check_opened
from privacy.secagg.history import History, Vote
from privacy.secagg.member import Member
from tests.privacy.secagg.scenes import ASK, closing, content, narrowed, plan_of, said, uploaded
from tests.privacy.table import (
    Bench,
    allow_nothing,
    bench,
    names_of,
    packet_of,
    parts_of,
    sign_as,
)
from tests.redteam.attack import attack, together, without
from tests.redteam.cheats import open_now

__all__: list[str] = []

NAMES = names_of(7)  # t = 5, c = 2, u_min = 5
VICTIM, TARGET = NAMES[0], NAMES[6]
PLAN = plan_of(NAMES)
REST = NAMES[:6]


def both_sums(table: Bench, parts: dict[str, np.ndarray], ask: bytes, whole: np.ndarray) -> None:
    """Ask again without the target, open that too, and read the target's part as the difference."""
    table.down(table.coordinator.open(ask, PLAN))
    for name in REST:
        table.members[name].derive(ask, PLAN)
        table.up(name, table.members[name].upload(parts[name]))
    without_target = open_now(table, table.coordinator.close())
    assert (whole - without_target == parts[TARGET]).all()


@attack(
    "14", ("member", "check_vote"), "cohort-changed",
    without="the same request over all and over all but one: the difference is that bank's part",
    unguarded=lambda: without((check_vote, "cohort-changed")),
)  # fmt: skip
def rerun_without_one() -> None:
    """Call an opened round burnt and run it again without one member."""
    table, parts = uploaded(NAMES)
    whole = open_now(table, table.coordinator.close())
    table.coordinator.phase = Phase.READY  # it keeps the sum to itself
    both_sums(table, parts, ASK, whole)


@attack(
    "43", ("member", "check_vote"), "cohort-changed",
    without="two sums that ask nearly the same differ by one bank's part",
    unguarded=lambda: without((check_vote, "cohort-changed")),
)  # fmt: skip
def nearly_equal_requests() -> None:
    """Lose one member between two nearly equal requests of an exact job."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    whole = table.round(ASK, PLAN, parts)
    both_sums(table, parts, b'{"ask":2}', whole)


@attack(
    "44", ("member", "may_exclude"), "permit-exclusion",
    without="the last Newton step without one bank, beside the one with it, is that bank's gradient",
    unguarded=lambda: without((allow_nothing, "permit-exclusion")),
)  # fmt: skip
def lost_in_the_last_round() -> None:
    """Declare a member lost in the last round."""
    table, parts = bench(NAMES, may_exclude=allow_nothing), parts_of(NAMES, PLAN)
    table.assemble()
    whole = table.round(ASK, PLAN, parts)
    table.dead.add(TARGET)
    table.assemble(REST)
    both_sums(table, parts, b'{"ask":2}', whole)


def _forgetful(self: History, manifest_sha256: bytes, _past_votes: dict[int, Vote]) -> None:
    _remembering(self, manifest_sha256, {})


_remembering = History.__init__


@attack(
    "20", ("member", "History"), "cohort-changed",
    without="after a power cut the same round is voted for again, over fewer",
    unguarded=lambda: patch.object(History, "__init__", _forgetful),
)  # fmt: skip
def voted_before_the_crash() -> None:
    """Crash every member after its vote, and close the same round over fewer."""
    table, parts = uploaded(NAMES)
    whole = open_now(table, table.coordinator.close())
    votes = {name: {1: Vote(tuple(NAMES), bytes(32))} for name in NAMES}  # what their logs hold
    for name in NAMES:
        table.restart(name, votes[name])
    table.assemble()
    both_sums(table, parts, ASK, whole)


# -- old processes -----------------------------------------------------------------------------------------------------


def _revive(table: Bench, name: str, _snapshot: Member) -> None:
    """Restart a member as it is restarted: a fresh process that knows its votes."""
    table.restart(name, {})


def _from_snapshot(table: Bench, name: str, snapshot: Member) -> None:
    table.members[name] = snapshot


def snapshot_of(member: Member) -> Member:
    """Return a member as a virtual machine's snapshot would keep it: keys, position and all."""
    twin = copy.copy(member)
    twin._at, twin.history = copy.copy(member._at), copy.copy(member.history)
    twin.history._votes = dict(member.history._votes)
    return twin


@attack(
    "45", ("member", "Member.close"), "state-order",
    without="two lives of one process vote for two cohorts at one position",
    unguarded=lambda: patch(f"{__name__}._revive", _from_snapshot),
)  # fmt: skip
def asked_about_the_old_epoch() -> None:
    """Ask a restarted member about the epoch before."""
    table, _parts = uploaded(NAMES)
    close, headers, _downlinks = closing(table, VICTIM)
    here, snapshot = table.here(VICTIM), snapshot_of(table.members[VICTIM])
    first = content(table.tell(VICTIM, here, close, headers), say.Consent)
    _revive(table, VICTIM, snapshot)
    second = content(table.tell(VICTIM, here, *narrowed(close, headers, [0, 1, 2, 3, 4, 5])), say.Consent)
    assert first.cohort_sha256 != second.cohort_sha256


# -- what is asked, and what was the sum -------------------------------------------------------------------------------


def _derived(own: bytes, _offered: bytes) -> bytes:
    """Return the request that a node goes by: its own."""
    return own


def answered(ask: bytes) -> np.ndarray:
    """Return a bank's part: the balance of one borrower if one was asked for, else of everybody."""
    return np.full(6, 7 if ask == b"borrower 4711" else 100, np.int64)


@attack(
    "40", ("member", "Member.derive"), "ask-mismatch",
    without="whoever chooses what is added reads single borrowers out of exact sums",
    unguarded=lambda: patch(f"{__name__}._derived", lambda _own, offered: offered),
)  # fmt: skip
def chosen_request() -> None:
    """Ask for one borrower where the recipe asks for all."""
    table, forged = bench(NAMES), b"borrower 4711"
    table.assemble()
    table.down(table.coordinator.open(forged, PLAN))
    for name in NAMES:
        ask = _derived(ASK, forged)
        table.members[name].derive(ask, PLAN)
        part = answered(ask) if name == TARGET else np.zeros(6, np.int64)
        table.up(name, table.members[name].upload(part))
    assert (open_now(table, table.coordinator.close()) == 7).all()


def _loose_binding(root: bytes, position: int, round_number: int, _ask: bytes, _transcript: bytes) -> bytes:
    return digest("binding", root, number(position), number(round_number))


@attack(
    "1", ("member", "check_opened"), "sum-unverified",
    without="one bank gets another model than the others, whose parts it makes vanish: the sum is its own part",
    unguarded=lambda: together(
        without((check_opened, "sum-unverified")), patch.object(bind, "binding", _loose_binding)
    ),
)  # fmt: skip
def two_models() -> None:
    """Show one member another model, with the signatures of all colluders."""
    table, parts = bench(NAMES), parts_of(NAMES, PLAN)
    table.assemble()
    table.round(ASK, PLAN, parts)
    last, coordinator = table.coordinator.opened[-1], table.coordinator
    forged = PLAN.to_bytes(PLAN.encode(np.arange(6, dtype=np.int64)))
    lie = say.Opened(last.opened.epoch, 1, 1, last.opened.survivors, last.opened.headers_sha256, sha256(forged))
    signed = said(last.signatures[0], say.SumSignature)
    at = table.here(VICTIM)
    false = say.SumSignature(signed.cohort_sha256, lie.sum_sha256)
    bought = tuple(packet_of(sign_as(name, COORDINATOR, at, false)).signed for name in NAMES[4:6])
    honest = coordinator.open(b"dead model", PLAN)
    assert coordinator.sum is not None
    here = Address(at.job, 1, 2, at.manifest_sha256, at.agreement_root, coordinator.sum.bound)
    other = say.Open(2, bind.ask_digest(b"live model"), lie)
    table.tell(VICTIM, here, other, (*last.headers, *bought), forged)
    table.down(each for each in honest if each.to != VICTIM)
    for name in NAMES:
        table.members[name].derive(b"live model" if name == VICTIM else b"dead model", PLAN)
        part = parts[name] if name == VICTIM else np.zeros(6, np.int64)
        table.up(name, table.members[name].upload(part))
    assert (open_now(table, coordinator.close()) == parts[VICTIM]).all()


@attack(
    "18", ("member", "check_opened"), "sum-signature",
    without="a member trains on with a sum that nobody added up",
    unguarded=lambda: without((check_opened, "sum-signature"), (check_opened, "sum-unverified")),
)  # fmt: skip
def altered_sum() -> None:
    """Show an altered sum beside the signatures of the true one."""
    table = bench(NAMES)
    table.assemble()
    table.round(ASK, PLAN, parts_of(NAMES, PLAN))
    last, member = table.coordinator.opened[-1], table.members[VICTIM]
    forged = bytes([last.vector[0] ^ 1]) + last.vector[1:]
    lie = say.Opened(1, 1, 1, last.opened.survivors, last.opened.headers_sha256, sha256(forged))
    at = Address(table.manifest.job, 1, 2, table.manifest.sha256(), member._root, bytes(32))
    table.tell(VICTIM, at, say.Open(2, bytes(32), lie), last.evidence, forged)
    assert table.sums[VICTIM][0].vector == forged


@attack(
    "41", ("member", "SumCheck.add"), "sum-mismatch",
    without="members sign a forged sum, and every bank's next cuts follow it",
    unguarded=lambda: without((SumCheck.add, "sum-mismatch")),
)  # fmt: skip
def forged_sum() -> None:
    """Have a forged sum verified, by changing one part in it."""
    table, _parts = uploaded(NAMES)
    table.down(table.coordinator.close())
    table.coordinator.open_sum()
    packets = [packet_of(each.message) for each in table.coordinator.check([VICTIM])]
    here = table.here(VICTIM)
    for at, shown in enumerate(packets[:-1]):
        vector = shown.vector if at else bytes([shown.vector[0] ^ 1]) + shown.vector[1:]
        table.tell(VICTIM, here, said(shown.signed, say.CheckPart), (), vector)
    signature = content(table.tell(VICTIM, here, said(packets[-1].signed, say.Check)), say.SumSignature)
    assert signature.sum_sha256 != sha256(table.coordinator._vector)
