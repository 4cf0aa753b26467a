"""What users get wrong, tried on the real commands: one clear line on standard error, the right code, no traceback."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from coordinator import authority
from tests.coordinator.operator import JOB, Operator, make_operator, vkeys
from tests.e2e.command import COORDINATOR, NODE, command, limit_files, run
from tests.node.bank import HEADER, ROWS, Bank, make_bank, write_table

# A value that stands in broken cells and must never come back in a message.
SECRET = "7171717"


def replace(path: Path, old: str, new: str) -> None:
    """Replace a piece of text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def row(**cells: str) -> str:
    """Return a good row with these cells changed."""
    line = dict(zip(HEADER.split(","), ROWS[0].split(","), strict=True))
    return ",".join((line | cells).values())


def table(*lines: str, header: str = HEADER) -> Callable[[Bank], object]:
    """Break a bank by its table's lines."""
    return lambda bank: write_table(bank.table, *lines, header=header)


def raw_table(raw: bytes) -> Callable[[Bank], object]:
    """Break a bank by its table's bytes."""
    return lambda bank: bank.table.write_bytes(raw)


def edit(name: str, old: str, new: str) -> Callable[[Bank], object]:
    """Break a bank by a piece of one of its text files."""
    return lambda bank: replace(bank.folder / name, old, new)


def parquet(bank: Bank) -> None:
    path = bank.folder / "alpha.parquet"
    pl.DataFrame({"bad": [0, 1], "turnover": [SECRET, "1"]}).write_parquet(path)
    replace(bank.config, "alpha.csv", path.name)


def folder_for_table(bank: Bank) -> None:
    bank.table.unlink()
    bank.table.mkdir()


def fifo_for_table(bank: Bank) -> None:
    bank.table.unlink()
    os.mkfifo(bank.table)


NAMES = "turnover,accepted,bad"
TABLES: list[tuple[str, Callable[[Bank], object], str]] = [
    ("empty file", raw_table(b""), "the file is empty"),
    ("header alone", table(), "no rows"),
    ("a short line", table(row(), f"b2,{SECRET}"), "line 3 has 2 cells, expected 9"),
    ("a long line", table(row() + f",{SECRET}"), "line 2 has 10 cells, expected 9"),
    ("an open quote", table(row(), row(turnover=f'"{SECRET}')), "line 3: a quote is not closed"),
    ("a blank line", table(row(), "", row()), "line 3 is empty"),
    ("semicolons", table("1;1;0", header="turnover;accepted;bad"), "no column is one that the schema declares"),
    ("no header", table(row(), header=row(turnover=SECRET)), "no column is one that the schema declares"),
    ("an undeclared column", table("1,1,0,x", header=NAMES + ",owner"), "undeclared column owner"),
    ("a column twice", table("1,1,0,2", header=NAMES + ",turnover"), "columns 1 and 4 have one name"),
    ("no target", table("1,1", header="turnover,accepted"), "the target column bad is absent"),
    ("target NaN", table(row(), row(bad="NaN")), "column bad: 1 row not 0 or 1, first at line 3"),
    ("target 2", table(row(bad="2")), "column bad: 1 row not 0 or 1, first at line 2"),
    ("target empty", table(row(bad="")), "column bad: 1 row empty, first at line 2"),
    ("out of range", table(row(), row(turnover=SECRET)), "column turnover: 1 row out of bounds, first at line 3"),
    ("not a number", table(row(turnover=f"{SECRET}x")), "column turnover: 1 row not a number"),
    ("a gigantic integer", table(row(turnover=SECRET * 60)), "column turnover: 1 row not a number"),
    ("unknown level", table(row(industry=SECRET)), "column industry: 1 row unknown level"),
    ("flag 2", table(row(young="2")), "column young: 1 row not 0 or 1"),
    ("month 13", table(row(month="2007-13")), "column month: 1 row not a date"),
    ("not UTF-8", raw_table(f"{HEADER}\n{row()}".encode() + b"\xe9\n"), "line 2 is not UTF-8"),
    ("UTF-16", raw_table(f"{HEADER}\n{row()}\n".encode("utf-16")), "line 1"),
    ("Parquet of a wrong type", parquet, "column turnover has the type String, expected numbers"),
    ("a text named .parquet", edit("node.toml", "alpha.csv", "schema.toml"), "ends in .csv or .parquet"),
    ("no such table", lambda bank: bank.table.unlink(), "no such file"),
    ("a folder as table", folder_for_table, "a directory, expected a file"),
    ("a pipe as table", fifo_for_table, "a special file, expected a file"),
    (
        "unknown key in the schema",
        edit("schema.toml", "version = 1", "version = 1\ncolour = 1"),
        "unknown key 'colour'",
    ),
    ("a field twice", edit("schema.toml", 'name = "young"', 'name = "turnover"'), "already declared"),
    ("broken TOML", edit("schema.toml", "[target]", "[target"), "not valid TOML"),
]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make_bank(tmp_path)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return make_operator(tmp_path)


