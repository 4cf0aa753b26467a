"""Kill a coordinator in each phase of a job and bring it back from copies, older ones first; print what became of it.

    python -m tests.e2e.restore_matrix [sqlite|postgresql]...

Run by hand (six minutes an engine): real processes, real kills. Each phase is played once for each kind of copy that is
started after a SIGKILL: made before the job (`before`) or some sums earlier (`earlier`), by the living coordinator just
before the kill (`live`), or of what the kill left (`newest`). Expected: an older copy stops with exit code 4 and the
newest one goes on after it; or, where no bank knew of anything newer, it goes on itself. The newest goes on to the same
model at every bank, and no bank's log has an alarm.
"""

import json
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.backup import back_up, restore
from coordinator.config import load
from coordinator.store import Store
from node.offer_book import OfferBook
from tests.e2e.command import COORDINATOR, command
from tests.e2e.command import run as run_command
from tests.e2e.consortium_room import ConsortiumRoom
from tests.postgres_server import PostgresServer

__all__: list[str] = []

HELD = "bank-2"
LIMIT_S = 120.0


@dataclass(frozen=True)
class Phase:
    """A moment to kill at: what the held bank does not send; or a state of the job.

    opened: sums that are kept when the earlier copy is made, 0 for none. settle: what a person does afterwards.
    """

    name: str
    hold: str = ""
    opened: int = 0
    state: str = ""
    options: tuple[str, ...] = ()
    settle: str = ""


PHASES = (
    Phase("scheduled", state="queued", options=("--not-before",)),
    Phase("offer", "accept:0"),
    Phase("approval by a person", state="approving", settle="approve"),
    Phase("keys", "setup:0"),
    Phase("agreement on keys", "agree:0"),
    Phase("first upload", "upload:1"),
    Phase("upload", "upload:9", 3),
    Phase("consent", "consent:9", 3),
    Phase("unmask", "reveal:9", 3),
    Phase("check of a sum", "sum-signature:9", 3),
    Phase("last sums", "upload:14", 3),
    Phase("paused", state="paused", settle="resume"),
    Phase("just ended", state="done"),
)


class Matrix:
    """One engine's consortium and its rows of the table."""

    def __init__(self, room: ConsortiumRoom, server: PostgresServer | None) -> None:
        self.room, self.server = room, server
        self.folders = 0
        self.model = ""

    def urls(self) -> tuple[str | None, str | None]:
        if self.server is None:
            return None, None
        return self.server.url(self.server.database()), self.server.url(self.server.database())

    def store(self) -> Store:
        return Store(load(self.room.settings).storage.url)

    def state(self, job: str) -> tuple[str, int]:
        with closing(self.store()) as store:
            found = next((each.state for each in store.jobs() if each.id == job), "unknown")
            return found, len([each for each in store.rounds(job) if each.ended])

    def copy(self) -> Path:
        self.folders += 1
        path = self.room.folder / f"{self.folders}.backup"
        back_up(self.room.settings, path)
        return path

    def put_back(self, backup: Path | None) -> None:
        assert backup is not None
        folder = self.room.folder / f"put-back-{self.folders}"
        self.folders += 1
        restore(backup, folder, *self.urls())
        self.room.settings = folder / "coordinator.toml"
        text = self.room.settings.read_text("utf-8")
        text = re.sub(r'grpc = ".*"', f'grpc = "{self.room.address}"', text)
        self.room.settings.write_text(text, encoding="utf-8")
        self.room._start("coordinator", self.room.settings)

    def kill(self) -> None:
        self.room.send("coordinator", signal.SIGKILL)
        self.room.processes["coordinator"].wait()

    def submit(self, *options: str) -> str:
        words = ["submit", str(self.room.folder / "job.toml"), *options, "--config", self.room.settings]
        ended = run_command(command(COORDINATOR, *map(str, words)))
        assert ended.code == 0, ended.err
        return ended.out.strip().splitlines()[-1].split()[0]

    def wait(self, ready: Callable[[], Any], what: str) -> None:
        self.room.wait(ready, what, LIMIT_S)

    def older(self, backup: Path | None) -> bool:
        """Start an older copy; say whether it goes on, and fail unless it stops with code 4 otherwise."""
        self.put_back(backup)
        process = self.room.processes["coordinator"]
        self.wait(lambda: process.poll() is not None or self.said("restore_confirmed"), "an older copy to decide")
        if process.poll() is None:
            return True
        assert process.returncode == 4, self.room._output("coordinator").read_text()[-2000:]
        assert "an older copy" in self.room._output("coordinator").read_text()
        return False

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.room.lines("coordinator"))

    def alarms(self) -> int:
        """Return how many alarms stand in the banks' logs."""
        count = 0
        for name in self.room.names:
            with closing(sqlite3.connect(f"file:{self.room.run.nodes[name]}/log.db?mode=ro", uri=True)) as log:
                count += log.execute(
                    "SELECT count(*) FROM event WHERE instr(event, ?) > 0", (b"alarm.raised",)
                ).fetchone()[0]
        return count

    def row(self, phase: Phase) -> dict[str, str]:
        """Play a phase once for each kind of copy."""
        kinds = ["earlier" if phase.opened else "before", "live", "newest"]
        return {kind: self.cell(phase, kind) for kind in kinds}

    def cell(self, phase: Phase, kind: str) -> str:
        """Kill in a phase, start from a copy of that kind, and from the newest if that one stops."""
        copies: dict[str, Path | None] = {"before": self.copy()}
        alarms = self.alarms()
        if phase.hold:
            self.room.stop([HELD])
            self.room.start_node(HELD, "--at", f"{phase.hold}:hold")
            self.room.await_line(HELD, "connected")
        job, copies["earlier"] = self.reach(phase)
        copies["live"] = self.copy()
        self.kill()
        copies["newest"] = self.copy()
        if phase.hold:
            self.room.stop([HELD])
            self.room.start_node(HELD)
        found = ""
        if kind != "newest":
            goes_on = self.older(copies[kind])
            found = "goes on, " if goes_on else "stops (4); newest: "
        if kind == "newest" or not goes_on:
            self.put_back(copies["newest"])
        self.room.await_line("coordinator", "restore_confirmed")
        if self.state(job)[0] == "unknown":
            found += "job unknown"
        else:
            self.settle(phase, job)
            self.wait(lambda: self.state(job)[0] in ("done", "failed", "cancelled"), f"{phase.name}: {job} to end")
            found += self.judge(job)
        fresh = self.alarms() - alarms
        return found + (f", {fresh} ALARMS" if fresh else "")

    def reach(self, phase: Phase) -> tuple[str, Path | None]:
        """Bring a job to the phase; return it, and the earlier copy."""
        options = list(phase.options)
        if options:
            options.append(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20)))
        job, earlier = self.submit(*options), None
        if phase.opened:
            self.wait(lambda: self.state(job)[1] >= phase.opened, "some sums")
            earlier = self.copy()
        if phase.hold:
            self.room.reached(HELD)
        elif phase.settle == "resume":
            self.wait(lambda: self.state(job)[1] >= 3, "some sums")
            self.wish(job, "pause")
            self.wait(lambda: self.state(job)[0] == "paused", "the pause")
        else:
            self.wait(lambda: self.state(job)[0] == phase.state, phase.state)
        if phase.settle == "approve":
            self.approve("bank-0", job)
            self.wait(lambda: self.room.lines("bank-0"), "bank-0")
            time.sleep(2)  # a bank's answer is on its way; nothing shows when it is here
        return job, earlier

    def wish(self, job: str, wish: str) -> None:
        ended = run_command(command(COORDINATOR, wish, job, "--config", str(self.room.settings)))
        assert ended.code == 0, ended.err

    def approve(self, name: str, job: str) -> None:
        OfferBook(self.room.run.nodes[name]).decide(job, "risk-1", True, "")

    def settle(self, phase: Phase, job: str) -> None:
        """Do what a person has to do after the restore."""
        if phase.settle == "resume":
            self.wish(job, "resume")
        if phase.settle == "approve":
            self.wait(lambda: self.state(job)[0] == "approving", "the job to be offered again")
            waiting = {each["job"]: each["state"] for each in OfferBook(self.room.run.nodes["bank-0"]).listed()}
            assert waiting[job] == "accepted", waiting
            self.approve("bank-1", job)

    def judge(self, job: str) -> str:
        with closing(self.store()) as store:
            found = next(each for each in store.jobs() if each.id == job)
        if found.state != "done":
            return f"{found.state}: {found.reason}"
        outcome = json.loads((load(self.room.settings).state.dir / "jobs" / job / "outcome.json").read_text())
        self.model = self.model or outcome["model_sha256"]
        assert outcome["model_sha256"] == self.model, "another model"
        assert outcome["members"] == self.room.names, outcome["members"]
        assert self.room.results(job, self.room.names) == dict.fromkeys(self.room.names, "done")

        def released() -> bool:
            with closing(self.store()) as store:
                return all(model.released for model in store.models(job))

        self.wait(released, "the model to be released")
        return "done, same model, released"


