"""Write the coordinator's privacy log to a file for an auditor, and write down that it was done.

The record comes first: whoever asked, which file, how many records, up to which head. So nothing of the log leaves by
this command without standing in it; a copy of the folder made in another way does. Beside a process that holds the log,
the record is a note that the process takes up within a second. The file holds what was recorded before, in the format
of `privacy.log.export`, and a manifest with its digest stands beside it.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from coordinator.access import leave_note, take_notes
from coordinator.config import CoordinatorConfig
from coordinator.log_reader import LogReader
from coordinator.log_store import LogConnection
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
        InputError: `output`, `log-unusable`, `usage`.
    """
    for path in (out, out.with_name(f"{out.name}.{MANIFEST}")):
        if path.exists():
            raise InputError("output", f"{path}: exists already; an export replaces nothing")
    if not 0 < len(who) <= 256 or not who.isprintable():
        raise InputError("usage", "--who: give a pseudonym of 1 to 256 printable characters")
    state = config.state.dir
    try:
        with open_state(state), closing(open_log(config, os.urandom(32))) as store:
            take_notes(state, store.append)  # what commands did since the process ended belongs into this export

            def record(digest: str, head: Checkpoint) -> None:
                store.append([exported_entry(who, out.name, digest, head)])

            return _export(config, out, record)
    except InputError as error:
        if error.code != "state-locked":
            raise

    def note(digest: str, head: Checkpoint) -> None:
        leave_note(state, "export", f"{head.size} records, sha256 {digest}, asked for by {who}")

    return _export(config, out, note)


def _export(config: CoordinatorConfig, out: Path, record: Callable[[str, Checkpoint], None]) -> int:
    """Write draft, record, file and manifest in this order; return the number of records. record: makes it durable."""
    draft = out.with_name(f"{out.name}.draft")
    try:
        with LogReader(config).exporting() as database:
            newest = database.execute("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
            if newest is None:
                text = f"{config.state.dir}: the log has no record yet; run creditmesh-coordinator run first"
                raise InputError("log-unusable", text)
            head, _ = parse_checkpoint(bytes(newest[0]))
            digest = _write(database, config.state.dir, draft)
        record(digest, head)
        draft.rename(out)
        _write_manifest(out.with_name(f"{out.name}.{MANIFEST}"), out.name, digest, head)
    except OSError as error:
        raise InputError("output", f"{out}: cannot be written ({error.strerror})") from error
    finally:
        draft.unlink(missing_ok=True)
    return head.size


def _write(database: LogConnection, state: Path, draft: Path) -> str:
    """Write the draft and return its digest in hexadecimal digits."""
    origin, vkey = (state.joinpath(name).read_text("ascii").strip() for name in ("origin", "log.vkey"))
    digest = hashlib.sha256()
    with draft.open("xb") as stream:
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