@pytest.mark.parametrize(("change", "says"), [case[1:] for case in TABLES], ids=[case[0] for case in TABLES])
def test_a_table_that_breaks_a_rule(bank: Bank, change: Callable[[Bank], object], says: str) -> None:
    change(bank)

    ended = run(command(NODE, "run", "--config", bank.config))

    ended.check_one_line(NODE, 2, says)
    assert SECRET not in ended.err.replace(str(bank.folder), "")


def foreign(bank: Bank) -> None:
    public = authority.public_key_of((bank.folder / "node.key").read_bytes())
    certificate = authority.issue_member_certificate(bank.other, "alpha", public, datetime.now(UTC))
    (bank.folder / "node.pem").write_bytes(certificate)


def other_key(bank: Bank) -> None:
    (bank.folder / "node.key").write_bytes(authority.generate_key())


def twins(bank: Bank) -> None:
    path = bank.folder / "members.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["members"]["beta"]["identity"] = document["members"]["delta"]["identity"]
    path.write_text(json.dumps(document), encoding="utf-8")


def other_witness(bank: Bank) -> None:
    for name in ("witness.key", "witness.vkey"):
        (bank.folder / "state" / name).unlink()


def state_as_file(bank: Bank) -> None:
    shutil.rmtree(bank.folder / "state", ignore_errors=True)
    (bank.folder / "state").write_text("x")


NODES: list[tuple[str, Callable[[Bank], object], str]] = [
    ("no settings", lambda bank: bank.config.unlink(), "no such file or directory"),
    ("unknown key", edit("node.toml", "[state]", "colour = 1\n[state]"), "unknown key permit.colour"),
    ("missing key", edit("node.toml", 'dir = "state"', ""), "key state.dir is missing"),
    ("wrong type", edit("node.toml", "min_rows = 1", 'min_rows = "many"'), "permit.min_rows: found text, expected"),
    ("gigantic integer", edit("node.toml", "min_rows = 1", "min_rows = " + "9" * 5000), "too large"),
    ("TOML syntax", edit("node.toml", "[tls]", "[tls"), "not valid TOML"),
    ("settings not UTF-8", lambda bank: bank.config.write_bytes(b"x = '\xe9'"), "not UTF-8"),
    ("member id", edit("node.toml", 'id = "alpha"', 'id = "Al/pha"'), "member.id: found text, expected 1 to 63"),
    ("endpoint", edit("node.toml", "127.0.0.1:8443", "127.0.0.1"), "coordinator.endpoint"),
    ("key readable by others", lambda bank: (bank.folder / "node.key").chmod(0o644), "chmod 600"),
    ("identity of wrong length", lambda bank: (bank.folder / "identity.key").write_text("ab" * 31), "found 62 bytes"),
    ("key of another certificate", other_key, "not the key of the certificate"),
    ("certificate of another authority", foreign, "not issued by the authority"),
    ("two institutions of one name", edit("members.json", '"beta"', '"delta"'), "'delta' stands twice"),
    ("two institutions of one identity", twins, "two institutions have one identity"),
    ("another witness key than pinned", other_witness, "pins another log or witness key for this member"),
    ("witness key readable", lambda bank: (bank.folder / "state" / "witness.key").chmod(0o640), "chmod 600"),
    ("state is a file", state_as_file, "cannot be used as state folder"),
    ("a link to itself", edit("node.toml", "ca.pem", "loop.pem"), "loop.pem"),
]


@pytest.mark.parametrize(("change", "says"), [case[1:] for case in NODES], ids=[case[0] for case in NODES])
def test_a_node_that_cannot_start(bank: Bank, change: Callable[[Bank], object], says: str) -> None:
    (bank.folder / "loop.pem").symlink_to("loop.pem")
    change(bank)

    run(command(NODE, "run", "--config", bank.config)).check_one_line(NODE, 2, says)


def busy_port(operator: Operator) -> None:
    # Bound and not listening: it refuses nobody, and nobody else can have it. The process' end frees it.
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    SOCKETS.append(taken)
    replace(operator.config, "127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}")


