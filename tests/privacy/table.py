"""A table of members and a coordinator in one process: a fake link for tests of the secure sum."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from privacy.envelope import open_envelope
from privacy.field import Plan
from privacy.keys import IdentityKey
from privacy.manifest import Manifest, Seat
from privacy.outgoing import Outgoing
from privacy.roster import Roster
from privacy.secagg.aggregator import Aggregator, Downlink, Phase
from privacy.secagg.history import OpenedSum
from privacy.secagg.member import Member
from privacy.secagg.standing import MemberRules
from privacy.wire import Packet, decode_packet

__all__ = ["Bench", "bench", "manifest_of", "seeded_bytes"]


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """Return a reproducible source of bytes, for tests only."""
    return random.Random(seed).randbytes


def allow_anything(_lost: frozenset[str]) -> None:
    """Permit every exclusion."""


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
            case "ended":
                self._note(name, member.ended(envelope, packet))
        return None

    def _note(self, name: str, opened: OpenedSum | None) -> None:
        if opened:
            self.sums.setdefault(name, []).append(opened)

    def assemble(self, names: Iterable[str] | None = None) -> None:
        """Open an epoch over these members."""
        roster = Roster(tuple(sorted(names))) if names else self.manifest.roster
        self.down(self.coordinator.assemble(roster))
        assert self.coordinator.phase is Phase.READY or self.dead

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
        return self.coordinator.finish()


def bench(names: Iterable[str], seed: int = 1, **changes: object) -> Bench:
    """Return a table over these members."""
    manifest = manifest_of(names, **changes)
    members = {
        seat.member: Member(
            manifest,
            MemberRules(
                own=seat.member,
                identity=identity_of(seat.member),
                coordinator=identity_of("coordinator").public,
                commit_key=bytes(32),
                may_exclude=allow_anything,
                random_bytes=seeded_bytes(seed * 1000 + place),
            ),
        )
        for place, seat in enumerate(manifest.seats)
    }
    return Bench(manifest, members, Aggregator(manifest, identity_of("coordinator")))


def packet_of(raw: bytes) -> Packet:
    """Return the packet in a message."""
    return decode_packet(raw)
