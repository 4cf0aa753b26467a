"""Ways to tamper with one party's evidence; each takes a folder's copy and says what it did.

`state` is the state directory, `jsonl` and `tiles` are exports whose manifest the attacker writes anew. The last group
has the log's own signing key and makes everything fit again.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from audit.manifest import manifest_of, write_manifest
from privacy.log.canonical import encode
from privacy.log.mark import Mark, decode_mark
from tests.tamper.forge import disarmed, edited, resign

__all__ = ["MUTATIONS", "Mutation"]

Mutation = Callable[[Path, random.Random], str]
_FILES = ("log.db", "log.db", "log.db", "log.db", "log.mark", "log.vkey", "origin")


def _pick(folder: Path, chance: random.Random) -> Path:
    rounds = sorted((folder / "state" / "rounds").glob("*.jsonl"))
    return chance.choice([*(folder / "state" / name for name in _FILES), *rounds])


def _flip(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    return f"bit {place} of {path.name}"


def flip_state(folder: Path, chance: random.Random) -> str:
    return _flip(_pick(folder, chance), chance)


def truncate_state(folder: Path, chance: random.Random) -> str:
    path = _pick(folder, chance)
    length = chance.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:length])
    return f"{path.name} cut to {length} bytes"


def _sql(folder: Path, *statements: str) -> str:
    with disarmed(folder / "state") as database:
        for statement in statements:
            database.execute(statement)
    return "; ".join(statements)


def _size(folder: Path, table: str) -> int:
    with disarmed(folder / "state") as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def delete_record(folder: Path, chance: random.Random) -> str:
    return _sql(folder, f"DELETE FROM event WHERE seq = {chance.randrange(_size(folder, 'event'))}")


def delete_hash(folder: Path, chance: random.Random) -> str:
    return _sql(folder, f"DELETE FROM hash WHERE position = {chance.randrange(_size(folder, 'hash'))}")


def change_hash(folder: Path, chance: random.Random) -> str:
    place, value = chance.randrange(_size(folder, "hash")), chance.randbytes(32).hex()
    return _sql(folder, f"UPDATE hash SET value = x'{value}' WHERE position = {place}")


def swap_records(folder: Path, chance: random.Random) -> str:
    one, two = chance.sample(range(_size(folder, "event")), 2)
    return _sql(
        folder,
        f"UPDATE event SET seq = -1 WHERE seq = {one}",
        f"UPDATE event SET seq = {one} WHERE seq = {two}",
        f"UPDATE event SET seq = {two} WHERE seq = -1",
    )


def duplicate_record(folder: Path, chance: random.Random) -> str:
    size = _size(folder, "event")
    source = chance.randrange(size)
    return _sql(folder, f"INSERT INTO event SELECT {size}, event FROM event WHERE seq = {source}")


def cut_tail(folder: Path, chance: random.Random) -> str:
    """Take away the last records with their hashes and checkpoints, and leave the mark."""
    size = _size(folder, "event") - 1 - chance.randrange(20)
    hashes = 2 * size - size.bit_count()
    return _sql(
        folder,
        f"DELETE FROM event WHERE seq >= {size}",
        f"DELETE FROM hash WHERE position >= {hashes}",
        f"DELETE FROM checkpoint WHERE size > {size}",
    )


def swap_receipts(folder: Path, chance: random.Random) -> str:
    count = _size(folder, "receipt")
    if not count:
        return delete_record(folder, chance)
    one, two = chance.sample(range(count), 2)
    return _sql(
        folder,
        f"UPDATE receipt SET number = -1 WHERE number = {one}",
        f"UPDATE receipt SET number = {one} WHERE number = {two}",
        f"UPDATE receipt SET number = {two} WHERE number = -1",
    )


def drop_receipt(folder: Path, chance: random.Random) -> str:
    count = _size(folder, "receipt")
    if not count:
        return delete_record(folder, chance)
    return _sql(folder, f"DELETE FROM receipt WHERE number = {chance.randrange(count)}")


def drop_cosignatures(folder: Path, chance: random.Random) -> str:
    del chance
    return _sql(folder, "DELETE FROM cosignature")


def drop_newest_checkpoint(folder: Path, chance: random.Random) -> str:
    del chance
    return _sql(folder, "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)")


def other_mark(folder: Path, chance: random.Random) -> str:
    path = folder / "state" / "log.mark"
    mark = decode_mark(path.read_bytes())
    size = mark.size - chance.randrange(5)
    slots = (Mark(turn, mark.origin, size, chance.randbytes(32), True).slot() for turn in (2, 1))
    path.write_bytes(b"".join(slots))
    return f"a mark of {size} records with a root of its own"


def _rewrite_lines(folder: Path, change: Callable[[list[bytes]], str]) -> str:
    path = folder / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:-1]
    said = change(lines)
    end = encode({"end": hashlib.sha256(b"".join(lines)).hexdigest()}) + b"\n"
    path.write_bytes(b"".join([*lines, end]))
    _new_manifest(path)
    return said


def _new_manifest(path: Path) -> None:
    manifest_of(path).unlink()
    write_manifest(path, {"format": "forged"}, None)


def _events(lines: list[bytes]) -> list[int]:
    return [place for place, line in enumerate(lines) if line.startswith(b'{"event"')]


def delete_line(folder: Path, chance: random.Random) -> str:
    def change(lines: list[bytes]) -> str:
        place = chance.choice(_events(lines))
        del lines[place]
        return f"event in line {place} deleted"

    return _rewrite_lines(folder, change)


def swap_lines(folder: Path, chance: random.Random) -> str:
    def change(lines: list[bytes]) -> str:
        one, two = chance.sample(_events(lines), 2)
        lines[one], lines[two] = lines[two], lines[one]
        return f"events in lines {one} and {two} swapped"

    return _rewrite_lines(folder, change)


def duplicate_line(folder: Path, chance: random.Random) -> str:
    def change(lines: list[bytes]) -> str:
        place = chance.choice(_events(lines))
        lines.insert(place, lines[place])
        return f"event in line {place} doubled"

    return _rewrite_lines(folder, change)


def flip_line(folder: Path, chance: random.Random) -> str:
    def change(lines: list[bytes]) -> str:
        place = chance.randrange(len(lines))
        line = bytearray(lines[place])
        bit = chance.randrange(8 * (len(line) - 1))
        line[bit // 8] ^= 1 << bit % 8
        lines[place] = bytes(line)
        return f"bit {bit} of line {place}"

    return _rewrite_lines(folder, change)


def other_origin(folder: Path, chance: random.Random) -> str:
    def change(lines: list[bytes]) -> str:
        header = json.loads(lines[0])
        header["origin"] = f"bank-{chance.randrange(100)}/privacy-log"
        lines[0] = encode(header) + b"\n"
        return f"header says {header['origin']}"

    return _rewrite_lines(folder, change)


def truncate_export(folder: Path, chance: random.Random) -> str:
    path = folder / "log.jsonl"
    length = chance.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:length])
    _new_manifest(path)
    return f"log.jsonl cut to {length} bytes"


def flip_tile(folder: Path, chance: random.Random) -> str:
    tiles = folder / "tiles"
    files = sorted(each for each in tiles.rglob("*") if each.is_file() and each.name != "manifest.json")
    path = chance.choice(files)
    said = _flip(path, chance)
    _new_manifest(tiles)
    return f"{said} ({path.relative_to(tiles)})"


def drop_tile(folder: Path, chance: random.Random) -> str:
    tiles = folder / "tiles"
    path = chance.choice(sorted(each for each in (tiles / "tile").rglob("*") if each.is_file()))
    path.unlink()
    _new_manifest(tiles)
    return f"{path.relative_to(tiles)} deleted"


def resigned_deletion(folder: Path, chance: random.Random) -> str:
    said = []

    def change(events: list[bytes]) -> None:
        place = chance.randrange(len(events))
        said.append(f"record {place} deleted, all signed anew")
        del events[place]

    resign(folder / "state", change)
    return said[0]


def resigned_change(folder: Path, chance: random.Random) -> str:
    said = []

    def change(events: list[bytes]) -> None:
        place = chance.randrange(len(events))
        said.append(f"salt of record {place} changed, all signed anew")
        events[place] = edited(events[place], salt=chance.randbytes(16).hex())

    resign(folder / "state", change)
    return said[0]


def resigned_swap(folder: Path, chance: random.Random) -> str:
    said = []

    def change(events: list[bytes]) -> None:
        place = chance.randrange(len(events) - 1)
        said.append(f"records {place} and {place + 1} swapped, all signed anew")
        events[place : place + 2] = reversed(events[place : place + 2])

    resign(folder / "state", change)
    return said[0]


def resigned_cut(folder: Path, chance: random.Random) -> str:
    said = []

    def change(events: list[bytes]) -> None:
        size = chance.randrange(1, len(events))
        said.append(f"cut to {size} records, all signed anew, mark too")
        del events[size:]

    resign(folder / "state", change)
    return said[0]


def resigned_fresh(folder: Path, chance: random.Random) -> str:
    """Sign a change anew and take away the cosignatures, which speak of the old history."""
    said = resigned_change(folder, chance)
    drop_cosignatures(folder, chance)
    shutil.rmtree(folder / "tiles")
    return f"{said}, cosignatures taken away"


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "state": (
        *(flip_state, flip_state, flip_state, flip_state, truncate_state, delete_record, delete_hash, change_hash),
        *(swap_records, duplicate_record, cut_tail, swap_receipts, drop_receipt, drop_cosignatures),
        *(drop_newest_checkpoint, other_mark, resigned_deletion, resigned_change, resigned_swap, resigned_cut),
        resigned_fresh,
    ),
    "log.jsonl": (delete_line, swap_lines, duplicate_line, flip_line, flip_line, other_origin, truncate_export),
    "tiles": (flip_tile, flip_tile, drop_tile),
}
