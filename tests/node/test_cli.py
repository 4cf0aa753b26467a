"""Errors meet the user in one place: one line on standard error, the right exit code, no traceback."""

import errno
import json
import sqlite3
import sys
import types
from pathlib import Path

import pytest

from node import cli
from privacy import errors as privacy_errors
from privacy.log.note import COSIGNATURE, ED25519, VerifierKey
from risk import errors as risk_errors
from tests.node.bank import Bank, make_bank, write_table


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make_bank(tmp_path)


def run_with(monkeypatch: pytest.MonkeyPatch, bank: Bank, outcome: BaseException | int) -> int:
    """Run the node with a service that ends in `outcome`."""

    def run(config: object) -> int:
        if isinstance(outcome, int):
            return outcome
        raise outcome

    service = types.ModuleType("node.service")
    service.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "node.service", service)
    monkeypatch.setattr(sys.modules["node"], "service", service, raising=False)
    return cli.main(["run", "--config", str(bank.config)])


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        (0, 0, ""),
        (3, 3, ""),
        (privacy_errors.InputError("x", "one\ntwo"), 2, "one two"),
        (risk_errors.InputError("x", "the file"), 2, "the file"),
        (privacy_errors.RefusalError("x", "policy"), 1, "policy"),
        (risk_errors.RefusalError("x", "policy"), 1, "policy"),
        (privacy_errors.PeerError("x", "peer"), 1, "peer"),
        (privacy_errors.VerificationError("x", "proof"), 1, "proof"),
        (privacy_errors.VerificationError("rolled-back", "older log"), 4, "older log"),
        (privacy_errors.MisuseError("x", "bug"), 1, "internal error: bug (cli.py:"),
        (risk_errors.MisuseError("x", "bug"), 1, "internal error: bug"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/log"), 2, "/x/log: the disk is full"),
        (OSError(errno.EFBIG, "File too large"), 2, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: permission denied"),
        (sqlite3.OperationalError("database or disk is full"), 2, "database or disk is full"),
        (MemoryError(), 1, "out of memory"),
        (ValueError("row holds 777"), 1, "internal error: ValueError (cli.py:"),
    ],
)
def test_every_end_has_its_code_and_its_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bank: Bank,
    outcome: BaseException | int,
    code: int,
    says: str,
) -> None:
    assert run_with(monkeypatch, bank, outcome) == code

    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == (0 if isinstance(outcome, int) else 1)
    assert "777" not in told


@pytest.mark.parametrize(
    "arguments",
    [[], ["walk"], ["run"], ["check"], ["check", "--table", "x.csv"], ["check", "--config", "a", "--table", "b"]],
)
def test_a_wrong_command_line_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(arguments) == 2

    told = capsys.readouterr().err
    assert told.startswith("creditmesh-node: ")
    assert told.count("\n") == 1


def test_check_prints_json_and_says_whether_training_would_refuse(
    capsys: pytest.CaptureFixture[str], bank: Bank
) -> None:
    assert cli.main(["check", "--config", str(bank.config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True

    write_table(bank.table, "b1,2007-02,1,-777,0,31,north,0.5,0")
    assert cli.main(["check", "--table", str(bank.table), "--schema", str(bank.schema)]) == 2
    told = capsys.readouterr()
    assert "1 problem; training would refuse this file" in told.err
    assert "column turnover: 1 row out of bounds, first at line 2" in told.out
    assert "777" not in told.out.replace(str(bank.folder), "")


def test_keys_are_made_once_and_printed_for_the_others_to_pin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["keys", "--member", "alpha", "--state", str(tmp_path / "state")]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    log, witness = (VerifierKey.parse(line.split()[1]) for line in printed.splitlines())
    assert (log.name, log.kind, witness.name, witness.kind) == (
        "alpha/privacy-log", ED25519, "alpha/witness", COSIGNATURE)  # fmt: skip
    assert log.public != witness.public
    for name in ("log.key", "witness.key"):
        path = tmp_path / "state" / name
        assert path.stat().st_mode & 0o777 == 0o600 and path.read_text().strip() not in printed
    assert cli.main(command) == 0 and capsys.readouterr().out == printed
    assert cli.main(["keys", "--member", "beta", "--state", str(tmp_path / "state")]) == 2
    assert cli.main(["keys", "--member", "Al/pha", "--state", str(tmp_path / "other")]) == 2
    assert not (tmp_path / "other").exists()
