"""A witness's rules: when it may cosign a log's head, and what it answers otherwise (C2SP tlog-witness v1.0.0).

The module reads no clock, opens no database and speaks to nobody: a store gives the head held of a log and must keep
the decided one, durably and in the same transaction, before the answer leaves (`SCHEMA` is the store's). Theory: a
witness that never answers for a head that does not continue the last one cannot be made to cosign two histories, so
nobody who trusts enough witnesses can be shown one history while somebody else is shown another.

Request: `old SIZE`, base64 lines of a consistency proof, an empty line, a checkpoint. Answers are HTTP's numbers: 200
with the witness's signature lines; 400 malformed, or the old size is above the new; 403 not signed by the log; 404 log
unknown; 409 the old size is not that of the head held, whose size is the body (also for a second root at one size);
422 the proof fails. A refused request that the log signed may prove its fork and is kept.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from privacy.errors import VerificationError
from privacy.log.canonical import INTEGER_LIMIT
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.cosignature import cosign
from privacy.log.journal import Database
from privacy.log.note import NOTE_LIMIT_BYTES, Note, NoteSigner, VerifierKey
from privacy.log.tree import EMPTY_ROOT, HASH_BYTES, verify_consistency

__all__ = [
    "REQUEST_LIMIT_BYTES",
    "SCHEMA",
    "SIZE_TYPE",
    "Answer",
    "Decision",
    "Held",
    "Request",
    "Witness",
    "encode_request",
    "parse_request",
    "parse_size",
    "read_heads",
    "read_held",
    "write_decision",
]

PROOF_LIMIT = 63
REQUEST_LIMIT_BYTES = NOTE_LIMIT_BYTES + 4096
SIZE_TYPE = "text/x.tlog.size"
EVIDENCE_LIMIT = 64
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS head (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, note BLOB NOT NULL,"
    " turn INTEGER NOT NULL UNIQUE) STRICT",
    "CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY, origin TEXT NOT NULL, status INTEGER NOT NULL,"
    " request BLOB NOT NULL, held BLOB NOT NULL) STRICT",
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{action} BEFORE {action.upper()} ON {table} {condition}"
        " BEGIN SELECT RAISE(ABORT, 'heads never fall back, evidence is never lost'); END"
        for table, action, condition in (
            ("head", "update", "WHEN NEW.size < OLD.size OR NEW.turn <= OLD.turn OR NEW.origin <> OLD.origin"),
            ("head", "delete", ""),
            ("refused", "update", ""),
            ("refused", "delete", ""),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed add-checkpoint request: the size it starts from, the proof, and the checkpoint with its exact bytes."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint
    note: Note
    encoded_note: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a status of HTTP's and the body; `held` is the note held, given with 409 and 422."""

    status: int
    body: bytes = b""
    held: bytes = b""

    @property
    def content_type(self) -> str:
        """Return the body's type as HTTP would name it."""
        return SIZE_TYPE if self.status == 409 else "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Held:
    """The head held of a log: parsed, and the note's bytes."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and what must be durable before it leaves.

    Attributes:
        answer: for the asker.
        origin: the log, empty when the request was malformed.
        held: the head to keep from now on, None to keep the one there is.
        evidence: whether the refused request was signed by the log and speaks of another history.
    """

    answer: Answer
    origin: str = ""
    held: Held | None = None
    evidence: bool = False


class Witness:
    """Decide about requests for the logs that are known; the signer is None for one who only keeps heads."""

    def __init__(self, signer: NoteSigner | None, logs: Mapping[str, VerifierKey]) -> None:
        """Take the keys of logs by origin."""
        self._signer = signer
        self._logs = dict(logs)

    @property
    def name(self) -> str:
        """Return the cosigner's name, empty for one who only keeps heads."""
        return self._signer.name if self._signer else ""

    def decide(self, encoded: bytes, held_of: Callable[[str], Held | None], unix_seconds: int) -> Decision:
        """Decide on one request.

        Args:
            encoded: the request's body.
            held_of: returns the head held of a log, None when there is none yet.
            unix_seconds: the time to state.
        """
        try:
            request = parse_request(encoded)
        except VerificationError:
            return Decision(Answer(400))
        origin, checkpoint = request.checkpoint.origin, request.checkpoint
        key = self._logs.get(origin)
        if key is None:
            return Decision(Answer(404), origin)
        try:
            key.verify(request.note)
        except VerificationError:
            return Decision(Answer(403), origin)
        if request.old_size > checkpoint.size:
            return Decision(Answer(400), origin)
        held = held_of(origin)
        refusal = _refusal(request, held)
        if refusal is not None:
            return refusal
        if held is None or checkpoint != held.checkpoint:
            held = Held(checkpoint, request.encoded_note)
        line = cosign(checkpoint.text(), self._signer, unix_seconds) if self._signer else ""
        return Decision(Answer(200, line.encode("utf-8")), origin, held)


