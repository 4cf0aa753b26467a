"""A table of members and a coordinator in one process: a fake link for tests of the secure sum."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.errors import PrivacyError, RefusalError
from privacy.field import Plan
from privacy.keys import IdentityKey
from privacy.manifest import Manifest, Seat
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.roster import Roster
from privacy.secagg.aggregator import Aggregator, Downlink, Phase
from privacy.secagg.history import OpenedSum, Vote
from privacy.secagg.member import Member
from privacy.secagg.standing import MemberRules
from privacy.wire import Packet, decode_packet, encode_packet

__all__ = ["Bench", "allow_anything", "allow_nothing", "bench", "identity_of", "manifest_of", "member_of", "names_of",
           "packet_of", "parts_of", "refused", "seeded_bytes", "sign_as"]  # fmt: skip


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """Return a reproducible source of bytes, for tests only."""
    return random.Random(seed).randbytes


def allow_anything(_lost: frozenset[str]) -> None:
    """Permit every exclusion."""


def allow_nothing(_lost: frozenset[str]) -> None:
    """Refuse every exclusion, as a permit does unless it says otherwise."""
    raise RefusalError("permit-exclusion", "the permit does not allow going on without a member")


def names_of(count: int) -> list[str]:
    """Return the ids of `count` members in roster order."""
    return [f"bank-{place:03d}" for place in range(count)]


def parts_of(names: Iterable[str], plan: Plan, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a part for each member, entries anywhere within ±plan.bound."""
    generator = np.random.default_rng(seed)
    draw = generator.integers
    return {name: draw(-plan.bound, plan.bound, plan.length, np.int64, endpoint=True) for name in names}


