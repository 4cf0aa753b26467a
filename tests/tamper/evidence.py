"""A network's logs as an auditor gets them: copies of the state directories, and an export of each in every form.

A party is a bank or the coordinator. Its evidence is a folder with `state` (log.db, log.mark, log.vkey, origin,
rounds), `log.jsonl` and `tiles`; its signing key is kept beside, for attackers who own it.
"""

import shutil
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from audit.cli import main

__all__ = ["COORDINATOR", "Evidence", "audit", "gather"]

COORDINATOR = "coordinator"
_SMALL = ("log.mark", "log.vkey", "origin", "log.key")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the honest evidence lies: a folder for each party, and the public keys that the auditor holds."""

    root: Path
    banks: tuple[str, ...]

    @property
    def members(self) -> Path:
        """Return members.json."""
        return self.root / "members.json"

    @property
    def parties(self) -> tuple[str, ...]:
        """Return every log's keeper, the coordinator last."""
        return (*self.banks, COORDINATOR)

    def state(self, party: str) -> Path:
        """Return the state directory of a party."""
        return self.root / party / "state"


def gather(run: Path, root: Path) -> Evidence:
    """Copy and export the logs of a run of the demo that has ended."""
    banks = tuple(sorted(each.name for each in (run / "nodes").iterdir() if (each / "log.db").exists()))
    root.mkdir(parents=True)
    shutil.copy(run / "nodes" / banks[0] / "keys" / "members.json", root / "members.json")
    for party in (*banks, COORDINATOR):
        source = run / COORDINATOR if party == COORDINATOR else run / "nodes" / party
        state = root / party / "state"
        state.mkdir(parents=True)
        with closing(sqlite3.connect(source / "log.db")) as old, closing(sqlite3.connect(state / "log.db")) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
        for name in _SMALL:
            shutil.copy(source / name, state / name)
        if (source / "rounds").is_dir():
            shutil.copytree(source / "rounds", state / "rounds")
        for form, name in (("jsonl", "log.jsonl"), ("tiles", "tiles")):
            code, said = audit("export", form, str(state), "--out", str(root / party / name))
            assert code == 0, said
    return Evidence(root, banks)


def audit(*arguments: str) -> tuple[int, str]:
    """Run the auditor's tool in this process; return its exit code and what it printed."""
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(arguments)
    return code, said.getvalue()
