"""Invitations and what came of them, in the coordinator's database.

It checks no signature and issues no certificate (`coordinator.enrolment` does). Theory: an invitation moves along
open, applied, approved, or ends as cancelled or void; each step is an UPDATE that names the state it starts from, so
two machines that show one code at once cannot both be taken. Of the code's secret only a public key is kept. What was
decided stays as a row, for whoever asks later who let whom in.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, delete, insert, select, update

from coordinator import tables
from coordinator.database import explained
from coordinator.store import Member, member_rows
from privacy.errors import InputError
from privacy.member_entry import SignedEntry, entry_of

__all__ = ["WRONG_LIMIT", "Applied", "EnrolmentStore", "Grant", "Invite", "InviteState"]

InviteState = Literal["open", "applied", "approved", "cancelled", "void"]
WRONG_LIMIT = 3
_UNDECIDED = ("open", "applied")


@dataclass(frozen=True, slots=True)
class Applied:
    """What the first bank that showed a code asked for.

    request_pem: its certificate request. entry: its signed keys as they stand in a list. fingerprint: of them, to be
    read out. source: the address it came from. applied: UTC microseconds.
    """

    request_pem: str
    entry: Mapping[str, Any]
    fingerprint: str
    source: str
    applied: int


@dataclass(frozen=True, slots=True)
class Invite:
    """One invitation. Times are UTC microseconds.

    verifier: public half of the key that comes from the code's secret, hex. wrong: fingerprints typed wrongly so far.
    copies: how often the code was shown again with other keys. approvers: who approved it so far.
    """

    number: int
    member: str
    verifier: str
    state: InviteState
    created: int
    expires: int
    wrong: int
    copies: int
    applied: Applied | None
    decided: int | None
    certificate_pem: str
    approvers: tuple[str, ...] = ()

    def standing(self, now: int) -> str:
        """Return the state as people see it: `expired` where the time ran out before the code was shown."""
        return "expired" if self.state == "open" and now >= self.expires else self.state


@dataclass(frozen=True, slots=True)
class Grant:
    """What an approval brings: the member's row, its entry, and the certificate with its last moment (UTC us)."""

    member: Member
    entry: Mapping[str, Any]
    certificate_pem: str
    not_after: int


