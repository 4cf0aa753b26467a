"""Accounts of the console: a name, a role, and what was made of a password.

This module opens no session and draws no page. Theory: an account is a row of the coordinator's database and appears
in the log by its number alone, since a name may be a person's. A removed account keeps its row and number, so that no
later account inherits its past.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from coordinator import tables
from coordinator.database import explained
from coordinator.password import (
    DIGEST_BYTES,
    SALT_BYTES,
    check_password,
    stored_password,
    stored_shape,
    verify_password,
)
from privacy.errors import InputError

__all__ = ["ROLES", "Account", "AccountStore", "Role"]

Role = Literal["operator", "risk", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
# Compared with when there is no such account, so that an answer takes the same time; no password is known to give it.
_NOBODY = stored_shape(bytes(SALT_BYTES), bytes(DIGEST_BYTES))
# All of an account but what was made of its password.
_PUBLIC = [column for column in tables.accounts.c if column.name != "password"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in.

    created: UTC microseconds, as are changed, when the password was set last, and removed, None while it may log in.
    """

    number: int
    name: str
    role: Role
    created: int
    changed: int
    removed: int | None = None

    @property
    def pseudonym(self) -> str:
        """Return how the account appears in the log, such as `account-7`."""
        return f"account-{self.number}"


class AccountStore:
    """Read and write accounts in the coordinator's database; safe to call from several threads."""

    def __init__(self, engine: Engine, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        """engine: of `coordinator.store.Store`. now_us: returns UTC microseconds."""
        self._engine = engine
        self._now_us = now_us

    def add(self, name: str, role: Role, password: str) -> Account:
        """Add an account; raises `InputError` for a bad name or password, or a name that is taken."""
        if not _NAME.fullmatch(name):
            raise InputError("account-name", f"account {name!r}: expected 1 to 63 of a-z, 0-9, '.', _ and -")
        now = self._now_us()
        secret = stored_password(check_password(password))
        row = {"name": name, "role": role, "password": secret, "created": now, "changed": now}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(tables.accounts).values(row))
        except IntegrityError as error:
            raise InputError("account-exists", f"account {name} exists already, or did; choose another name") from error
        return self.named(name)

    def named(self, name: str) -> Account:
        """Return an account that may log in; raises `InputError` if there is none of that name."""
        found = [account for account in self.all() if account.name == name and account.removed is None]
        if not found:
            raise InputError(
                "account-unknown", f"there is no account {name}; see `creditmesh-coordinator account list`"
            )
        return found[0]

    def all(self) -> list[Account]:
        """Return every account that is or was, by number."""
        with explained(), self._engine.begin() as connection:
            rows = connection.execute(select(*_PUBLIC).order_by(tables.accounts.c.number)).mappings()
            return [Account(**row) for row in rows]

    def current(self, number: int) -> Account | None:
        """Return the account of that number if it may still log in."""
        with explained(), self._engine.begin() as connection:
            query = select(*_PUBLIC).where(tables.accounts.c.number == number)
            row = connection.execute(query).mappings().first()
        return None if row is None or row["removed"] is not None else Account(**row)

    def verify(self, name: str, password: str) -> Account | None:
        """Return the account if name and password fit, else None, in about the same time."""
        query = select(tables.accounts).where(tables.accounts.c.name == name, tables.accounts.c.removed.is_(None))
        with explained(), self._engine.begin() as connection:
            row = connection.execute(query).mappings().first()
        fits = verify_password(password, _NOBODY if row is None else row["password"])
        if row is None or not fits:
            return None
        return Account(row["number"], row["name"], row["role"], row["created"], row["changed"])

    def set_password(self, name: str, password: str) -> Account:
        """Replace an account's password; its open sessions end with their next request."""
        account, now = self.named(name), self._now_us()
        change = update(tables.accounts).where(tables.accounts.c.number == account.number)
        secret = stored_password(check_password(password))
        with explained(), self._engine.begin() as connection:
            connection.execute(change.values(password=secret, changed=now))
        return replace(account, changed=now)

    def remove(self, name: str) -> Account:
        """Let an account log in no more; its open sessions end with its next request."""
        account = self.named(name)
        change = update(tables.accounts).where(tables.accounts.c.number == account.number)
        with explained(), self._engine.begin() as connection:
            connection.execute(change.values(removed=self._now_us()))
        return account
