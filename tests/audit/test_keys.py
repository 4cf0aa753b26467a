"""Which keys, witnesses and quorum a log is judged by, and how a missing quorum shows."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from audit.cli import main
from audit.members import load_members
from privacy.errors import InputError
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.cosignature import cosign
from privacy.log.note import COSIGNATURE, NoteSigner, VerifierKey
from privacy.log.policy import Policy, quorum_of
from tests.audit.conftest import Exchange
from tests.audit.logs import NODE

Lines = pytest.CaptureFixture[str]
NAMES = ("bank-b", "bank-c", "bank-d")
WITNESSES = {name: NoteSigner(f"{name}/witness", name[-1].encode() * 32) for name in NAMES}
AT = 1_790_000_000


def members_file(exchange: Exchange, **changes: Any) -> Path:
    log = (exchange.node / "log.vkey").read_text().strip()
    banks = {
        name: {"identity": "00" * 32, "witness": each.verifier(COSIGNATURE).encode()}
        for name, each in WITNESSES.items()
    }
    document = {
        "coordinator": {"identity": "11" * 32, "log": (exchange.coordinator / "log.vkey").read_text().strip()},
        "members": {**banks, "bank-a": {"identity": "22" * 32, "log": log}},
        **changes,
    }
    path = exchange.root / "all.json"
    path.write_text(json.dumps(document))
    return path


def cosigned(exchange: Exchange, *names: str, size: int | None = None, wrong: bool = False) -> None:
    """Keep cosignatures of these banks on a checkpoint of the node's log."""
    with closing(sqlite3.connect(exchange.node / "log.db", isolation_level=None)) as database:
        rows = database.execute("SELECT size, note FROM checkpoint ORDER BY size").fetchall()
        chosen, note = next(row for row in reversed(rows) if size is None or row[0] <= size)
        text = parse_checkpoint(note)[0].text()
        for name in names:
            line = cosign(text if not wrong else text.replace("\n", "\n1", 1), WITNESSES[name], AT)
            (number,) = database.execute("SELECT count(*) FROM cosignature").fetchone()
            database.execute("INSERT INTO cosignature VALUES (?, ?, ?)", (number, chosen, line))


def verify(capsys: Lines, exchange: Exchange, *more: str) -> tuple[int, list[str]]:
    code = main(["verify", str(exchange.node), "--no-state", "--json", *more])
    document = json.loads(capsys.readouterr().out)
    return code, [step["status"] for step in document["logs"][0]["steps"][10:12]]


def test_a_quorum_follows_from_members_json(exchange: Exchange, capsys: Lines) -> None:
    members = ("--members", str(members_file(exchange)))
    assert verify(capsys, exchange, *members) == (3, ["skipped", "incomplete"])
    cosigned(exchange, "bank-b")
    assert verify(capsys, exchange, *members) == (3, ["passed", "incomplete"])
    cosigned(exchange, "bank-c")
    assert verify(capsys, exchange, *members) == (0, ["passed", "passed"])
    assert verify(capsys, exchange) == (0, ["skipped", "skipped"])


def test_a_policy_names_witnesses_without_members_json(exchange: Exchange, capsys: Lines) -> None:
    key = VerifierKey.parse((exchange.node / "log.vkey").read_text())
    policy = Policy(key, {name: each.verifier(COSIGNATURE) for name, each in WITNESSES.items()}, 3)
    path = exchange.root / "policy"
    path.write_text(policy.encode())
    cosigned(exchange, "bank-b", "bank-c")
    assert verify(capsys, exchange, "--policy", str(path))[0] == 3
    cosigned(exchange, "bank-d")
    assert verify(capsys, exchange, "--policy", str(path)) == (0, ["passed", "passed"])
    path.write_text("log nonsense\n")
    assert main(["verify", str(exchange.node), "--policy", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_cosignature_for_another_history_fails(exchange: Exchange, capsys: Lines) -> None:
    cosigned(exchange, "bank-b", wrong=True)
    assert verify(capsys, exchange, "--members", str(members_file(exchange)))[1][0] == "failed"


def test_cosignatures_travel_with_exports_and_proofs(exchange: Exchange, capsys: Lines) -> None:
    cosigned(exchange, "bank-b", "bank-c")
    members = ("--members", str(members_file(exchange)))
    for form, out in (("jsonl", exchange.root / "a.jsonl"), ("tiles", exchange.root / "t")):
        assert main(["export", form, str(exchange.node), "--out", str(out)]) == 0
        assert main(["verify", str(out), "--no-state", *members]) == 0
    assert (exchange.root / "t" / "checkpoint").read_text("utf-8").count("\u2014 ") == 3
    proof = exchange.root / "one.tlog-proof"
    assert main(["prove", "3", str(exchange.node), "--out", str(proof)]) == 0
    assert main(["prove", "--check", str(proof), *members]) == 0
    assert "(4) quorum          passed   2 cosigners of 2" in capsys.readouterr().out


def test_a_proof_without_quorum_is_pending(exchange: Exchange, capsys: Lines) -> None:
    cosigned(exchange, "bank-b")
    proof = exchange.root / "one.tlog-proof"
    assert main(["prove", "3", str(exchange.node), "--out", str(proof)]) == 0
    assert main(["prove", "--check", str(proof), "--members", str(members_file(exchange))]) == 3
    assert "(4) quorum          pending" in capsys.readouterr().out


def test_the_coordinator_counts_for_nothing(exchange: Exchange) -> None:
    members = load_members(
        members_file(exchange, regulator={"witness": NoteSigner("reg", b"r" * 32).verifier(4).encode()})
    )
    assert set(members.witnesses) == {*NAMES, "regulator"} and NODE in members.logs
    assert quorum_of(3) == (2, 0) and members.identity("coordinator") == b"\x11" * 32
    with pytest.raises(InputError):
        members.identity("bank-z")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"members": []}',
        '{"members": {"a": {"identity": "00"}}}',
        '{"members": {"a": {"identity": "zz"}}}',
        '{"members": {"a": {"identity": 5}}}',
        '{"members": {"a": {"secret": "x"}}}',
        '{"members": {"a": {"log": "nonsense"}}}',
        '{"members": {}, "coordinator": []}',
        '{"members": {}, "regulator": {"log": "x"}}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "members.json"
    path.write_text(content)
    with pytest.raises(InputError):
        load_members(path)
