"""A consortium of real processes on this machine: founded, enrolled, started, broken and stopped by a test.

Every process is a child of the test and ends with it. Theory: tests wait for what a process writes down (its log line,
a job's outcome), never for a time; each wait has a limit after which the test fails and shows the logs.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from creditmesh_demo.folders import RunFolders, write_node_settings
from creditmesh_demo.founding import found
from creditmesh_demo.job_history import JobHistory
from creditmesh_demo.room_folder import RoomFolder

from coordinator import commands
from coordinator.store import Store

__all__ = ["ConsortiumRoom", "is_free"]

PATIENCE_S = 90.0
FRUGAL = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "MALLOC_ARENA_MAX")
SCHEMA = """
name = "room"
version = 1
title = "a room"
source = "made for tests"
[target]
field = "bad"
meaning = "1 = the loan went bad"
[[field]]
name = "turnover"
dimension = "operating"
type = "number"
unit = "CNY"
bounds = [0, 1000000]
risk_when_rising = "down"
text = "yearly turnover"
[[field]]
name = "arrears"
dimension = "behaviour"
type = "flag"
risk_when_rising = "up"
text = "was late before"
"""
JOB = '[job]\nrecipe = "scorecard"\nschema = "schema.toml"\n'


@dataclass
class ConsortiumRoom:
    """Members `bank-0`, `bank-1`, ... with so many rows each, and a coordinator."""

    folder: Path
    count: int
    policy: dict[str, int] = field(default_factory=dict)
    rows: int = 1500
    unmasked: bool = False
    recipes: tuple[str, ...] = ("scorecard",)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = [f"bank-{place}" for place in range(self.count)]
        self.run = RunFolders(self.folder / "run", tuple(self.names))
        for folder in (self.run.coordinator, *self.run.nodes.values()):
            folder.mkdir(parents=True)
            self.watch_of(folder.name).mkdir()
        found(self.run)
        self.settings = self.run.coordinator / "coordinator.toml"
        policy = {"rejoin_s": 2, "join_wait_s": 30, **self.policy}
        lines = "\n".join(f"{name} = {value}" for name, value in policy.items())
        self._edit(self.settings, r"rejoin_s = 2", lines)
        (self.folder / "schema.toml").write_text(SCHEMA)
        (self.folder / "job.toml").write_text(JOB)
        self.tables = {name: self._draw(place) for place, name in enumerate(self.names)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()  # ends a frozen one too
            process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def watch_of(self, name: str) -> Path:
        """Return the folder with what was seen inside a process; no state folder of either."""
        return self.folder / f"watch-{name}"

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(self, *options: str) -> None:
        """Start the coordinator and all nodes, and wait until every node is connected."""
        self.start_coordinator()
        for name in self.names:
            self.start_node(name, *options)
        for name in self.names:
            self.await_line(name, "connected")

    def start_coordinator(self) -> str:
        """Start the coordinator and return its address; a restarted one listens where the first one did."""
        self._start("coordinator", self.settings)
        self.address = str(self.await_line("coordinator", "listening")["grpc"])
        self._edit(self.settings, r'grpc = ".*"', f'grpc = "{self.address}"')
        room = RoomFolder("room", self.folder / "schema.toml", self.tables, ())
        write_node_settings(self.run, room, self.address, list(self.recipes))
        return self.address

    def start_node(self, name: str, *options: str) -> None:
        """Start a member's node; options: those of `tests.e2e.watched`."""
        (self.watch_of(name) / "reached").unlink(missing_ok=True)
        self._start(name, self.run.nodes[name] / "node.toml", *options)

    def send(self, name: str, number: int) -> None:
        """Send a signal to a process of ours."""
        self.processes[name].send_signal(number)

    def stop(self, names: Iterable[str], number: int = signal.SIGTERM, limit_s: float = 20.0) -> dict[str, int]:
        """Stop processes by a signal and return their exit codes."""
        names = list(names)
        for name in names:
            self.send(name, number)
        return {name: self.processes[name].wait(limit_s) for name in names}

    def living(self) -> list[str]:
        """Return who runs."""
        return [name for name, process in self.processes.items() if process.poll() is None]

    def repair(self) -> None:
        """Bring everybody back, with a clean ledger of exclusions, for the next test of a shared room."""
        self.__exit__()
        self.processes.clear()
        store = Store(f"sqlite:///{self.run.coordinator / 'coordinator.db'}")
        for job in store.unfinished():
            store.set_job_state(job.id, "cancelled", "the next test begins")
        store.close()
        for folder in self.run.nodes.values():
            (folder / "usage.json").unlink(missing_ok=True)
        for name in ("coordinator", *self.names):
            shutil.rmtree(self.watch_of(name))
            self.watch_of(name).mkdir()
        self.start()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the operating lines of a process' newest run."""
        text = self._output(name).read_text("utf-8", "replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"t"') and line.endswith("}")]

    def await_line(self, name: str, event: str, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for an operating line of a process and return it."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines(name) if line["event"] == event), None)

        line = self.wait(found, f"{name} to say {event!r}", limit_s, needs=name)
        assert line is not None
        return line

    # -- jobs --------------------------------------------------------------------------------------------------------

    def submit(self) -> str:
        """Queue a job and return its id."""
        assert commands.submit(self.settings, self.folder / "job.toml", True) == 0
        return self.history().jobs()[-1]

    def history(self) -> JobHistory:
        """Open the coordinator's database for reading."""
        return JobHistory(self.run.coordinator)

    def outcome(self, job: str, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until a job is in a final state, and return its outcome."""
        history = self.history()
        self.wait(lambda: history.state(job) in ("done", "failed"), f"{job} to end", limit_s, needs="coordinator")
        history.close()
        document: dict[str, Any] = json.loads((self.run.coordinator / "jobs" / job / "outcome.json").read_text("utf-8"))
        return document

    def results(self, job: str, names: Iterable[str]) -> dict[str, str]:
        """Wait until these members have written how a job ended, and return that."""
        paths = {name: self.run.nodes[name] / "jobs" / job / "result.json" for name in names}
        self.wait(lambda: all(path.exists() for path in paths.values()), f"results of {job}")
        return {name: json.loads(path.read_text("utf-8"))["state"] for name, path in paths.items()}

    def reached(self, name: str) -> float:
        """Wait until a member came to its moment; return when that was, seconds since 1970."""
        path = self.watch_of(name) / "reached"
        self.wait(lambda: path.exists() and path.read_text() != "", f"{name} to reach its moment")
        return float(path.read_text())

    def event_s(self, job: str, kind: str) -> float:
        """Wait until the coordinator has noted an event of a job; return when it was, seconds since 1970."""
        history = self.history()
        found: list[tuple[int]] = []

        def noted() -> bool:
            query = "SELECT t FROM events WHERE job = ? AND kind = ?"
            found[:] = history._database.execute(query, (job, kind)).fetchall()
            return bool(found)

        self.wait(noted, f"{kind} of {job}")
        history.close()
        return float(found[0][0]) / 1e6

    def noted(self, name: str, job: str) -> dict[int, dict[str, Any]]:
        """Return a node's true parts, or the sums that the coordinator opened, of a job by round."""
        path = self.watch_of(name) / ("sums.jsonl" if name == "coordinator" else "words")
        lines = path.read_text("ascii").splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        return {entry["round"]: entry for entry in entries if entry["job"] == job}

    def check_sums(self, job: str) -> list[list[str]]:
        """Fail unless every opened sum of a job is the plain sum of its survivors' parts; return all survivors."""
        parts = {name: self.noted(name, job) for name in self.names}
        opened = self.noted("coordinator", job)
        for number, entry in opened.items():
            kind = "<u4" if parts[entry["survivors"][0]][number]["bits"] == 32 else "<u8"
            vectors = [np.frombuffer(bytes.fromhex(parts[name][number]["words"]), kind) for name in entry["survivors"]]
            total = np.sum(vectors, axis=0, dtype=np.dtype(kind))
            assert total.tobytes().hex() == entry["words"], f"round {number}"
        assert list(opened) == list(range(1, len(opened) + 1))
        return [list(entry["survivors"]) for entry in opened.values()]

    # -- small parts -------------------------------------------------------------------------------------------------

    def wait(self, ready: Callable[[], Any], what: str, limit_s: float = PATIENCE_S, needs: str = "") -> Any:
        """Wait until something holds and return it; fail with all logs after the limit or if a process ended."""
        until = time.monotonic() + limit_s
        while not (found := ready()):
            ended = bool(needs) and self.processes[needs].poll() is not None
            if ended or time.monotonic() > until:
                logs = "\n".join(
                    f"--- {name}\n{self._output(name).read_text('utf-8')[-3000:]}" for name in self.processes
                )
                raise AssertionError(f"waited for {what}; {needs if ended else 'nobody'} ended\n{logs}")
            time.sleep(0.02)
        return found

    def _start(self, name: str, config: Path, *options: str) -> None:
        role = "coordinator" if name == "coordinator" else "node"
        search = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, **dict.fromkeys(FRUGAL, "1"), "PYTHONPATH": search}
        unmasked = ["--unmasked"] if self.unmasked else []
        arguments = [role, str(config), str(self.watch_of(name)), *options, *unmasked]
        with self._output(name).open("wb") as stream:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.watched", *arguments],
                stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip

    def _output(self, name: str) -> Path:
        return self.watch_of(name) / "process.log"

    def _draw(self, place: int) -> Path:
        random = np.random.default_rng(place)
        quality = random.normal(size=self.rows + place)
        bad = (random.random(len(quality)) < 1 / (1 + np.exp(1.5 + quality))).astype(int)
        turnover = np.clip(np.exp(9 + 0.7 * quality + random.normal(size=len(quality))), 0, 1e6)
        arrears = (quality + random.normal(size=len(quality)) < -1).astype(int)
        path = self.folder / f"bank-{place}.csv"
        lines = [f"{a:.2f},{b},{c}" for a, b, c in zip(turnover, arrears, bad, strict=True)]
        path.write_text("\n".join(["turnover,arrears,bad", *lines]) + "\n")
        return path

    @staticmethod
    def _edit(path: Path, pattern: str, by: str) -> None:
        text, count = re.subn(pattern, by, path.read_text("utf-8"))
        assert count == 1, f"{pattern} stands {count} times in {path}"
        path.write_text(text, encoding="utf-8")


def is_free(address: str) -> bool:
    """Say whether nobody listens at "host:port"."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0
