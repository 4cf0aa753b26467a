"""The demo with differential privacy: its cost is stated, stays under the cap, and every share of noise is there."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import NODE, command, run
from tests.e2e.demo_run import demo, read_report, write_small_room
from tests.second_accountant import epsilon_from_records

pytestmark = pytest.mark.slow


def log_events(out: Path, member: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(out / "nodes" / member / "log.db")) as database:
        return [json.loads(event) for (event,) in database.execute("SELECT event FROM event ORDER BY seq")]


def test_a_run_states_what_it_cost_and_the_audit_agrees(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    ended = demo("--data", room, "--out", out, "--epsilon", "3.0")

    assert (ended.code, ended.err) == (0, ""), ended.out
    report = read_report(out)
    sums = report["privacy"]["sums"]
    assert f"self-check: {sums} opened sums equal the plain sums over the members' tables, each member's" in ended.out
    epsilons = report["privacy"]["epsilon"]
    assert set(epsilons) == set(report["members"]) and all(2.9 < epsilon <= 3 for epsilon in epsilons.values())
    assert list(report["recipes"]) == ["scorecard"]
    assert "Differential privacy: whatever anybody does" in (out / "report.html").read_text("utf-8")
    for member in report["members"]:
        lines = [json.loads(line) for line in (out / "nodes" / member / "ledger").read_text().splitlines()]
        assert sum(line["kind"] == "reserve" for line in lines) == sums
        spends = [(event["job"], event["body"]) for event in log_events(out, member) if event["kind"] == "dp.spend"]
        assert epsilon_from_records(spends, 1e-6) == pytest.approx(epsilons[member], rel=1e-6)
        decided = [event for event in log_events(out, member) if event["kind"] == "job.decided"]
        assert decided and all(event["body"]["dp"] == {"epsilon_cap": "3", "delta": "0.000001"} for event in decided)
    model = json.loads((out / "nodes" / report["members"][0] / "models" / "scorecard-network.json").read_bytes())
    assert model["model"]["training"]["privacy"]["epsilon"] == "3"

    # Yesterday's ledger, put back, is noticed before the node says a word to anybody.
    folder = out / "nodes" / report["members"][0]
    (folder / "ledger").write_text("".join((folder / "ledger").read_text().splitlines(keepends=True)[:3]))
    ended_node = run(command(NODE, "run", "--config", folder / "node.toml"))
    ended_node.check_one_line(NODE, 4, "an older copy of the ledger was put back")


def test_a_bank_that_dies_costs_the_others_a_repeat_and_no_more(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    ended = demo("--data", room, "--out", out, "--epsilon", "3", "--kill", "rural_bank@2:before-upload")

    assert (ended.code, ended.err) == (0, ""), ended.out
    report = read_report(out)
    assert "opened sums equal the plain sums over the members' tables, each member's" in ended.out
    assert report["privacy"]["smallest_cohort"] == 4
    spent = {member: epsilon for member, epsilon in report["privacy"]["epsilon"].items() if member != "rural_bank"}
    assert all(3 < epsilon < 6 for epsilon in spent.values())


def test_an_epsilon_that_is_none(tmp_path: Path) -> None:
    for given in ("0", "much", "1000"):
        ended = demo("--out", tmp_path / given, "--epsilon", given)
        assert ended.code == 2 and "--epsilon" in ended.err
