"""A log's side of witnessing: whom to ask from which size, and what an answer proves.

It sends nothing and reads no log: requests and answers are bytes, the log's own tree comes in as callables. Theory: a
witness takes a head only from the size that it holds, so what it last took is remembered and corrected by its 409. An
answer counts only by the signature in it. A witness that holds a head signed by this log which the log itself does not
know proves, by that note alone, that the log was put back from a copy or shown in two versions; a mere claim proves
nothing and is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from privacy.log.cosignature import parse_lines, verify_line
from privacy.log.note import VerifierKey
from privacy.log.witness import Answer, encode_request, parse_size

__all__ = ["Asked", "Gain", "OwnLog", "Petition", "Tally", "Tempo"]


@dataclass(frozen=True, slots=True)
class OwnLog:
    """The log that asks.

    Attributes:
        key: its public key.
        note: returns its newest checkpoint.
        consistency: returns the proof between two sizes.
        root: returns the root that it had at a size up to its own.
    """

    key: VerifierKey
    note: Callable[[], bytes]
    consistency: Callable[[int, int], Sequence[bytes]]
    root: Callable[[int], bytes]

    def head(self) -> Checkpoint:
        """Return the newest checkpoint, parsed."""
        return parse_checkpoint(self.note())[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request under way: its number, the witness, the body, and the head that it is about."""

    number: int
    witness: str
    body: bytes
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Gain:
    """What an answer brought.

    Attributes:
        witness: who answered.
        size: records that the witness now holds.
        line: its signature line on the checkpoint of that size, empty when it gave none.
        again: whether to ask once more, from the size that it told.
        conflict: a note, signed by this log, that contradicts the log as it is; empty for none.
        fault: the code of what was wrong with the answer, empty for nothing.
    """

    witness: str
    size: int = 0
    line: str = ""
    again: bool = False
    conflict: bytes = b""
    fault: str = ""


@dataclass(slots=True)
class Petition:
    """Ask witnesses, at most one request to each at a time.

    Attributes:
        own: the log that asks.
        witnesses: keys by id; None for one who keeps heads and signs nothing.
        known: the size that each witness is believed to hold.
    """

    own: OwnLog
    witnesses: Mapping[str, VerifierKey | None]
    known: dict[str, int] = field(default_factory=dict)
    _numbers: int = 0
    _under_way: dict[str, Asked] = field(default_factory=dict)
    _corrected_by: set[str] = field(default_factory=set)

    def ask(self, witness: str) -> Asked:
        """Return a request about the newest head; an earlier one to this witness is forgotten."""
        note = self.own.note()
        checkpoint = parse_checkpoint(note)[0]
        old = self.known.get(witness, 0)
        if old > checkpoint.size:
            old = 0  # the witness claims more than there is: it will say so again, and then must show it
        proof = self.own.consistency(old, checkpoint.size) if 0 < old < checkpoint.size else ()
        self._numbers += 1
        asked = Asked(self._numbers, witness, encode_request(old, proof, note), checkpoint)
        self._under_way[witness] = asked
        return asked

    def waits_for(self, witness: str) -> bool:
        """Say whether a request to this witness is unanswered."""
        return witness in self._under_way

    def forget(self) -> None:
        """Give up what is under way: the line that it went over is gone."""
        self._under_way.clear()

    def take(self, witness: str, number: int, answer: Answer) -> Gain | None:
        """Take an answer; None when nothing was asked under this number."""
        asked = self._under_way.get(witness)
        if asked is None or asked.number != number:
            return None
        del self._under_way[witness]
        if answer.status == 200:
            return self._cosigned(asked, answer)
        conflict = self._conflict(answer.held)
        if conflict:
            return Gain(witness, conflict=answer.held)
        if answer.status == 409:
            return self._corrected(asked, answer)
        return Gain(witness, fault=f"status-{answer.status}")

    def _cosigned(self, asked: Asked, answer: Answer) -> Gain:
        self._corrected_by.discard(asked.witness)
        witness, size = asked.witness, asked.checkpoint.size
        key = self.witnesses[witness]
        line = ""
        if key is not None:
            try:
                mine = [each for each in parse_lines(answer.body) if (each.name, each.key_id) == (key.name, key.key_id)]
                if not mine:
                    raise VerificationError("signature-missing", "the answer carries no line of the witness's key")
                verify_line(asked.checkpoint.text(), mine[0], key)
            except VerificationError as error:
                return Gain(witness, fault=error.code)
            line = mine[0].line()
        self.known[witness] = size
        return Gain(witness, size, line)

    def _corrected(self, asked: Asked, answer: Answer) -> Gain:
        told = parse_size(answer.body.decode("ascii", "replace").removesuffix("\n"))
        if told is None:
            return Gain(asked.witness, fault="size-malformed")
        # Corrected once, a request is repeated; a witness that tells another size each time is not followed.
        again = told != self.known.get(asked.witness, 0) and asked.witness not in self._corrected_by
        self.known[asked.witness] = told
        (self._corrected_by.add if again else self._corrected_by.discard)(asked.witness)
        if told > self.own.head().size:
            # More than this log has, and nothing signed to show for it.
            return Gain(asked.witness, told, fault="size-unproved")
        return Gain(asked.witness, told, again=again)

    def _conflict(self, held: bytes) -> bool:
        if not held:
            return False
        try:
            theirs = verify_checkpoint(held, self.own.key, self.own.key.name)
        except VerificationError:
            return False
        return theirs.size > self.own.head().size or self.own.root(theirs.size) != theirs.root


@dataclass(slots=True)
class Tally:
    """Count who cosigned which head of one log; `size` and `cosigners` are those of the largest head with a quorum."""

    size: int = 0
    cosigners: tuple[str, ...] = ()
    _by_size: dict[int, set[str]] = field(default_factory=dict)

    def add(self, gain: Gain, threshold: int) -> bool:
        """Count a witness's line; say whether a head at least as large as before now has its quorum."""
        if not gain.line or gain.size < self.size:
            return False
        names = self._by_size.setdefault(gain.size, set())
        names.add(gain.witness)
        if len(names) < threshold:
            return False
        self.size, self.cosigners = gain.size, tuple(sorted(names))
        self._by_size = {size: others for size, others in self._by_size.items() if size >= gain.size}
        return True


@dataclass(slots=True)
class Tempo:
    """Say when witnesses are to be asked, given the time in seconds and the log's size.

    Every `ask_s` while there is something that no quorum cosigned, every `heartbeat_s` in any case; and for `settle_s`
    after a job, as soon as the log has come to rest, then every second until there is a quorum.
    """

    ask_s: float = 60.0
    heartbeat_s: float = 86_400.0
    settle_s: float = 5.0
    retry_s: float = 1.0
    _asked_s: float = 0.0
    _asked_size: int = 0
    _last_size: int = 0
    _settle_until: float = 0.0

    def settle(self, now: float) -> None:
        """Begin the seconds after a job."""
        self._settle_until = now + self.settle_s

    def asked(self, now: float, size: int) -> None:
        """Note that all were asked about the head of this size."""
        self._asked_s, self._asked_size = now, size

    def is_due(self, now: float, size: int, quorum_size: int) -> bool:
        """Say whether to ask now; called a few times a second."""
        rests, self._last_size = size == self._last_size, size
        settling = now < self._settle_until
        if settling and rests and size != self._asked_size:
            return True
        if size > quorum_size:
            return now - self._asked_s >= (self.retry_s if settling and rests else self.ask_s)
        return now - self._asked_s >= self.heartbeat_s
