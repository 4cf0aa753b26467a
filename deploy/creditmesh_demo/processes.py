"""Start the demo's processes, measure their memory, and stop every one of them whatever happens.

It knows no protocol. Theory: each child leads a process group of its own, so Ctrl-C reaches the demo alone and it can
stop the others in order; each child's standard input is a pipe held here, so a demo that is killed takes its children
with it (`creditmesh_demo.child`). Peak memory is VmHWM, which the kernel keeps until a process ends, so it is sampled
while they run.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Child", "Children"]

PATIENCE_S = 5.0
LAST_BYTES = 64 * 1024

# One thread per process: a demo runs many processes on few cores, and results must not depend on the number of cores.
FRUGAL = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "POLARS_MAX_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(slots=True)
class Child:
    """One process: its name, its handle, where its output goes, and the most memory it was seen to use."""

    name: str
    process: "subprocess.Popen[bytes]"
    output: Path
    peak_bytes: int = 0

    @property
    def exit_code(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), or None while it runs."""
        return self.process.poll()

    def tell(self, line: str) -> None:
        """Send it one line on its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.write(line.encode("utf-8") + b"\n")
            self.process.stdin.flush()

    def last_words(self) -> str:
        """Return the last plain line it wrote, without its program's name; operating lines (JSON) do not count."""
        plain = [line for line in self._lines() if line.strip() and not line.startswith("{")]
        return plain[-1].removeprefix("creditmesh-node: ").removeprefix("creditmesh-coordinator: ") if plain else ""

    def warnings(self) -> list[str]:
        """Return the warnings among its operating lines."""
        entries = [json.loads(line) for line in self._lines() if line.startswith('{"t"') and line.endswith("}")]
        return [str(entry["warning"]) for entry in entries if "warning" in entry]

    def _lines(self) -> list[str]:
        with self.output.open("rb") as stream:
            stream.seek(max(0, self.output.stat().st_size - LAST_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()


class Children:
    """All processes of a demo; use as a context, so that leaving it in any way stops them."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, arguments: list[str], folder: Path, share: tuple[int, ...] = ()) -> Child:
        """Start `creditmesh_demo.child` with these arguments; its output goes to process.log in the folder.

        share: open file descriptors that the child inherits.
        """
        output = folder / "process.log"
        # PYTHONPATH may have been what made this program importable.
        environment = {**FRUGAL, **os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        with output.open("ab") as stream, _undisturbed():
            process = subprocess.Popen(
                [sys.executable, "-m", "creditmesh_demo.child", *arguments],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                pass_fds=share,
                process_group=0,
            )
            child = Child(name, process, output)
            self._children.append(child)
        return child

    def ended(self) -> list[str]:
        """Return a line about every child that has ended although nobody stopped it."""
        return [
            f"the process of {child.name} ended: {child.last_words() or _fate(child.exit_code)}"
            for child in self._children
            if child.exit_code is not None
        ]

    def measure(self) -> None:
        """Note every living child's peak memory."""
        for child in self._children:
            if child.process.returncode is None:
                child.peak_bytes = max(child.peak_bytes, peak_memory(child.process.pid) or 0)

    def peak_bytes(self) -> int | None:
        """Return the sum of all peaks, this process's own among them; None where the system does not tell."""
        own = peak_memory(os.getpid())
        return None if own is None else own + sum(child.peak_bytes for child in self._children)

    def stop(self) -> None:
        """Ask every child to stop, wait, and kill what is left; when this returns none of them lives."""
        with _undisturbed():
            self._stop()

    def _stop(self) -> None:
        self.measure()
        living = [child for child in self._children if child.exit_code is None]
        # The last started go first: nodes before the coordinator.
        for child in reversed(living):
            child.process.terminate()
        until = time.monotonic() + PATIENCE_S
        for child in living:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(child.process.pid)
                child.process.wait()
        for child in self._children:
            if child.process.stdin:
                child.process.stdin.close()


def peak_memory(pid: int) -> int | None:
    """Return a process's peak resident memory in bytes (VmHWM), or None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) * 1024


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back until the block is over: between a child's start and its entry in the list none may be lost."""
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda found, _frame: held.append(found)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _fate(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
