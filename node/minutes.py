"""The minutes of a job at this bank: what it computed, what it gave away in each position, which sums it saw verified.

It sends nothing and checks no protocol: it is told what the member machine has accepted, and reads what the machine
made before the gate sends it. Theory: `privacy.log.rounds` says what is written down and why. Events ride on the commit
of the next message that leaves, so they cost none; what was given stands in that message's own record. A line of
`rounds/<job>.jsonl` follows from the log and from public evidence, so one that a crash took is written again when the
coordinator shows the sum again.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from privacy import messages as msg
from privacy.arrival import arrival_body
from privacy.envelope import Envelope
from privacy.errors import InputError, VerificationError
from privacy.log.record import Entry, Event
from privacy.log.rounds import LINE_LIMIT_BYTES, Pledge, RoundLists, bitmap_of, decode_round, members_of
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum
from privacy.wire import Packet, decode_packet, decode_payload, decode_signed

__all__ = ["Minutes", "MinutesLog"]

_GIVING = ("secagg.consent", "secagg.reveal")
Place = tuple[int, int]
"""Epoch and position."""


@dataclass(frozen=True, slots=True)
class MinutesLog:
    """The part of the node's log that minutes are written to and read from.

    defer: lets entries ride on the next commit. of_job: returns the events of a kind in a job, oldest first. hold: told
    whether a job runs, in which what is deferred may wait for the next message.
    """

    defer: Callable[[Sequence[Entry]], None]
    of_job: Callable[[str, str], Sequence[Event]]
    hold: Callable[[bool], None] = lambda _in_job: None


@dataclass(slots=True)
class _Job:
    manifest: Manifest
    path: Path
    logged: set[Place]
    written: set[Place]
    roster: tuple[str, ...] = ()
    shares: dict[Place, set[str]] = field(default_factory=dict)
    seeds: dict[Place, set[str]] = field(default_factory=dict)

    def give(self, place: Place, shares: Sequence[str], seeds: Sequence[str]) -> None:
        self.shares.setdefault(place, set()).update(shares)
        self.seeds.setdefault(place, set()).update(seeds)


class Minutes:
    """Keep the minutes of one job at a time, under a node's state folder."""

    def __init__(self, state: Path, dataset: str, log: MinutesLog) -> None:
        """dataset: the pseudonym of the rows in use."""
        self._folder = state / "rounds"
        self._dataset = dataset
        self._log = log
        self._job: _Job | None = None

    def begin(self, manifest: Manifest) -> None:
        """Start a job's minutes, or go on with them after a restart."""
        path = self._folder / f"{manifest.job}.jsonl"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = _mend(path)
        except OSError as error:
            raise _fault(path, error) from error
        events = self._log.of_job("secagg.round", manifest.job)
        logged = {(_count(event, "epoch"), _count(event, "position")) for event in events}
        self._job = _Job(manifest, path, logged, written)
        seats = manifest.roster.members
        for event in self._log.of_job("egress.authorised", manifest.job):
            if event.body["payload_kind"] in _GIVING and "shares" in event.body:
                given = [members_of(str(event.body[key]), seats) for key in ("shares", "seeds")]
                self._job.give((_count(event, "epoch"), _count(event, "position")), *given)
        self._log.hold(True)

    def end(self) -> None:
        """Close a job's minutes: this bank is out of it."""
        self._job = None
        self._log.hold(False)

    def arrived(self, envelope: Envelope, size: int, purpose: str, refusal: str = "") -> None:
        """Note a message of the coordinator's; refusal: the code of the error that refused it."""
        body = arrival_body(envelope, size, refusal)
        number = envelope.message.round if isinstance(envelope.message, msg.Open) else None
        self._log.defer([Entry("ingress.received", body, purpose, envelope.address.job, number)])

    def assembled(self, roster: tuple[str, ...]) -> None:
        """Note the members of the epoch that begins."""
        if self._job:
            self._job.roster = roster

    def giving(self, outgoing: Outgoing) -> Outgoing:
        """Return a message that is about to leave with a record of which shares and seeds are in it.

        Read from the very bytes that leave. Messages of kinds that hold none are returned as they are.
        """
        job = self._job
        if job is None or outgoing.kind not in _GIVING:
            return outgoing
        signed = decode_signed(decode_packet(outgoing.message).signed)
        message = decode_payload(signed.kind, signed.payload)
        assert isinstance(message, msg.Consent | msg.Reveal)  # the kind says so
        shares = [share.owner for share in message.shares]
        seeds = [seed.dropped for seed in message.seeds] if isinstance(message, msg.Reveal) else []
        job.give((signed.epoch, signed.position), shares, seeds)
        seats = job.manifest.roster.members
        given = {"shares": bitmap_of(shares, seats), "seeds": bitmap_of(seeds, seats)}
        return replace(outgoing, record={**outgoing.record, **given})

    def trained(self, number: int, model_in: bytes, elapsed_ms: int) -> None:
        """Note that this bank computed its part of a round.

        model_in: 32 bytes, the transcript of all sums before it, which is what the part follows from beside the rows.
        """
        if self._job:
            body = {
                "dataset": self._dataset,
                "steps": 1,
                "ms": elapsed_ms,
                "model_in_sha256": model_in.hex(),
                "code_sha256": self._job.manifest.code_sha256,
            }
            self._defer("train.round", body, number)

    def opened(self, opened: OpenedSum, envelope: Envelope, packet: Packet) -> None:
        """Write down a verified sum; envelope, packet: the coordinator's message that showed it, checked."""
        job = self._job
        if job is None:
            return
        shown, headers, roster = _evidence(envelope, packet)
        place = (shown.epoch, shown.position)
        lists = RoundLists(
            job=job.manifest.job,
            round=opened.round,
            epoch=shown.epoch,
            position=shown.position,
            binding=opened.bound.hex(),
            seats=job.manifest.roster.members,
            roster=roster or job.roster,
            survivors=opened.survivors,
            pledges=tuple(map(_pledge, headers)),
            shares=tuple(sorted(job.shares.get(place, ()))),
            seeds=tuple(sorted(job.seeds.get(place, ()))),
            aggregate_sha256=shown.sum_sha256.hex(),
        )
        if place not in job.written:
            _append(job.path, lists.encode() + b"\n")
            job.written.add(place)
        if place not in job.logged:
            job.logged.add(place)
            self._defer("secagg.round", lists.body(), opened.round)

    def _defer(self, kind: str, body: dict[str, object], number: int) -> None:
        assert self._job is not None  # the callers looked
        manifest = self._job.manifest
        self._log.defer([Entry(kind, body, manifest.purpose, manifest.job, number)])


