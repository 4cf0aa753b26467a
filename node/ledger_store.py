"""The bank's privacy ledger on disk: one file of lines, synced before a release goes on.

It prices nothing (`privacy.ledger` does). Theory: lines are only ever appended. A reservation is on the disk before the
call returns, so nothing leaves that is not in it; what a crash left half written was never returned, hence never led to
a release, and is cut off at the next start. A line that was changed breaks the chain; a file that lacks lines does not
hold the digest that the privacy log names, and both are refused.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from privacy.errors import InputError, VerificationError
from privacy.ledger import Cap, Ledger, Release, Reservation

__all__ = ["LedgerStore", "read_ledger"]

FILE = "ledger"


class LedgerStore:
    """Hold the ledger of one node's state folder; one process at a time."""

    def __init__(self, state: Path, origin: str) -> None:
        """Read the ledger; origin: of the privacy log. A line that does not fit raises `VerificationError`."""
        self._path = state / FILE
        self._broken: InputError | None = None
        try:
            fresh = not self._path.exists()
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            if fresh:
                _sync_folder(state)
            self.ledger, whole = _read(self._path, origin)
            os.ftruncate(self._file, whole)
        except OSError as error:
            raise self._fault(error) from error

    def reserve(self, release: Release, cap: Cap, utc_us: int) -> Reservation:
        """Reserve a release durably; above the cap raises `RefusalError`, a disk that fails `InputError`."""
        made, line = self.ledger.reserve(release, cap, utc_us)
        self._append(line)
        return made

    def spend(self, number: int) -> None:
        """Mark a reservation as sent; it counts either way, so this waits for no disk of its own."""
        self._append(self.ledger.spend(number), sync=False)

    def check_log(self, body: Mapping[str, object]) -> None:
        """Raise `VerificationError` unless the ledger holds what the privacy log's newest `dp.spend` record names."""
        number, heads = int(str(body["entry"])), self.ledger.heads
        if number >= len(heads) or heads[number].hex() != body["ledger_sha256"]:
            raise VerificationError(
                "rolled-back",
                f"{self._path}: lacks release {number} that the privacy log holds: an older copy of the ledger was put "
                "back; restore the newest one, a budget that was spent does not come back",
            )

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: bytes, *, sync: bool = True) -> None:
        if self._broken:
            raise self._broken
        try:
            content = line + b"\n"
            if os.write(self._file, content) != len(content):
                raise OSError("short write")
            if sync:
                os.fsync(self._file)
        except OSError as error:
            # After a failed write or sync nobody knows what the disk holds; only opening again finds out.
            self._broken = self._fault(error)
            raise self._broken from error
        self.ledger.take(line)

    def _fault(self, error: OSError) -> InputError:
        reason = (error.strerror or type(error).__name__).lower()
        return InputError("ledger-unusable", f"{self._path}: cannot be used ({reason}); nothing is released without it")


def read_ledger(state: Path, origin: str) -> Ledger:
    """Return the ledger of a state folder, which a running node may be writing; without a file an empty one."""
    path = state / FILE
    return _read(path, origin)[0] if path.exists() else Ledger(origin)


def _read(path: Path, origin: str) -> tuple[Ledger, int]:
    """Return the ledger in a file and how many bytes of it are whole lines."""
    ledger, content = Ledger(origin), path.read_bytes()
    whole = content.rfind(b"\n") + 1
    for line in content[:whole].splitlines():
        try:
            ledger.take(line)
        except VerificationError as error:
            raise VerificationError(error.code, f"{path}: {error.message}") from None
    return ledger, whole


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
