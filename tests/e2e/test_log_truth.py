"""What the logs of a real network say is true to the byte, and nothing of a borrower stands in them or near them.

Four banks with marked tables and a coordinator run two jobs, one exact and one with noise; one bank's table then has a
column and a level that nobody declared. Afterwards every file of every state folder, all operating lines, everything
that a bank wrote to its stream and all that an auditor makes of the logs is searched for the marks, and the streams are
held against the logs. The processes and their files are made once; no test changes them.
"""

import io
import json
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from creditmesh_demo.cosigned import pending_logs

from audit.cli import main as audit
from coordinator.cli import main as coordinator
from node.cli import main as node
from tests.e2e.consortium_room import SCHEMA, ConsortiumRoom
from tests.e2e.marks import HEADER, LEVEL, Needles, bank_marks, level_mark
from tests.e2e.stream_bytes import Crossed, read_stream

pytestmark = pytest.mark.slow

MORE = f"""
[borrower]
field = "borrower"
[[field]]
name = "industry"
dimension = "scenario"
type = "category"
levels = ["retail", "{LEVEL}"]
risk_when_rising = "free"
text = "industry"
[[field]]
name = "memo"
dimension = "behaviour"
type = "number"
unit = "points"
bounds = [0, 1]
risk_when_rising = "free"
use = "ignore"
text = "not used"
"""
NOISE = '[privacy]\nepsilon = "4"\n'
COSIGNING = {"add-checkpoint", "cosigned"}
LAST = "bank-3"


@dataclass
class MarkedRoom(ConsortiumRoom):
    """A room whose tables hold marked rows, with ids of borrowers and a column that no model may use."""

    ran: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.folder / "schema.toml").write_text(SCHEMA + MORE, encoding="utf-8")
        self.made.mkdir()

    @property
    def made(self) -> Path:
        """Return the folder of all that an auditor made."""
        return self.folder / "made"

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return all events of a log, oldest first."""
        folder = self.run.coordinator if name == "coordinator" else self.run.nodes[name]
        with closing(sqlite3.connect(folder / "log.db")) as database:
            return [json.loads(event) for (event,) in database.execute("SELECT event FROM event ORDER BY seq")]

    def egress(self, name: str) -> list[dict[str, Any]]:
        """Return what a log says was sent."""
        return [event["body"] for event in self.events(name) if event["kind"] == "egress.authorised"]

    def crossed(self, name: str) -> Crossed:
        """Return what a bank's stream carried."""
        return read_stream(self.watch_of(name) / "frames")

    @cached_property
    def needles(self) -> Needles:
        """Return the marks of all banks and the level that they share."""
        return Needles([*(mark for place in range(self.count) for mark in bank_marks(place)[1]), level_mark()])

    def run_job(self, more: str = "") -> None:
        """Run a job to its end."""
        path = self.folder / "job.toml"
        path.write_text(f'[job]\nrecipe = "scorecard"\nschema = "schema.toml"\n{more}', encoding="utf-8")
        job = self.submit()
        outcome = self.outcome(job)
        assert outcome["state"] == "done", outcome["reason"]
        assert self.results(job, self.names) == dict.fromkeys(self.names, "done")
        self.ran.append(job)

    def refuse_undeclared(self) -> None:
        """Start the last bank on a table with an undeclared level, and then with an undeclared column."""
        shutil.copy(self._output(LAST), self.made / "first-run.log")
        path = self.tables[LAST]
        rows, _ = bank_marks(self.count)
        for number, header in enumerate((HEADER, HEADER.replace("memo", "surname"))):
            path.write_text("\n".join([header, *rows]).replace(LEVEL, f"{LEVEL}-other") + "\n", encoding="utf-8")
            self.start_node(LAST)
            assert self.processes[LAST].wait(60) == 2
            shutil.copy(self._output(LAST), self.made / f"refused-{number}.log")

    def _draw(self, place: int) -> Path:
        path = super()._draw(place)
        rows = [line.split(",") for line in path.read_text("ascii").splitlines()[1:]]
        lines = [f"{place}{number:017},{a},{b},retail,0.5,{bad}" for number, (a, b, bad) in enumerate(rows)]
        lines[10:10] = bank_marks(place)[0]
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarkedRoom]:
    with MarkedRoom(tmp_path_factory.mktemp("marked"), 4) as room:
        room.start("--count")
        room.run_job()
        room.run_job(NOISE)
        room.wait(lambda: not pending_logs(room.run, room.names), "every log to be cosigned")
        room.stop([*room.names, "coordinator"], limit_s=60.0)
        room.refuse_undeclared()
        assert called(node, "replay", "--config", settings_of(room, "bank-1"), room.ran[0], "1")[0] == 0
        for name in room.names[:-1]:
            asked = ("--config", settings_of(room, name), "--out", room.made / f"{name}.jsonl", "--who", "auditor-7")
            assert called(node, "export", *asked)[0] == 0
        asked = ("--config", room.settings, "--out", room.made / "coordinator.jsonl", "--who", "auditor-7")
        assert called(coordinator, "export", *asked)[0] == 0
        yield room


