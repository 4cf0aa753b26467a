"""CPU of one secure sum in one process: the real machines of n members and the coordinator, and no link.

    python -m tests.bench.one_sum [--members 20] [--length 1000000] [--runs 3] [--flower SCRIPT]

Printed are the CPU of a member and of the coordinator with one member lost after the keys were agreed, both beside the
floor (AES-256-CTR keystreams and additions, measured in the same run) and, where its script is at hand, Flower's
SecAgg+ at the same size in the same run. What the verification of the sum costs stands apart: a verifier's check, and
at the coordinator keeping the parts, reading them back, hashing each against its header and packing it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coordinator.spool import DiskSpool
from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import COORDINATOR, open_envelope, sign_envelope
from privacy.field import Plan
from privacy.outgoing import Outgoing
from privacy.secagg.aggregator import Aggregator
from privacy.secagg.downlink import Downlink
from privacy.secagg.member import Member
from privacy.wire import Packet, decode_packet, encode_packet
from tests.bench.floor import floor_ms
from tests.privacy.table import identity_of, manifest_of, member_of, names_of

__all__ = ["Costs", "Size", "measure"]

FLOWER = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "flower_secagg_cpu.py"
BOUND = 2**20
ASK = b"bench"


@dataclass(frozen=True, slots=True)
class Size:
    """One sum's size. lost: members that vanish before their upload. verifiers: how many really recompute the sum."""

    members: int
    length: int
    lost: int = 1
    word_bits: int = 32
    verifiers: int = 1


@dataclass(slots=True)
class Costs:
    """CPU milliseconds, by step; a member's steps are lists over members.

    floor_member, floor_coordinator: keystreams and additions alone. upload_bytes: of one member's upload.
    """

    size: Size
    member: dict[str, list[float]] = field(default_factory=dict)
    coordinator: dict[str, float] = field(default_factory=dict)
    floor_member: float = 0.0
    floor_coordinator: float = 0.0
    upload_bytes: int = 0

    @property
    def member_ms(self) -> float:
        """Return what a member spends on the sum: upload, consent and reveal, medians over members."""
        return sum(
            statistics.median(self.member[step]) for step in ("upload", "consent", "reveal") if step in self.member
        )

    @property
    def coordinator_ms(self) -> float:
        """Return what the coordinator spends on the sum, all members together."""
        return sum(self.coordinator[step] for step in ("uploads", "cohort", "unmask"))

    @property
    def verifier_ms(self) -> float:
        """Return what one verifier spends on recomputing the sum."""
        return statistics.median(self.member["verify"])

    @property
    def check_ms(self) -> float:
        """Return what the coordinator spends on keeping the parts and showing them."""
        return self.coordinator["keep"] + self.coordinator["show"]


class _TimedSpool(DiskSpool):
    """The coordinator's own spool, with the CPU that keeping parts takes."""

    cpu = 0.0

    def put(self, member: str, vector: bytes | memoryview) -> None:
        start = time.process_time()
        super().put(member, vector)
        type(self).cpu += (time.process_time() - start) * 1000

    def close(self) -> None:
        start = time.process_time()
        super().close()
        type(self).cpu += (time.process_time() - start) * 1000


