"""Run a demo from an empty folder to its report: found, start, submit, watch, judge, stop, write.

It trains nothing and adds nothing; nodes and coordinator are the product's own processes. Theory: one job per recipe,
one after the other, so the first table stands before a later recipe loads what it needs; whatever happens on the way,
every process is stopped before this returns.
"""

import json
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

from creditmesh_demo.cosigned import log_sizes, pending_logs
from creditmesh_demo.folders import JobFacts, RunFolders, write_job, write_node_settings
from creditmesh_demo.job_history import FINAL_STATES, JobHistory
from creditmesh_demo.newcomer import Newcomer
from creditmesh_demo.page.view import SelfCheck
from creditmesh_demo.privacy_price import Price
from creditmesh_demo.processes import Child, Children
from creditmesh_demo.progress import Screen
from creditmesh_demo.report import Judged, check_sums, judge_job, price_jobs, report_document, run_view
from creditmesh_demo.room_folder import RoomFolder, read_schema
from creditmesh_demo.rows_file import read_rows
from creditmesh_demo.run_files import count_log_events, read_job, read_sent
from creditmesh_demo.run_record import RunRecord, Timing
from privacy.errors import InputError, RefusalError
from risk.table import Table

__all__ = ["Kill", "Plan", "launch"]

POLL_S = 0.1
START_S = 30.0
RESULTS_S = 60.0
QUORUM_S = 15.0
REST_S = 1.5


@dataclass(frozen=True, slots=True)
class Kill:
    """Say which member ends itself, at which sum of the first recipe's job and at which of `child.MOMENTS`."""

    member: str
    number: int
    moment: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what to run: room and output folder, recipes in order, share held out, seed, and what to add.

    epsilon: what each recipe's job may cost a record, a decimal; None for exact sums. newcomer: a lender kept out.
    launched: monotonic seconds when the command began. synthetic: the room was drawn by the demo itself.
    """

    room: RoomFolder
    out: Path
    recipes: tuple[str, ...]
    holdout: float
    seed: int
    compare_pooled: bool
    kill: Kill | None
    synthetic: bool
    launched: float
    epsilon: str | None = None
    newcomer: Newcomer | None = None

    @property
    def cap(self) -> str:
        """Return the banks' cap: all jobs of the run and one more, so that rounds lost with a bank can be repeated."""
        return format((Decimal(self.epsilon or "0") * (len(self.recipes) + 1)).normalize(), "f")


