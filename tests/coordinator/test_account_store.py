"""Accounts: names are taken once and for ever, passwords fit or not, and the command line never sees one."""

import json
from pathlib import Path

import pytest

from coordinator.account_store import AccountStore
from coordinator.cli import main
from coordinator.store import Store
from privacy.errors import InputError
from tests.coordinator.operator import Operator, make_operator

PASSWORD = "a long enough password"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path)


def accounts_of(operator: Operator) -> AccountStore:
    return AccountStore(Store(f"sqlite:///{operator.database}").engine, now_us=iter(range(1, 99)).__next__)


def test_an_account_lives_once(operator: Operator) -> None:
    accounts = accounts_of(operator)
    ann = accounts.add("ann", "risk", PASSWORD)
    assert (ann.role, ann.pseudonym, ann.removed) == ("risk", "account-1", None)
    with pytest.raises(InputError, match="exists already"):
        accounts.add("ann", "auditor", PASSWORD)
    accounts.remove("ann")
    assert accounts.current(ann.number) is None
    assert accounts.verify("ann", PASSWORD) is None
    with pytest.raises(InputError, match="exists already, or did"):
        accounts.add("ann", "operator", PASSWORD)
    with pytest.raises(InputError, match="no account ann"):
        accounts.set_password("ann", PASSWORD)


def test_a_password_fits_until_it_is_changed(operator: Operator) -> None:
    accounts = accounts_of(operator)
    before = accounts.add("ann", "risk", PASSWORD)
    assert accounts.verify("ann", PASSWORD) == before
    assert accounts.verify("ann", PASSWORD + "x") is None
    after = accounts.set_password("ann", "another long password")
    assert after.changed > before.changed
    assert accounts.verify("ann", PASSWORD) is None
    assert accounts.current(before.number) == after


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-x", "x" * 64, "ann\n", "安"])
def test_a_bad_name_is_refused(operator: Operator, name: str) -> None:
    with pytest.raises(InputError, match="expected 1 to 63"):
        accounts_of(operator).add(name, "risk", PASSWORD)


def run(operator: Operator, *arguments: str) -> int:
    return main(["account", *arguments, "--config", str(operator.config)])


def test_commands_add_list_and_remove(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    secret = operator.folder / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    assert run(operator, "add", "ann", "--role", "auditor", "--password-file", str(secret)) == 0
    assert "account-1" in capsys.readouterr().out
    assert accounts_of(operator).verify("ann", PASSWORD) is not None
    assert run(operator, "remove", "ann") == 0
    capsys.readouterr()
    assert run(operator, "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["role"]) == ("ann", "auditor") and row["removed"]
    notes = [json.loads(path.read_bytes()) for path in (operator.folder / "access").glob("*.json")]
    assert {note["action"] for note in notes} == {"account-add", "account-remove"}
    assert all("ann" not in note.values() for note in notes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "ann", "--role", "king"), "--role"),
        (("add", "ann", "--role", "risk"), "--password-file"),
        (("add", "ann", "--role", "risk", "--password-file", "open"), "chmod 600"),
        (("add", "ann", "--role", "risk", "--password-file", "none"), "cannot be read"),
        (("remove", "nobody"), "no account nobody"),
        (("password", "nobody"), "no account nobody"),
        (("add", "ann", "--role", "risk", "--password", "secret on the line"), "unrecognized"),
    ],
)
def test_a_mistake_is_one_line(
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(operator.folder)
    (operator.folder / "open").write_text(PASSWORD)
    assert run(operator, *arguments) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1
    assert PASSWORD not in told
