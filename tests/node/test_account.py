"""The bank's account: what was reserved, what of it left, and what it comes to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from node.account import account_of
from node.cli import main
from node.ledger_store import LedgerStore
from privacy.accountant import epsilon_of
from privacy.ledger import Cap
from tests.privacy.test_ledger import DAY, EVENT, RELEASE, WIDE, filled

CAP = Cap("8", WIDE.delta, 10)


def test_jobs_of_the_period_with_what_left() -> None:
    other = replace(RELEASE, job="job-2")
    ledger, _ = filled(replace(RELEASE, job="job-0"), RELEASE, RELEASE, other, start=0, step=4 * DAY)
    ledger.take(ledger.spend(2))
    account = account_of("bank-a", ledger, CAP, 13 * DAY)
    assert [(cost.job, cost.reserved, cost.sent) for cost in account.jobs] == [("job-1", 2, 1), ("job-2", 1, 0)]
    assert account.epsilon == epsilon_of([replace(EVENT, count=3)], WIDE.delta)
    assert account.jobs[1].epsilon == account_of("a", filled(RELEASE)[0], CAP, 1).epsilon
    assert account.epsilon < sum(cost.epsilon for cost in account.jobs)
    assert list(account.epsilon_by_banks) == ["1", "2", "3", "5"]
    assert account.epsilon_by_banks["1"] == account.epsilon < account.epsilon_by_banks["2"]
    assert [cost.unit for cost in account.jobs] == ["record", "record"] and account.unit == "record"
    text = "\n".join(account.lines())
    assert "unit: one record, added or removed" in text
    assert f"epsilon {account.epsilon:.4f} of 8 spent" in text and "job-2" in text and "job-0" not in text


@pytest.mark.parametrize(
    ("units", "whole", "text"),
    [
        (("borrower", "borrower"), "borrower", "unit: one borrower with all rows at this bank"),
        (("record", "borrower"), "mixed", "holds for a borrower with one row"),
    ],
)
def test_whom_the_figures_hold_for(units: tuple[str, str], whole: str, text: str) -> None:
    releases = [replace(RELEASE, job=f"job-{place}", unit=unit) for place, unit in enumerate(units)]
    account = account_of("bank-a", filled(*releases)[0], CAP, 1)
    assert (account.unit, tuple(cost.unit for cost in account.jobs)) == (whole, units)
    assert text in account.lines()[-1] and all(cost.unit in account.lines()[2] for cost in account.jobs[:1])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path)
    assert main(["budget", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == []
    assert main(["budget", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "bank-a: epsilon 0.0000 of 8 spent, at delta 0.000001, in the last 365 days\n"

    (tmp_path / "state").mkdir()
    store = LedgerStore(tmp_path / "state", "bank-a/privacy-log")
    store.reserve(RELEASE, WIDE, 4 * 10**15)
    store.close()
    assert main(["budget", "--config", str(config), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["epsilon"] == epsilon_of([EVENT], WIDE.delta) and document["jobs"][0]["job"] == "job-1"

    ledger = tmp_path / "state" / "ledger"
    ledger.write_bytes(b"{}\n")
    assert main(["budget", "--config", str(config)]) == 1
    assert "is not the one written here" in capsys.readouterr().err


def write_config(folder: Path) -> Path:
    """Write a node.toml whose keys and table are never opened."""
    path = folder / "node.toml"
    path.write_text(
        '[member]\nid = "bank-a"\n[coordinator]\nendpoint = "127.0.0.1:1"\n'
        '[tls]\nca = "a"\ncertificate = "a"\nkey = "a"\n[identity]\nkey = "a"\npeers = "a"\n'
        '[source]\ntable = "a"\nschema = "a"\n[state]\ndir = "state"\n'
    )
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [("epsilon_cap", '"-1"'), ("epsilon_cap", "8"), ("epsilon_cap", '"many"'), ("delta", '"0"'), ("delta", '"0.1"'),
     ("period_days", "0")],
)  # fmt: skip
def test_a_cap_of_another_form_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text() + f"[permit]\n{key} = {value}\n")
    assert main(["budget", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert key in said and said.count("\n") == 1
