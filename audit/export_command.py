"""`creditmesh-audit export`: write a log for somebody else to verify or read."""

import argparse
import sys
from pathlib import Path

from audit.commands import Commands, add_command
from audit.export import export_jsonl
from audit.screen import VALID, say
from audit.source import open_log
from privacy.errors import InputError

__all__ = ["add_export"]


def add_export(commands: Commands) -> None:
    """Add the command to the command line."""
    export = add_command(commands, "export", "write a log's exact bytes to a file", _run)
    export.add_argument("format", choices=["jsonl"])
    export.add_argument("log", type=Path, metavar="LOG")
    export.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: standard output)")


def _run(options: argparse.Namespace) -> int:
    with open_log(options.log, None) as log:
        if options.out is None:
            export_jsonl(log, sys.stdout.buffer)
            return VALID
        try:
            with options.out.open("xb") as stream:
                events = export_jsonl(log, stream)
        except OSError as error:
            raise InputError("output", f"{options.out}: cannot be written ({error.strerror})") from error
    say(f"{options.out}: {events} events")
    return VALID
