"""Run `creditmesh-demo` as a user does, and look at what it leaves behind."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from creditmesh_demo import room, room_banks

from tests.e2e.command import Ended, command

__all__ = [
    "DEMO",
    "demo",
    "job_events",
    "left_behind",
    "read_report",
    "refused_port",
    "running_demo",
    "write_small_room",
]

DEMO = "creditmesh-demo"
PATIENCE_S = 180


def write_small_room(folder: Path, rows: int = 500, banks: int = 5, **other_rows: int) -> Path:
    """Write a synthetic room of the first banks, with so many rows each."""
    folder.mkdir()
    chosen = room_banks.INSTITUTIONS[-banks:]
    room.write_room(
        folder, 2, tuple(dataclasses.replace(bank, rows=other_rows.get(bank.name, rows)) for bank in chosen)
    )
    return folder


def demo(*arguments: str | Path) -> Ended:
    """Run the demo with the scorecard to its end; `--recipes` may be given again."""
    line = command(DEMO, "--recipes", "scorecard", *arguments)
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def running_demo(until: str, *arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """Start the demo and yield it once a line of its output holds `until`; it has ended afterwards."""
    process = subprocess.Popen(
        command(DEMO, "--recipes", "scorecard", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if until in line:
                break
        else:
            raise AssertionError(f"ended before {until!r}: {''.join(seen)}{process.communicate()[1]}")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def left_behind(out: Path) -> list[str]:
    """Return the command lines of living processes that belong to the run in `out`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                alive = "\nState:\tZ" not in (entry / "status").read_text("utf-8")
            except OSError:
                continue
            if str(out) in line and alive:
                found.append(line)
    return found


def refused_port(out: Path) -> bool:
    """Say whether nobody listens any more where the run's coordinator listened."""
    lines = (out / "coordinator" / "process.log").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith('{"t"')]
    address = next(entry["grpc"] for entry in entries if entry["event"] == "listening")
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def read_report(out: Path) -> dict[str, Any]:
    """Return a run's report.json."""
    return dict(json.loads((out / "report.json").read_text("utf-8")))


def job_events(out: Path) -> list[dict[str, Any]]:
    """Return the events of a run's only job, in order, with their kinds."""
    import sqlite3

    database = sqlite3.connect(out / "coordinator" / "coordinator.db")
    try:
        rows = database.execute("SELECT kind, body FROM events ORDER BY seq").fetchall()
    finally:
        database.close()
    return [{"kind": kind, **json.loads(body)} for kind, body in rows]
