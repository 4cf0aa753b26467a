"""How a command of the auditor's tool enters the command line.

Every command is a module with one function that takes `Commands` and calls `add_command`. Nothing is read here.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = ["Commands", "Run", "add_command"]

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    # The class takes no parameters when the program runs.
    Commands = argparse._SubParsersAction

Run = Callable[[argparse.Namespace], int]


def add_command(commands: Commands, name: str, text: str, run: Run) -> argparse.ArgumentParser:
    """Add a command with its one line of help and `--json`; `run` returns the exit code."""
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command
