"""This bank as a witness: the heads that it holds of the others' logs, on disk, and its answers to requests.

The rules are `privacy.log.witness`; this module opens, locks and closes files. Theory: a head is checked and stored in
one transaction of a database with `synchronous=FULL`, and only then answered for, so two requests at once cannot both
win, and no crash makes the witness forget what it cosigned. Requests that wait together share a transaction. How many
heads were ever taken, with a digest of all, is kept apart in `witness.mark`: a database that is older than that was put
back from a copy, and a witness that went on from it could cosign a second history, so it refuses to start.

Files in the state directory: `witness.db`, `witness.mark`, `witness.key` (0600), `witness.vkey`.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from node.mark_file import MarkFile
from node.note_key import keep_public, load_note_key
from node.state_folder import make_private
from privacy.errors import InputError, VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.journal import PRAGMAS
from privacy.log.note import COSIGNATURE, NoteSigner, VerifierKey
from privacy.log.witness import SCHEMA, Decision, Held, Witness, read_heads, read_held, write_decision

__all__ = ["WitnessStore", "load_witness_key"]


class WitnessStore:
    """Answer add-checkpoint requests; safe to call from any thread."""

    def __init__(
        self, directory: Path, signer: NoteSigner, logs: Mapping[str, VerifierKey], unix_seconds: Callable[[], int]
    ) -> None:
        """Open the heads in `directory` and check them against their mark.

        Args:
            directory: the state directory.
            signer: the witness's own key.
            logs: keys of the logs that are witnessed, by origin.
            unix_seconds: reads the wall clock.

        Raises:
            InputError: `witness-unusable`, or `log-in-use` when another process holds the heads.
            VerificationError: `rolled-back`, `forked`, `heads-damaged` or `mark-unreadable`.
        """
        self._path = directory / "witness.db"
        self._signer = signer
        self._witness = Witness(signer, logs)
        self._unix_seconds = unix_seconds
        self._lock = threading.Lock()
        self._mark = MarkFile(directory / "witness.mark", signer.name)
        try:
            make_private(self._path)
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            for statement in (*PRAGMAS, *SCHEMA):
                self._database.execute(statement)
            self._check()
        except (sqlite3.Error, OSError) as error:
            self._mark.close()
            raise self._fault(error) from error
        except BaseException:
            self._mark.close()
            raise

    def answer(self, requests: Sequence[bytes]) -> list[Decision]:
        """Decide on requests in their order; on return what was decided is durable.

        Raises:
            InputError: `witness-unusable`; then none of them was answered and nothing was stored.
        """
        with self._lock:
            try:
                return self._answer(requests)
            except sqlite3.Error as error:
                raise self._fault(error) from error

    def adopt(self, logs: Mapping[str, VerifierKey]) -> None:
        """Witness these logs from now on; logs: keys by origin."""
        with self._lock:
            self._witness = Witness(self._signer, logs)

    def held(self, origin: str) -> Held | None:
        """Return the head held of a log."""
        with self._lock:
            return read_held(self._database, origin)

    def refused(self) -> list[tuple[str, int, bytes, bytes]]:
        """Return the evidence kept: origin, status, the request, and the note that was held then."""
        with self._lock:
            rows = self._database.execute("SELECT origin, status, request, held FROM refused ORDER BY number")
            return [(origin, status, bytes(request), bytes(held)) for origin, status, request, held in rows]

    def close(self) -> None:
        """Release the heads."""
        self._database.close()
        self._mark.close()

    def _answer(self, requests: Sequence[bytes]) -> list[Decision]:
        now, decisions, changed = self._unix_seconds(), [], False
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for request in requests:
                decision = self._witness.decide(request, lambda origin: read_held(self._database, origin), now)
                write_decision(self._database, decision, request)
                decisions.append(decision)
                changed = changed or decision.held is not None
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        if changed:
            # Synced before any answer leaves: whoever puts the database back must meet a mark that knows better.
            self._mark.keep(self._heads(), clean=False, now_us=None)
        return decisions

    def _check(self) -> None:
        heads, mark = self._heads(), self._mark.stored
        if mark is None:
            if heads.size:
                raise VerificationError("mark-missing", f"{self._path} holds heads, but its witness.mark is gone")
        elif mark.origin != heads.origin:
            raise VerificationError("origin-mismatch", f"the witness's mark is of {mark.origin}, not {heads.origin}")
        elif heads.size < mark.size:
            raise VerificationError(
                "rolled-back",
                f"{self._path}: the witness took {mark.size} heads and this file knows {heads.size}: an older copy was "
                "put back; give it a new witness key and have the others pin it",
            )
        elif heads.size == mark.size and heads.root != mark.root:
            raise VerificationError("forked", f"{self._path}: the heads held are not those that the witness took")
        self._mark.keep(heads, clean=False, now_us=None)

    def _heads(self) -> Checkpoint:
        turn, digest = read_heads(self._database)
        return Checkpoint(self._witness.name, turn, digest)

    def _fault(self, error: sqlite3.Error | OSError) -> InputError:
        return InputError("witness-unusable", f"{self._path}: the witness's heads cannot be used ({error})")


def load_witness_key(directory: Path, member: str, random_bytes: Callable[[int], bytes] = os.urandom) -> NoteSigner:
    """Read the witness's key from the state directory; make it and its `witness.vkey` at the first start.

    Raises:
        InputError: `witness-key-missing` when heads are held but the key is gone, or what `load_note_key` raises.
    """
    path = directory / "witness.key"
    if not path.exists() and (directory / "witness.db").exists():
        raise InputError("witness-key-missing", f"{path}: no such file, but heads are held; put its key back")
    signer = load_note_key(path, f"{member}/witness", random_bytes)
    keep_public(directory / "witness.vkey", signer.verifier(COSIGNATURE).encode(), path)
    return signer
