"""What `creditmesh-coordinator account` does and prints.

A password comes from a prompt or from a file of mode 0600, never from the command line, where every user of the machine
could read it. JSON of `list`: [{"name", "role", "created", "removed" | null}], times UTC in ISO 8601.
"""

import argparse
import getpass
import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from coordinator import config
from coordinator.access import leave_note
from coordinator.account_store import AccountStore
from coordinator.keys_file import read_secret
from coordinator.store import Store
from privacy.errors import InputError

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Do what `options.action` says: `add`, `password`, `remove` or `list`; return the exit code."""
    settings = config.load(options.config)
    with closing(Store(settings.storage.url)) as store:
        accounts = AccountStore(store.engine)
        if options.action == "list":
            _print(accounts, options.json)
            return 0
        if options.action == "add":
            account = accounts.add(options.name, options.role, _password(options.password_file))
        elif options.action == "password":
            accounts.named(options.name)
            account = accounts.set_password(options.name, _password(options.password_file))
        else:
            account = accounts.remove(options.name)
    leave_note(settings.state.dir, f"account-{options.action}", account.pseudonym)
    print(f"{account.name}: {account.role}, {account.pseudonym} in the log")
    return 0


def _password(path: Path | None) -> str:
    if path is not None:
        try:
            return read_secret(path).decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise InputError("password-form", f"{path}: not UTF-8 text") from error
    if not sys.stdin.isatty():
        raise InputError("password-missing", "no terminal to ask for a password; give --password-file FILE (mode 0600)")
    first = getpass.getpass("password: ")
    if first != getpass.getpass("again: "):
        raise InputError("password-differs", "the two passwords differ; nothing was changed")
    return first


def _print(accounts: AccountStore, as_json: bool) -> None:
    rows = [
        {"name": each.name, "role": each.role, "created": _moment(each.created), "removed": _moment(each.removed)}
        for each in accounts.all()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']:<24} {row['role']:<10} {row['created']}{'  removed' if row['removed'] else ''}")


def _moment(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
