"""Open an export for verification: JSON lines (`privacy.log.export`) or a directory of tiles (`privacy.log.tiles`).

Reads only. An export is what somebody sent: its form is read strictly, and its records are judged by
`privacy.log.verify` like those of a log. A directory of tiles holds `checkpoint`, `log.vkey`, `tile/...` and a
manifest; its tiles of hashes are compared with those that its records make.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from audit.opened import OpenLog, read_line, read_small
from privacy.errors import InputError, VerificationError
from privacy.log.canonical import decode_object
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.export import EXPORT_FORMAT, LINE_LIMIT_BYTES
from privacy.log.note import NOTE_LIMIT_BYTES, VerifierKey
from privacy.log.tiles import ENTRY_LIMIT_BYTES, TILE_WIDTH, bundle_entries, bundle_paths, tile_files
from privacy.log.verify import LogSource

__all__ = ["check_tiles", "open_jsonl", "open_tiles"]

_BUNDLE_LIMIT_BYTES = TILE_WIDTH * (ENTRY_LIMIT_BYTES + 2)


def open_jsonl(path: Path, key: VerifierKey | None) -> OpenLog:
    """Open an export of JSON lines; `key` replaces the public key found there.

    Raises:
        InputError: `log-unreadable` for another kind of file.
        VerificationError: `export-damaged`.
    """
    try:
        header = next(_lines(path), {})
    except VerificationError:
        header = {}
    origin, vkey = header.get("origin"), header.get("vkey")
    if header.get("format") != EXPORT_FORMAT or not isinstance(origin, str) or not isinstance(vkey, str):
        raise InputError("log-unreadable", f"{path}: is no export of format {EXPORT_FORMAT}")
    _check_end(path)
    own = key is None
    key = key or VerifierKey.parse(vkey)

    def each(name: str) -> Iterator[bytes]:
        return (str(line[name]).encode("utf-8") for line in _lines(path) if name in line and "format" not in line)

    def pairs(first: str, second: str) -> Iterator[tuple[str, str]]:
        return ((str(line.get(first)), str(line[second])) for line in _lines(path) if second in line)

    def source() -> LogSource:
        return LogSource(
            origin=origin,
            key=key,
            events=each("event"),
            checkpoints=each("checkpoint"),
            receipts=((msg_id, text.encode("utf-8")) for msg_id, text in pairs("msg_id", "receipt")),
            cosignatures=((_size(size), line) for size, line in pairs("size", "cosignature")),
        )

    def rounds() -> Iterator[tuple[str, bytes]]:
        return ((name, line.encode("utf-8")) for name, line in pairs("file", "line"))

    return OpenLog(path, origin, key, own, source, rounds)


def open_tiles(path: Path, key: VerifierKey | None) -> OpenLog:
    """Open a directory of tiles; `key` replaces the public key found there.

    Raises:
        InputError: `log-unreadable`.
        VerificationError: `note-malformed` or `checkpoint-malformed` for its checkpoint.
    """
    note = read_small(path / "checkpoint", NOTE_LIMIT_BYTES)
    checkpoint, _ = parse_checkpoint(note)
    own = key is None
    key = key or VerifierKey.parse(read_line(path / "log.vkey"))

    def source() -> LogSource:
        return LogSource(
            origin=checkpoint.origin, key=key, events=_bundled(path, checkpoint.size), checkpoints=iter((note,))
        )

    return OpenLog(path, checkpoint.origin, key, own, source, lambda: iter(()), holds_rounds=False)


def check_tiles(path: Path) -> int:
    """Compare every tile of an export with what its records make, and return the number of files.

    Raises:
        VerificationError: `tile-mismatch` for a tile that is missing, differs or is one too many.
    """
    checkpoint, _ = parse_checkpoint(read_small(path / "checkpoint", NOTE_LIMIT_BYTES))
    expected = set()
    for name, content in tile_files(_bundled(path, checkpoint.size)):
        expected.add(name)
        if not (path / name).is_file() or read_small(path / name, _BUNDLE_LIMIT_BYTES) != content:
            raise VerificationError("tile-mismatch", f"{path / name}: is not the tile that the records make")
    found = {each.relative_to(path).as_posix() for each in (path / "tile").rglob("*") if not each.is_dir()}
    if found - expected:
        raise VerificationError("tile-mismatch", f"{path / min(found - expected)}: belongs to no tree of this size")
    return len(expected)


def _bundled(path: Path, size: int) -> Iterator[bytes]:
    for name, width in bundle_paths(size):
        if not (path / name).is_file():
            raise VerificationError("bundle-missing", f"{path / name}: is missing: records were taken away")
        yield from bundle_entries(read_small(path / name, _BUNDLE_LIMIT_BYTES), width)


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else -1


def _lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open("rb") as stream:
        while line := stream.readline(LINE_LIMIT_BYTES + 2):
            try:
                yield decode_object(line.removesuffix(b"\n"), LINE_LIMIT_BYTES, f"{path}: a line")
            except VerificationError as error:
                raise VerificationError("export-damaged", error.message) from None


def _check_end(path: Path) -> None:
    """Check the digest in the last line: it finds damage, not an author who computes it anew."""
    state, last = hashlib.sha256(), b""
    with path.open("rb") as stream:
        while line := stream.readline(LINE_LIMIT_BYTES + 2):
            state.update(last)
            last = line
    end = decode_object(last.removesuffix(b"\n"), LINE_LIMIT_BYTES, f"{path}: the last line")
    if end != {"end": state.hexdigest()} or not last.endswith(b"\n"):
        raise VerificationError("export-damaged", f"{path}: is cut short or was changed since it was written")