def _evidence(envelope: Envelope, packet: Packet) -> tuple[msg.Opened, tuple[bytes, ...], tuple[str, ...]]:
    """Return the sum that a message shows, its signed headers, and the epoch's roster if the message tells it."""
    message, attached = envelope.message, packet.attachments
    if isinstance(message, msg.CatchUp):
        agreements, attached = attached[: message.agreements], attached[message.agreements :]
        roster = tuple(decode_signed(raw).sender for raw in agreements)
        return message.opened, attached[: len(message.opened.survivors)], roster
    shown = message.last if isinstance(message, msg.Ended) else getattr(message, "previous", None)
    assert isinstance(shown, msg.Opened)  # the member took a sum from it
    return shown, attached[: len(shown.survivors)], ()


def _pledge(raw: bytes) -> Pledge:
    signed = decode_signed(raw)
    header = decode_payload(signed.kind, signed.payload)
    assert isinstance(header, msg.Header)  # the member checked it
    digests = (header.commitment, header.vector_sha256, header.self_seed_sha256)
    return Pledge(signed.sender, *(value.hex() for value in digests))


def _count(event: Event, key: str) -> int:
    return int(str(event.body[key]))


def _append(path: Path, line: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(line)
    except OSError as error:
        raise _fault(path, error) from error


def _mend(path: Path) -> set[Place]:
    """Return the positions that a file has lines for, after cutting off what a crash left half written."""
    found: set[Place] = set()
    if path.exists():
        end = 0
        with path.open("rb") as stream:
            while line := stream.readline(LINE_LIMIT_BYTES + 1):
                try:
                    lists = decode_round(line)
                except VerificationError:
                    break
                if not line.endswith(b"\n"):
                    break
                found.add((lists.epoch, lists.position))
                end = stream.tell()
        os.truncate(path, end)
    return found


def _fault(path: Path, error: OSError) -> InputError:
    reason = (error.strerror or type(error).__name__).lower()
    return InputError("rounds-unusable", f"{path}: cannot be written ({reason}); nothing is sent without it")
