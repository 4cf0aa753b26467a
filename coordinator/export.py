"""Write the coordinator's privacy log to a file for an auditor, and write down that it was done.

The record comes first: whoever asked, which file, how many records, up to which head. So nothing of the log leaves by
this command without standing in it; a copy of the folder made in another way does. The file holds what was recorded
before, in the format of `privacy.log.export`, and a manifest with its digest stands beside it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from coordinator.access import take_notes
from coordinator.config import CoordinatorConfig
from coordinator.log_store import LogStore
from coordinator.service import open_log
from coordinator.state_folder import open_state
from privacy.errors import InputError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.export import MANIFEST, export_lines, export_statement, exported_entry, read_parts
from privacy.log.rounds import LINE_LIMIT_BYTES
from privacy.log.statement import encode_envelope

__all__ = ["export_log", "side_files"]


def export_log(config: CoordinatorConfig, out: Path, who: str) -> int:
    """Write the log to `out` and return the number of records in it. who: a pseudonym of whoever asked.

    Raises:
        InputError: `state-locked` while a process runs on the log, `output`, `log-unusable`, `usage`.
    """
    manifest, draft = out.with_name(f"{out.name}.{MANIFEST}"), out.with_name(f"{out.name}.draft")
    for path in (out, manifest):
        if path.exists():
            raise InputError("output", f"{path}: exists already; an export replaces nothing")
    if not 0 < len(who) <= 256 or not who.isprintable():
        raise InputError("usage", "--who: give a pseudonym of 1 to 256 printable characters")
    state = config.state.dir
    try:
        with open_state(state), closing(open_log(config, os.urandom(32))) as store:
            take_notes(state, store.append)  # what commands did since the process ended belongs into this export
            head, _ = parse_checkpoint(store.checkpoint())
            try:
                digest = _write(store, state, draft)
                store.append([exported_entry(who, out.name, digest, head)])
                draft.rename(out)
                _write_manifest(manifest, out.name, digest, head)
            except OSError as error:
                raise InputError("output", f"{out}: cannot be written ({error.strerror})") from error
            finally:
                draft.unlink(missing_ok=True)
    except InputError as error:
        if error.code != "state-locked":
            raise
        message = f"{state}: in use; stop the process first"
        if config.log is None:
            other = f"creditmesh-audit export jsonl {state} --out {out}"
            message += f", or read beside it, which the log does not show: {other}"
        raise InputError("state-locked", message) from error
    return head.size


def _write(store: LogStore, state: Path, draft: Path) -> str:
    """Write the draft and return its digest in hexadecimal digits."""
    origin, vkey = (state.joinpath(name).read_text("ascii").strip() for name in ("origin", "log.vkey"))
    digest = hashlib.sha256()
    with store.exporting() as database, draft.open("xb") as stream:
        for line in export_lines(read_parts(database, origin, vkey, side_files(state))):
            digest.update(line)
            stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def side_files(state: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the lines of the log's side files in a state folder, each with the file's name."""
    for path in sorted((state / "rounds").glob("*.jsonl")):
        with path.open("rb") as stream:
            while line := stream.readline(LINE_LIMIT_BYTES + 1):
                yield f"rounds/{path.name}", line.removesuffix(b"\n")


def _write_manifest(path: Path, name: str, digest: str, head: Checkpoint) -> None:
    claim = {"format": "jsonl", "origin": head.origin, "size": head.size, "root": head.root.hex(), "rows": head.size}
    with path.open("xb") as stream:
        stream.write(encode_envelope(export_statement({name: digest}, claim), None))
