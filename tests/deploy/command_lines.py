"""Find our commands in units, images, a compose file and documents, and say which of them the product would not take.

Nothing is run: a command line is handed to the parser that the program itself uses.
"""

import re
import shlex

from audit.cli import _parser as audit_parser
from coordinator.cli import _parser as coordinator_parser
from node.cli import _parser as node_parser
from privacy.errors import InputError

__all__ = ["PROGRAMS", "complaint", "in_shell"]

PROGRAMS = {
    "creditmesh-node": node_parser,
    "creditmesh-coordinator": coordinator_parser,
    "creditmesh-audit": audit_parser,
}
# A service of the compose file and the program that its image starts.
_SERVICES = {"coordinator": "creditmesh-coordinator", **{f"bank-{each}": "creditmesh-node" for each in "abcd"}}


def complaint(words: list[str]) -> str:
    """Return what the program says about its command line (its name first); empty if it takes it."""
    parser = PROGRAMS[words[0]]()
    try:
        options = parser.parse_args(words[1:])
    except (InputError, SystemExit) as error:
        return f"{' '.join(words)}: {error}"
    return "" if callable(getattr(options, "run", None)) else f"{' '.join(words)}: nothing to run"


def in_shell(line: str) -> list[str] | None:
    """Return our command in one line of a shell, its program's name first; None if there is none."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["docker", "compose"] and "run" in words:
        start = next(number for number, word in enumerate(words) if word in _SERVICES)
        return [_SERVICES[words[start]], *words[start + 1 :]]
    wrapped = words[:1] in (["sudo"], ["docker"], ["exec"])
    for number, word in enumerate(words):
        program = word.rpartition("/")[2]
        # `sudo -u USER PROGRAM`: the user's name is not the program.
        if program in PROGRAMS and (number == 0 or (wrapped and words[number - 1] != "-u")):
            rest = words[number + 1 :]
            stop = next((at for at, each in enumerate(rest) if re.fullmatch(r"[|>;&]+.*|\|\||&&", each)), len(rest))
            return [program, *rest[:stop]]
    return None
