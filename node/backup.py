"""Write all that a node is, but for the bank's rows, into one file while it runs, and build it up again elsewhere.

It decides nothing. Theory: marks are copied first, then databases, then everything else, so that the ledger and the
counts of a copy are never older than the log beside them. A copy is older than what happened since; a budget that was
spent does not come back by it. So a node that was restored keeps still until a quorum of the other banks has cosigned
its log's head (`node.cosigning`): a witness that holds a newer head proves that this copy is an older one, and the node
stops with exit code 4. The coordinator alone is not believed in this.

The file holds the bank's private keys and the keys of noise that left: whoever has it can be the bank. Mode 0600.
"""

import hashlib
import io
import json
import os
import re
import sqlite3
import tarfile
import tempfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from node.config import NodeConfig, load
from privacy.errors import InputError, VerificationError

__all__ = ["RESTORED", "back_up", "restore"]

RESTORED = "restored.json"
_FORMAT, _LIST, _PIECE = "creditmesh-backup/1", "backup.json", 1 << 20
_LEFT_OUT = re.compile(r"(.*/)?(lock|listening\.json|[^/]*\.draft|[^/]*-wal|[^/]*-shm|[^/]*-journal)")


def back_up(config_path: Path, out: Path) -> dict[str, Any]:
    """Write a backup of a node, which may run, to a new file; return what the file says of itself."""
    if out.exists():
        raise InputError("file-exists", f"{out}: exists already; it is never overwritten")
    settings, home = load(config_path), config_path.resolve().parent
    state, keys = settings.state.dir.resolve(), _key_files(settings)
    inside = {path for path in keys if path.is_relative_to(home)}
    known = {config_path.resolve(), out.resolve(), out.with_name(out.name + ".draft").resolve(), *inside}
    files = [path for path in state.rglob("*") if path.is_file() and path not in known]
    kept = [path for path in files if not _LEFT_OUT.fullmatch(path.relative_to(state).as_posix())]
    named = [(f"state/{path.relative_to(state).as_posix()}", path) for path in sorted(kept, key=_turn)]
    named += [(f"home/{path.relative_to(home).as_posix()}", path) for path in sorted(inside)]
    named.append(("node.toml", config_path))
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    facts: dict[str, Any] = {"format": _FORMAT, "role": "node", "member": settings.member.id, "made": made,
                             "outside": sorted(map(str, keys - inside)), "files": {}}  # fmt: skip
    draft = out.with_name(out.name + ".draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, path in named:
                    with suppress(FileNotFoundError):  # the process that runs has just removed it
                        facts["files"][name] = _add(tar, name, path)
                listing = io.BytesIO(json.dumps(facts, indent=1, sort_keys=True).encode("utf-8"))
                _write(tar, _LIST, listing)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)
    return facts


def restore(backup: Path, folder: Path) -> dict[str, Any]:
    """Build a node up in `folder`, new or empty, once every entry was checked; return what the backup says of itself.

    Raises `InputError` for a file that is no backup of a node, `VerificationError` for one that is damaged.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError("folder-not-empty", f"{folder}: holds files already; restore into a new folder")
    try:
        with tarfile.open(backup, "r:") as tar:
            facts = _checked(tar, backup)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in facts["files"]:
                stream = tar.extractfile(name)
                assert stream is not None  # it was read once
                _put(folder / name.removeprefix("home/"), stream)
    except tarfile.TarError as error:
        raise InputError("backup-format", f"{backup}: not a backup of this program") from error
    settings = folder / "node.toml"
    pattern = r"(?ms)(^\[state\]\s*$(?:(?!^\[).)*?^dir\s*=\s*)[^\n]*"
    text, count = re.subn(pattern, r'\1"state"', settings.read_text("utf-8"), count=1)
    if count != 1:
        raise InputError("settings-form", "the settings in the backup have no line `dir = ` under [state]")
    settings.write_text(text, encoding="utf-8")
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    _put(folder / "state" / RESTORED, io.BytesIO(json.dumps({"made": facts["made"]}).encode("ascii")))
    return facts


def _turn(path: Path) -> tuple[int, str]:
    return {".mark": 0, ".db": 1}.get(path.suffix, 2), str(path)


def _key_files(settings: NodeConfig) -> set[Path]:
    tls, identity = settings.tls, settings.identity
    return {path.resolve() for path in (tls.ca, tls.certificate, tls.key, identity.key, identity.peers)}


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file and return its digest; a SQLite database as it is at one moment, whoever writes it."""
    if path.suffix != ".db":
        with path.open("rb") as stream:
            content = stream.read()  # one that grows is taken as it was
        return _write(tar, name, io.BytesIO(content))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        source, target = sqlite3.connect(f"file:{path}?mode=ro", uri=True), sqlite3.connect(copy)
        with closing(source), closing(target):
            source.backup(target)
        with copy.open("rb") as stream:
            return _write(tar, name, stream)


def _write(tar: tarfile.TarFile, name: str, stream: IO[bytes]) -> str:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = stream.seek(0, os.SEEK_END), 0o600
    stream.seek(0)
    digest = _digest(stream)
    stream.seek(0)
    tar.addfile(entry, stream)
    return digest


def _checked(tar: tarfile.TarFile, backup: Path) -> dict[str, Any]:
    damaged = VerificationError("backup-damaged", f"{backup}: cut short or changed; nothing was restored")
    found: dict[str, str] = {}
    facts: dict[str, Any] = {}
    try:
        for entry in tar:
            place, stream = PurePosixPath(entry.name), tar.extractfile(entry)
            if stream is None or not entry.isfile() or place.is_absolute() or ".." in place.parts:
                raise damaged
            if entry.name == _LIST:
                facts = json.loads(stream.read())
            else:
                found[entry.name] = _digest(stream)
        form = (facts["format"], facts["role"])
    except (KeyError, ValueError, TypeError, EOFError, tarfile.TarError) as error:
        raise damaged from error
    if form != (_FORMAT, "node"):
        raise InputError("backup-format", f"{backup}: found {form[0]} of a {form[1]}, expected {_FORMAT} of a node")
    if found != facts["files"] or "node.toml" not in found:
        raise damaged
    return facts


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _put(target: Path, stream: IO[bytes]) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
        while piece := stream.read(_PIECE):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
