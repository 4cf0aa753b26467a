"""Run our commands as a user does: real processes, real exit codes, what stands on their standard error."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "COORDINATOR",
    "NODE",
    "Ended",
    "collect",
    "command",
    "interrupt",
    "limit_files",
    "run",
    "started",
    "wait_for",
]

NODE, COORDINATOR = "creditmesh-node", "creditmesh-coordinator"
PATIENCE_S = 60
_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Ended:
    """How a command ended: its code, its output, and the lines of its standard error that are not log lines."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def complaints(self) -> list[str]:
        """Return the lines that speak to the user; log lines are JSON objects."""
        return [line for line in self.err.splitlines() if not line.startswith('{"t": ')]

    def check_one_line(self, program: str, code: int, says: str) -> None:
        """Fail unless the command ended with this code and said exactly one line that holds `says`."""
        assert (self.code, len(self.complaints)) == (code, 1), self.err
        (line,) = self.complaints
        assert re.match(rf"{program}: \S", line)
        assert says in line
        assert "Traceback" not in self.err
        assert "Error(" not in line


def command(program: str, *arguments: str | Path) -> list[str]:
    """Return the command line of an installed command."""
    return [str(Path(sys.executable).parent / program), *map(str, arguments)]


def limit_files(size: int, line: list[str]) -> list[str]:
    """Return a command line under which no file can grow beyond `size` bytes, as on a disk that is full."""
    return [sys.executable, "-c", _LIMITED, str(size), *line]


def run(line: list[str]) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(line: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command and make sure that it has ended afterwards."""
    process = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_for(process: subprocess.Popen[str], event: str) -> dict[str, str]:
    """Read a process' log up to a line of this event and return the line; fail if it ends before."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("{"):
            entry: dict[str, str] = json.loads(line)
            if entry["event"] == event:
                return entry
    raise AssertionError(f"ended with {process.wait()} before {event!r}: {''.join(seen)}")


def interrupt(process: subprocess.Popen[str]) -> Ended:
    """Send Ctrl-C and return how the process ended."""
    process.send_signal(signal.SIGINT)
    return collect(process)


def collect(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process and return it."""
    _, err = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, "", err)
