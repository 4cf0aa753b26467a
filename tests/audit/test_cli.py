"""The auditor's commands: exit codes, one line for every mistake, nothing that a log holds obeyed by a terminal."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from audit.cli import main
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.note import NoteSigner
from privacy.log.tree import CompactTree, leaf_hash
from tests.audit.conftest import Exchange
from tests.audit.logs import NODE, disarmed, node_store
from tests.privacy.logs import HandClock, egress

Lines = pytest.CaptureFixture[str]


def run(capsys: Lines, *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_honest_directories_are_valid(exchange: Exchange, capsys: Lines) -> None:
    code, out, err = run(capsys, "verify", exchange.node, exchange.coordinator)
    assert (code, err) == (0, "")
    assert out.count("result: valid") == 2 and "( 9) receipts                    skipped" in out
    assert "the public key came with the log itself" in out and "What this cannot show" in out


def test_receipts_are_checked_when_their_key_is_given(exchange: Exchange, capsys: Lines) -> None:
    key = exchange.coordinator / "log.vkey"
    for given in (key, key.read_text().strip()):
        code, out, _ = run(capsys, "verify", exchange.node, "--peer-vkey", given)
        assert code == 0 and "( 9) receipts                    passed      6 checked" in out
    code, out, _ = run(capsys, "verify", exchange.node, "--peer-vkey", exchange.node / "log.vkey")
    assert code == 1


def test_a_key_that_is_held_is_used_instead_of_the_logs_own(exchange: Exchange, capsys: Lines) -> None:
    code, out, _ = run(capsys, "verify", exchange.node, "--vkey", exchange.node / "log.vkey")
    assert code == 0 and "came with the log itself" not in out
    stranger = NoteSigner(NODE, b"s" * 32).verifier().encode()
    assert run(capsys, "verify", exchange.node, "--vkey", stranger)[0] == 1


def test_json_says_the_same(exchange: Exchange, capsys: Lines) -> None:
    code, out, _ = run(capsys, "verify", exchange.node, "--json")
    document = json.loads(out)
    assert code == document["exit_code"] == 0
    (log,) = document["logs"]
    assert log["origin"] == NODE and [step["number"] for step in log["steps"]] == list(range(1, 14))


TAMPERINGS = {
    "a record changed": ["UPDATE event SET event = CAST(replace(CAST(event AS TEXT), 'halt', 'hall') AS BLOB)"],
    "a record dropped": ["DELETE FROM event WHERE seq = 4"],
    "a record dropped, the rest moved up": [
        "DELETE FROM event WHERE seq = 4",
        "UPDATE event SET seq = seq - 1 WHERE seq > 4",
    ],
    "records swapped": [
        "UPDATE event SET seq = 1000 WHERE seq = 4",
        "UPDATE event SET seq = 4 WHERE seq = 5",
        "UPDATE event SET seq = 5 WHERE seq = 1000",
    ],
    "a record replaced": ["REPLACE INTO event SELECT 5, event FROM event WHERE seq = 4"],
    "a hash changed": ["UPDATE hash SET value = zeroblob(32) WHERE position = 2"],
    "a checkpoint changed": ["UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), 'A', 'B') AS BLOB)"],
    "a receipt dropped": ["DELETE FROM receipt WHERE number = 0"],
    "a receipt changed": ["UPDATE receipt SET receipt = CAST(replace(CAST(receipt AS TEXT), 'true', 'false') AS BLOB)"],
    "a table dropped": ["DROP TABLE hash"],
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampered_databases_fail(exchange: Exchange, capsys: Lines, name: str) -> None:
    disarmed(exchange.node / "log.db", *TAMPERINGS[name])
    code, out, err = run(capsys, "verify", exchange.node, "--peer-vkey", exchange.coordinator / "log.vkey")
    assert code == 1 and err == "" and ("failed" in out or "FAILED" in out)


def test_records_cut_off_with_everything_about_them_are_rolled_back(exchange: Exchange, capsys: Lines) -> None:
    disarmed(
        exchange.coordinator / "log.db",
        "DELETE FROM event WHERE seq >= 5",
        "DELETE FROM checkpoint WHERE size > 5",
        "DELETE FROM hash WHERE position > 7",
    )
    code, out, _ = run(capsys, "verify", exchange.coordinator)
    assert code == 4 and "ROLLED BACK" in out
    code, _, err = run(capsys, "reconcile", exchange.node, exchange.coordinator)
    assert code == 4 and err.count("\n") == 1


def test_a_tail_without_checkpoint_is_incomplete(exchange: Exchange, capsys: Lines) -> None:
    disarmed(exchange.node / "log.db", "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)")
    code, out, _ = run(capsys, "verify", exchange.node)
    assert code == 3 and "stand under no checkpoint" in out


def rewritten(directory: Path) -> None:
    """Change a record and sign the whole history anew with the log's real key."""
    signer = NoteSigner(NODE, bytes.fromhex((directory / "log.key").read_text()))
    with closing(sqlite3.connect(directory / "log.db", isolation_level=None)) as database:
        events = [row[0] for row in database.execute("SELECT event FROM event ORDER BY seq")]
    events[2] = events[2].replace(b'"protection":"signed"', b'"protection":"masked"')
    tree, hashes, notes = CompactTree(), [], []
    for event in events:
        tree, completed = tree.append(leaf_hash(event))
        hashes += completed
        notes.append((tree.size, sign_checkpoint(Checkpoint(NODE, tree.size, tree.root()), signer)))
    disarmed(directory / "log.db", "DELETE FROM checkpoint", "DELETE FROM hash")
    with closing(sqlite3.connect(directory / "log.db", isolation_level=None)) as database:
        database.execute("UPDATE event SET event = ? WHERE seq = 2", (events[2],))
        database.executemany("INSERT INTO hash VALUES (?, ?)", enumerate(hashes))
        database.executemany("INSERT INTO checkpoint VALUES (?, ?)", notes)
    (directory / "log.mark").unlink()


