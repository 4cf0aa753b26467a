"""No child outlives the demo, however stubborn it is and however the demo ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from creditmesh_demo import processes
from creditmesh_demo.processes import Child, Children, peak_memory
from creditmesh_demo.rows_file import read_rows, write_rows

from risk.table import Table
from tests.deploy.plain import PlainRun

STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(600)"
)


def child_of(code: str, tmp_path: Path) -> Child:
    output = tmp_path / "out.log"
    output.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    )
    return Child("stubborn", process, output)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE_S", 0.1)
    children, child = Children(), child_of(STUBBORN, tmp_path)
    assert child.process.stdout is not None and child.process.stdout.readline() == b"ready\n"
    children._children.append(child)

    with children:
        assert child.exit_code is None

    assert child.exit_code == -signal.SIGKILL
    assert child.peak_bytes > 1_000_000
    child.process.stdout.close()


def test_children_are_stopped_when_the_demo_raises(tmp_path: Path) -> None:
    child = child_of("import time\nprint('ready', flush=True)\ntime.sleep(600)", tmp_path)
    assert child.process.stdout is not None
    child.process.stdout.readline()
    children = Children()
    children._children.append(child)

    with pytest.raises(KeyboardInterrupt), children:
        raise KeyboardInterrupt

    assert child.exit_code == -signal.SIGTERM
    child.process.stdout.close()


def test_a_child_ends_when_the_demo_is_gone(tmp_path: Path) -> None:
    code = (
        "from creditmesh_demo.child import _stop_with_the_demo\nimport time\n"
        "_stop_with_the_demo(lambda line: print(line, flush=True))\ntime.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    output, _ = process.communicate(b"a line\n", timeout=60)

    assert output == b"a line\n"
    assert process.returncode == -signal.SIGTERM


def test_last_words_are_the_last_plain_line(tmp_path: Path) -> None:
    child = child_of("pass", tmp_path)
    child.process.communicate()
    child.output.write_text(
        '{"t": "x", "event": "warning", "warning": "field a is absent"}\n'
        "creditmesh-node: the table is empty\n"
        '{"t": "x", "event": "stopped"}\n',
        encoding="utf-8",
    )

    assert child.last_words() == "the table is empty"
    assert child.warnings() == ["field a is absent"]


def test_peak_memory_is_known_for_the_living_and_unknown_for_others() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("this system has no /proc")
    assert (peak_memory(os.getpid()) or 0) > 5_000_000
    assert peak_memory(2**22 + 1) is None


def test_rows_travel_whole(plain_run: PlainRun, tmp_path: Path) -> None:
    table: Table = plain_run.tables["rural_bank"]
    with (tmp_path / "rows").open("w+b") as stream:
        assert read_rows(stream, "rural_bank") is None
        write_rows(stream, table)
        stream.flush()
        back = read_rows(stream, "rural_bank")

    assert back is not None and back.month is not None and table.month is not None
    assert back.target.tobytes() == table.target.tobytes() and back.month.tobytes() == table.month.tobytes()
    assert list(back.columns) == list(table.columns)
    assert all(back.columns[name].tobytes() == values.tobytes() for name, values in table.columns.items())
