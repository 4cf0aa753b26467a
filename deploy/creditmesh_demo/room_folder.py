"""Read which institutions a data room holds; the files' contents are read by the nodes.

A data room is a folder with `schema.toml` and one `<institution>.csv` or `<institution>.parquet` per institution. This
module opens no table. Theory: which files count is decided by name alone, so the same folder means the same members on
every machine, and whatever is left aside is named.
"""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import InputError
from risk.dictionary import Dictionary, parse_dictionary

__all__ = ["INSTITUTION", "LARGEST_ROOM", "SMALLEST_ROOM", "RoomFolder", "open_room", "read_schema"]

INSTITUTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SMALLEST_ROOM = 4
LARGEST_ROOM = 256
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class RoomFolder:
    """Name the files of a data room: tables maps an institution to its file, in byte order of the names.

    ignored: names of tables that do not count because of their name, for one warning.
    """

    name: str
    schema: Path
    tables: dict[str, Path]
    ignored: tuple[str, ...]


def open_room(folder: Path) -> RoomFolder:
    """Return the institutions in `folder`.

    Raises `InputError` if the folder or its schema.toml is missing, if one institution has two files, or if there are
    fewer than 4 or more than 256 institutions.
    """
    folder = folder.absolute()
    names = _file_names(folder)
    schema = folder / "schema.toml"
    if "schema.toml" not in names:
        raise InputError(
            "room-schema-missing", f"{folder}: no schema.toml; a data room needs the shared data dictionary there"
        )
    tables: dict[str, Path] = {}
    ignored = []
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix not in SUFFIXES:
            continue
        if not INSTITUTION.fullmatch(stem):
            ignored.append(name)
        elif stem in tables:
            raise InputError(
                "institution-twice",
                f"{folder}: institution {stem} has two files, {tables[stem].name} and {name}; keep one",
            )
        else:
            tables[stem] = folder / name
    _check_size(folder, tables, ignored)
    return RoomFolder(folder.resolve().name or "room", schema, tables, tuple(ignored))


def read_schema(room: RoomFolder) -> Dictionary:
    """Return the room's data dictionary; raises an `InputError` that names file and key."""
    try:
        document = tomllib.loads(room.schema.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("schema-unreadable", f"{room.schema}: cannot be read ({reason})") from error
    except (ValueError, RecursionError) as error:
        raise InputError("schema-toml", f"{room.schema}: not a TOML file in UTF-8: {error}") from error
    return parse_dictionary(document, str(room.schema))


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("room-unreadable", f"{folder}: cannot be read as a data room ({reason})") from error


def _check_size(folder: Path, tables: dict[str, Path], ignored: list[str]) -> None:
    if len(tables) > LARGEST_ROOM:
        raise InputError(
            "room-too-large", f"{folder}: {len(tables)} institutions; one network holds at most {LARGEST_ROOM}"
        )
    if len(tables) >= SMALLEST_ROOM:
        return
    found = ", ".join(tables) or "none"
    hint = f" (not counted because of their names: {', '.join(ignored)})" if ignored else ""
    raise InputError(
        "room-too-small",
        f"{folder}: {len(tables)} institutions ({found}){hint}; a secure sum needs at least {SMALLEST_ROOM}, "
        "because with fewer a bank could work out another bank's part from the sum",
    )
