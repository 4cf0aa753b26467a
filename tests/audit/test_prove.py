"""A record's proof in a file of its own: what it shows, and every way to bend it."""

import base64
import json
import random
from pathlib import Path

import pytest

from audit.cli import main
from privacy.log.note import NoteSigner
from privacy.log.proof import LogProof, parse_proof
from tests.audit.conftest import Exchange
from tests.audit.logs import NODE

Lines = pytest.CaptureFixture[str]


@pytest.fixture
def proof(exchange: Exchange, capsys: Lines) -> Path:
    path = exchange.root / "one.tlog-proof"
    assert main(["prove", "4", str(exchange.node), "--out", str(path)]) == 0
    assert "prove --check" in capsys.readouterr().out
    return path


def check(exchange: Exchange, path: Path, *more: str) -> int:
    return main(["prove", "--check", str(path), "--vkey", str(exchange.node / "log.vkey"), *more])


def test_a_proof_stands_without_the_log(exchange: Exchange, proof: Path, capsys: Lines) -> None:
    assert check(exchange, proof, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["origin"], document["seq"], document["record"]["seq"]) == (NODE, 4, 4)
    assert check(exchange, proof) == 0
    assert "(4) quorum          skipped" in capsys.readouterr().out


def test_its_form_is_c2sps(proof: Path) -> None:
    lines = proof.read_text("utf-8").split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[1].startswith("extra ") and lines[2] == "index 4"
    end = lines.index("")
    assert all(len(base64.b64decode(line)) == 32 for line in lines[3:end])
    assert lines[end + 1] == NODE


def test_every_record_of_an_export_can_be_proved(exchange: Exchange, capsys: Lines) -> None:
    export = exchange.root / "a.jsonl"
    assert main(["export", "jsonl", str(exchange.node), "--out", str(export)]) == 0
    events = [line for line in export.read_bytes().splitlines() if line.startswith(b'{"event"')]
    for seq in range(len(events)):
        path = exchange.root / f"{seq}.tlog-proof"
        assert main(["prove", str(seq), str(export), "--out", str(path)]) == 0
        assert check(exchange, path) == 0
    capsys.readouterr()


def test_no_single_bit_of_a_proof_can_be_changed(exchange: Exchange, proof: Path, capsys: Lines) -> None:
    whole, chance = proof.read_bytes(), random.Random(5)
    for _ in range(200):
        raw = bytearray(whole)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        proof.write_bytes(bytes(raw))
        # A bit of the key's name in the last line can make it a stranger's line, which is missing then.
        assert check(exchange, proof) in (1, 2), raw
    capsys.readouterr()


def test_a_record_moved_to_another_place_is_refused(exchange: Exchange, proof: Path, capsys: Lines) -> None:
    parts = parse_proof(proof.read_bytes())
    for moved in (
        LogProof(parts.record, 5, parts.path, parts.checkpoint),
        LogProof(parts.record.replace(b'"seq":4', b'"seq":5'), 5, parts.path, parts.checkpoint),
        LogProof(parts.record, 4, parts.path[:-1], parts.checkpoint),
        LogProof(parts.record, 4, (*parts.path, b"x" * 32), parts.checkpoint),
    ):
        proof.write_bytes(moved.encode())
        assert check(exchange, proof) == 1
    capsys.readouterr()


def test_a_record_of_another_log_is_refused(exchange: Exchange, proof: Path, capsys: Lines) -> None:
    other = exchange.coordinator / "log.vkey"
    assert main(["prove", "--check", str(proof), "--vkey", str(other)]) == 1
    stranger = NoteSigner(NODE, b"s" * 32).verifier().encode()
    assert main(["prove", "--check", str(proof), "--vkey", stranger]) == 1
    assert "no signature" in capsys.readouterr().err


def test_a_path_without_its_record_is_said(exchange: Exchange, proof: Path, capsys: Lines) -> None:
    lines = proof.read_bytes().split(b"\n")
    proof.write_bytes(b"\n".join([lines[0], *lines[2:]]))
    assert check(exchange, proof) == 2
    assert "carries no record" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["prove"],
        ["prove", "4"],
        ["prove", "-1", "NODE"],
        ["prove", "9999", "NODE"],
        ["prove", "4", "NODE", "--check", "NODE"],
        ["prove", "--check", "nowhere", "--vkey", "KEY"],
        ["prove", "--check", "PROOF"],
        ["prove", "4", "NODE", "--out", "PROOF"],
    ],
    ids=" ".join,
)
def test_usage(exchange: Exchange, proof: Path, capsys: Lines, arguments: list[str]) -> None:
    names = {"NODE": exchange.node, "PROOF": proof, "KEY": exchange.node / "log.vkey"}
    try:
        code: object = main([str(names.get(each, each)) for each in arguments])
    except SystemExit as caught:
        code = caught.code
    assert code == 2
    assert capsys.readouterr().out == ""
