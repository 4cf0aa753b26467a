"""Recompute a recorded round at the bank: from rows, seed, code and the sums opened before to the commitment that left.

It opens no link and writes nothing; it may run while the node runs. Theory: the salted commitment in the signed header
binds the bank to its part before masking, the binding in the same header to the request and to every sum before it, and
the node's log to the header. So if the recomputed commitment is the same, that part was computed from these rows by
this code; if it differs while rows, code and binding are those of the time, something else was sent. That the rows are
honest it cannot show.
"""

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as dataclass_replace
from pathlib import Path

import numpy as np

from node import model_store
from node.archive import Archive, KeptJob
from node.config import NodeConfig
from node.dataset import dataset_digest, read_dictionary
from node.installed import installed_digest
from node.record_store import read_egress
from node.source import read_table
from privacy import messages as say
from privacy.digest import sha256
from privacy.envelope import Envelope, open_envelope
from privacy.errors import InputError, PeerError, VerificationError
from privacy.keys import expand, same_bytes
from privacy.log.record import Event
from privacy.noise import skellam
from privacy.secagg.binding import ask_digest, binding, next_transcript, transcript_start
from privacy.secagg.part import commit
from privacy.secagg.replay import Replay
from risk.book import Book
from risk.charter import spec_of
from risk.dictionary import Dictionary
from risk.job import contribute, rounds
from risk.sampling import for_upload
from risk.table import Table

__all__ = ["Finding", "Present", "Report", "replay_round", "replay_with"]

UPLOAD = "secagg.upload"


@dataclass(frozen=True, slots=True)
class Present:
    """What the bank has today.

    rows: reads the dictionary and the table. dataset, code_sha256: 64 hex digits, the first empty if there is no table.
    commit_key, split_key: 32 secret bytes each, None if they are lost or were never made. model: returns the model file
    of a digest.
    """

    member: str
    rows: Callable[[], tuple[Dictionary, Table]]
    dataset: str
    code_sha256: str
    commit_key: bytes | None
    split_key: bytes | None = None
    model: Callable[[str], bytes] = lambda _: b""

    def __repr__(self) -> str:
        return f"Present(member={self.member!r}, ...)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One upload of the round. state: `matched`, `differs` or `missing`; reason says what is missing or differs."""

    epoch: int
    position: int
    state: str
    reason: str = ""
    committed: str = ""
    recomputed: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the replay of a round found, one finding an upload."""

    job: str
    round: int
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        """Return `differs` if any upload differs, else `missing` if any cannot be recomputed, else `matched`."""
        states = {finding.state for finding in self.findings}
        return next(state for state in ("differs", "missing", "matched") if state in states)

    @property
    def exit_code(self) -> int:
        """Return 0 for matched, 1 for differs, 3 for missing."""
        return {"matched": 0, "differs": 1, "missing": 3}[self.state]

    def document(self) -> dict[str, object]:
        """Return the report as JSON values."""
        findings = [asdict(finding) for finding in self.findings]
        return {"job": self.job, "round": self.round, "state": self.state, "uploads": findings}

    def lines(self) -> list[str]:
        """Return one line an upload."""
        return [
            f"job {self.job} round {self.round} (epoch {finding.epoch}, position {finding.position}): {finding.state}"
            + (f": {finding.reason}" if finding.reason else "")
            for finding in self.findings
        ]


def replay_round(config: NodeConfig, job: str, number: int) -> Report:
    """Recompute a round with what `config` names; `InputError` for a job or round without this bank."""
    state = config.state.dir
    kept = Archive(state, "").read(job)
    events = _uploads(state, job, number)
    dictionary, table = read_dictionary(config.source.schema_file), config.source.table
    present = Present(
        config.member.id,
        lambda: (dictionary, read_table(table, dictionary, config.member.id)),
        dataset_digest(table, dictionary.digest()) if table.exists() else "",
        installed_digest(),
        _secret(state / "commit.key"),
        _secret(state / "split.key"),
        lambda sha256: model_store.get(state, sha256),
    )
    return replay_with(kept, events, number, present)


def replay_with(kept: KeptJob, events: Sequence[Event], number: int, present: Present) -> Report:
    """Recompute a round. events: this bank's own records of the uploads of that round, at least one."""

    def report(findings: Iterable[Finding]) -> Report:
        return Report(kept.manifest.job, number, tuple(findings))

    try:
        _check_present(kept, present)
        dictionary, table = present.rows()
        spec = spec_of(kept.manifest, dictionary, _kept_models(present))
        replay = Replay(rounds(spec), len(kept.manifest.seats))
        transcript = _feed(replay, kept, number)
        book = Book(table, spec, _splitting(present))
        return report(_compare(kept, event, (replay, transcript, book), present) for event in events)
    except _Lacking as lack:
        return report(_finding(event, "missing", str(lack)) for event in events)