class EnrolmentStore:
    """Read and write invitations and members' entries; safe to call from several threads and processes."""

    def __init__(self, engine: Engine, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """engine: of `coordinator.store.Store`. now_us: returns UTC microseconds."""
        self._engine = engine
        self.now_us = now_us

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(), self._engine.begin() as connection:
            yield connection

    def add_invite(self, member: str, verifier: str, ttl_us: int) -> Invite:
        """Invite a bank; an undecided invitation of the same bank is cancelled by it."""
        now = self.now_us()
        row = {
            "member": member,
            "verifier": verifier,
            "state": "open",
            "created": now,
            "expires": now + ttl_us,
            "wrong": 0,
            "copies": 0,
        }
        with self._transaction() as connection:
            _cancel(connection, member, now)
            number = connection.execute(insert(tables.invites).values(row)).inserted_primary_key[0]  # type: ignore[index]
        return self.invite(int(number))

    def cancel(self, member: str) -> None:
        """Cancel what is undecided for a bank; raises `InputError` if nothing is."""
        with self._transaction() as connection:
            if not _cancel(connection, member, self.now_us()):
                raise InputError("invite-absent", f"there is no open invitation for {member}")

    def invite(self, number: int) -> Invite:
        """Return one invitation by its number."""
        return self._read(tables.invites.c.number == number)[0]

    def invites_of(self, member: str, most: int = 8) -> list[Invite]:
        """Return a bank's newest invitations, newest first."""
        return self._read(tables.invites.c.member == member)[:most]

    def invites(self) -> list[Invite]:
        """Return all invitations, newest first."""
        return self._read()

    def apply(self, number: int, applied: Applied) -> bool:
        """Take the first application for an open invitation; False if somebody was faster or it is not open."""
        row = {
            "state": "applied",
            "request": applied.request_pem,
            "entry": json.dumps(dict(applied.entry), sort_keys=True),
            "fingerprint": applied.fingerprint,
            "source": applied.source[:63],
            "applied": applied.applied,
        }
        return self._move(number, ("open",), row)

    def note_copy(self, number: int) -> None:
        """Count that a code was shown again with other keys than the first time."""
        same = tables.invites.c.number == number
        with self._transaction() as connection:
            connection.execute(update(tables.invites).where(same).values(copies=tables.invites.c.copies + 1))

    def note_wrong(self, number: int) -> int:
        """Count a fingerprint that was typed wrongly; at the third the invitation is void. Return how many are left."""
        same = (tables.invites.c.number == number, tables.invites.c.state == "applied")
        with self._transaction() as connection:
            connection.execute(update(tables.invites).where(*same).values(wrong=tables.invites.c.wrong + 1))
            spent = (*same, tables.invites.c.wrong >= WRONG_LIMIT)
            connection.execute(update(tables.invites).where(*spent).values(state="void", decided=self.now_us()))
            wrong = connection.execute(select(tables.invites.c.wrong).where(same[0])).scalar_one()
        return max(0, WRONG_LIMIT - int(wrong))

    def note_approval(self, number: int, approver: str) -> tuple[str, ...]:
        """Note that somebody approved; return everybody who did. The same one twice counts once."""
        same = (tables.invite_approvals.c.invite == number, tables.invite_approvals.c.approver == approver)
        row = {"invite": number, "approver": approver, "t": self.now_us()}
        with self._transaction() as connection:
            if connection.execute(select(tables.invite_approvals).where(*same)).first() is None:
                connection.execute(insert(tables.invite_approvals).values(row))
        return self.invite(number).approvers

    def grant(self, number: int, grant: Grant) -> bool:
        """Make an applicant a member, all in one transaction; False if its invitation is not waiting any more.

        A bank that was a member before keeps its name and gets these keys and this certificate in place of the old.
        """
        now, member = self.now_us(), grant.member
        change = {"state": "approved", "certificate": grant.certificate_pem, "decided": now}
        same = (tables.invites.c.number == number, tables.invites.c.state == "applied")
        with self._transaction() as connection:
            if connection.execute(update(tables.invites).where(*same).values(change)).rowcount != 1:
                return False
            row, keys = member_rows(member)
            certificates, mine = tables.certificates, tables.certificates.c.member == member.id
            connection.execute(update(certificates).where(mine).values(state="replaced"))
            if connection.execute(update(tables.members).where(tables.members.c.id == member.id).values(row)).rowcount:
                connection.execute(delete(tables.member_keys).where(tables.member_keys.c.member == member.id))
            else:
                connection.execute(insert(tables.members).values(row))
            connection.execute(insert(tables.member_keys).values(keys))
            _put_entry(connection, member.id, grant.entry)
            issued = {"serial": row["certificate_serial"], "member": member.id, "state": "current"}
            connection.execute(insert(certificates).values({**issued, "issued": now, "not_after": grant.not_after}))
        return True

    def put_entry(self, signed: SignedEntry) -> None:
        """Keep a member's own statement of its keys, in place of an earlier one."""
        with self._transaction() as connection:
            _put_entry(connection, signed.entry.member, signed.document())

    def entries(self, consortium: str) -> list[SignedEntry]:
        """Return the entries of all members that are active, by id."""
        active = tables.members.c.status == "active"
        query = select(tables.member_entries).join(
            tables.members, (tables.members.c.id == tables.member_entries.c.member) & active
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(tables.member_entries.c.member)).mappings().all()
        return [entry_of(consortium, json.loads(row["entry"])) for row in rows]

    def _move(self, number: int, states: tuple[str, ...], row: Mapping[str, Any]) -> bool:
        same = (tables.invites.c.number == number, tables.invites.c.state.in_(states))
        with self._transaction() as connection:
            return connection.execute(update(tables.invites).where(*same).values(dict(row))).rowcount == 1

    def _read(self, *where: Any) -> list[Invite]:
        invites, approvals = tables.invites, tables.invite_approvals
        with self._transaction() as connection:
            rows = connection.execute(select(invites).where(*where).order_by(invites.c.number.desc())).mappings().all()
            named = connection.execute(select(approvals).order_by(approvals.c.t, approvals.c.approver)).mappings().all()
        return [
            _invite(row, tuple(each["approver"] for each in named if each["invite"] == row["number"])) for row in rows
        ]


def _cancel(connection: Connection, member: str, now: int) -> int:
    same = (tables.invites.c.member == member, tables.invites.c.state.in_(_UNDECIDED))
    return connection.execute(update(tables.invites).where(*same).values(state="cancelled", decided=now)).rowcount


def _put_entry(connection: Connection, member: str, entry: Mapping[str, Any]) -> None:
    connection.execute(delete(tables.member_entries).where(tables.member_entries.c.member == member))
    row = {"member": member, "entry": json.dumps(dict(entry), sort_keys=True)}
    connection.execute(insert(tables.member_entries).values(row))


def _invite(row: Mapping[Any, Any], approvers: tuple[str, ...]) -> Invite:
    applied = None
    if row["applied"] is not None:
        entry = json.loads(row["entry"])
        applied = Applied(row["request"], entry, row["fingerprint"], row["source"] or "", row["applied"])
    return Invite(
        number=row["number"],
        member=row["member"],
        verifier=row["verifier"],
        state=row["state"],
        created=row["created"],
        expires=row["expires"],
        wrong=row["wrong"],
        copies=row["copies"],
        applied=applied,
        decided=row["decided"],
        certificate_pem=row["certificate"] or "",
        approvers=approvers,
    )