@contextmanager
def refused(code: str, kind: type[PrivacyError] = PrivacyError) -> Iterator[None]:
    """Expect a refusal with this code and class."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code, f"{caught.value.code}: {caught.value.message}"


def sign_as(
    sender: str,
    to: str,
    at: Address,
    message: Message,
    attachments: tuple[bytes, ...] = (),
    vector: bytes | memoryview = b"",
) -> bytes:
    """Return a packet that `sender` signed with its real key: what a cheat can always make."""
    raw = sign_envelope(identity_of(sender), sender, to, at, message).raw
    return encode_packet(Packet(raw, attachments, vector))


def manifest_of(members: Iterable[str], **changes: object) -> Manifest:
    """Return a manifest over these members, whose identities follow from their names."""
    seats = tuple(Seat(member, identity_of(member).public) for member in sorted(members))
    values: dict[str, object] = {
        "job": "job-1", "consortium": "test", "purpose": "credit-risk-model", "recipe": "scorecard",
        "recipe_version": 1, "parameters": {"bins": 8}, "code_sha256": "0" * 64, "dictionary_sha256": "1" * 64,
        "seats": seats, "privacy": "exact", "max_rounds": 1000, "max_rows": 2**20, "min_rows": 100, "min_bads": 10,
        "lost_after_s": 5, "rejoin_s": 2, "round_deadline_s": 60, "seed": 0, "holdout_ppm": 300_000,
    }  # fmt: skip
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def identity_of(name: str) -> IdentityKey:
    """Return a test identity that follows from a name."""
    return IdentityKey.from_seed(name.encode().ljust(32, b"\0")[:32])


@dataclass
class Bench:
    """Members and a coordinator, with every packet at hand to be kept, changed or lost."""

    manifest: Manifest
    members: dict[str, Member]
    coordinator: Aggregator
    sent: list[tuple[str, Outgoing]] = field(default_factory=list)
    downlinks: list[Downlink] = field(default_factory=list)
    sums: dict[str, list[OpenedSum]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)

    def up(self, name: str, outgoing: Outgoing | None) -> None:
        """Carry a member's packet to the coordinator and what follows back down."""
        if outgoing is None or name in self.dead:
            return
        self.sent.append((name, outgoing))
        packet = decode_packet(outgoing.message)
        envelope = open_envelope(packet.signed, self.coordinator.identity_of)
        self.down(self.coordinator.receive(envelope, packet))

    def down(self, downlinks: Iterable[Downlink]) -> None:
        """Carry the coordinator's packets to the members and their answers back up."""
        answers: list[tuple[str, Outgoing | None]] = []
        for downlink in downlinks:
            self.downlinks.append(downlink)
            if downlink.to not in self.dead:
                answers.append((downlink.to, self.answer(downlink.to, downlink.message)))
        for name, outgoing in answers:
            self.up(name, outgoing)

    def answer(self, name: str, raw: bytes) -> Outgoing | None:
        """Let one member take a packet; opens are answered by `round` below."""
        member, packet = self.members[name], decode_packet(raw)
        envelope = member.receive(packet.signed)
        match envelope.kind:
            case "assemble":
                fresh, outgoing = member.assemble(envelope, packet)
                self._note(name, fresh)
                return outgoing
            case "setups":
                return member.setups(envelope, packet)
            case "ready":
                member.ready(envelope, packet)
            case "open":
                self._note(name, member.open(envelope, packet))
            case "close":
                return member.close(envelope, packet)
            case "certificate":
                return member.certify(envelope, packet)
            case "check-part":
                member.check_part(envelope, packet)
            case "check":
                return member.check(envelope)
            case "ended":
                self._note(name, member.ended(envelope, packet))
        return None

    def tell(
        self,
        to: str,
        at: Address,
        message: Message,
        attachments: tuple[bytes, ...] = (),
        vector: bytes | memoryview = b"",
    ) -> Outgoing | None:
        """Let a member take a message that the coordinator's key signed, whatever it says."""
        return self.answer(to, sign_as(COORDINATOR, to, at, message, attachments, vector))

    def here(self, name: str) -> Address:
        """Return the address of the position that a member works at."""
        member = self.members[name]
        at = member._at
        assert at is not None
        return member._address(member._root, at.number, at.bound)

    def begin(self, ask: bytes, plan: Plan) -> None:
        """Open a position and let every living member derive its request."""
        self.down(self.coordinator.open(ask, plan))
        for name in self.coordinator.roster.members:
            if name not in self.dead:
                self.members[name].derive(ask, plan)

    def upload(self, parts: Mapping[str, np.ndarray], names: Iterable[str] | None = None) -> None:
        """Carry the masked parts of these members (all by default) to the coordinator."""
        for name in self.coordinator.roster.members if names is None else names:
            if name not in self.dead:
                self.up(name, self.members[name].upload(parts[name]))

    def restart(
        self,
        name: str,
        past_votes: Mapping[int, Vote] | None = None,
        may_exclude: Callable[[frozenset[str]], None] | None = None,
    ) -> None:
        """Replace a member's process by a fresh one that knows its past votes only."""
        seed = 77_000 + 1000 * len(self.sent) + self.manifest.roster.index(name)
        self.members[name] = member_of(self.manifest, name, seed, may_exclude or allow_anything, past_votes)
        self.dead.discard(name)

    def catch_up(self, name: str, asks: Iterable[bytes], plan: Plan) -> None:
        """Give a restarted member every opened sum; it derives `asks` itself."""
        for downlink, ask in zip(self.coordinator.catch_up(name), asks, strict=True):
            packet = decode_packet(downlink.message)
            member = self.members[name]
            self._note(name, member.catch_up(member.receive(packet.signed), packet, ask, plan))

    def _note(self, name: str, opened: OpenedSum | None) -> None:
        if opened:
            self.sums.setdefault(name, []).append(opened)

    def assemble(self, names: Iterable[str] | None = None) -> None:
        """Open an epoch over these members."""
        roster = Roster(tuple(sorted(names))) if names else self.manifest.roster
        self.down(self.coordinator.assemble(roster))
        assert self.coordinator.phase is Phase.READY or self.dead

    def verify(self) -> np.ndarray:
        """Open the sum, have c + 1 living members recompute it, and return it."""
        self.coordinator.open_sum()
        while missing := self.coordinator.missing_signatures():
            living = [member for member in self.coordinator.verifiers() if member not in self.dead]
            assert len(living) >= missing
            self.down(self.coordinator.check(living[:missing]))
        return self.coordinator.finish()

    def round(
        self,
        ask: bytes,
        plan: Plan,
        parts: dict[str, np.ndarray],
        *,
        mute: Iterable[str] = (),
        late: Iterable[str] = (),
    ) -> np.ndarray:
        """Run one round; `mute` members die before their upload, `late` ones after it."""
        self.down(self.coordinator.open(ask, plan))
        self.dead |= set(mute)
        for name in self.coordinator.roster.members:
            if name not in self.dead:
                self.members[name].derive(ask, plan)
                self.up(name, self.members[name].upload(parts[name]))
        self.dead |= set(late)
        self.down(self.coordinator.close())
        if self.coordinator.certifiable():
            self.down(self.coordinator.certify())
        return self.verify()


def member_of(
    manifest: Manifest,
    name: str,
    seed: int,
    may_exclude: Callable[[frozenset[str]], None] = allow_anything,
    past_votes: Mapping[int, Vote] | None = None,
) -> Member:
    """Return a fresh process of one member."""
    rules = MemberRules(
        own=name,
        identity=identity_of(name),
        coordinator=identity_of(COORDINATOR).public,
        commit_key=bytes(32),
        may_exclude=may_exclude,
        random_bytes=seeded_bytes(seed),
    )
    return Member(manifest, rules, past_votes)


def bench(
    names: Iterable[str],
    seed: int = 1,
    may_exclude: Callable[[frozenset[str]], None] = allow_anything,
    **changes: object,
) -> Bench:
    """Return a table over these members."""
    manifest = manifest_of(names, **changes)
    members = {
        seat.member: member_of(manifest, seat.member, seed * 1000 + place, may_exclude)
        for place, seat in enumerate(manifest.seats)
    }
    return Bench(manifest, members, Aggregator(manifest, identity_of(COORDINATOR)))


def packet_of(raw: bytes) -> Packet:
    """Return the packet in a message."""
    return decode_packet(raw)
