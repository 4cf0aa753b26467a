"""What a node's log says about one opened sum: the event `secagg.round`, and the lists that its digests stand for.

It reads no file and opens no sum. Theory: masks stay on while, for each position and each member k, fewer than t shares
of k's self seed b_k were given by anybody together with any pair seed m_ik, and no single node gave both. Every node
writes down what itself gave, before it gives it; so the rule is checked over all nodes' logs, without the coordinator.

Two places say what a node gave:

* Each `egress.authorised` of kind `secagg.consent` or `secagg.reveal` has the keys `epoch`, `position`, `shares` and
  `seeds`. The last two are bitmaps over the manifest's seats (members in order of their ids, `1` = given): of whose
  self seeds a share left in this message, and whose pair seeds with this node did. They are durable before the message
  leaves, also for a position whose sum never opens.
* Each sum that the node saw verified has one `secagg.round` event, and one line in `rounds/<job>.jsonl` of the state
  folder (0600; the folder is exported with the log). All bitmaps run over the manifest's seats: `cohort` the members of
  the epoch, `survivors` those whose parts are in the sum, `dropouts` the rest of the cohort.

A line is canonical JSON (RFC 8785 subset, ASCII) of at most `LINE_LIMIT_BYTES`, ended by one newline, with these keys:

    v            1
    job          job id                        round       number of the sum in the job, from 1
    epoch        number, from 1                position    number within the epoch, from 1
    binding      64 hex digits: the position's binding, equal in the logs of all members that took part
    seats        [member, ...]: everyone in the manifest, by id; what the bitmaps run over
    roster       [member, ...]: the epoch's cohort, part of seats; t = floor(2 len(roster) / 3) + 1
    survivors    [member, ...]: part of roster
    pledges      one a survivor, in the same order: {"member", "commitment", "vector_sha256", "self_seed_sha256"}, the
                 last three 64 hex digits out of that member's own signed header
    shares       [member, ...]: of whose self seeds this node gave a share in this position
    seeds        [member, ...]: whose pair seeds with this node it gave in this position
    aggregate_sha256   64 hex digits: SHA-256 of the opened sum's little-endian words

`commitments_sha256` of the event is SHA-256 over the canonical JSON of {"binding", "epoch", "job", "pledges",
"position"}; `revealed_sha256` is the same over {"binding", "epoch", "job", "position", "seeds", "shares"}. A line
belongs to the event with its job, round, epoch and position. A node writes one line and one event for each (epoch,
position); after a crash the line may be written again, with the same bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.kinds import Check, Schema, fault_of, is_count, is_hex, is_text

__all__ = ["LINE_LIMIT_BYTES", "PROTOCOL", "Pledge", "RoundLists", "bitmap_of", "decode_round", "members_of"]

LINE_LIMIT_BYTES = 256 * 1024
PROTOCOL = "creditmesh-secagg/1"
_VERSION = 1
_MOST_MEMBERS = 256


@dataclass(frozen=True, slots=True)
class Pledge:
    """What a survivor's header bound it to: salted commitment, masked vector and self seed, 64 hex digits each."""

    member: str
    commitment: str
    vector_sha256: str
    self_seed_sha256: str


@dataclass(frozen=True, slots=True)
class RoundLists:
    """One line of the side file; the module's text says what each key holds."""

    job: str
    round: int
    epoch: int
    position: int
    binding: str
    seats: tuple[str, ...]
    roster: tuple[str, ...]
    survivors: tuple[str, ...]
    pledges: tuple[Pledge, ...]
    shares: tuple[str, ...]
    seeds: tuple[str, ...]
    aggregate_sha256: str

    @property
    def threshold(self) -> int:
        """Return t, the shares that rebuild a self seed."""
        return 2 * len(self.roster) // 3 + 1

    def commitments_sha256(self) -> str:
        """Return the digest over what all survivors bound themselves to, 64 hex digits."""
        return _digest({**self._place(), "pledges": [_plain(pledge) for pledge in self.pledges]})

    def revealed_sha256(self) -> str:
        """Return the digest over what this node gave in this position, 64 hex digits."""
        return _digest({**self._place(), "shares": list(self.shares), "seeds": list(self.seeds)})

    def encode(self) -> bytes:
        """Return the line, without its newline."""
        return encode(
            {
                **self._place(),
                "v": _VERSION,
                "round": self.round,
                "seats": list(self.seats),
                "roster": list(self.roster),
                "survivors": list(self.survivors),
                "pledges": [_plain(pledge) for pledge in self.pledges],
                "shares": list(self.shares),
                "seeds": list(self.seeds),
                "aggregate_sha256": self.aggregate_sha256,
            }
        )

    def body(self) -> dict[str, object]:
        """Return the body of the `secagg.round` event that this line belongs to."""
        return {
            "protocol": PROTOCOL,
            "epoch": self.epoch,
            "position": self.position,
            "binding": self.binding,
            "cohort": bitmap_of(self.roster, self.seats),
            "survivors": bitmap_of(self.survivors, self.seats),
            "dropouts": bitmap_of(set(self.roster) - set(self.survivors), self.seats),
            "threshold": self.threshold,
            "commitments_sha256": self.commitments_sha256(),
            "revealed_sha256": self.revealed_sha256(),
            "aggregate_sha256": self.aggregate_sha256,
        }

    def _place(self) -> dict[str, object]:
        return {"job": self.job, "epoch": self.epoch, "position": self.position, "binding": self.binding}


