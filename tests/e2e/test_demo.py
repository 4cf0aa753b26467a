"""The whole walk: real processes, mutual TLS on loopback, a job, a report, and nothing left behind."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.command import collect, command, limit_files, run
from tests.e2e.demo_run import DEMO, demo, left_behind, read_report, refused_port, running_demo, write_small_room

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for left processes in /proc"),
]


def nothing_left(out: Path) -> None:
    assert left_behind(out) == []
    assert refused_port(out)


def test_a_room_becomes_a_report_and_nothing_else(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    ended = demo("--data", room, "--out", out, "--compare-pooled")

    assert (ended.code, ended.err) == (0, "")
    nothing_left(out)
    report = read_report(out)
    recipe, sums = report["recipes"]["scorecard"], report["privacy"]["sums"]
    assert report["room"] == "room" and len(report["members"]) == 5
    assert recipe["rounds"] == sums > 15
    assert recipe["pooled"]["max_abs_difference"] <= 1e-6
    assert round(recipe["pooled"]["auc"], 4) == round(recipe["network"]["auc"], 4)
    assert f"self-check: {sums} opened sums equal the plain sums" in ended.out
    assert report["privacy"]["smallest_cohort"] == 5 and report["privacy"]["dropouts"] == 0
    assert min(report["privacy"]["egress_bytes"].values()) > 50_000
    assert report["timing"]["peak_rss_bytes_total"] <= 1_000_000_000
    page = (out / "report.html").read_text("utf-8")
    assert "<svg" in page and "谁受益" in page
    nodes, coordinator = [out / "nodes" / bank for bank in report["members"]], out / "coordinator"
    keys = ("--members", nodes[0] / "keys" / "members.json")
    assert run(command("creditmesh-audit", "verify", coordinator, *nodes)).code == 0
    compared = run(command("creditmesh-audit", "reconcile", *nodes, coordinator, *keys, "--json"))
    assert compared.code == 0
    for bank in json.loads(compared.out)["banks"]:
        assert bank["sent_bytes"] == bank["received_bytes"] == report["privacy"]["egress_bytes"][bank["member"]]
        assert bank["down_sent_bytes"] == bank["down_received_bytes"] > 0
        # A machine under load can be seconds late with a record, which is said and no fault.
        assert {finding["code"] for finding in bank["findings"]} <= {"clock"}
    checked = run(command("creditmesh-audit", "secagg-check", *nodes, *keys, "--json"))
    assert checked.code == 0 and json.loads(checked.out)["smallest_cohort"] == 5
    results = [json.loads((out / "nodes" / bank / "result.json").read_text("utf-8")) for bank in report["members"]]
    for bank, result in zip(report["members"], results, strict=True):
        shown = recipe["members"][bank]
        assert {name: shown[name] for name in result["scorecard"] if name in shown} == {
            name: value for name, value in result["scorecard"].items() if name in shown
        }


def test_a_bank_below_the_minimum_is_named_and_left_out(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room", leasing_company=60), tmp_path / "out"

    ended = demo("--data", room, "--out", out)

    assert ended.code == 0
    assert "leasing_company does not take part" in ended.out
    report = read_report(out)
    assert "leasing_company" not in report["members"] and len(report["members"]) == 4
    assert "leasing_company was left out" in (out / "report.html").read_text("utf-8")
    nothing_left(out)


def test_a_broken_table_ends_the_demo_with_one_line_that_names_it(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"
    path = room / "city_bank.csv"
    lines = path.read_text("utf-8").splitlines()
    lines[7] = lines[7][: lines[7].rindex(",")] + ",7"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    ended = demo("--data", room, "--out", out)

    assert (ended.code, len(ended.complaints)) == (2, 1), ended.err
    assert ended.err.startswith("creditmesh-demo: city_bank: ")
    assert "column bad" in ended.err and "line 8" in ended.err
    nothing_left(out)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"
    line = limit_files(16 * 1024, command(DEMO, "--recipes", "scorecard", "--data", room, "--out", out))

    ended = run(line)

    assert ended.code in (1, 2) and len(ended.complaints) == 1, ended.err
    assert "disk" in ended.err or "cannot be used" in ended.err
    assert left_behind(out) == []


@pytest.mark.parametrize("phase", ["starting one coordinator", "fitting weights"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, phase: str) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    with running_demo(phase, "--data", room, "--out", out) as process:
        process.send_signal(signal.SIGINT)
        ended = collect(process)

    assert ended.code == 130
    assert ended.err == "creditmesh-demo: interrupted; every process was stopped\n"
    assert left_behind(out) == []


def test_a_demo_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    room, out = write_small_room(tmp_path / "room"), tmp_path / "out"

    with running_demo("agreed on keys", "--data", room, "--out", out) as process:
        children = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _belongs(pid, out, process.pid)]
        assert len(children) == 6
        watched = [os.pidfd_open(pid) for pid in children]
        process.send_signal(signal.SIGKILL)

    for descriptor in watched:
        _await_end(descriptor)
    assert left_behind(out) == []


def _belongs(pid: str, out: Path, demo_pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return False
    return "creditmesh_demo.child" in line and str(out) in line and int(pid) != demo_pid


def _await_end(descriptor: int) -> None:
    """Wait until the process behind a pidfd has ended; far longer than it may take means it never will."""
    import select

    ready, _, _ = select.select([descriptor], [], [], 30)
    os.close(descriptor)
    assert ready
