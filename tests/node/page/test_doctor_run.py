"""The doctor beside the page: its report as the command prints it, and nothing where it prints none."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from node.page import doctor_run
from node.page.doctor_run import DoctorRun
from tests.node.bank import make_bank


def test_the_report_is_the_command_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    bank = make_bank(tmp_path)
    report = asyncio.run(DoctorRun(sys.executable, bank.config).report())
    found = {each["check"]: each["state"] for each in report["findings"]}
    assert found["settings"] == "ok" and found["port"] == "wrong" and report["exit_code"] == 1


@pytest.mark.parametrize("command", ["print('nonsense')", "print('[]')", "print('{}')", "raise SystemExit(3)"])
def test_an_answer_that_is_no_report_finds_nothing(tmp_path: Path, command: str) -> None:
    run = DoctorRun(sys.executable, tmp_path / "node.toml")
    run._command = (sys.executable, "-c", command)
    assert asyncio.run(run.report())["findings"] == []


def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_run, "PATIENCE_S", 0.05)
    run = DoctorRun(sys.executable, tmp_path / "node.toml")
    run._command = (sys.executable, "-c", "import threading; threading.Event().wait()")
    assert asyncio.run(run.report())["findings"] == []
