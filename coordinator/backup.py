"""Write everything that a coordinator is into one file, while it runs, and build it up again elsewhere.

It decides nothing about the log's truth. Theory: what is copied first may be older than what is copied last, never the
other way round where that would lie: the log's mark, then the database, then files, then the log; a log that is ahead
of its mark and of the database is what a crash leaves too. A copy that is older than what banks have cosigned is no
way back: what is restored does nothing until a quorum of the banks agrees that it is the newest
(`coordinator.restored`), and the first bank that shows a newer head stops it (exit code 4).

The file holds the private keys of the authority, of the server and of the coordinator's identity and log: whoever has
it can be the coordinator. It is made with mode 0600.
"""

import json
import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from coordinator.archive_file import ArchiveReader, ArchiveWriter, read_archive, write_archive
from coordinator.config import CoordinatorConfig, load
from coordinator.database import newest_revision
from coordinator.log_reader import log_place
from coordinator.restored import note_restored
from coordinator.store import Store
from coordinator.table_copy import check_log_empty, copy_database, copy_log, fill_database, fill_log
from privacy.errors import InputError

__all__ = ["back_up", "restore"]

_MARK = "log.mark"
# Made anew by the process that runs, or copied row by row.
_LEFT_OUT = re.compile(r"(.*/)?(lock|listening\.json|seen\.json|[^/]*\.draft|[^/]*-wal|[^/]*-shm|[^/]*-journal)")


def back_up(config_path: Path, out: Path) -> dict[str, Any]:
    """Write a backup and return its facts; the coordinator may run."""
    settings = load(config_path)
    home, state = config_path.resolve().parent, settings.state.dir.resolve()
    keys = _key_files(settings)
    inside = sorted(path for path in keys if path.is_relative_to(home))
    rows = {state / "log.db", state / _MARK, config_path.resolve(), out.resolve(), *inside, *_database_file(settings)}
    with write_archive(out) as archive, tempfile.TemporaryFile() as database, tempfile.TemporaryFile() as log:
        if (state / _MARK).exists():
            _add(archive, f"state/{_MARK}", state / _MARK)
        store = Store(settings.storage.url)
        try:
            copy_database(store.engine, database)
        finally:
            store.close()
        archive.add("database.jsonl", database)
        for path in sorted(state.rglob("*")):
            name = path.relative_to(state).as_posix()
            if path.is_file() and path not in rows and not _LEFT_OUT.fullmatch(name):
                _add(archive, f"state/{name}", path)
        for path in inside:
            _add(archive, f"home/{path.relative_to(home).as_posix()}", path)
        _add(archive, "coordinator.toml", config_path)
        if (state / _MARK).exists():  # made with the log
            with closing(log_place(settings).open_export()) as reader:
                if settings.log is None:
                    reader.execute("BEGIN")  # so that all tables are read as they are at one moment
                copy_log(reader, log)
            archive.add("log.jsonl", log)
        made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        archive.facts = {"role": "coordinator", "made": made, "schema": newest_revision(),
                         "outside": sorted(str(path) for path in keys - set(inside))}  # fmt: skip
    return archive.facts


def restore(backup: Path, folder: Path, storage: str | None = None, log: str | None = None) -> dict[str, Any]:
    """Build a coordinator up in `folder`, new or empty, and return the backup's facts.

    storage, log: URLs of the databases that it uses from now on; without them SQLite files in the folder. Every entry
    is checked before anything is written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError("folder-not-empty", f"{folder}: holds files already; restore into a new folder")
    with read_archive(backup, "coordinator") as archive:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return {**archive.facts, "records": _build(archive, folder, storage, log)}
        except BaseException:
            # What cannot be finished leaves no keys behind, and the folder free for the next try.
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise


def _build(archive: ArchiveReader, folder: Path, storage: str | None, log: str | None) -> int:
    """Put everything in its place and return how many records the log has."""
    for name in archive.names:
        if name.startswith(("home/", "state/")):
            _put(archive, name, folder / name.removeprefix("home/"))
    path = folder / "coordinator.toml"
    path.write_text(_moved(archive.open("coordinator.toml").read().decode("utf-8"), storage, log), encoding="utf-8")
    settings = load(path)
    settings.state.dir.mkdir(mode=0o700, exist_ok=True)
    place, size = log_place(settings), 0
    try:
        with closing(place.open_writer()) if "log.jsonl" in archive.names else nullcontext() as writer:
            if writer is not None:
                check_log_empty(writer)  # before the database is filled, which could not be tried again
            engine = create_engine(settings.storage.url)
            try:
                fill_database(engine, str(archive.facts["schema"]), archive.open("database.jsonl"))
            finally:
                engine.dispose()
            if writer is not None:
                fill_log(writer, archive.open("log.jsonl"))
                (size,) = writer.execute("SELECT count(*) FROM event").fetchone()
    except place.errors as error:
        raise place.fault(error) from error
    note_restored(settings.state.dir, str(archive.facts["made"]), size)
    return size


def _key_files(settings: CoordinatorConfig) -> set[Path]:
    console = settings.console
    named = [settings.tls.ca, settings.tls.certificate, settings.tls.key, settings.identity.key,
             settings.authority.key if settings.authority else None,
             *((console.certificate, console.key) if console else ())]  # fmt: skip
    return {path.resolve() for path in named if path is not None}


def _database_file(settings: CoordinatorConfig) -> list[Path]:
    name = settings.storage.url.removeprefix("sqlite:///")
    return [] if name == settings.storage.url else [Path(name).resolve()]


def _add(archive: ArchiveWriter, name: str, path: Path) -> None:
    """Add a file; a SQLite database as it is at one moment, whoever writes it."""
    if path.suffix != ".db":
        with tempfile.TemporaryFile() as taken:
            try:
                with path.open("rb") as stream:
                    shutil.copyfileobj(stream, taken)  # one that is written meanwhile is taken as it was
            except FileNotFoundError:
                return  # the process that runs has just removed it
            archive.add(name, taken)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        source, target = sqlite3.connect(f"file:{path}?mode=ro", uri=True), sqlite3.connect(copy)
        with closing(source), closing(target):
            source.backup(target)
        with copy.open("rb") as stream:
            archive.add(name, stream)


def _put(archive: ArchiveReader, name: str, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream, archive.open(name) as source:
        shutil.copyfileobj(source, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _moved(text: str, storage: str | None, log: str | None) -> str:
    """Return the settings with the state folder and the databases where they are now."""
    url = storage or "sqlite:///coordinator.db"
    text = _set(text, "state", "dir", "state")
    text = _set(text, "storage", "url", url)
    without = re.sub(r"(?ms)^\[log\]\s*$.*?(?=^\[|\Z)", "", text)
    return without if log is None else f"{without.rstrip()}\n\n[log]\nurl = {json.dumps(log)}\n"


def _set(text: str, section: str, key: str, value: str) -> str:
    pattern = rf"(?ms)(^\[{section}\]\s*$(?:(?!^\[).)*?^{key}\s*=\s*)[^\n]*"
    changed, count = re.subn(pattern, lambda found: found.group(1) + json.dumps(value), text, count=1)
    if count != 1:
        raise InputError("settings-form", f"the settings in the backup have no line `{key} = ` under [{section}]")
    return changed
