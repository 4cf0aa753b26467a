"""One event of a log: its envelope, and the exact bytes that become a leaf of the tree.

The module makes no salt and reads no clock: both come in. Theory: the leaf of an event is its canonical JSON, so
every party that holds the event holds the same bytes. A 128-bit salt keeps an event that is easy to guess from being
recovered out of a sibling hash; the log's origin inside the event keeps it from being moved to another log; order is
`seq`, never time.

Envelope keys: v, log, seq, kind, t, mono_us, boot, clk {src, err_us}, actor {type, id, role, auth}, purpose, basis,
job and round (optional), salt, detail_c (optional commitment to erasable detail), body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from privacy.errors import MisuseError, VerificationError
from privacy.log.canonical import INTEGER_LIMIT, decode_object, encode
from privacy.log.instant import Instant, format_utc, parse_utc
from privacy.log.kinds import KINDS, Schema, fault_of, is_count, is_hex, is_text, one_of

__all__ = [
    "BLOCKS",
    "EVENT_LIMIT_BYTES",
    "LARGEST_INSTANT",
    "Actor",
    "Author",
    "Draft",
    "Entry",
    "Event",
    "decode_event",
    "draft_event",
]

EVENT_LIMIT_BYTES = 8192
EVENT_VERSION = 1
# Payload kinds that are authorised in blocks of frames: the link's own, and checkpoints with their cosignatures.
BLOCKS = ("control", "cosign")
SALT_BYTES = 16
BOOT_BYTES = (16, 32)
# What the envelope adds to a body: fixed keys and the longest sequence number and time that can be written.
LARGEST_INSTANT = Instant(253_402_300_799_999_999, 2**53 - 1)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused an event: a pseudonym with its type (human, service, auditor), role and way of signing in."""

    type: str
    id: str
    role: str
    auth: str


@dataclass(frozen=True, slots=True)
class Author:
    """What all events of one log in one process share.

    Attributes:
        origin: the log's origin, such as `bank-a/privacy-log`.
        boot: 16 to 32 random bytes that name this run of the process; the monotonic clock has a meaning only within it.
        actor: default actor.
        clock_source: `ntp`, `ptp` or `none`.
        clock_error_us: bound of the wall clock's error in microseconds.
        basis: code of the legal basis of the network.
    """

    origin: str
    boot: bytes
    actor: Actor
    clock_source: str = "none"
    clock_error_us: int = 0
    basis: str = "consortium-agreement"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event before it has a place in a log: kind, body, and what it belongs to."""

    kind: str
    body: Mapping[str, object]
    purpose: str = "operations"
    job: str = ""
    round: int | None = None
    detail_c: str = ""
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event as read back: the fields that a verifier or an auditor uses, the body, and the exact bytes."""

    log: str
    seq: int
    kind: str
    utc_us: int
    mono_us: int
    boot: str
    job: str
    round: int | None
    body: Mapping[str, object]
    encoded: bytes = field(repr=False)
    purpose: str
    actor: Actor
    clock_source: str
    clock_error_us: int


_ENVELOPE: Schema = {
    "v": lambda value: value == EVENT_VERSION and type(value) is int,
    "log": is_text(255),
    "seq": is_count,
    "kind": is_text(64),
    "t": is_text(27),
    "mono_us": is_count,
    "boot": is_hex(*BOOT_BYTES),
    "clk": lambda value: isinstance(value, dict) and fault_of(value, _CLOCK) is None,
    "actor": lambda value: isinstance(value, dict) and _actor_of(value) is not None,
    "purpose": is_text(64),
    "basis": is_text(64),
    "job?": is_text(256),
    "round?": is_count,
    "salt": is_hex(SALT_BYTES),
    "detail_c?": is_hex(32),
    "body": lambda value: isinstance(value, dict),
}
_AUTHOR: Schema = {key: _ENVELOPE[key] for key in ("log", "boot", "clk", "actor", "basis")}
_SUBJECT: Schema = {key: _ENVELOPE[key] for key in ("purpose", "job?", "detail_c?")}
# In canonical order `body` stands behind the first two, and `detail_c`, `job` and `kind` between the others.
_AROUND_BODY = (("actor", "basis"), ("boot", "clk"), ("log",))
_CLOCK: Schema = {"src": one_of("ntp", "ptp", "none"), "err_us": is_count}
_ACTOR: Schema = {
    "type": one_of("human", "service", "auditor"),
    "id": is_text(256),
    "role": is_text(64),
    "auth": is_text(64),
}


def _actor_of(parts: Mapping[str, object]) -> Actor | None:
    try:
        return _actor(parts["type"], parts["id"], parts["role"], parts["auth"]) if len(parts) == len(_ACTOR) else None
    except (KeyError, TypeError):
        # A key is missing, or a value is a list or an object.
        return None