class _Room:
    """Members and a coordinator; nothing as long as a vector stays in it."""

    def __init__(self, size: Size, folder: Path) -> None:
        self.costs = Costs(size)
        manifest = manifest_of(names_of(size.members))
        _TimedSpool.cpu = 0.0
        self.coordinator = Aggregator(manifest, identity_of(COORDINATOR), lambda: _TimedSpool(folder))
        self.members = {name: member_of(manifest, name, place) for place, name in enumerate(names_of(size.members))}

    @contextmanager
    def at_member(self, step: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.costs.member.setdefault(step, []).append((time.process_time() - start) * 1000)

    @contextmanager
    def at_coordinator(self, step: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent = (time.process_time() - start) * 1000
        self.costs.coordinator[step] = self.costs.coordinator.get(step, 0.0) + spent

    def up(self, step: str, outgoing: Outgoing) -> list[Downlink]:
        """Carry a member's message to the coordinator, as its counter would."""
        with self.at_coordinator(step):
            packet = decode_packet(outgoing.message)
            envelope = open_envelope(packet.signed, self.coordinator.identity_of)
            return self.coordinator.receive(envelope, packet)

    def down(self, step: str, downlinks: Iterable[Downlink]) -> Iterator[tuple[str, Outgoing | None]]:
        """Carry the coordinator's packets, which may be made only now, to members; yield who answers what."""
        rest = iter(downlinks)
        while True:
            with self.at_coordinator(step):
                downlink = next(rest, None)
            if downlink is None:
                return
            if downlink.to in self.members:
                yield downlink.to, self._answer(self.members[downlink.to], downlink.message)

    def _answer(self, member: Member, raw: bytes) -> Outgoing | None:
        packet = decode_packet(raw)
        kind = open_envelope(packet.signed, lambda _: identity_of(COORDINATOR).public).kind
        step = {"close": "consent", "certificate": "reveal", "check": "verify", "check-part": "verify-part"}
        with self.at_member(step.get(kind, "set-up")):
            packet = decode_packet(raw)
            envelope = member.receive(packet.signed)
            match kind:
                case "assemble":
                    return member.assemble(envelope, packet)[1]
                case "setups":
                    return member.setups(envelope, packet)
                case "ready":
                    member.ready(envelope, packet)
                case "open":
                    member.open(envelope, packet)
                case "close":
                    return member.close(envelope, packet)
                case "certificate":
                    return member.certify(envelope, packet)
                case "check-part":
                    member.check_part(envelope, packet)
                case "check":
                    return member.check(envelope)
        return None


def measure(size: Size, folder: Path) -> Costs:
    """Run one sum and return what it cost; a sum that is not the plain one raises `SystemExit`.

    folder: where the coordinator's spool may lie.
    """
    room, plan = _Room(size, folder), Plan(size.length, size.word_bits, BOUND, size.members)
    _set_up(room)
    for _ in room.down("set-up", room.coordinator.open(ASK, plan)):
        pass
    expected = _upload(room, plan)
    _open(room)
    _verify(room, plan.to_bytes(expected))
    costs = room.costs
    costs.coordinator["keep"] = _TimedSpool.cpu
    costs.coordinator["uploads"] -= _TimedSpool.cpu
    left = size.members - size.lost
    costs.floor_member = floor_ms(size.length, size.word_bits, size.members)
    costs.floor_coordinator = floor_ms(size.length, size.word_bits, left * (1 + size.lost), left)
    return costs


def _set_up(room: _Room) -> None:
    downlinks = room.coordinator.assemble(room.coordinator.roster)
    for _ in range(2):
        further: list[Downlink] = []
        for _, outgoing in room.down("set-up", downlinks):
            assert outgoing is not None  # a set-up, then a signature on the root
            further += room.up("set-up", outgoing)
        downlinks = further
    for _ in room.down("set-up", downlinks):
        pass


def _upload(room: _Room, plan: Plan) -> np.ndarray:
    """Let every member that stays upload, one after the other; return the words of the plain sum."""
    lost = names_of(room.costs.size.members)[1 : 1 + room.costs.size.lost]
    for name in lost:
        del room.members[name]
    total = np.zeros(plan.length, np.int64)
    for place, member in enumerate(room.members.values()):
        part = np.random.default_rng(place).integers(-BOUND, BOUND, plan.length, endpoint=True)
        total += part
        with room.at_member("upload"):
            member.derive(ASK, plan)
            outgoing = member.upload(part)
        room.costs.upload_bytes = len(outgoing.message)
        room.up("uploads", outgoing)
    return total.view(np.uint64).astype(np.uint32 if plan.word_bits == 32 else np.uint64)


def _open(room: _Room) -> None:
    """Have the members vote, reveal what takes the masks off, and open the sum."""
    with room.at_coordinator("cohort"):
        closes = room.coordinator.close()
    for _, outgoing in room.down("cohort", closes):
        assert outgoing is not None  # a vote
        room.up("cohort", outgoing)
    if room.coordinator.certifiable():
        with room.at_coordinator("cohort"):
            certificates = room.coordinator.certify()
        for _, outgoing in room.down("cohort", certificates):
            assert outgoing is not None  # a reveal
            room.up("cohort", outgoing)
    with room.at_coordinator("unmask"):
        room.coordinator.open_sum()


def _verify(room: _Room, expected: bytes) -> None:
    """Let some members recompute the sum; the rest of the c + 1 sign what those found, to save time."""
    asked = room.coordinator.verifiers()[: room.coordinator.roster.colluders + 1]
    real = asked[: room.costs.size.verifiers]
    idle = {name: room.members.pop(name) for name in asked if name not in real}
    signature = None
    for _, outgoing in room.down("show", room.coordinator.check(asked)):
        if outgoing is not None:
            signature = open_envelope(decode_packet(outgoing.message).signed, room.coordinator.identity_of)
            room.up("show", outgoing)
            # The parts that this verifier was shown, added to its last step.
            room.costs.member["verify"][-1] += sum(room.costs.member["verify-part"]) / len(real)
    assert signature is not None and isinstance(signature.message, say.SumSignature)
    if signature.message.sum_sha256 != sha256(expected):
        raise SystemExit("one_sum: the sum is not the plain sum")
    for name in idle:
        raw = sign_envelope(identity_of(name), name, COORDINATOR, signature.address, signature.message).raw
        packet = decode_packet(encode_packet(Packet(raw)))
        room.coordinator.receive(open_envelope(packet.signed, room.coordinator.identity_of), packet)
    with room.at_coordinator("unmask"):
        room.coordinator.finish()


def flower(script: Path, size: Size) -> tuple[float, float] | None:
    """Return the CPU milliseconds of Flower's client and server for the same sum; None if it cannot be run."""
    if not script.exists():
        return None
    command = [sys.executable, str(script), "--n", str(size.members), "--d", str(size.length), "--drop", str(size.lost)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    (run,) = json.loads(done.stdout)["runs"]
    return run["client_cpu_s_total"] * 1000, run["server_cpu_s_total"] * 1000


def peak_mib() -> float:
    """Return the most memory that this process ever held, MiB (VmHWM)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure one size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--flower", type=Path, default=FLOWER, help="the script that measures Flower's SecAgg+")
    options = parser.parse_args()
    size = Size(options.members, options.length)
    with tempfile.TemporaryDirectory() as folder:
        runs = [measure(size, Path(folder)) for _ in range(options.runs)]
    print(f"one sum of {size.length:,} uint32, {size.members} members, one lost; CPU ms, median of {len(runs)} runs, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print_table(runs, flower(options.flower, size))
    print(f"memory of this process: at most {peak_mib():.0f} MiB")


def print_table(runs: list[Costs], peer: tuple[float, float] | None) -> None:
    """Print medians of some runs of one size beside the floor and Flower's client and server."""

    def middle(name: str) -> float:
        return statistics.median(getattr(run, name) for run in runs)

    _row("", "ours", "floor", "ratio", "Flower", "times less")
    for place, (name, ours) in enumerate((("member", middle("member_ms")), ("coordinator", middle("coordinator_ms")))):
        floor, theirs = middle(f"floor_{name}"), peer[place] if peer else None
        beside = (f"{theirs:.0f}", f"{theirs / ours:.1f}") if theirs else ("not run",)
        _row(name, f"{ours:.1f}", f"{floor:.1f}", f"{ours / floor:.2f}", *beside)
    for name in ("upload", "consent", "reveal"):
        _row(f"  member, {name}", f"{statistics.median(statistics.median(run.member[name]) for run in runs):.1f}")
    for name in ("uploads", "cohort", "unmask"):
        _row(f"  coordinator, {name}", f"{statistics.median(run.coordinator[name] for run in runs):.1f}")
    print("verification, apart:")
    _row("one verifier", f"{middle('verifier_ms'):.1f}")
    for name in ("keep", "show"):
        _row(f"coordinator, {name}", f"{statistics.median(run.coordinator[name] for run in runs):.1f}")
    size, sent = runs[0].size, runs[0].upload_bytes
    print(f"upload: {sent} bytes, {sent * 8 / size.word_bits / size.length:.4f} of the bare vector; beyond it "
          f"{(sent - size.length * size.word_bits // 8) / size.members:.0f} bytes a member of the roster")  # fmt: skip


def _row(*cells: str) -> None:
    print(f"{cells[0]:<22}" + "".join(f"{cell:>11}" for cell in cells[1:]))


if __name__ == "__main__":
    main()
