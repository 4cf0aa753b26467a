"""The newest head that each bank's log showed, kept on disk.

The coordinator is no witness and signs nothing here: it holds heads so that a bank whose log was put back from a copy
is told, with the proof that it signed more. The rules are `privacy.log.witness`. Theory: decisions are made in memory,
in the order of arrival, and written soon after in one transaction; what a crash takes is an older head, which the log
still continues.

File in the state directory: `witness.db`.
"""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

from coordinator.state_folder import make_private
from privacy.errors import InputError
from privacy.log.journal import PRAGMAS
from privacy.log.note import VerifierKey
from privacy.log.witness import SCHEMA, Decision, Held, Witness, read_held, write_decision

__all__ = ["HeadStore"]


class HeadStore:
    """Decide about shown heads on the event loop; `flush` may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        """Open the heads in `directory`; raises `InputError` `heads-unusable`."""
        self._path = directory / "witness.db"
        self._lock = threading.Lock()
        self._held: dict[str, Held | None] = {}
        self._waiting: dict[str, tuple[Decision, bytes]] = {}
        self._evidence: list[tuple[Decision, bytes]] = []
        try:
            make_private(self._path)
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            for statement in (*PRAGMAS, *SCHEMA):
                self._database.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error

    def decide(self, request: bytes, logs: Mapping[str, VerifierKey]) -> Decision:
        """Take or refuse a shown head of one of these logs, keys by origin."""
        decision = Witness(None, logs).decide(request, self.held, 0)
        with self._lock:
            if decision.held is not None:
                self._held[decision.origin] = decision.held
                self._waiting[decision.origin] = (decision, request)
            elif decision.evidence:
                self._evidence.append((decision, request))
        return decision

    def held(self, origin: str) -> Held | None:
        """Return the head held of a log."""
        if origin not in self._held:
            with self._lock:
                self._held[origin] = read_held(self._database, origin)
        return self._held[origin]

    def flush(self) -> None:
        """Write what was decided since the last time; raises `InputError` `heads-unusable`."""
        with self._lock:
            if not self._waiting and not self._evidence:
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                for decision, request in (*self._waiting.values(), *self._evidence):
                    write_decision(self._database, decision, request)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise self._fault(error) from error
            self._waiting.clear()
            self._evidence.clear()

    def close(self) -> None:
        """Write what waits and release the file."""
        try:
            self.flush()
        finally:
            self._database.close()

    def _fault(self, error: sqlite3.Error | OSError) -> InputError:
        return InputError("heads-unusable", f"{self._path}: the heads of the banks' logs cannot be used ({error})")