@lru_cache(maxsize=256)
def _actor(kind: object, name: object, role: object, auth: object) -> Actor | None:
    """Return the actor of these four texts, None where one has a wrong form: nearly all events have the same."""
    fault = fault_of({"type": kind, "id": name, "role": role, "auth": auth}, _ACTOR)
    return None if fault else Actor(str(kind), str(name), str(role), str(auth))


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that was checked and lacks nothing but its place: the canonical bytes before and after what that adds.

    In canonical order a place's five fields stand at the end, with `purpose` and `round` among them.
    """

    head: bytes
    middle: bytes

    def place(self, seq: int, instant: Instant, salt: bytes) -> bytes:
        """Return the event's canonical bytes; seq: index of the leaf, from 0; salt: 16 fresh random bytes.

        Raises:
            MisuseError: `event-invalid` for a place that no event can have, or more than 8 KiB.
        """
        if not (0 <= seq < INTEGER_LIMIT and 0 <= instant.mono_us < INTEGER_LIMIT and len(salt) == SALT_BYTES):
            raise MisuseError("event-invalid", f"an event cannot stand at {seq} at {instant.mono_us} us")
        clock = f'"mono_us":{instant.mono_us},'.encode("ascii")
        tail = f'"salt":"{salt.hex()}","seq":{seq},"t":"{format_utc(instant.utc_us)}","v":{EVENT_VERSION}}}'
        encoded = b"".join((self.head, clock, self.middle, tail.encode("ascii")))
        if len(encoded) > EVENT_LIMIT_BYTES:
            raise MisuseError("event-invalid", f"event has {len(encoded)} bytes, at most {EVENT_LIMIT_BYTES}")
        return encoded


def draft_event(author: Author, entry: Entry) -> Draft:
    """Check an entry and return it as the bytes that do not depend on its place in the log.

    Args:
        author: what the log's events share.
        entry: kind and body.

    Raises:
        MisuseError: `event-invalid` for an unknown kind, a body outside its schema, or more than 8 KiB at any place.
    """
    opening, clocks, closing = _author_texts(author, entry.actor or author.actor)
    subject, purpose = _entry_texts(entry.kind, entry.purpose, entry.job, entry.detail_c)
    fault = _fault_of_body(entry.kind, entry.body)
    if entry.round is not None and not is_count(entry.round):
        fault = "key 'round' has a wrong form"
    if fault:
        raise MisuseError("event-invalid", f"event {entry.kind}: {fault}")
    number = b"" if entry.round is None else _spelt({"round": entry.round})
    draft = Draft(b"".join((opening, encode(dict(entry.body)), clocks, subject, closing)), purpose + number)
    draft.place(INTEGER_LIMIT - 1, LARGEST_INSTANT, bytes(SALT_BYTES))
    return draft


@lru_cache(maxsize=256)
def _author_texts(author: Author, actor: Actor) -> tuple[bytes, bytes, bytes]:
    """Return the canonical text before an event's body, after it, and at the end of its head: mostly the same."""
    clock = {"src": author.clock_source, "err_us": author.clock_error_us}
    who = {"type": actor.type, "id": actor.id, "role": actor.role, "auth": actor.auth}
    envelope = {"actor": who, "basis": author.basis, "boot": author.boot.hex(), "clk": clock, "log": author.origin}
    fault = fault_of(envelope, _AUTHOR)
    if fault:
        raise MisuseError("event-invalid", f"event's author: {fault}")
    before, after, last = (_spelt({key: envelope[key] for key in keys}) for keys in _AROUND_BODY)
    return b"{" + before + b'"body":', b"," + after, last


@lru_cache(maxsize=1024)
def _entry_texts(kind: str, purpose: str, job: str, detail_c: str) -> tuple[bytes, bytes]:
    """Return the canonical text of detail, job and kind, and that of the purpose: the same in most events of a job."""
    if kind not in KINDS:
        raise MisuseError("event-invalid", f"event of unknown kind {kind!r:.70}")
    subject = {"purpose": purpose} | ({"job": job} if job else {}) | ({"detail_c": detail_c} if detail_c else {})
    fault = fault_of(subject, _SUBJECT)
    if fault:
        raise MisuseError("event-invalid", f"event {kind}: {fault}")
    named = {key: value for key, value in {**subject, "kind": kind}.items() if key != "purpose"}
    return _spelt(named), _spelt({"purpose": purpose})


def _spelt(part: Mapping[str, object]) -> bytes:
    """Return the canonical members of a part of an object, each with its comma."""
    return encode(dict(part))[1:-1] + b","


def decode_event(encoded: bytes) -> Event:
    """Read an event strictly; a kind that this version does not know passes with its body unread.

    Raises:
        VerificationError: `not-canonical`, `event-malformed` or `time-malformed`.
    """
    envelope: dict[str, Any] = decode_object(encoded, EVENT_LIMIT_BYTES, "event")
    fault = fault_of(envelope, _ENVELOPE)
    if fault:
        raise VerificationError("event-malformed", f"event's envelope: {fault}")
    kind, body, clock = envelope["kind"], envelope["body"], envelope["clk"]
    if kind in KINDS:
        fault = _fault_of_body(kind, body)
        if fault:
            raise VerificationError("event-malformed", f"event {kind}: {fault}")
    actor = _actor_of(envelope["actor"])
    assert actor is not None  # the envelope's schema asked
    return Event(
        log=envelope["log"],
        seq=envelope["seq"],
        kind=kind,
        utc_us=parse_utc(envelope["t"]),
        mono_us=envelope["mono_us"],
        boot=envelope["boot"],
        job=envelope.get("job", ""),
        round=envelope.get("round"),
        body=body,
        encoded=encoded,
        purpose=envelope["purpose"],
        actor=actor,
        clock_source=clock["src"],
        clock_error_us=clock["err_us"],
    )


def _fault_of_body(kind: str, body: Mapping[str, object]) -> str | None:
    fault = fault_of(body, KINDS[kind])
    # A block stands for frames yet to be sent, so it has a count instead of a digest.
    if fault is None and kind == "egress.authorised":
        wanted = "frames" if body["payload_kind"] in BLOCKS else "payload_sha256"
        if wanted not in body:
            fault = f"missing key {wanted!r}"
    return fault
