"""Proposals to promote a model and the banks' ballots on them, in the coordinator's database.

It checks no signature and counts nothing (`coordinator.promotion` does). Theory: a proposal's number is its key and
rises; a bank has one ballot on each, and what was written is never changed, only the proposal's state, and that only
away from `open`. So a restart finds every ballot, and two processes cannot both close one proposal.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from coordinator import tables
from coordinator.database import explained
from privacy.errors import InputError, MisuseError
from privacy.log.signoff import Proposal, decode_proposal

__all__ = ["BallotBox", "ProposalState", "Standing"]

ProposalState = Literal["open", "promoted", "rejected", "superseded", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A proposal, its state, when it was closed (UTC microseconds, None while open) and the ballots on it by member."""

    proposal: Proposal
    state: ProposalState
    closed: int | None
    ballots: Mapping[str, bytes] = field(default_factory=dict)


class BallotBox:
    """Read and write proposals and ballots; safe to call from several threads and processes."""

    def __init__(self, engine: Engine, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """engine: of `coordinator.store.Store`. now_us: returns UTC microseconds."""
        self._engine = engine
        self._now_us = now_us

    def propose(self, make: Callable[[int, int], Proposal]) -> Proposal:
        """Write down an open proposal and return it; make: builds it from its number and the time, UTC microseconds.

        Raises `InputError` if the same model is open for that role already.
        """
        table = tables.proposals
        try:
            with explained(), self._engine.begin() as connection:
                newest = connection.execute(select(func.max(table.c.number))).scalar() or 0
                now = self._now_us()
                proposal = make(newest + 1, now)
                same = (table.c.model == proposal.model, table.c.role == proposal.role, table.c.state == "open")
                found = connection.execute(select(table.c.number).where(*same)).scalar()
                if found is not None:
                    raise InputError(
                        "proposal-open",
                        f"model {proposal.model[:16]} is proposed as {proposal.role} already (proposal {found}); "
                        "wait for the banks, or withdraw it first",
                    )
                connection.execute(insert(table).values(_row(proposal, now)))
        except MisuseError:
            raise InputError("proposal-raced", "somebody proposed at this very moment; look and try again") from None
        return proposal

    def all(self) -> list[Standing]:
        """Return every proposal with its ballots, by number."""
        with self._transaction() as connection:
            return _standings(connection)

    def open(self) -> list[Standing]:
        """Return the proposals that banks may still sign, by number."""
        with self._transaction() as connection:
            return _standings(connection, tables.proposals.c.state == "open")

    def states(self) -> dict[int, str]:
        """Return the state of every proposal by number: a cheap look for what changed."""
        with self._transaction() as connection:
            query = select(tables.proposals.c.number, tables.proposals.c.state)
            return {row.number: row.state for row in connection.execute(query)}

    def has_models(self) -> bool:
        """Say whether any model was released, so that there may have been a promotion."""
        with self._transaction() as connection:
            return connection.execute(select(tables.releases.c.sha256).limit(1)).first() is not None

    def one(self, number: int) -> Standing:
        """Return one proposal; raises `InputError` if there is none of that number."""
        with self._transaction() as connection:
            found = _standings(connection, tables.proposals.c.number == number)
        if not found:
            raise InputError("proposal-unknown", f"there is no proposal {number}; see `creditmesh-coordinator models`")
        return found[0]

    def in_force(self, role: str) -> Standing | None:
        """Return the promotion that is in force for a role: the one with the highest number."""
        chosen = (tables.proposals.c.role == role, tables.proposals.c.state == "promoted")
        with self._transaction() as connection:
            newest = connection.execute(select(func.max(tables.proposals.c.number)).where(*chosen)).scalar()
            return None if newest is None else _standings(connection, tables.proposals.c.number == newest)[0]

    def add_ballot(self, number: int, member: str, decision: str, raw: bytes) -> bool:
        """Keep a member's ballot; False if the very same is there. Another one of that member raises `InputError`."""
        text = raw.decode("utf-8")
        row = {"proposal": number, "member": member, "decision": decision, "document": text, "t": self._now_us()}
        same = (tables.ballots.c.proposal == number, tables.ballots.c.member == member)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(tables.ballots).values(row))
        except IntegrityError:
            with self._transaction() as connection:
                kept = connection.execute(select(tables.ballots.c.document).where(*same)).scalar()
            if kept != text:
                raise InputError("ballot-again", f"{member} has voted on proposal {number} already") from None
            return False
        return True

    def restore(self, proposal: Proposal, ballots: Mapping[str, tuple[str, bytes]]) -> bool:
        """Write down a promotion that this database does not know, as after a restore; False if it is here.

        ballots: by member, the decision and the signed bytes. Another proposal of that number raises `InputError`.
        """
        table, now = tables.proposals, self._now_us()
        with self._transaction() as connection:
            kept = connection.execute(select(table.c.sha256).where(table.c.number == proposal.number)).scalar()
            if kept is not None and kept != proposal.sha256():
                raise InputError("proposal-forked", f"number {proposal.number} stands for another proposal here")
            if kept is None:
                row = {**_row(proposal, proposal.proposed_us), "state": "promoted", "closed": now}
                connection.execute(insert(table).values(row))
                for member, (decision, raw) in ballots.items():
                    vote = {"proposal": proposal.number, "member": member, "decision": decision, "t": now}
                    connection.execute(insert(tables.ballots).values({**vote, "document": raw.decode("utf-8")}))
        return kept is None

    def close(self, number: int, state: ProposalState) -> bool:
        """Close an open proposal; False if it is not open any more."""
        chosen = (tables.proposals.c.number == number, tables.proposals.c.state == "open")
        change = update(tables.proposals).where(*chosen).values(state=state, closed=self._now_us())
        with self._transaction() as connection:
            return connection.execute(change).rowcount == 1

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(), self._engine.begin() as connection:
            yield connection


def _row(proposal: Proposal, now: int) -> dict[str, Any]:
    return {
        "number": proposal.number,
        "sha256": proposal.sha256(),
        "role": proposal.role,
        "model": proposal.model,
        "job": proposal.job,
        "document": proposal.encode().decode("utf-8"),
        "state": "open",
        "proposed": now,
        "closed": None,
    }


def _standings(connection: Connection, *chosen: Any) -> list[Standing]:
    table, votes = tables.proposals, tables.ballots
    rows = connection.execute(select(table).where(*chosen).order_by(table.c.number)).mappings().all()
    cast: dict[int, dict[str, bytes]] = {row["number"]: {} for row in rows}
    query = select(votes).join(table, table.c.number == votes.c.proposal).where(*chosen).order_by(votes.c.member)
    for row in connection.execute(query).mappings():
        cast[row["proposal"]][row["member"]] = row["document"].encode("utf-8")
    return [
        Standing(decode_proposal(row["document"].encode("utf-8")), row["state"], row["closed"], cast[row["number"]])
        for row in rows
    ]
