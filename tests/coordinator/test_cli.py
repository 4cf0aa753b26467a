"""Errors meet the operator in one place: one line on standard error, the right exit code, no traceback."""

import errno
import json
import sqlite3
import sys
import types
from pathlib import Path

import pytest

from coordinator import authority, cli
from privacy import errors as privacy_errors
from risk import errors as risk_errors
from tests.coordinator.operator import Operator, make_operator, vkeys


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path)


def run_with(monkeypatch: pytest.MonkeyPatch, operator: Operator, outcome: BaseException | int) -> int:
    """Run the coordinator with a service that ends in `outcome`."""

    def run(config: object) -> int:
        if isinstance(outcome, int):
            return outcome
        raise outcome

    service = types.ModuleType("coordinator.service")
    service.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coordinator.service", service)
    monkeypatch.setattr(sys.modules["coordinator"], "service", service, raising=False)
    return cli.main(["run", "--config", str(operator.config)])


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        (0, 0, ""),
        (privacy_errors.InputError("x", "one\ntwo"), 2, "one two"),
        (risk_errors.InputError("x", "the file"), 2, "the file"),
        (privacy_errors.RefusalError("x", "policy"), 1, "policy"),
        (privacy_errors.PeerError("x", "peer"), 1, "peer"),
        (privacy_errors.VerificationError("x", "proof"), 1, "proof"),
        (privacy_errors.VerificationError("rolled-back", "older log"), 4, "older log"),
        (risk_errors.MisuseError("x", "bug"), 1, "internal error: bug (cli.py:"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/log"), 2, "/x/log: the disk is full"),
        (OSError(errno.EDQUOT, "Quota exceeded"), 2, "the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), 2, "database or disk is full"),
        (MemoryError(), 1, "out of memory"),
        (ValueError("row holds 777"), 1, "internal error: ValueError (cli.py:"),
    ],
)
def test_every_end_has_its_code_and_its_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    operator: Operator,
    outcome: BaseException | int,
    code: int,
    says: str,
) -> None:
    assert run_with(monkeypatch, operator, outcome) == code

    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == (0 if isinstance(outcome, int) else 1)
    assert "777" not in told


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run"], ["submit"], ["init"], ["jobs"], ["enrol", "alpha"]])
def test_a_wrong_command_line_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(arguments) == 2

    told = capsys.readouterr().err
    assert told.startswith("creditmesh-coordinator: ")
    assert told.count("\n") == 1


def test_found_enrol_submit_and_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert cli.main(["init", str(folder), "--name", "demo", "--host", "coord.example"]) == 0
    assert "fingerprint of its authority: " in capsys.readouterr().out
    config = ["--config", str(folder / "coordinator.toml")]
    public, out = tmp_path / "alpha.pub", tmp_path / "alpha.pem"
    public.write_bytes(authority.public_key_of(authority.generate_key()))
    log, witness = vkeys("alpha")
    enrol = ["enrol", "alpha", "--identity", "ab" * 32, "--log", log, "--witness", witness, "--tls-key", str(public),
             "--out"]  # fmt: skip

    assert cli.main([*enrol, str(out), *config]) == 0
    assert authority.read_member_certificate(out.read_bytes()).member == "alpha"
    assert cli.main([*enrol, str(out), *config]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert cli.main([*enrol, str(tmp_path / "again.pem"), *config]) == 2
    assert "member alpha is already enrolled" in capsys.readouterr().err
    assert cli.main(["members", "--json", *config]) == 0
    assert [member["id"] for member in json.loads(capsys.readouterr().out)] == ["alpha"]
