"""`creditmesh-audit export`: write a log for somebody else to verify or read.

    jsonl   every byte that a verifier needs, in one file
    csv     a table for a spreadsheet
    html    one page for a reader, with the verification's result and a proof in every row
    tiles   a directory for programs that are not ours

A file gets a manifest beside it, a directory one inside. What is written is what the log shows; `verify` judges it.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from audit.commands import Commands, add_command
from audit.export_page import write_page
from audit.export_table import write_table
from audit.export_tiles import write_tiles
from audit.manifest import load_seed, manifest_of, write_manifest
from audit.opened import OpenLog
from audit.screen import VALID, say, say_json
from audit.source import open_log
from privacy.errors import InputError
from privacy.log.export import export_lines
from privacy.log.record import decode_event
from privacy.log.tree import CompactTree, leaf_hash

__all__ = ["add_export"]

FORMATS = ("jsonl", "csv", "html", "tiles")


def add_export(commands: Commands) -> None:
    """Add the command to the command line."""
    export = add_command(commands, "export", "write a log for somebody else to verify or read", _run)
    export.add_argument("format", choices=FORMATS)
    export.add_argument("log", type=Path, metavar="LOG")
    export.add_argument(
        "--out", type=Path, metavar="PATH", help="file or directory to write (jsonl without it: standard output)"
    )
    export.add_argument("--first", type=_number, metavar="SEQ", help="first record of csv and html (default: 0)")
    export.add_argument("--last", type=_number, metavar="SEQ", help="last record of csv and html (default: the last)")
    export.add_argument("--sign-key", type=Path, metavar="FILE", help="Ed25519 seed (0600) that signs the manifest")


@dataclass(frozen=True, slots=True)
class _Range:
    first: int
    last: int | None

    def of(self, log: OpenLog) -> Iterator[bytes]:
        return islice(log.events(), self.first, None if self.last is None else self.last + 1)


def _run(options: argparse.Namespace) -> int:
    chosen = _Range(options.first or 0, options.last)
    if options.format in ("jsonl", "tiles") and (options.first, options.last) != (None, None):
        raise InputError("usage", f"--first and --last do not go with {options.format}: a log is exported whole")
    if chosen.last is not None and chosen.last < chosen.first:
        raise InputError("usage", f"--last {chosen.last} comes before --first {chosen.first}")
    seed = load_seed(options.sign_key) if options.sign_key else None
    with open_log(options.log, None) as log:
        if options.out is None:
            if options.format != "jsonl" or options.json or seed:
                raise InputError("usage", "give --out PATH; only a jsonl without a manifest goes to standard output")
            sys.stdout.buffer.writelines(export_lines(log.parts()))
            return VALID
        for path in (options.out, manifest_of(options.out)):
            if path.exists():
                raise InputError("output", f"{path}: cannot be written (it exists; an export replaces nothing)")
        try:
            claim = _write(options.format, log, chosen, options.out)
            files = write_manifest(options.out, claim, seed)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                _discard(options.out)
            raise InputError("output", f"{options.out}: cannot be written ({error.strerror})") from error
        except BaseException:
            _discard(options.out)
            raise
    _tell(options, claim, files, signed=seed is not None)
    return VALID


def _write(form: str, log: OpenLog, chosen: _Range, out: Path) -> dict[str, object]:
    """Write the export and return what its manifest claims."""
    if form == "tiles":
        head = write_tiles(log, out)
        rows, size, root = head.size, head.size, head.root.hex()
    else:
        size, root = _head(log)
        if chosen.first and chosen.first >= size:
            raise InputError("usage", f"--first {chosen.first} is beyond the log, which has {size} records")
        rows = {"jsonl": _jsonl, "csv": _csv, "html": _html}[form](log, chosen, out, size)
    return {
        "format": form,
        "origin": log.origin,
        "vkey": log.key.encode(),
        "size": size,
        "root": root,
        "rows": rows,
    }


def _jsonl(log: OpenLog, _: _Range, out: Path, size: int) -> int:
    with out.open("xb") as stream:
        stream.writelines(export_lines(log.parts()))
    return size


def _csv(log: OpenLog, chosen: _Range, out: Path, _: int) -> int:
    keys = {key for each in chosen.of(log) for key in decode_event(each).body}
    with out.open("x", encoding="utf-8", newline="") as stream:
        return write_table(stream, keys, chosen.of(log))


def _html(log: OpenLog, chosen: _Range, out: Path, size: int) -> int:
    last = size - 1 if chosen.last is None else min(chosen.last, size - 1)
    return write_page(log, out, chosen.first, last)


def _discard(out: Path) -> None:
    """Take away what was written of an export that failed: half of one looks like one."""
    manifest_of(out).unlink(missing_ok=True)
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)


def _head(log: OpenLog) -> tuple[int, str]:
    tree = CompactTree()
    for event in log.events():
        tree, _ = tree.append(leaf_hash(event))
    return tree.size, tree.root().hex()


def _tell(options: argparse.Namespace, claim: dict[str, object], files: int, *, signed: bool) -> None:
    if options.json:
        say_json({"path": str(options.out), **claim, "files": files, "signed": signed})
        return
    say(f"{options.out}: {claim['rows']} records of {claim['origin']}, {files} files")
    how = "signed" if signed else "not signed (give --sign-key to sign it)"
    say(f"{manifest_of(options.out)}: manifest, {how}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"a record's number is 0 or more, found {text!r}")
    return int(text)
