"""Keep what a job needs to go on after the coordinator's process died, and forget it once every member knows the end.

It decides nothing and believes nothing it reads: sums are checked as a member checks them (`privacy.secagg.retrace`).
Theory: what a member acts on is durable here before it is sent. The manifest before the charter, an epoch's number
before the call to it, a cohort before it is closed, an opened sum before the next round shows it. So a later process
never calls an epoch a second time, closes over another cohort or opens a round again whose sum a member may hold.
`progress` is one row a job, `sums` one a round, `farewells` one for each member that has yet to be told the end.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from coordinator import tables
from coordinator.database import explained
from coordinator.desk import Footing
from coordinator.kept_round import decode_round, encode_round
from coordinator.store import RoundRecord, Store
from privacy.errors import VerificationError
from privacy.manifest import Manifest, decode_manifest
from privacy.secagg.downlink import OpenedRound
from privacy.secagg.replay import Replay
from privacy.secagg.retrace import Retraced

__all__ = ["Kept", "Progress", "retraced"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of a job: its manifest and footing, when it began (UTC microseconds), how many sums there are."""

    manifest: Manifest
    footing: Footing
    began: int
    sums: int


class Progress:
    """Write and read the progress of jobs; each method is one short transaction."""

    def __init__(self, store: Store) -> None:
        """store: whose database it is, and whose clock."""
        self._store = store

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(), self._store.engine.begin() as connection:
            yield connection

    def begin(self, manifest: Manifest, began: int) -> None:
        """Note the manifest of a job that is about to be chartered, and that no epoch was called."""
        footing = Footing(0, manifest.roster.members)
        row = {"job": manifest.job, "manifest": manifest.encode().decode("ascii"), "document": _write(footing, began)}
        with self._transaction() as connection:
            connection.execute(insert(tables.progress).values(row))

    def keep(self, job: str, footing: Footing, began: int) -> None:
        """Note where a job stands."""
        with self._transaction() as connection:
            _keep(connection, job, footing, began)

    def closed(self, record: RoundRecord, footing: Footing, began: int) -> None:
        """Note that a round's cohort is closed."""
        with self._transaction() as connection:
            _keep(connection, record.job, footing, began)
            self._store.write_round(connection, record)

    def opened(
        self, record: RoundRecord, body: Mapping[str, Any], past: OpenedRound, kept: tuple[Footing, int]
    ) -> None:
        """Note a round's sum, its line in the job's history, and where the job stands."""
        row = {"job": record.job, "number": record.number, "content": encode_round(past)}
        with self._transaction() as connection:
            _keep(connection, record.job, *kept)
            self._store.write_round(connection, record)
            self._store.write_event(connection, record.job, "round-opened", body)
            connection.execute(insert(tables.sums).values(row))

    def load(self, job: str) -> Kept | None:
        """Return what was kept of a job, None for one that was never chartered.

        Raises `VerificationError` if it is not what was written.
        """
        query = select(tables.progress).where(tables.progress.c.job == job)
        numbers = select(tables.sums.c.number).where(tables.sums.c.job == job).order_by(tables.sums.c.number)
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
            found = [each.number for each in connection.execute(numbers)]
        if row is None:
            return None
        try:
            document = json.loads(row["document"])
            footing = _read(document)
            manifest = decode_manifest(row["manifest"].encode("ascii"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VerificationError("progress-damaged", "what was kept of this job is damaged") from error
        if manifest.job != job or found != list(range(1, len(found) + 1)):
            raise VerificationError("progress-damaged", "what was kept of this job is damaged")
        return Kept(manifest, footing, int(document["began"]), len(found))

    def sum(self, job: str, number: int) -> OpenedRound:
        """Return an opened sum of a job; raises `VerificationError` if it is damaged."""
        query = select(tables.sums.c.content).where(tables.sums.c.job == job, tables.sums.c.number == number)
        with self._transaction() as connection:
            content = connection.execute(query).scalar()
        if content is None:
            raise VerificationError("progress-damaged", f"the sum of round {number} of {job} is gone")
        return decode_round(bytes(content))

    def ended(self, job: str, members: Iterable[str]) -> None:
        """Note that these members have yet to be told how the job ended."""
        rows = [{"job": job, "member": member} for member in members]
        with self._transaction() as connection:
            connection.execute(delete(tables.farewells).where(tables.farewells.c.job == job))
            if rows:
                connection.execute(insert(tables.farewells), rows)

    def farewells(self) -> list[tuple[str, str]]:
        """Return which job's end which member has yet to be told, by job and member."""
        query = select(tables.farewells.c.job, tables.farewells.c.member).order_by(*tables.farewells.c)
        with self._transaction() as connection:
            return [(row.job, row.member) for row in connection.execute(query)]

    def told(self, job: str, member: str) -> None:
        """Note that a member knows a job's end; what was kept of the job goes with the last one."""
        ended = tables.farewells.c.job == job
        with self._transaction() as connection:
            connection.execute(delete(tables.farewells).where(ended, tables.farewells.c.member == member))
            if connection.execute(select(tables.farewells).where(ended)).first() is None:
                connection.execute(delete(tables.sums).where(tables.sums.c.job == job))
                connection.execute(delete(tables.progress).where(tables.progress.c.job == job))


def retraced(progress: Progress, kept: Kept, replay: Replay) -> Retraced:
    """Check every sum that was kept of a job, and let `replay` learn from each.

    Raises `PrivacyError` for a sum that does not hold, and for one more than the recipe asks for.
    """
    past = Retraced(kept.manifest, kept.footing.epoch)
    for number in range(1, kept.sums + 1):
        opened = progress.sum(kept.manifest.job, number)
        if replay.done:
            raise VerificationError("progress-damaged", f"a sum of round {number} was kept, but no recipe asks for it")
        past.take(opened, replay.request.encode(), replay.plan)
        replay.feed(opened.vector)
    return past


def _keep(connection: Connection, job: str, footing: Footing, began: int) -> None:
    change = update(tables.progress).where(tables.progress.c.job == job)
    connection.execute(change.values(document=_write(footing, began)))


def _write(footing: Footing, began: int) -> str:
    document = {
        "began": began,
        "epoch": footing.epoch,
        "standing": list(footing.standing),
        "fixed": footing.fixed,
        "gone": sorted(footing.gone),
        "boots": {member: boot.hex() for member, boot in sorted(footing.boots.items())},
        "upload_bytes": dict(footing.upload_bytes),
        "dropouts": footing.dropouts,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _read(document: Mapping[str, Any]) -> Footing:
    return Footing(
        epoch=document["epoch"],
        standing=tuple(document["standing"]),
        fixed=document["fixed"],
        gone=frozenset(document["gone"]),
        boots={member: bytes.fromhex(boot) for member, boot in document["boots"].items()},
        upload_bytes=dict(document["upload_bytes"]),
        dropouts=document["dropouts"],
    )