def decode_round(line: bytes) -> RoundLists:
    """Read one line (with or without its newline) strictly.

    Raises:
        VerificationError: `not-canonical`, or `round-malformed` for keys, forms or lists that do not fit together.
    """
    parts = decode_object(line.removesuffix(b"\n"), LINE_LIMIT_BYTES, "line of a rounds file")
    fault = fault_of(parts, _LINE)
    if fault:
        raise VerificationError("round-malformed", f"line of a rounds file: {fault}")
    keys = ("seats", "roster", "survivors", "shares", "seeds")
    names: dict[str, tuple[str, ...]] = {key: tuple(parts[key]) for key in keys}  # type: ignore[arg-type]
    pledges = tuple(Pledge(**pledge) for pledge in parts["pledges"])  # type: ignore[attr-defined]
    numbers = {key: int(str(parts[key])) for key in ("round", "epoch", "position")}
    texts = {key: str(parts[key]) for key in ("job", "binding", "aggregate_sha256")}
    lists = RoundLists(pledges=pledges, **names, **numbers, **texts)  # type: ignore[arg-type]
    inside = set(lists.roster) <= set(lists.seats) and set(lists.survivors) <= set(lists.roster)
    given = set(lists.shares) | set(lists.seeds)
    pledged = tuple(pledge.member for pledge in pledges)
    if not inside or not given <= set(lists.roster) or pledged != lists.survivors:
        raise VerificationError("round-malformed", "line of a rounds file: its lists of members do not fit together")
    return lists


def bitmap_of(members: Iterable[str], seats: Sequence[str]) -> str:
    """Return one `1` or `0` a seat: whether its member is among these."""
    chosen = frozenset(members)
    return "".join("1" if seat in chosen else "0" for seat in seats)


def members_of(bitmap: str, seats: Sequence[str]) -> tuple[str, ...]:
    """Return the members that a bitmap marks; one of another length raises `VerificationError` `round-malformed`."""
    if len(bitmap) != len(seats):
        raise VerificationError("round-malformed", f"a bitmap of {len(bitmap)} places for {len(seats)} seats")
    return tuple(seat for seat, bit in zip(seats, bitmap, strict=True) if bit == "1")


def _members(value: object) -> bool:
    if not isinstance(value, list) or len(value) > _MOST_MEMBERS or not all(map(_name, value)):
        return False
    return value == sorted(set(value))


def _plain(pledge: Pledge) -> dict[str, object]:
    return {
        "member": pledge.member,
        "commitment": pledge.commitment,
        "vector_sha256": pledge.vector_sha256,
        "self_seed_sha256": pledge.self_seed_sha256,
    }


def _digest(parts: dict[str, object]) -> str:
    return hashlib.sha256(encode(parts)).hexdigest()


_name: Check = is_text(63)
_sha256 = is_hex(32)
_PLEDGE: Schema = {"member": _name, "commitment": _sha256, "vector_sha256": _sha256, "self_seed_sha256": _sha256}
_LINE: Schema = {
    "v": lambda value: type(value) is int and value == _VERSION,
    "job": is_text(256),
    "round": is_count,
    "epoch": is_count,
    "position": is_count,
    "binding": _sha256,
    "seats": _members,
    "roster": _members,
    "survivors": _members,
    "pledges": lambda value: (
        isinstance(value, list)
        and len(value) <= _MOST_MEMBERS
        and all(isinstance(pledge, dict) and fault_of(pledge, _PLEDGE) is None for pledge in value)
    ),
    "shares": _members,
    "seeds": _members,
    "aggregate_sha256": _sha256,
}
