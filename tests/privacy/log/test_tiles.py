"""Tiles against the definition of the specification, written down a second time."""

import hashlib

import pytest

from privacy.errors import MisuseError, VerificationError
from privacy.log.tiles import bundle_entries, bundle_paths, tile_files, tile_path


def root(leaves: list[bytes]) -> bytes:
    """Return the Merkle tree hash of RFC 6962 section 2.1, by its own recursion."""
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:cut]) + root(leaves[cut:])).digest()


def entries(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((0, 0), "tile/0/000"),
        ((2, 999, 1), "tile/2/999.p/1"),
        ((0, 1000), "tile/0/x001/000"),
        ((1, 1234067), "tile/1/x001/x234/067"),
        (("entries", 1234067, 255), "tile/entries/x001/x234/067.p/255"),
    ],
)
def test_paths(arguments: tuple[int, int], path: str) -> None:
    assert tile_path(*arguments) == path


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 600, 1024])
def test_every_tile_is_what_the_specification_says(size: int) -> None:
    files = dict(tile_files(entries(size)))
    assert len(files) == len(list(tile_files(entries(size))))
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries(size)]
    expected: dict[str, bytes] = {}
    level, span = 0, 1
    while size // span:
        hashes = [root(leaves[start : start + span]) for start in range(0, size // span * span, span)]
        for start in range(0, len(hashes), 256):
            tile = hashes[start : start + 256]
            expected[tile_path(level, start // 256, len(tile))] = b"".join(tile)
        level, span = level + 1, span * 256
    bundles = {path: content for path, content in files.items() if "entries" in path}
    assert {path: content for path, content in files.items() if path not in bundles} == expected
    read = [each for path, width in bundle_paths(size) for each in bundle_entries(bundles.pop(path), width)]
    assert read == entries(size) and not bundles


def test_the_specifications_own_example() -> None:
    paths = [path for path, _ in tile_files(b"%d" % number for number in range(70_000))]
    at = [[path for path in paths if path.startswith(f"tile/{level}/")] for level in range(4)]
    assert [len([path for path in level if ".p/" not in path]) for level in at] == [273, 1, 0, 0]
    assert [[path.split(".p/")[1] for path in level if ".p/" in path] for level in at] == [["112"], ["17"], ["1"], []]


@pytest.mark.parametrize(
    "bundle", [b"", b"\x00", b"\x00\x02ab", b"\x00\x02ab\x00\x05xy", b"\x00\x01a\x00\x01b\x00\x01c"]
)
def test_a_bundle_of_another_form_is_refused(bundle: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        bundle_entries(bundle, 2)
    assert caught.value.code == "bundle-malformed"


def test_the_longest_entry() -> None:
    files = dict(tile_files([b"x" * 65_535]))
    assert files["tile/entries/000.p/1"][:2] == b"\xff\xff"
    with pytest.raises(MisuseError):
        list(tile_files([b"x" * 65_536]))
