"""The file of a backup: named entries with their digests, in one tar file (0600) that appears whole or not at all.

It knows no database. Theory: the last entry lists every other one with its SHA-256, so a file that was cut short, or
changed, is refused before anything is put anywhere.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from privacy.errors import InputError, VerificationError

__all__ = ["ArchiveReader", "ArchiveWriter", "read_archive", "write_archive"]

FORMAT = "creditmesh-backup/1"
_LIST = "backup.json"
_PIECE = 1 << 20


class ArchiveWriter:
    """Add entries; `facts` stand in the list."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._digests: dict[str, str] = {}
        self.facts: dict[str, Any] = {}

    def add(self, name: str, stream: BinaryIO) -> None:
        """Add what a stream holds, from its beginning."""
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        digest = hashlib.sha256()
        while piece := stream.read(_PIECE):
            digest.update(piece)
        self._digests[name] = digest.hexdigest()
        stream.seek(0)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        self._tar.addfile(entry, stream)

    def finish(self) -> None:
        """Add the list."""
        document = {"format": FORMAT, **self.facts, "files": self._digests}
        content = json.dumps(document, indent=1, sort_keys=True).encode("utf-8")
        entry = tarfile.TarInfo(_LIST)
        entry.size, entry.mode = len(content), 0o600
        self._tar.addfile(entry, io.BytesIO(content))


class ArchiveReader:
    """Read entries of a backup whose digests have been checked."""

    def __init__(self, tar: tarfile.TarFile, facts: Mapping[str, Any], names: list[str]) -> None:
        self._tar = tar
        self.facts = facts
        self.names = names

    def open(self, name: str) -> BinaryIO:
        """Return a stream over an entry; raises `VerificationError` if there is none."""
        stream = self._tar.extractfile(name) if name in self.names else None
        if stream is None:
            raise VerificationError("backup-incomplete", f"the backup holds no {name}")
        return stream  # type: ignore[return-value]  # reads as any binary stream does


@contextmanager
def write_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Write a new file at `path`; raises `InputError` if it exists."""
    if path.exists():
        raise InputError("file-exists", f"{path}: exists already; it is never overwritten")
    draft = path.with_name(path.name + ".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                writer = ArchiveWriter(tar)
                yield writer
                writer.finish()
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def read_archive(path: Path, role: str) -> Iterator[ArchiveReader]:
    """Open a backup of that role and check every entry.

    Raises `InputError` for a file that is no such backup, `VerificationError` for one that was cut short or changed.
    """
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except tarfile.TarError as error:
        raise InputError("backup-format", f"{path}: not a backup of this program") from error
    with tar:
        try:
            found = {entry.name: _digest(tar, entry) for entry in tar}
            listing = tar.extractfile(_LIST)
            facts: dict[str, Any] = json.loads(listing.read()) if listing else {}
            stated = facts["files"]
            form = (facts["format"], facts["role"])
        except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
            raise VerificationError("backup-damaged", f"{path}: cut short or damaged; nothing was restored") from error
        if form != (FORMAT, role):
            raise InputError("backup-format", f"{path}: found {form[0]} of a {form[1]}, expected {FORMAT} of a {role}")
        found.pop(_LIST)
        if found != stated:
            raise VerificationError(
                "backup-damaged", f"{path}: its entries are not those it lists; nothing was restored"
            )
        yield ArchiveReader(tar, facts, sorted(found))


def _digest(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    name = PurePosixPath(entry.name)
    if not entry.isfile() or name.is_absolute() or ".." in name.parts:
        raise ValueError(f"an entry {entry.name!r} is no plain file")
    stream = tar.extractfile(entry)
    assert stream is not None  # it is a plain file
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    if size != entry.size:
        raise EOFError(entry.name)
    return digest.hexdigest()
