"""Every certificate that was issued to a member, and which of them counts.

It issues none. Theory: a member has one current certificate, and for a while a next one. The next one becomes current
when it is first used, and from that moment the old one is refused: so a reply that is lost locks nobody out, and a
stolen copy of the old certificate ends with the renewal. `members.certificate_serial` always names the current one.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update

from coordinator import tables
from coordinator.database import explained
from coordinator.store import serial_text

__all__ = ["CertificateRecord", "CertificateStore"]


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate: serial, member, state (current, next, replaced, revoked), and its period in UTC microseconds."""

    serial: int
    member: str
    state: str
    issued: int
    not_after: int


class CertificateStore:
    """Read and write certificates; safe to call from several threads and processes."""

    def __init__(self, engine: Engine, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """engine: of `coordinator.store.Store`. now_us: returns UTC microseconds."""
        self._engine = engine
        self._now_us = now_us

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(), self._engine.begin() as connection:
            yield connection

    def add_next(self, member: str, serial: int, not_after: int) -> None:
        """Note a certificate that a member may use from now on; an earlier next one that was never used is replaced."""
        table = tables.certificates
        row = {"serial": serial_text(serial), "member": member, "state": "next"}
        waiting = (table.c.member == member, table.c.state == "next")
        with self._transaction() as connection:
            connection.execute(update(table).where(*waiting).values(state="replaced"))
            connection.execute(insert(table).values({**row, "issued": self._now_us(), "not_after": not_after}))

    def add_current(self, member: str, serial: int, not_after: int) -> None:
        """Note the first certificate of a member that was just enrolled."""
        row = {"serial": serial_text(serial), "member": member, "state": "current"}
        with self._transaction() as connection:
            connection.execute(
                insert(tables.certificates).values({**row, "issued": self._now_us(), "not_after": not_after})
            )

    def promote(self, member: str, serial: int) -> bool:
        """Make a member's next certificate its current one; False if this is not its next one."""
        table, members, text = tables.certificates, tables.members, serial_text(serial)
        mine = table.c.member == member
        with self._transaction() as connection:
            waits = (mine, table.c.serial == text, table.c.state == "next")
            if connection.execute(select(table.c.serial).where(*waits)).first() is None:
                return False
            connection.execute(update(table).where(mine, table.c.state == "current").values(state="replaced"))
            connection.execute(update(table).where(*waits).values(state="current"))
            connection.execute(update(members).where(members.c.id == member).values(certificate_serial=text))
        return True

    def revoke(self, member: str) -> None:
        """Mark all of a member's certificates that count as revoked."""
        table = tables.certificates
        counts = (table.c.member == member, table.c.state.in_(("current", "next")))
        with self._transaction() as connection:
            connection.execute(update(table).where(*counts).values(state="revoked"))

    def of_member(self, member: str) -> list[CertificateRecord]:
        """Return a member's certificates, newest first."""
        table = tables.certificates
        query = select(table).where(table.c.member == member).order_by(table.c.issued.desc(), table.c.serial)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [CertificateRecord(**{**row, "serial": int(row["serial"], 16)}) for row in rows]

    def ends(self) -> dict[str, int]:
        """Return when each member's current certificate ends, UTC microseconds, where that was written down."""
        columns = tables.certificates.c
        query = select(columns.member, columns.not_after).where(columns.state == "current")
        with self._transaction() as connection:
            return {row.member: row.not_after for row in connection.execute(query)}

    def by_serial(self, serial: int) -> CertificateRecord | None:
        """Return what is known of a certificate; None for one that was issued before they were kept."""
        query = select(tables.certificates).where(tables.certificates.c.serial == serial_text(serial))
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else CertificateRecord(**{**row, "serial": int(row["serial"], 16)})