def test_the_real_key_cannot_rewrite_what_the_auditor_saw(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    trust = tmp_path / "trust.json"
    assert run(capsys, "verify", exchange.node, "--state", trust)[0] == 0
    known = trust.read_bytes()
    rewritten(exchange.node)
    assert run(capsys, "verify", exchange.node)[0] == 0
    code, out, _ = run(capsys, "verify", exchange.node, "--state", trust)
    assert code == 1 and "knows another history" in out
    assert trust.read_bytes() == known


def test_heads_are_kept_without_being_asked_for(exchange: Exchange, capsys: Lines) -> None:
    assert run(capsys, "verify", exchange.node)[0] == 0
    rewritten(exchange.node)
    assert run(capsys, "verify", exchange.node, "--no-state")[0] == 0
    code, out, _ = run(capsys, "verify", exchange.node)
    assert code == 1 and "knows another history" in out


def test_heads_that_cannot_be_kept_are_said(exchange: Exchange, capsys: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    (exchange.root / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(exchange.root / "file"))
    code, out, _ = run(capsys, "verify", exchange.node)
    assert code == 0 and "heads are not kept for the next run" in out
    assert run(capsys, "verify", exchange.node, "--state", exchange.root / "file" / "x")[0] == 2


def test_members_json_gives_all_keys(exchange: Exchange, capsys: Lines) -> None:
    document = json.loads(exchange.members.read_text())
    document["members"]["bank-a"]["log"] = (exchange.node / "log.vkey").read_text().strip()
    document["coordinator"] = {"log": (exchange.coordinator / "log.vkey").read_text().strip()}
    exchange.members.write_text(json.dumps(document))
    code, out, _ = run(capsys, "verify", exchange.node, exchange.coordinator, "--members", exchange.members)
    assert code == 0 and "came with the log itself" not in out and "receipts                    passed" in out
    document["members"]["bank-a"]["log"] = NoteSigner(NODE, b"s" * 32).verifier().encode()
    exchange.members.write_text(json.dumps(document))
    assert run(capsys, "verify", exchange.node, "--members", exchange.members)[0] == 1


def test_an_older_copy_than_the_auditor_saw_is_rolled_back(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    trust, old = tmp_path / "trust.json", tmp_path / "old"
    shutil.copytree(exchange.node, old)
    node_store(exchange.node, HandClock()).close()
    assert run(capsys, "verify", exchange.node, "--state", trust)[0] == 0
    assert run(capsys, "verify", old, "--state", trust)[0] == 4


def test_an_export_verifies_like_its_log(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    path = tmp_path / "a.jsonl"
    assert run(capsys, "export", "jsonl", exchange.node, "--out", path)[0] == 0
    code, out, _ = run(capsys, "verify", path, "--peer-vkey", exchange.coordinator / "log.vkey", "--json")
    statuses = [step["status"] for step in json.loads(out)["logs"][0]["steps"]]
    assert code == 0 and statuses == ["passed"] * 3 + ["skipped"] + ["passed"] * 5 + ["skipped"] * 4
    code, _, err = run(capsys, "export", "jsonl", exchange.node, "--out", path)
    assert code == 2 and "cannot be written" in err


def test_no_single_change_of_an_export_passes(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    path = tmp_path / "a.jsonl"
    run(capsys, "export", "jsonl", exchange.node, "--out", path)
    whole, chance = path.read_bytes(), random.Random(11)
    lines = whole.splitlines(keepends=True)
    for number in range(300):
        kind = number % 4
        if kind == 0:
            raw = bytearray(whole)
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            changed = bytes(raw)
        elif kind == 1:
            spot = chance.randrange(len(lines))
            changed = b"".join(lines[:spot] + lines[spot + 1 :])
        elif kind == 2:
            first, second = chance.sample(range(len(lines)), 2)
            swapped = list(lines)
            swapped[first], swapped[second] = lines[second], lines[first]
            changed = b"".join(swapped)
        else:
            changed = whole[: chance.randrange(len(whole))]
        if changed != whole:
            path.write_bytes(changed)
            assert run(capsys, "verify", path)[0] in (1, 2), kind


def test_reconciliation_of_an_honest_exchange(exchange: Exchange, capsys: Lines) -> None:
    code, out, _ = run(capsys, "reconcile", exchange.node, exchange.coordinator, "--members", exchange.members)
    assert code == 0 and "6 messages agree in both logs, 0 findings" in out and "arrivals: 6 checked" in out
    code, out, _ = run(capsys, "reconcile", exchange.node, exchange.coordinator, "--json")
    document = json.loads(out)
    assert document["sent_bytes"] == document["received_bytes"] > 0 and document["matched"] == 6


BAD = [
    ["verify", "nowhere"],
    ["verify", "empty"],
    ["verify", "text"],
    ["verify", "node", "--vkey", "nonsense"],
    ["verify", "node", "--state", "text"],
    ["verify", "node", "coordinator", "--vkey", "node/log.vkey"],
    ["reconcile", "node", "node"],
    ["reconcile", "node", "empty"],
    ["reconcile", "node", "coordinator", "--members", "nowhere"],
    ["reconcile", "node", "coordinator", "--members", "text"],
    ["export", "jsonl", "nowhere"],
]


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input_is_one_line_and_exit_code_two(
    exchange: Exchange, capsys: Lines, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(exchange.root)
    exchange.node.rename(exchange.root / "node")
    (exchange.root / "empty").mkdir()
    (exchange.root / "text").write_text("hello\n")
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.startswith("creditmesh-audit: ") and err.count("\n") == 1


def test_usage_errors_have_exit_code_two(capsys: Lines) -> None:
    for arguments in ([], ["verify"], ["no-such"], ["export", "xml", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("creditmesh-audit: ") and err.count("\n") == 1 and "--help" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reconcile", "coordinator", "node"], "give it last"),
        (["secagg-check", "coordinator"], "give banks' logs"),
        (["export", "csv", "node", "--out", "rows.csv", "--first", "4", "--last", "3"], "comes before"),
        (["export", "csv", "node", "--out", "rows.csv", "--first", "4000"], "beyond the log"),
        (["verify", "node", "--manifest-key", "zz"], "64 hex digits"),
    ],
)
def test_logs_in_the_wrong_place_are_said(exchange: Exchange, capsys: Lines, arguments: list[str], said: str) -> None:
    places = {"node": exchange.node, "coordinator": exchange.coordinator, "rows.csv": exchange.root / "rows.csv"}
    code, out, err = run(capsys, *(places.get(each, each) for each in arguments))
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    assert not (exchange.root / "rows.csv").exists()


def test_a_view_that_never_ends_is_not_read(exchange: Exchange, capsys: Lines) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n) SELECT x, x FROM n"
    view = f"CREATE VIEW event(seq, event) AS {endless}"
    disarmed(exchange.node / "log.db", "ALTER TABLE event RENAME TO kept", view)
    code, out, _ = run(capsys, "verify", exchange.node)
    assert code == 1 and "more than the tables of a log" in out


def test_a_terminal_obeys_nothing_in_a_name(exchange: Exchange, capsys: Lines) -> None:
    evil = exchange.root / "\x1b[31mevil\u202e"
    exchange.node.rename(evil)
    for arguments in (("verify", evil), ("verify", evil / "gone\x1b[2J")):
        _, out, err = run(capsys, *arguments)
        assert "\x1b" not in out + err and "\u202e" not in out + err


def test_the_log_of_a_running_node_is_read_as_it_stands(exchange: Exchange, capsys: Lines) -> None:
    store = node_store(exchange.node, HandClock())
    store.append([egress(1)])
    code, out, _ = run(capsys, "verify", exchange.node)
    store.append([egress(2)])
    store.close()
    assert code == 0 and "result: valid" in out


def test_a_directory_on_a_read_only_medium_is_read(exchange: Exchange, capsys: Lines) -> None:
    files = sorted(exchange.node.iterdir())
    before = {file.name: file.stat().st_mtime_ns for file in files}
    assert run(capsys, "verify", exchange.node)[0] == 0
    assert {file.name: file.stat().st_mtime_ns for file in sorted(exchange.node.iterdir())} == before


def test_a_reader_that_goes_away_is_no_traceback(exchange: Exchange) -> None:
    program = "import sys; from audit.cli import main; sys.exit(main(sys.argv[1:]))"
    root = Path(__file__).resolve().parents[2]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", program, "export", "jsonl", str(exchange.node)],
        stdout=write, stderr=subprocess.PIPE, cwd=root, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.stderr == b"" and done.returncode == 3