def settings_of(room: MarkedRoom, name: str) -> Path:
    return room.run.nodes[name] / "node.toml"


def called(command: Any, *arguments: object) -> tuple[int, str]:
    """Run a command in this process; return its code and what it printed."""
    with redirect_stdout(io.StringIO()) as out:
        code: int = command([str(each) for each in arguments])
    return code, out.getvalue()


@pytest.fixture(scope="module")
def report(room: MarkedRoom) -> dict[int, dict[str, Any]]:
    """Make all that an auditor can make; return the report's answers by number."""
    logs = [room.run.nodes[name] for name in room.names]
    pins = ("--members", room.run.nodes["bank-1"] / "keys" / "members.json")
    for folder in (logs[0], room.run.coordinator):
        for form in ("jsonl", "csv", "html", "tiles"):
            out = room.made / f"{folder.name}-audit.{form}"
            assert called(audit, "export", form, folder, "--out", out)[0] == 0
        code, said = called(audit, "verify", folder, *pins, "--no-state", "--json")
        assert code in (0, 3), said  # 3: what was appended after the processes ended has no cosignatures yet
        (room.made / f"{folder.name}-verify.json").write_text(said, encoding="utf-8")
    page = ("--coordinator", room.run.coordinator, "--out", room.made / "report.html", "--json")
    said = called(audit, "report", *logs, *pins, *page)[1]
    (room.made / "report.json").write_text(said, encoding="utf-8")
    return {answer["number"]: answer for answer in json.loads(said)["answers"]}


# -- nothing of a borrower --------------------------------------------------------------------------------------------


def test_no_file_of_any_state_folder_holds_a_mark(room: MarkedRoom) -> None:
    """The level is a word of the dictionary that members share: models and the coordinator's job hold it, no log."""
    models = {path for folder in (room.run.coordinator, *room.run.nodes.values()) for path in folder.glob("models/*")}
    found = room.needles.search_files(room.run.out, {*models, *room.run.coordinator.glob("coordinator.db*")})
    assert found == []

    with_models = room.needles.search_files(room.run.out)
    assert with_models and all(LEVEL in line for line in with_models)


def test_no_operating_line_and_no_stream_holds_a_mark(room: MarkedRoom) -> None:
    others = Needles(mark for place in range(room.count + 1) for mark in bank_marks(place)[1])
    for name in ("coordinator", *room.names):
        assert others.search(room._output(name).read_bytes()) == []
    for path in room.made.glob("*.log"):
        assert others.search(path.read_bytes()) == [] and room.needles.search(path.read_bytes()) == []
    for name in room.names:
        for file in ("sent", "frames"):
            assert room.needles.search((room.watch_of(name) / file).read_bytes()) == []
        assert room.needles.search(b"".join(whole for _, whole in room.crossed(name).messages)) == []


def test_nothing_that_an_auditor_makes_holds_a_mark(room: MarkedRoom, report: dict[int, Any]) -> None:
    assert len(report) == 22
    assert len(list(room.made.iterdir())) > 20
    assert room.needles.search_files(room.made) == []


def test_the_search_sees_every_form_of_every_mark(tmp_path: Path) -> None:
    """A search that cannot find proves nothing."""
    marks = [*bank_marks(0)[1], level_mark()]
    needles = Needles(marks)
    planted = list(needles)
    assert len(planted) > 500 and {mark.column for _, mark in planted} == {"turnover", "borrower", "memo", "industry"}
    for number, (form, mark) in enumerate(planted):
        assert (form, mark) in needles.search(bytes(number % 11) + form)
    for column, place in (("borrower", 0), ("turnover", 1), ("memo", 4)):
        cell = bank_marks(0)[0][0].split(",")[place]
        (tmp_path / f"{column}.txt").write_text(f"a line, and {cell}.", encoding="utf-8")
    assert {line.split(".")[0] for line in needles.search_files(tmp_path)} == {"borrower", "turnover", "memo"}


