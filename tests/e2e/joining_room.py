"""A consortium that begins with nothing: founded, joined and run by commands alone, on loopback.

Short commands run in the test's process, through their ordinary entry. What goes on running is a process of its own, a
child of the test, and ends with it. Nothing here writes a key or a setting; what
a person would carry (a join code by mail, a fingerprint by telephone) is carried by the test.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

import numpy as np

from coordinator import cli as coordinator_cli
from node import cli as node_cli
from tests.e2e.command import COORDINATOR, NODE, Ended, command
from tests.e2e.consortium_room import FRUGAL, JOB, PATIENCE_S, SCHEMA

__all__ = ["JoiningRoom", "fingerprint_in", "here"]

_FINGERPRINT = re.compile(r"(?:[A-Z2-7]{5} ){7}[A-Z2-7]{5}")


@dataclass
class JoiningRoom:
    """One folder with the operator's part and every bank's."""

    folder: Path
    name: str = "cn-credit"
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "schema.toml").write_text(SCHEMA)
        (self.folder / "job.toml").write_text(JOB)
        self.settings = self.folder / "operator" / "coordinator.toml"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    # -- the operator ------------------------------------------------------------------------------------------------

    def found(self, *options: str) -> None:
        """Found the consortium on free ports of this machine."""
        where = ("--name", self.name, "--listen", "127.0.0.1:0")
        ended = here(coordinator_cli.main, "init", self.folder / "operator", *where, *options)
        assert ended.code == 0, ended.err

    def start_coordinator(self) -> None:
        """Start the coordinator and wait until it listens."""
        listening = self.settings.with_name("listening.json")
        self._start("coordinator", command(COORDINATOR, "run", "--config", self.settings))
        self.wait(listening.exists, "the coordinator to listen", "coordinator")
        self.desk = str(json.loads(listening.read_text())["enrolment"])
        self.link = str(json.loads(listening.read_text())["grpc"])

    def operator(self, *arguments: str | Path) -> Ended:
        """Run a command of the operator's."""
        return here(coordinator_cli.main, *arguments, "--config", self.settings)

    def invite(self, bank: str, ttl: str = "72h") -> str:
        """Invite a bank and return its join code."""
        ended = self.operator("invite", bank, "--ttl", ttl, "--json")
        assert ended.code == 0, ended.err
        return str(json.loads(ended.out)["code"])

    def approve(self, bank: str, fingerprint: str) -> Ended:
        """Approve a bank by the fingerprint that it read out."""
        return self.operator("approve", bank, "--fingerprint", fingerprint)

    # -- banks -------------------------------------------------------------------------------------------------------

    def bank(self, name: str) -> Path:
        """Return a bank's folder; made, with its table, at the first call."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            _draw(folder / "table.csv", len(name) * 7 + sum(name.encode()))
        return folder

    def join_line(self, name: str, code: str, *options: str, state: str = "state") -> list[str]:
        """Return the arguments of a bank that joins."""
        folder = self.bank(name)
        places = ["--data", folder / "table.csv", "--schema", self.folder / "schema.toml", "--state", folder / state]
        return ["join", code, *map(str, places), "--config", str(folder / f"{state}.toml"), *options]

    def join(self, name: str, code: str, *options: str, state: str = "state") -> Ended:
        """Run a bank's `join` to its end."""
        return here(node_cli.main, *self.join_line(name, code, *options, state=state))

    def begin_join(self, name: str, code: str) -> str:
        """Start a bank's `join`, which waits for approval, and return the fingerprint that it shows."""
        self._start(f"{name}-join", command(NODE, *self.join_line(name, code)))
        says = f"{name} to wait"
        return fingerprint_in(
            self.wait(lambda: self.output(f"{name}-join") if "waiting" in self.output(f"{name}-join") else "", says)
        )

    def end_join(self, name: str) -> None:
        """Wait until a bank's `join` has ended well."""
        process = self.processes.pop(f"{name}-join")
        assert process.wait(PATIENCE_S) == 0, self.output(f"{name}-join")

    def node(self, name: str, *arguments: str | Path) -> Ended:
        """Run a command of a bank's."""
        return here(node_cli.main, *arguments, "--config", self.bank(name) / "state.toml")

    def start_node(self, name: str) -> None:
        """Start a bank's node and wait until it is connected."""
        before = self.count(name, "connected")
        self._start(name, command(NODE, "run", "--config", self.bank(name) / "state.toml"))
        self.wait(lambda: self.count(name, "connected") > before, f"{name} to connect", name)

    def admit(self, name: str) -> str:
        """Bring a bank in: invite, join, approve; return its fingerprint."""
        fingerprint = self.begin_join(name, self.invite(name))
        ended = self.approve(name, fingerprint)
        assert ended.code == 0, ended.err
        self.end_join(name)
        return fingerprint

    # -- what processes say ------------------------------------------------------------------------------------------

    def output(self, name: str) -> str:
        """Return what a process has written."""
        path = self.folder / f"{name}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def lines(self, name: str, event: str) -> list[dict[str, Any]]:
        """Return a process' operating lines of one event."""
        whole = [line for line in self.output(name).splitlines() if line.startswith('{"t"') and line[-1] == "}"]
        return [line for line in map(json.loads, whole) if line["event"] == event]

    def count(self, name: str, event: str) -> int:
        """Return how often a process said something."""
        return len(self.lines(name, event))

    def wait(self, ready: Callable[[], Any], what: str, needs: str = "") -> Any:
        """Wait until something holds and return it; fail with all output after a limit."""
        until = monotonic() + PATIENCE_S
        while not (found := ready()):
            ended = bool(needs) and self.processes[needs].poll() is not None
            if ended or monotonic() > until:
                told = "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log"))
                raise AssertionError(f"waited for {what}\n{told}")
            sleep(0.02)
        return found

    def stop(self, name: str) -> int:
        """Stop a process by SIGTERM and return its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(30)

    def _start(self, name: str, line: list[str]) -> None:
        environment = {**os.environ, **dict.fromkeys(FRUGAL, "1")}
        with (self.folder / f"{name}.log").open("ab") as stream:
            self.processes[name] = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment
            )


def here(main: Callable[[list[str]], int], *arguments: str | Path) -> Ended:
    """Run a command in this process: the same entry, without the second that an interpreter takes to start."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(each) for each in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def fingerprint_in(text: str) -> str:
    """Return the fingerprint that stands in a text."""
    match = _FINGERPRINT.search(text)
    assert match is not None, text
    return match[0]


def _draw(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    quality = random.normal(size=1500)
    bad = (random.random(len(quality)) < 1 / (1 + np.exp(1.5 + quality))).astype(int)
    turnover = np.clip(np.exp(9 + 0.7 * quality + random.normal(size=len(quality))), 0, 1e6)
    arrears = (quality + random.normal(size=len(quality)) < -1).astype(int)
    lines = [f"{a:.2f},{b},{c}" for a, b, c in zip(turnover, arrears, bad, strict=True)]
    path.write_text("\n".join(["turnover,arrears,bad", *lines]) + "\n")
