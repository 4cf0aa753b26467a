"""A log as tiles: static files from which anybody can check and prove everything (C2SP tlog-tiles v0.1.0).

Hashes are cut into tiles of 256: level 0 holds leaf hashes, level 1 the root of every full tile of level 0, and so
on. Entries are cut into bundles in the same way, each entry behind its length in two bytes. The last tile of a level
is partial and says its width in its name. One pass over the entries makes all files in memory that grows with the
depth of the tree only. The module writes no file and signs nothing; the tree's checkpoint is another file beside them.
"""

from collections.abc import Iterable, Iterator

from privacy.errors import MisuseError, VerificationError
from privacy.log.tree import CompactTree, leaf_hash

__all__ = ["ENTRIES", "ENTRY_LIMIT_BYTES", "TILE_WIDTH", "bundle_entries", "bundle_paths", "tile_files", "tile_path"]

TILE_WIDTH = 256
ENTRY_LIMIT_BYTES = 65_535
ENTRIES = "entries"


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """Return a tile's path: `tile/<level>/x001/234`, with `.p/<width>` for a partial one; level `entries`: a bundle."""
    digits = f"{index:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    place = "/".join([*("x" + each for each in groups[:-1]), groups[-1]])
    return f"tile/{level}/{place}" + ("" if width == TILE_WIDTH else f".p/{width}")


def bundle_paths(size: int) -> Iterator[tuple[str, int]]:
    """Yield path and number of entries of every bundle of a log of `size` records, in order."""
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        yield tile_path(ENTRIES, index, width), width


def bundle_entries(bundle: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        VerificationError: `bundle-malformed` unless it holds exactly `width` whole entries.
    """
    entries: list[bytes] = []
    place = 0
    while place + 2 <= len(bundle) and len(entries) < width:
        end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
        entries.append(bundle[place + 2 : end])
        place = end
    if place != len(bundle) or len(entries) != width:
        raise VerificationError("bundle-malformed", f"a bundle of records does not hold exactly {width} of them")
    return entries


def tile_files(entries: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every tile and bundle of the log that holds these entries, each file once.

    Raises:
        MisuseError: `entry-too-long` for an entry of more than 65,535 bytes.
    """
    levels: list[_Level] = [_Level(0)]
    bundle: list[bytes] = []
    size = 0
    for entry in entries:
        if len(entry) > ENTRY_LIMIT_BYTES:
            raise MisuseError("entry-too-long", f"record {size} has {len(entry)} bytes, a bundle holds 65535")
        bundle.append(len(entry).to_bytes(2, "big") + entry)
        size += 1
        yield from _push(levels, 0, leaf_hash(entry))
        if len(bundle) == TILE_WIDTH:
            yield tile_path(ENTRIES, size // TILE_WIDTH - 1), b"".join(bundle)
            bundle = []
    if bundle:
        yield tile_path(ENTRIES, size // TILE_WIDTH, len(bundle)), b"".join(bundle)
    for level in levels:
        if level.hashes:
            yield level.file()


class _Level:
    """The tile of one level that is being filled."""

    __slots__ = ("hashes", "index", "number", "tree")

    def __init__(self, number: int) -> None:
        self.number = number
        self.index = 0
        self.hashes: list[bytes] = []
        self.tree = CompactTree()

    def file(self) -> tuple[str, bytes]:
        return tile_path(self.number, self.index, len(self.hashes)), b"".join(self.hashes)


def _push(levels: list[_Level], number: int, value: bytes) -> Iterator[tuple[str, bytes]]:
    if number == len(levels):
        levels.append(_Level(number))
    level = levels[number]
    level.hashes.append(value)
    level.tree, _ = level.tree.append(value)
    if len(level.hashes) == TILE_WIDTH:
        yield level.file()
        root = level.tree.root()
        level.hashes, level.tree, level.index = [], CompactTree(), level.index + 1
        yield from _push(levels, number + 1, root)