def _refusal(request: Request, held: Held | None) -> Decision | None:
    checkpoint, origin = request.checkpoint, request.checkpoint.origin
    old = held.checkpoint if held else Checkpoint(origin, 0, EMPTY_ROOT)
    note = held.note if held else b""
    conflict = Answer(409, b"%d\n" % old.size, note)
    if checkpoint.size == old.size and checkpoint.root != old.root:
        # Two roots at one size, both signed: a fork, whatever size the request starts from.
        return Decision(conflict if held else Answer(422), origin, evidence=True)
    if request.old_size != old.size:
        return Decision(conflict, origin)
    try:
        verify_consistency(old.size, old.root, checkpoint.size, checkpoint.root, request.proof)
    except VerificationError:
        return Decision(Answer(422, held=note), origin, evidence=True)
    return None


def encode_request(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of an add-checkpoint request."""
    lines = [f"old {old_size}", *(base64.b64encode(each).decode("ascii") for each in proof), "", ""]
    return "\n".join(lines).encode("ascii") + note


def parse_request(encoded: bytes) -> Request:
    """Read a request strictly; the signature is not checked here.

    Raises:
        VerificationError: `request-malformed`, or of the checkpoint.
    """
    head, empty, note = encoded.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    size = lines[0].removeprefix("old ")
    if not empty or len(encoded) > REQUEST_LIMIT_BYTES or not lines[0].startswith("old ") or parse_size(size) is None:
        raise VerificationError("request-malformed", "an add-checkpoint request begins with its old size")
    if len(lines) - 1 > PROOF_LIMIT:
        raise VerificationError("request-malformed", f"a proof of {len(lines) - 1} lines, at most {PROOF_LIMIT}")
    checkpoint, parsed = parse_checkpoint(note)
    return Request(int(size), tuple(_hash(line) for line in lines[1:]), checkpoint, parsed, note)


def parse_size(text: str) -> int | None:
    """Return a size written in plain decimal, None for anything else."""
    return int(text) if _SIZE.fullmatch(text) and int(text) < INTEGER_LIMIT else None


def read_held(database: Database, origin: str) -> Held | None:
    """Return the head that a store holds of a log."""
    row = database.execute("SELECT note FROM head WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else _held(bytes(row[0]))


def read_heads(database: Database) -> tuple[int, bytes]:
    """Return how many heads were ever accepted, and a 32-byte digest of all that are held."""
    rows = database.execute("SELECT origin, size, note, turn FROM head ORDER BY origin").fetchall()
    digest = hashlib.sha256()
    for origin, size, note, turn in rows:
        checkpoint = _held(bytes(note)).checkpoint
        if (checkpoint.origin, checkpoint.size) != (origin, size):
            raise VerificationError("heads-damaged", f"the head held of {origin} is not the one that was stored")
        digest.update(f"{turn} {size} {len(origin)} {origin}\n".encode() + hashlib.sha256(note).digest())
    return max((row[3] for row in rows), default=0), digest.digest()


def write_decision(database: Database, decision: Decision, request: bytes) -> None:
    """Keep what a decision says must be kept, inside the caller's transaction."""
    if decision.held is not None:
        head = decision.held
        database.execute(
            "INSERT INTO head (origin, size, note, turn)"
            " SELECT ?, ?, ?, coalesce(max(turn), 0) + 1 FROM head WHERE true"
            " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, note = excluded.note, turn = excluded.turn",
            (decision.origin, head.checkpoint.size, head.note),
        )
    elif decision.evidence:
        (kept,) = database.execute("SELECT count(*) FROM refused WHERE origin = ?", (decision.origin,)).fetchone()
        if kept < EVIDENCE_LIMIT:
            database.execute(
                "INSERT INTO refused (origin, status, request, held) VALUES (?, ?, ?, ?)",
                (decision.origin, decision.answer.status, request, decision.answer.held),
            )


def _held(note: bytes) -> Held:
    return Held(parse_checkpoint(note)[0], note)


def _hash(line: str) -> bytes:
    try:
        value = base64.b64decode(line.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != HASH_BYTES or base64.b64encode(value).decode("ascii") != line:
        raise VerificationError("request-malformed", "a line of the proof is not base64 of 32 bytes")
    return value