def _secret(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _kept_models(present: Present) -> Callable[[str], bytes]:
    def model(sha256: str) -> bytes:
        try:
            return present.model(sha256)
        except (InputError, VerificationError) as error:
            raise _Lacking(error.message) from None

    return model


def _splitting(present: Present) -> Callable[[bytes], bytes]:
    key = present.split_key or b""
    return lambda message: hmac.digest(key, message, "sha256")


class _Lacking(Exception):
    """Something that the replay needs is not what it was; the text says what."""


def _check_present(kept: KeptJob, present: Present) -> None:
    if present.code_sha256 != kept.manifest.code_sha256:
        raise _Lacking(f"the code changed: the job ran code {kept.manifest.code_sha256[:16]}, "
                       f"installed is {present.code_sha256[:16]}")  # fmt: skip
    if present.dataset != kept.dataset:
        raise _Lacking(f"the rows changed: the job used dataset {kept.dataset[:16]}, "
                       f"table and dictionary are now {present.dataset[:16] or 'gone'}")  # fmt: skip
    if present.commit_key is None:
        raise _Lacking("commit.key is gone from the state folder: no commitment can be recomputed without its salt")
    if kept.manifest.dp is not None and present.split_key is None:
        raise _Lacking("split.key is gone from the state folder: which rows were held out cannot be told without it")


def _feed(replay: Replay, kept: KeptJob, number: int) -> bytes:
    """Give the recipe every kept sum before the round; return the transcript over them."""
    transcript, sums = transcript_start(kept.manifest.sha256()), kept.sums()
    for before in range(1, number):
        past = next(sums, None)
        if past is None or past.round != before or replay.done:
            raise _Lacking(f"the sum of round {before} is not kept, or not one that the recipe asks for")
        replay.feed(past.vector)
        transcript = next_transcript(transcript, past.bound, past.cohort_sha256, sha256(past.vector))
    if replay.done:
        raise _Lacking(f"the recipe is over before round {number} with the sums that are kept")
    return transcript


def _compare(kept: KeptJob, event: Event, redone: tuple[Replay, bytes, Book], present: Present) -> Finding:
    """Compare one upload with what is recomputed from the replay at the round, the transcript before it, the rows."""
    replay, transcript, book = redone
    envelope, noise_key = _header(kept, event)
    if envelope is None or present.commit_key is None:
        return _finding(event, "missing", "the signed header that left is not kept, or not the one in the log")
    at, header = envelope.address, envelope.message
    assert isinstance(header, say.Header)  # `_header` checked it
    number = event.round or 0
    bound = binding(at.agreement_root, at.position, number, ask_digest(replay.request.encode()), transcript)
    if not same_bytes(bound, at.binding):
        return _finding(event, "missing", "the kept sums do not lead to the request that the upload is bound to")
    plan = replay.plan
    if plan.noise:
        if not noise_key:
            return _finding(event, "missing", "the key of the noise in this upload is not kept")
        book = for_upload(book, noise_key)
    part: np.ndarray = contribute(replay.request, book)
    if plan.noise:
        part = part + skellam(noise_key, plan.length, plan.noise)
    recomputed = commit(plan.encode(part), expand(present.commit_key, "commitment-salt", bound))
    matched = same_bytes(recomputed, header.commitment)
    reason = "" if matched else "what was sent is not what these rows and this code give"
    found = _finding(event, "matched" if matched else "differs", reason)
    return dataclass_replace(found, committed=header.commitment.hex(), recomputed=recomputed.hex())


def _header(kept: KeptJob, event: Event) -> tuple[Envelope | None, bytes]:
    """Return the kept header of an upload in the log, its own signature checked, and the key of its noise."""
    for raw, noise_key in kept.uploads():
        try:
            envelope = open_envelope(raw, kept.manifest.identity_of)
        except PeerError:
            continue
        named = (envelope.msg_id, envelope.payload_sha256) == (event.body["msg_id"], event.body["payload_sha256"])
        if named and isinstance(envelope.message, say.Header):
            return envelope, noise_key
    return None, b""


def _finding(event: Event, state: str, reason: str) -> Finding:
    return Finding(int(str(event.body["epoch"])), int(str(event.body["position"])), state, reason)


def _uploads(state: Path, job: str, number: int) -> list[Event]:
    events = [event for event in read_egress(state, UPLOAD, job) if event.round == number]
    if not events:
        raise InputError("round-unknown", f"{state}: the log holds no upload of job {job} in round {number}")
    return events