def test_a_mark_that_a_log_did_hold_is_seen_in_all_that_is_made_of_it(room: MarkedRoom, tmp_path: Path) -> None:
    """The same search over a log whose node wrote down a value: the log, and each export of it."""
    from tests.audit.logs import named_store
    from tests.privacy.logs import HandClock, egress

    who = bank_marks(0)[0][0].split(",")[0]
    store = named_store(tmp_path / "state", "bank-a", HandClock())
    store.append([egress(1, msg_id=f"job-1/{who}/upload")])
    store.close()
    for form in ("jsonl", "csv", "html", "tiles"):
        assert called(audit, "export", form, tmp_path / "state", "--out", tmp_path / f"out.{form}")[0] == 0
    files = {line.split(":")[0].split("/")[0] for line in room.needles.search_files(tmp_path)}
    assert files == {"state", "out.jsonl", "out.csv", "out.html", "out.tiles"}


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_payload_bytes_on_a_stream_are_the_log_s_sum(room: MarkedRoom) -> None:
    pins = ("--members", room.run.nodes["bank-1"] / "keys" / "members.json", "--json")
    logs = (*(room.run.nodes[name] for name in room.names), room.run.coordinator)
    code, said = called(audit, "reconcile", *pins, *logs)
    assert code == 0, said
    banks = {bank["member"]: bank for bank in json.loads(said)["banks"]}
    for name in room.names:
        payload = [each for each in room.crossed(name).messages.values() if each.signed.kind not in COSIGNING]
        logged = Counter(
            (body["payload_kind"].removeprefix("secagg."), body["payload_sha256"], body["bytes"])
            for body in room.egress(name)
            if "frames" not in body
        )
        assert Counter((each.signed.kind, each.payload_sha256, each.size) for each in payload) == logged
        total = sum(each.size for each in payload)
        assert total == banks[name]["sent_bytes"] == banks[name]["received_bytes"] > 5_000
        assert banks[name]["findings"] == []


def test_all_other_bytes_on_a_stream_are_within_authorised_blocks(room: MarkedRoom) -> None:
    for name in room.names:
        crossed = room.crossed(name)
        cosigning = [each.size for each in crossed.messages.values() if each.signed.kind in COSIGNING]
        assert cosigning and crossed.control
        for kind, sizes in (("cosign", cosigning), ("control", crossed.control)):
            blocks = [body for body in room.egress(name) if body["payload_kind"] == kind]
            assert sum(sizes) <= sum(body["bytes"] for body in blocks)
            assert len(sizes) <= sum(body["frames"] for body in blocks)


@pytest.mark.skipif(sys.platform != "linux", reason="the names of synced files are read from /proc")
def test_a_round_costs_a_node_at_most_two_commits(room: MarkedRoom) -> None:
    """As SQLite itself says what it runs; a round lasts from one upload to the next of its job.

    A round with noise syncs the ledger of the budget as well, once.
    """
    for name in room.names:
        rounds = {job: {number: Counter[str]() for number in range(1, 99)} for job in (1, 2)}
        job, number, last = 0, 0, Counter[int]()
        for line in (room.watch_of(name) / "commits").read_text("ascii").splitlines():
            kind, _, what = line.partition(" ")
            if kind == "upload":
                job, number = job + (what == "1"), int(what)
                last[job] = number
            elif number:
                rounds[job][number][what] += 1
            assert kind in ("upload", "commit", "sync")
        # After a job's last upload come its end and the witnesses, which are no round's.
        inner = [rounds[job][number] for job in last for number in range(1, last[job])]
        assert list(last) == [1, 2] and len(inner) >= 12
        # One more for a machine that stands still: what waits ten seconds in a job is committed by itself.
        assert sum(each["log.db"] for each in inner) <= 2 * len(inner) + 1, inner
        # Marks are synced every few seconds, and witnesses may ask once in a minute. With the first upload of all the
        # rows in use are written down: a file and its folder.
        seldom = {"log.mark", "witness.db", "witness.mark"}
        others = sum((each for each in inner), Counter()) - Counter(dict.fromkeys((*seldom, "log.db", "ledger"), 10**6))
        assert set(others) <= {"usage.draft", name} and others.total() <= 2, inner
        noisy = [rounds[2][number]["ledger"] for number in range(1, last[2])]
        assert max(noisy) == 1 and sum(each["ledger"] for each in inner) == sum(noisy), inner


# -- what the auditor's report says about looks at the logs ------------------------------------------------------------


def test_the_report_shows_who_looked_and_who_administered(room: MarkedRoom, report: dict[int, Any]) -> None:
    events = [event for name in ("coordinator", *room.names) for event in room.events(name)]
    exports = [event["body"] for event in events if event["kind"] == "audit.exported"]
    checks = [event for event in events if event["kind"] == "access.checked"]
    admins = [event for event in checks if event["actor"]["role"] == "admin"]
    assert {body["who"] for body in exports} == {"auditor-7"} and len(exports) == len(room.names)
    assert sorted(event["body"]["action"] for event in checks) == ["replay", "submit", "submit"]
    page = (room.made / "report.html").read_text("utf-8")

    said = {number: report[number]["sentences"][0]["en"] for number in (15, 16)}
    assert said[15] == f"{len(exports)} exports and {len(checks)} checks of access, 0 of them denied."
    assert said[16].startswith(f"{len(admins)} acts of administrators, ")
    for shown in ("auditor-7", *(body["files"][0]["name"] for body in exports), *room.ran):
        assert shown in page
