"""The commands `backup` and `restore` of a node: what they print; the work is `node.backup`."""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_backup_commands"]


def add_backup_commands(commands: Any) -> None:
    """Add the commands to the parser's subcommands."""
    backup = commands.add_parser("backup", help="write log, ledger, models, counts and keys into one file, at any time")
    backup.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, made with mode 0600")
    backup.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="build a node up from a backup, in a new folder")
    restore.add_argument("backup", type=Path, metavar="FILE")
    restore.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    restore.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> int:
    from node.access import leave_note
    from node.backup import back_up
    from node.config import load

    facts = back_up(options.config, options.out)
    leave_note(load(options.config).state.dir, "backup", options.out.name)
    print(f"{options.out}: log, ledger, counts, models and private keys of {facts['member']}; the rows are not in it")
    for path in facts["outside"]:
        print(f"not in it, since it lies outside the settings' folder: {path}")
    print("whoever has this file can be this bank in the network: keep it as you keep the keys")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from node.backup import restore

    facts = restore(options.backup, options.to)
    print(f"{options.to}: {facts['member']} as of {facts['made']}")
    for path in facts["outside"]:
        print(f"put this file back yourself: {path}")
    print(f"stop the old node for good, see that [source] in {options.to / 'node.toml'} points at the rows, then:")
    print(f"creditmesh-node run --config {options.to / 'node.toml'}")
    print(
        "it takes part in no job before a quorum of the banks has cosigned its log; if they hold a newer one, it stops"
    )
    print("with exit code 4: a budget that was spent since the backup does not come back; restore a newer copy then")
    return 0
