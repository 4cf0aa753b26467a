"""How a command of the auditor's tool enters the command line.

Every command is a module with one function that takes `Commands` and calls `add_command`. Nothing is read here.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from audit.screen import USAGE, plain

__all__ = ["Commands", "Parser", "Run", "add_command"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and end with the code for wrong usage."""
        self.exit(USAGE, f"creditmesh-audit: {plain(message)}; see {self.prog} --help\n")


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]
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