def launch(plan: Plan, screen: Screen) -> int:
    """Run the plan and return the exit code: 0, or 1 if a job failed or an opened sum was wrong.

    Raises `InputError` for a room that cannot be used and for an output folder that cannot be written.
    """
    started = datetime.now(UTC)
    dictionary = read_schema(plan.room)
    run = RunFolders(plan.out, tuple(plan.room.tables))
    with Children() as children:
        demo = _Demo(plan, screen, run, children)
        demo.start()
        judged: list[Judged] = []
        tables: dict[str, Table] = {}
        first_result_s = None
        for recipe in plan.recipes:
            job = demo.submit(recipe)
            demo.follow(job, recipe)
            if len(tables) < len(plan.room.tables):
                # A bank that was late for one job may be in the next.
                tables = demo.tables()
            record = read_job(run, job, dictionary, demo.history)
            judged.append(judge_job(record, tables, plan.compare_pooled, plan.newcomer))
            screen.result(judged[-1])
            if first_result_s is None and record.state == "done":
                first_result_s = time.monotonic() - plan.launched
        screen.working("checking every sum and writing the report")
        demo.await_quorum()
        ended = children.ended()
        children.stop()
    checks = [check_sums(found.record, tables) for found in judged]
    prices = price_jobs(judged, tables)
    # The page's drawing library is large: what the rows took goes back to the system before it is loaded.
    demo.forget_rows()
    tables.clear()
    return _conclude(plan, screen, _Facts(run, checks, children, ended, first_result_s, started, prices), judged)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the report needs beside the judged jobs."""

    run: RunFolders
    checks: list[SelfCheck]
    children: Children
    ended: list[str]
    first_result_s: float | None
    started: datetime
    prices: tuple[Price, ...]


def _conclude(plan: Plan, screen: Screen, facts: _Facts, judged: list[Judged]) -> int:
    checks = facts.checks
    members = list(dict.fromkeys(member for found in judged for member in found.record.members))
    record = RunRecord(
        room=plan.room.name,
        seed=plan.seed,
        started=f"{facts.started:%Y-%m-%d %H:%M} UTC",
        synthetic=plan.synthetic,
        jobs=tuple(found.record for found in judged),
        sent=read_sent(facts.run, members),
        log_events=count_log_events(facts.run, members),
        prices=facts.prices,
    )
    from creditmesh_demo.page.render import draw, render

    def timing() -> Timing:
        return Timing(facts.first_result_s, time.monotonic() - plan.launched, facts.children.peak_bytes())

    # Drawing comes before the report is closed, because the memory that it takes is part of what the report says.
    drawings = draw(run_view(record, judged, checks, report_document(record, judged, timing())))
    report = report_document(record, judged, timing())
    view = run_view(record, judged, checks, report)
    page = render(view, drawings)
    (plan.out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (plan.out / "report.html").write_text(page, encoding="utf-8")
    wrong = [f"WRONG: {check.different} of {check.sums} sums of {check.recipe} differ from the plain sums"
             for check in checks if check.different]  # fmt: skip
    failed = [f"{job.recipe} failed: {job.reason}" for job in record.jobs if job.state != "done"]
    problems = [*failed, *facts.ended, *wrong, *_checked(checks, plan.epsilon is not None)]
    screen.finished(plan.out, report, view.verifiers, problems)
    return 1 if failed or wrong else 0


def _checked(checks: list[SelfCheck], noisy: bool) -> list[str]:
    sums = sum(check.sums for check in checks if not check.different)
    noise = ", each member's share of noise added" if noisy else ""
    return [f"self-check: {sums} opened sums equal the plain sums over the members' tables{noise}"] if sums else []


class _Demo:
    """The processes of one run and the jobs they are given."""

    def __init__(self, plan: Plan, screen: Screen, run: RunFolders, children: Children) -> None:
        self._plan, self._screen, self._run, self._children = plan, screen, run, children
        self._nodes: dict[str, Child] = {}
        self._rows: dict[str, IO[bytes]] = {}

    def start(self) -> None:
        """Start the coordinator, then every node; return when all are started."""
        plan, run = self._plan, self._run
        self._screen.working(f"starting one coordinator and {len(run.members)} nodes")
        for folder in (run.coordinator, *run.nodes.values()):
            folder.mkdir(parents=True)
        names = ["coordinator", str(run.out), *run.members]
        self._coordinator = self._children.start("coordinator", names, run.coordinator)
        write_node_settings(run, plan.room, self._listening(), plan.recipes, plan.cap)
        self.history = JobHistory(run.coordinator)
        for member, folder in run.nodes.items():
            self._rows[member] = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as this demo
            descriptor = self._rows[member].fileno()
            arguments = ["node", str(run.out), member, "--rows-to", str(descriptor)]
            if plan.kill and plan.kill.member == member:
                arguments += ["--kill", f"{plan.kill.number}:{plan.kill.moment}"]
            self._nodes[member] = self._children.start(member, arguments, folder, (descriptor,))

    def tables(self) -> dict[str, Table]:
        """Return every member's rows as its node read them; a node that read none is left out."""
        found = {member: read_rows(stream, member) for member, stream in self._rows.items()}
        return {member: table for member, table in found.items() if table is not None}

    def forget_rows(self) -> None:
        """Close the files that hold rows, which end with that."""
        for stream in self._rows.values():
            stream.close()

    def submit(self, recipe: str) -> str:
        """Queue one recipe's job and return its id."""
        plan, before = self._plan, len(self.history.jobs())
        path = write_job(self._run, JobFacts(recipe, plan.room.schema, plan.seed, plan.holdout, plan.epsilon))
        self._coordinator.tell(str(path))
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            jobs = self.history.jobs()
            if len(jobs) > before:
                return jobs[-1]
            self._check_alive(started=True)
            time.sleep(POLL_S / 4)
        raise InputError("job-refused", f"{path}: not taken by the coordinator: {self._coordinator.last_words()}")

    def follow(self, job: str, recipe: str) -> None:
        """Show a job until it is in a final state and every bank that lives has written its result."""
        seen = 0
        while True:
            state = self.history.state(job)
            for event in self.history.events(job, seen):
                self._screen.event(recipe, event)
                seen = event.seq
                if event.kind == "job-started":
                    self._warn()
            self._children.measure()
            if state in FINAL_STATES:
                break
            self._check_alive(started=bool(seen))
            time.sleep(POLL_S)
        self._screen.working(f"{recipe}: each bank trains its own model and its private mix")
        self._await_results(job)

    def _warn(self) -> None:
        """Repeat, once, what the nodes had to say about their files."""
        for child in self._nodes.values():
            for warning in child.warnings():
                self._screen.say(f"  {warning}")

    def _await_results(self, job: str) -> None:
        outcome = self._run.coordinator / "jobs" / job / "outcome.json"
        members = json.loads(outcome.read_text(encoding="utf-8"))["members"]
        waiting = {member: self._run.nodes[member] / "jobs" / job / "result.json" for member in members}
        until = time.monotonic() + RESULTS_S
        while waiting and time.monotonic() < until:
            gone = [bank for bank, path in waiting.items() if path.exists() or self._nodes[bank].exit_code is not None]
            for bank in gone:
                del waiting[bank]
            self._children.measure()
            time.sleep(POLL_S / 2)

    def await_quorum(self) -> None:
        """Give the banks a moment to cosign the last records of each other's logs; what is missing then is pending.

        A cosigned log may still grow by what was shown of the others'; all is said when the logs have come to rest.
        """
        alive = [bank for bank, child in self._nodes.items() if child.exit_code is None]
        before, since = log_sizes(self._run, alive), time.monotonic()
        until = since + QUORUM_S
        while time.monotonic() < until:
            sizes = log_sizes(self._run, alive)
            if sizes != before or pending_logs(self._run, alive):
                before, since = sizes, time.monotonic()
            elif time.monotonic() - since >= REST_S:
                return
            time.sleep(POLL_S / 2)

    def _listening(self) -> str:
        """Return the coordinator's "host:port" once it listens."""
        path = self._run.coordinator / "listening.json"
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if path.exists():
                return str(json.loads(path.read_text(encoding="utf-8"))["grpc"])
            if self._coordinator.exit_code is not None:
                raise InputError(
                    "coordinator-start", f"the coordinator did not start: {self._coordinator.last_words()}"
                )
            time.sleep(POLL_S / 4)
        raise InputError("coordinator-start", f"the coordinator did not listen within {START_S:.0f} s")

    def _check_alive(self, *, started: bool) -> None:
        """Raise if the coordinator is gone, or if a node ended before the first job had begun."""
        if self._coordinator.exit_code is not None:
            raise RefusalError("coordinator-gone", f"the coordinator ended: {self._coordinator.last_words()}")
        for member, child in self._nodes.items():
            if child.exit_code is not None and not started:
                raise InputError("node-start", f"{member}: {child.last_words() or 'its node ended'}")
