"""A simulated bank: the real member machine, driven message by message, that can be killed at any line.

Durable is only what its log would hold: the votes of recorded consents and the members it left behind.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np

from privacy import messages as say
from privacy.digest import digest
from privacy.envelope import COORDINATOR
from privacy.errors import PeerError, PrivacyError, RefusalError
from privacy.manifest import decode_manifest
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum, Vote
from privacy.secagg.member import Member
from privacy.secagg.replay import Replay
from privacy.secagg.standing import MemberRules, State
from privacy.wire import decode_packet
from tests.privacy.secagg.scenes import said
from tests.privacy.table import identity_of

__all__ = ["Bank", "Wish", "part_of", "wishes"]

BOUND = 2**20


@dataclass(frozen=True)
class Wish:
    """A request as a recipe would make it; its name depends on every sum before."""

    name: str
    length: int = 3
    word_bits: int = 32
    bound: int = BOUND
    noise: int = 0

    def encode(self) -> bytes:
        return self.name.encode()


def wishes(count: int) -> Generator[Wish, np.ndarray, str]:
    """Ask `count` times and return a name that depends on all sums."""
    name = "start"
    for number in range(count):
        total = yield Wish(f"{number}:{name}")
        name = digest("ask", name.encode(), total.tobytes()).hex()[:12]
    return name


def part_of(bank: str, request: bytes) -> np.ndarray:
    """Return a bank's part of a request, (3,) int64 within ±BOUND: the same whenever it is asked."""
    raw = digest("ask", bank.encode(), request)
    return np.array([int.from_bytes(raw[at : at + 4], "big") % (2 * BOUND + 1) - BOUND for at in (0, 4, 8)])


@dataclass
class Bank:
    """One bank over all its processes. spend: exclusions that its permit allows over all jobs."""

    name: str
    spend: int
    rounds: int
    random_bytes: Callable[[int], bytes]
    votes: dict[int, Vote] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    emitted: list[Outgoing] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    outcome: str = ""
    member: Member | None = None
    replay: Replay | None = None

    def die(self) -> None:
        """Lose everything that was in memory."""
        self.member, self.replay = None, None

    def take(self, raw: bytes) -> list[Outgoing]:
        """Handle one message and return what is recorded and ready to leave."""
        try:
            outgoing = self._step(raw)
        except PrivacyError as error:
            self.refusals.append(f"{error.code}: {error.message}")
            if self.member is None or self.member.state is State.ENDED:
                return []
            outgoing = self.member.halt(error.code)
            self.die()
        if outgoing is None:
            return []
        self._record(outgoing)
        return [outgoing]

    def _step(self, raw: bytes) -> Outgoing | None:
        packet = decode_packet(raw)
        if self.member is None:
            self._join(packet.signed)
            return None
        member, replay = self.member, self.replay
        assert replay is not None
        envelope = member.receive(packet.signed)
        fresh, outgoing = None, None
        match envelope.kind:
            case "assemble":
                fresh, outgoing = member.assemble(envelope, packet)
            case "setups":
                outgoing = member.setups(envelope, packet)
            case "ready":
                member.ready(envelope, packet)
            case "open":
                self._feed(member.open(envelope, packet))
                member.derive(replay.request.encode(), replay.plan)
                outgoing = member.upload(part_of(self.name, replay.request.encode()))
            case "close":
                outgoing = member.close(envelope, packet)
            case "certificate":
                outgoing = member.certify(envelope, packet)
            case "check-part":
                member.check_part(envelope, packet)
            case "check":
                outgoing = member.check(envelope)
            case "catch-up":
                fresh = member.catch_up(envelope, packet, replay.request.encode(), replay.plan)
            case "ended":
                fresh = member.ended(envelope, packet)
            case _:
                raise PeerError("kind-unexpected", envelope.kind)
        self._feed(fresh)
        if envelope.kind == "ended" and replay.done:
            self.outcome = replay.outcome
        return outgoing

    def _join(self, signed: bytes) -> None:
        """Start on a charter; anything else is for a process that is gone."""
        try:
            manifest = decode_manifest(said(signed, say.Charter).manifest)
        except AssertionError:
            return
        rules = MemberRules(
            self.name, identity_of(self.name), identity_of(COORDINATOR).public, bytes(32), self._may_exclude,
            self.random_bytes,
        )  # fmt: skip
        self.member = Member(manifest, rules, dict(self.votes))
        self.replay = Replay(wishes(self.rounds), len(manifest.seats))

    def _feed(self, fresh: OpenedSum | None) -> None:
        if fresh is not None and self.replay is not None:
            self.replay.feed(fresh.vector)

    def _may_exclude(self, lost: frozenset[str]) -> None:
        if lost <= self.behind:
            return
        if self.spend == 0:
            raise RefusalError("permit-exclusion", "a member is lost and the permit does not allow going on")
        self.spend -= 1
        self.behind |= lost

    def _record(self, outgoing: Outgoing) -> None:
        self.emitted.append(outgoing)
        if outgoing.kind == "secagg.consent":
            assert self.member is not None and outgoing.round is not None
            bits = str(outgoing.record["cohort"])
            seats = self.member.manifest.seats
            survivors = tuple(seat.member for seat, bit in zip(seats, bits, strict=True) if bit == "1")
            self.votes[outgoing.round] = Vote(survivors, bytes.fromhex(str(outgoing.record["cohort_sha256"])))
