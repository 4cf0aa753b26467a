"""The operator's commands `backup` and `restore`: what they print; the work is `coordinator.backup`."""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_backup_commands"]


def add_backup_commands(kinds: Any) -> None:
    """Add the commands to the parser's subcommands."""
    backup = kinds.add_parser("backup", help="write all that this coordinator is into one file, while it runs")
    backup.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, made with mode 0600")
    backup.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    backup.set_defaults(run=_backup)
    restore = kinds.add_parser("restore", help="build a coordinator up from a backup, in a new folder")
    restore.add_argument("backup", type=Path, metavar="FILE")
    restore.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    restore.add_argument("--storage", metavar="URL", help="an empty database; default: an SQLite file in the folder")
    restore.add_argument("--log", metavar="URL", help="an empty PostgreSQL database for the log; default: a file")
    restore.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note
    from coordinator.backup import back_up
    from coordinator.config import load

    facts = back_up(options.config, options.out)
    leave_note(load(options.config).state.dir, "backup", options.out.name)
    print(f"{options.out}: database, log, models, outcomes, and the private keys of authority, server and coordinator")
    for path in facts["outside"]:
        print(f"not in it, since it lies outside the settings' folder: {path}")
    print("whoever has this file can be the coordinator: keep it as you keep the keys")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from coordinator.backup import restore

    facts = restore(options.backup, options.to, options.storage, options.log)
    print(f"{options.to}: as of {facts['made']}, {facts['records']} records in the log")
    for path in facts["outside"]:
        print(f"put this file back yourself: {path}")
    print(f"stop the old one for good, then: creditmesh-coordinator run --config {options.to / 'coordinator.toml'}")
    print("it does nothing until a quorum of the banks agrees that nothing newer is known (`restore_confirmed`)")
    print("if a bank holds a newer head of the log, it stops with exit code 4 and has spoilt nothing: use a newer copy")
    return 0
