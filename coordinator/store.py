"""Members, jobs, rounds, events and released models in one SQL database.

This module decides nothing about a job and holds no vector, key or log entry; the log (`coordinator.log_store`) is
the truth about messages, this is the working memory that a restart and the command line read.

Theory: SQLAlchemy Core and portable SQL, so a URL moves it to PostgreSQL. SQLite runs in WAL mode with foreign keys
on; the running coordinator and a command in another process use it at once. Each method is one short transaction. A
state moves only along `TRANSITIONS`, checked inside the UPDATE itself, so two processes cannot both move a job; `done`
and `failed` are final. Times are UTC microseconds.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Engine, delete, insert, select, update

from coordinator import tables
from coordinator.database import explained, open_database
from privacy.errors import InputError, MisuseError

__all__ = [
    "FINAL_STATES",
    "TRANSITIONS",
    "Job",
    "JobEvent",
    "JobState",
    "Member",
    "MemberStatus",
    "ModelRecord",
    "RoundRecord",
    "Store",
    "member_rows",
    "serial_text",
]

JobState = Literal["queued", "joining", "running", "paused", "done", "failed"]
MemberStatus = Literal["active", "suspended", "revoked"]

FINAL_STATES: frozenset[str] = frozenset({"done", "failed"})
TRANSITIONS: Mapping[JobState, frozenset[str]] = {
    "joining": frozenset({"queued"}),
    "running": frozenset({"joining", "paused"}),
    "paused": frozenset({"running"}),
    "done": frozenset({"running"}),
    "failed": frozenset({"queued", "joining", "running", "paused"}),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One bank: identity is its Ed25519 public key in hex, certificate_serial the TLS certificate it may use.

    log and witness are the verifier keys of its log and of its cosignatures, empty where none was enrolled.
    """

    id: str
    identity: str
    certificate_serial: int
    status: MemberStatus = "active"
    log: str = ""
    witness: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One job; spec is the job file as parsed, created and ended are UTC microseconds (ended None while it lives)."""

    id: str
    recipe: str
    spec: Mapping[str, Any]
    state: JobState
    reason: str
    created: int
    ended: int | None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One secure sum: number counts a job's sums from 1; position is the Ask's place; bytes is all members' upload."""

    job: str
    number: int
    position: int
    name: str
    state: str
    survivors: tuple[str, ...]
    bytes: int
    started: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's history; seq grows over all jobs, t is UTC microseconds."""

    seq: int
    job: str
    t: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model file: sha256 of its bytes in hex, the job it came from, its path inside the state folder.

    released: UTC microseconds at which it was released, None while it is pending.
    """

    sha256: str
    job: str
    path: str
    released: int | None = None


_MEMBERS = select(tables.members, tables.member_keys.c.log, tables.member_keys.c.witness).join(
    tables.member_keys, tables.member_keys.c.member == tables.members.c.id, isouter=True
)


_MODELS = select(tables.models, tables.releases.c.released).join(
    tables.releases,
    (tables.releases.c.sha256 == tables.models.c.sha256) & (tables.releases.c.job == tables.models.c.job),
    isouter=True,
)


class Store:
    """The coordinator's database; safe to call from several threads and, on SQLite, several processes."""

    def __init__(self, url: str, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """Open the database at `url` and bring its schema up to date; `migrated` says from where to where, if it was.

        now_us: returns the time as UTC microseconds. Raises `InputError` if the database cannot be opened.
        """
        self._now_us = now_us
        opened = open_database(url)
        self._engine, self.migrated = opened.engine, opened.migrated

    @property
    def engine(self) -> Engine:
        """Return the engine, for a module that keeps tables of its own in this database."""
        return self._engine

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(), self._engine.begin() as connection:
            yield connection

    # members

    def add_member(self, member: Member) -> None:
        """Add a bank; raises `InputError` if its id, identity or certificate serial is already enrolled."""
        row, keys = member_rows(member)
        try:
            with self._transaction() as connection:
                connection.execute(insert(tables.members).values(row))
                connection.execute(insert(tables.member_keys).values(keys))
        except MisuseError as error:
            taken = {other.id for other in self.members()}
            what = f"member {member.id}" if member.id in taken else "this identity or certificate"
            message = f"{what} is already enrolled; choose another name or suspend the old one"
            raise InputError("member-exists", message) from error

    def members(self) -> list[Member]:
        """Return all banks, by id."""
        query = _MEMBERS.order_by(tables.members.c.id)
        with self._transaction() as connection:
            return [_member(row) for row in connection.execute(query).mappings()]

    def member_by_serial(self, certificate_serial: int) -> Member | None:
        """Return the bank that holds the certificate with this serial number, whatever its status."""
        query = _MEMBERS.where(tables.members.c.certificate_serial == serial_text(certificate_serial))
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _member(row)

    def set_member_status(self, member_id: str, status: MemberStatus) -> None:
        """Change how a bank stands; raises `InputError` if it is not enrolled, or revoked and to be let in again."""
        same = tables.members.c.id == member_id
        with self._transaction() as connection:
            before = connection.execute(select(tables.members.c.status).where(same)).scalar()
            if before is None:
                raise InputError("member-unknown", f"member {member_id} is not enrolled")
            if before == "revoked" and status != "revoked":
                message = f"{member_id} was revoked: its certificate never counts again; invite it anew"
                raise InputError("member-revoked", message)
            connection.execute(update(tables.members).where(same).values(status=status))

    # jobs

    def add_job(self, recipe: str, spec: Mapping[str, Any]) -> str:
        """Queue a job and return its id, unique over every coordinator (`job-0001-5c2e9a71`)."""
        draft = secrets.token_hex(4)
        row = {
            "id": draft,
            "recipe": recipe,
            "spec": _json(spec),
            "state": "queued",
            "reason": "",
            "created": self._now_us(),
        }
        with self._transaction() as connection:
            number = connection.execute(insert(tables.jobs).values(row)).inserted_primary_key[0]  # type: ignore[index]
            job_id = f"job-{number:04d}-{draft}"
            connection.execute(update(tables.jobs).where(tables.jobs.c.number == number).values(id=job_id))
        return job_id

    def job(self, job_id: str) -> Job:
        """Return one job; raises `InputError` if there is none of that id."""
        with self._transaction() as connection:
            row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job_id)).mappings().first()
        if row is None:
            raise InputError("job-unknown", f"there is no job {job_id}; see `creditmesh-coordinator jobs`")
        return _job(row)

    def jobs(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self._transaction() as connection:
            return [
                _job(row) for row in connection.execute(select(tables.jobs).order_by(tables.jobs.c.number)).mappings()
            ]

    def next_queued(self) -> Job | None:
        """Return the oldest job that waits, or None."""
        query = select(tables.jobs).where(tables.jobs.c.state == "queued").order_by(tables.jobs.c.number).limit(1)
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _job(row)

    def set_job_state(self, job_id: str, state: JobState, reason: str = "") -> None:
        """Move a job along `TRANSITIONS`; a final state also sets `ended`.

        Raises `MisuseError` for a move that is not in the table (a final state is never left) or an unknown job.
        """
        values: dict[str, Any] = {"state": state, "reason": reason}
        if state in FINAL_STATES:
            values["ended"] = self._now_us()
        sources = TRANSITIONS.get(state, frozenset())
        change = update(tables.jobs).where(tables.jobs.c.id == job_id, tables.jobs.c.state.in_(sources)).values(values)
        with self._transaction() as connection:
            if connection.execute(change).rowcount != 1:
                raise MisuseError("job-transition", f"job {job_id} cannot move to {state} from the state it is in")

    def fail_unfinished(self, reason: str) -> list[str]:
        """Fail every job that had started and has not ended; return their ids, oldest first.

        Called once when the coordinator starts: masks live in memory only, so no epoch survives a restart.
        """
        started = ("joining", "running", "paused")
        query = select(tables.jobs.c.id).where(tables.jobs.c.state.in_(started)).order_by(tables.jobs.c.number)
        change = update(tables.jobs).where(tables.jobs.c.state.in_(started))
        with self._transaction() as connection:
            ids = [row.id for row in connection.execute(query)]
            connection.execute(change.values(state="failed", reason=reason, ended=self._now_us()))
        return ids

    # rounds, events, models

    def record_round(self, record: RoundRecord) -> None:
        """Write a round, replacing what an earlier call wrote for the same job and number."""
        row = {name: getattr(record, name) for name in record.__dataclass_fields__}
        row["survivors"] = _json(list(record.survivors))
        same = (tables.rounds.c.job == record.job, tables.rounds.c.number == record.number)
        with self._transaction() as connection:
            connection.execute(delete(tables.rounds).where(*same))
            connection.execute(insert(tables.rounds).values(row))

    def rounds(self, job_id: str) -> list[RoundRecord]:
        """Return a job's rounds by number."""
        query = select(tables.rounds).where(tables.rounds.c.job == job_id).order_by(tables.rounds.c.number)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [RoundRecord(**{**row, "survivors": tuple(json.loads(row["survivors"]))}) for row in rows]

    def add_event(self, job_id: str, kind: str, body: Mapping[str, Any]) -> int:
        """Append a line to a job's history and return its `seq`."""
        row = {"job": job_id, "t": self._now_us(), "kind": kind, "body": _json(body)}
        with self._transaction() as connection:
            return int(connection.execute(insert(tables.events).values(row)).inserted_primary_key[0])  # type: ignore[index]

    def job_events(self, job_id: str, after_seq: int = 0) -> list[JobEvent]:
        """Return a job's history after `after_seq`, oldest first."""
        query = (
            select(tables.events)
            .where(tables.events.c.job == job_id, tables.events.c.seq > after_seq)
            .order_by(tables.events.c.seq)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [JobEvent(**{**row, "body": json.loads(row["body"])}) for row in rows]

    def add_model(self, model: ModelRecord) -> None:
        """Note a model file, pending; noting the same one twice changes nothing."""
        same = (tables.models.c.sha256 == model.sha256, tables.models.c.job == model.job)
        row = {"sha256": model.sha256, "job": model.job, "path": model.path}
        with self._transaction() as connection:
            connection.execute(delete(tables.models).where(*same))
            connection.execute(insert(tables.models).values(row))

    def models(self, job_id: str) -> list[ModelRecord]:
        """Return a job's model files, by digest."""
        query = _MODELS.where(tables.models.c.job == job_id).order_by(tables.models.c.sha256)
        with self._transaction() as connection:
            return [ModelRecord(**row) for row in connection.execute(query).mappings()]

    def release_model(self, sha256: str, job_id: str) -> None:
        """Note that a model is released from now on; doing so twice keeps the first time.

        Raises `MisuseError` for a job that is not there.
        """
        same = (tables.releases.c.sha256 == sha256, tables.releases.c.job == job_id)
        row = {"sha256": sha256, "job": job_id, "released": self._now_us()}
        with self._transaction() as connection:
            if connection.execute(select(tables.releases).where(*same)).first() is None:
                connection.execute(insert(tables.releases).values(row))

    def pending_models(self) -> list[ModelRecord]:
        """Return the models that wait for their release, by job and digest."""
        query = _MODELS.where(tables.releases.c.released.is_(None))
        query = query.order_by(tables.models.c.job, tables.models.c.sha256)
        with self._transaction() as connection:
            return [ModelRecord(**row) for row in connection.execute(query).mappings()]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def serial_text(serial: int) -> str:
    """Return a certificate's serial number in hex: it has up to 160 bits, more than any SQL integer."""
    return f"{serial:x}"


def member_rows(member: Member) -> tuple[dict[str, str], dict[str, str]]:
    """Return a bank as rows of the tables `members` and `member_keys`."""
    row = {
        "id": member.id,
        "identity": member.identity,
        "certificate_serial": serial_text(member.certificate_serial),
        "status": member.status,
    }
    return row, {"member": member.id, "log": member.log, "witness": member.witness}


def _member(row: Mapping[Any, Any]) -> Member:
    serial = int(row["certificate_serial"], 16)
    return Member(row["id"], row["identity"], serial, row["status"], row["log"] or "", row["witness"] or "")


def _job(row: Mapping[Any, Any]) -> Job:
    return Job(
        id=row["id"],
        recipe=row["recipe"],
        spec=json.loads(row["spec"]),
        state=row["state"],
        reason=row["reason"],
        created=row["created"],
        ended=row["ended"],
    )