def main(engines: list[str]) -> int:
    """Print one table an engine; return 1 if the newest copy did not go on somewhere."""
    wrong = 0
    for engine in engines or ["sqlite", "postgresql"]:
        server = PostgresServer() if engine == "postgresql" else None
        folder = Path(tempfile.mkdtemp(prefix="matrix-"))
        try:
            with ConsortiumRoom(folder, 4, {"rejoin_s": 60, "join_wait_s": 60}, rows=400) as room:
                wrong += fill(room, Matrix(room, server), engine)
        finally:
            if server:
                server.close()
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


def fill(room: ConsortiumRoom, matrix: Matrix, engine: str) -> int:
    """Run all phases on one engine; return how many went wrong."""
    wrong = 0
    if matrix.server:
        founded = matrix.copy()
        restore(founded, room.folder / "moved", *matrix.urls())
        room.settings = room.folder / "moved" / "coordinator.toml"
    room.start()
    job = matrix.submit()
    matrix.wait(lambda: matrix.state(job)[0] == "done", "the first job")
    matrix.judge(job)
    print(f"{engine}: phase | older | live | newest", flush=True)
    for phase in PHASES:
        by_person(room, phase.settle == "approve")
        try:
            row = matrix.row(phase)
        except AssertionError as error:
            print(f"{engine}: {phase.name} | WRONG {str(error)[:3000]}", flush=True)
            wrong += 1
            if room.processes["coordinator"].poll() is not None:
                return wrong
            continue
        good = "done" in row["newest"] and not any("ALARMS" in cell for cell in row.values())
        wrong += not good
        cells = [phase.name, *(f"{kind}: {cell}" for kind, cell in row.items())]
        print(f"{engine}: {' | '.join(cells)}{'' if good else '  <-- WRONG'}", flush=True)
    return wrong


def by_person(room: ConsortiumRoom, wanted: bool) -> None:
    """Let two banks ask a person, or not, and start them anew if that changed."""
    for name in ("bank-0", "bank-1"):
        path = room.run.nodes[name] / "node.toml"
        text = path.read_text("utf-8")
        if ('approval = "person"' in text) != wanted:
            line = 'approval = "person"\n'
            text = text.replace("[permit]\n", f"[permit]\n{line}") if wanted else text.replace(line, "")
            path.write_text(text, encoding="utf-8")
            room.stop([name])
            room.start_node(name)
            room.await_line(name, "connected")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