SOCKETS: list[socket.socket] = []
RUN = ("run", "--config", "coordinator.toml")
SUBMIT = ("submit", "job.toml", "--config", "coordinator.toml")
KEYS = ("--log", vkeys("alpha")[0], "--witness", vkeys("alpha")[1])
ENROL = ("enrol", "Al/pha", "--identity", "ab" * 32, *KEYS, "--tls-key", "alpha.pub", "--out", "a.pem")
Arguments = tuple[str, ...]
OPERATORS: list[tuple[str, Arguments, Callable[[Operator], object], str]] = [
    ("port taken", RUN, busy_port, "the port is taken"),
    ("unknown key", RUN, lambda op: replace(op.config, "[state]", "x = 1\n[state]"), "unknown key storage.x"),
    ("TOML syntax", RUN, lambda op: replace(op.config, "[state]", "[state"), "not valid TOML"),
    ("key readable", RUN, lambda op: (op.folder / "keys/server.key").chmod(0o644), "chmod 600"),
    ("no key", RUN, lambda op: (op.folder / "keys/identity.key").unlink(), "no such file"),
    ("no database", RUN, lambda op: op.database.write_bytes(b"x" * 5000), "the database cannot be used"),
    ("unknown key in job", SUBMIT, lambda op: op.job.write_text(JOB + "code = 'x'\n"), "unknown key job.code"),
    ("TOML syntax in job", SUBMIT, lambda op: op.job.write_text("[job\n"), "not valid TOML"),
    ("unknown recipe", SUBMIT, lambda op: replace(op.job, "scorecard", "oracle"), "'oracle' is not installed"),
    ("unknown parameter", SUBMIT, lambda op: op.job.write_text(JOB + "[parameters]\nmagic = 1\n"), "magic"),
    ("hold-out of 2", SUBMIT, lambda op: op.job.write_text(JOB + "holdout = 2.0\n"), "job.holdout: found 2.0"),
    ("no schema", SUBMIT, lambda op: op.schema.unlink(), "schema.toml: cannot be read"),
    ("founded twice", ("init", ".", "--name", "demo"), lambda op: None, "founded once"),
    ("consortium name", ("init", "new", "--name", "De/mo"), lambda op: None, "--name 'De/mo'"),
    ("member id", (*ENROL, "--config", "coordinator.toml"), lambda op: None, "does not match"),
    ("no command", (), lambda op: None, "the following arguments are required: COMMAND"),
    ("wrong option", ("jobs", "--colour"), lambda op: None, "--help"),
]


@pytest.mark.parametrize(
    ("arguments", "change", "says"), [case[1:] for case in OPERATORS], ids=[case[0] for case in OPERATORS]
)
def test_a_coordinators_command_that_cannot_be_done(
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Arguments,
    change: Callable[[Operator], object],
    says: str,
) -> None:
    monkeypatch.chdir(operator.folder)
    (operator.folder / "alpha.pub").write_bytes(authority.public_key_of(authority.generate_key()))
    change(operator)

    ended = run(command(COORDINATOR, *arguments))

    for taken in SOCKETS:
        taken.close()
    SOCKETS.clear()
    ended.check_one_line(COORDINATOR, 2, says)


def test_two_banks_of_one_name_cannot_be_enrolled(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(operator.folder)
    (operator.folder / "a.pub").write_bytes(authority.public_key_of(authority.generate_key()))
    enrol = ["enrol", "alpha", *KEYS, "--tls-key", "a.pub", "--config", "coordinator.toml", "--identity"]

    assert run(command(COORDINATOR, *enrol, "ab" * 32, "--out", "1.pem")).code == 0
    again = run(command(COORDINATOR, *enrol, "cd" * 32, "--out", "2.pem"))

    again.check_one_line(COORDINATOR, 2, "member alpha is already enrolled")


@pytest.mark.parametrize("size", [0, 4096, 40_000])
def test_a_full_disk_stops_a_node_before_anything_leaves(bank: Bank, size: int) -> None:
    ended = run(limit_files(size, command(NODE, "run", "--config", bank.config)))

    ended.check_one_line(NODE, 2, str(bank.folder / "state"))


@pytest.mark.parametrize("arguments", [RUN, SUBMIT, ("init", "new", "--name", "demo")], ids=["run", "submit", "init"])
def test_a_full_disk_stops_the_coordinator(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, arguments: Arguments
) -> None:
    monkeypatch.chdir(operator.folder)

    ended = run(limit_files(0, command(COORDINATOR, *arguments)))

    ended.check_one_line(COORDINATOR, 2, "disk")


def test_a_full_output_is_one_line_too(bank: Bank) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = command(NODE, "check", "--config", bank.config)

    ended = run(["sh", "-c", 'exec "$@" > /dev/full', "sh", *line])

    ended.check_one_line(NODE, 2, "the disk is full")


def test_good_input_is_fine(bank: Bank, tmp_path: Path) -> None:
    write_table(bank.table, *ROWS)

    ended = run(command(NODE, "check", "--config", bank.config, "--json"))

    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["ok"] is True
