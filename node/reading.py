"""Read the bank's table in a process of its own, and take the arrays over.

    python -m node.reading TABLE SCHEMA MEMBER

It checks nothing itself (`node.source` does) and writes no row to a disk: arrays come over a pipe. Theory: the reader
of CSV and Parquet brings tens of megabytes of code and buffers that a node needs for a second and would keep for weeks.
A process that ends gives all of it back. It is started before the node has opened any connection.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from privacy.errors import InputError
from risk.errors import InputError as RiskInputError
from risk.table import Table

__all__ = ["read_table"]


def read_table(path: Path, schema: Path, member: str, warn: Callable[[str], None]) -> Table:
    """Return the rows of the file at `path` that count, read by the dictionary in the file `schema`.

    warn: receives one line for each warning. Raises the `InputError` that `node.source.read_table` does.
    """
    command = [sys.executable, "-m", "node.reading", str(path), str(schema), member]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None  # it was asked for
        first = reader.stdout.readline()
        head = json.loads(first) if first.endswith(b"\n") else {}
        if "columns" not in head:
            reader.wait()
            message = head.get("message", f"{path}: the process that reads it ended early ({reader.returncode})")
            raise InputError(head.get("code", "table-reader"), message)
        table = _take(reader.stdout, head, member)
    for text in head["warnings"]:
        warn(text)
    return table


def _take(stream: IO[bytes], head: dict[str, Any], member: str) -> Table:
    # numpy asks a real file for its position, which a pipe has not; so it is shown the pipe's `read` alone.
    pipe: Any = SimpleNamespace(read=stream.read)
    arrays = [np.lib.format.read_array(pipe, allow_pickle=False) for _ in range(1 + len(head["columns"]))]
    month = np.lib.format.read_array(pipe, allow_pickle=False) if head["month"] else None
    borrower = np.lib.format.read_array(pipe, allow_pickle=False) if head["borrower"] else None
    return Table(member, dict(zip(head["columns"], arrays[1:], strict=True)), arrays[0], month, borrower)


def _give(stream: IO[bytes], path: Path, schema: Path, member: str) -> None:
    from node.dataset import read_dictionary
    from node.source import read_table as read_here

    warnings: list[str] = []
    try:
        table = read_here(path, read_dictionary(schema), member, warnings.append)
    except (InputError, RiskInputError) as error:
        stream.write(json.dumps({"code": error.code, "message": error.message}).encode() + b"\n")
        return
    except (OSError, MemoryError) as error:
        message = f"{path}: cannot be read ({type(error).__name__})"
        stream.write(json.dumps({"code": "table-reader", "message": message}).encode() + b"\n")
        return
    head = {
        "columns": list(table.columns),
        "month": table.month is not None,
        "borrower": table.borrower is not None,
        "warnings": warnings,
    }
    stream.write(json.dumps(head).encode() + b"\n")
    others = [values for values in (table.month, table.borrower) if values is not None]
    pipe: Any = SimpleNamespace(write=stream.write)
    for values in (table.target, *table.columns.values(), *others):
        np.lib.format.write_array(pipe, np.ascontiguousarray(values), allow_pickle=False)


if __name__ == "__main__":
    # Ctrl-C is the node's to answer; when it ends, the pipe breaks and so does this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _give(sys.stdout.buffer, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
