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
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from coordinator import tables
from coordinator.database import explained, open_database, relax
from coordinator.rows import (
    FINAL_STATES,
    TRANSITIONS,
    Job,
    JobEvent,
    JobState,
    Member,
    MemberStatus,
    ModelRecord,
    RoundRecord,
    Wish,
)
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
            if before in ("revoked", "left") and status != before:
                what = "was revoked" if before == "revoked" else "has left"
                message = f"{member_id} {what}: its certificate never counts again; invite it anew"
                raise InputError(f"member-{before}", message)
            connection.execute(update(tables.members).where(same).values(status=status))

    # jobs

    def add_job(self, recipe: str, spec: Mapping[str, Any], not_before: int | None = None) -> str:
        """Queue a job and return its id, unique over every coordinator (`job-0001-5c2e9a71`).

        not_before: UTC microseconds before which it is not started.
        """
        draft = secrets.token_hex(4)
        row = {
            "id": draft,
            "recipe": recipe,
            "spec": _json(spec),
            "state": "queued",
            "reason": "",
            "created": self._now_us(),
            "not_before": not_before,
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
        """Return the oldest job that waits and may start by now, or None; one that is held back lets others pass."""
        jobs = tables.jobs.c
        due = (jobs.not_before.is_(None) | (jobs.not_before <= self._now_us())) & jobs.wish.is_(None)
        query = select(tables.jobs).where(jobs.state == "queued", due).order_by(jobs.number).limit(1)
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

    def unfinished(self) -> list[Job]:
        """Return the jobs that had started and have not ended, oldest first; at most one of them runs."""
        started = ("joining", "approving", "running", "paused")
        query = select(tables.jobs).where(tables.jobs.c.state.in_(started)).order_by(tables.jobs.c.number)
        with self._transaction() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def set_wish(self, job_id: str, wish: Wish) -> None:
        """Note what an operator asks of a job; one that is cancelled before it began is over at once.

        Raises `InputError` if it has ended or is to be cancelled already.
        """
        job = self.job(job_id)
        if job.state in FINAL_STATES or job.wish == "cancel":
            what = "is being cancelled" if job.state not in FINAL_STATES else f"has ended: it is {job.state}"
            raise InputError("job-over", f"{job_id} {what}; see `creditmesh-coordinator job {job_id}`")
        jobs = tables.jobs.c
        open_still = (jobs.id == job_id, jobs.state.not_in(FINAL_STATES))
        over = {"state": "cancelled", "reason": "cancelled in the queue", "ended": self._now_us(), "wish": None}
        with self._transaction() as connection:
            if wish == "cancel":
                connection.execute(update(tables.jobs).where(*open_still, jobs.state == "queued").values(over))
            connection.execute(update(tables.jobs).where(*open_still).values(wish=wish or None))

    def set_live(self, job_id: str, document: Mapping[str, Any]) -> None:
        """Note where a job stands at this moment, for whoever watches; a crash may lose it."""
        row = {"job": job_id, "body": _json(document), "t": self._now_us()}
        with explained(), self._engine.connect() as connection:
            relax(connection)
            with connection.begin():
                connection.execute(delete(tables.live))
                connection.execute(insert(tables.live).values(row))

    def live(self) -> dict[str, Any] | None:
        """Return where the running job stands (`coordinator.live` says in which words), None while none runs."""
        query = select(tables.live.c.body).join(tables.jobs, tables.jobs.c.id == tables.live.c.job)
        with self._transaction() as connection:
            body = connection.execute(query.where(tables.jobs.c.state.not_in(FINAL_STATES))).scalar()
        return None if body is None else json.loads(body)

    # rounds, events, models

    def record_round(self, record: RoundRecord) -> None:
        """Write a round, replacing what an earlier call wrote for the same job and number."""
        with self._transaction() as connection:
            self.write_round(connection, record)

    def write_round(self, connection: Connection, record: RoundRecord) -> None:
        """Do what `record_round` does within a transaction of the caller's."""
        row = {name: getattr(record, name) for name in record.__dataclass_fields__}
        row["survivors"] = _json(list(record.survivors))
        same = (tables.rounds.c.job == record.job, tables.rounds.c.number == record.number)
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
        with self._transaction() as connection:
            return self.write_event(connection, job_id, kind, body)

    def write_event(self, connection: Connection, job_id: str, kind: str, body: Mapping[str, Any]) -> int:
        """Do what `add_event` does within a transaction of the caller's."""
        row = {"job": job_id, "t": self._now_us(), "kind": kind, "body": _json(body)}
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
        wish=row["wish"] or "",
        not_before=row["not_before"],
    )
