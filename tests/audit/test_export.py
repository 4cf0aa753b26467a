"""Exports: what each format holds, its manifest, and that nothing in a log is obeyed by what reads it."""

import csv
import json
import random
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit.cli import main
from audit.export_page import shown
from audit.export_table import guarded
from privacy.log.record import Actor, Entry
from privacy.log.tiles import tile_path
from tests.audit.conftest import Exchange
from tests.audit.logs import disarmed, named_store
from tests.privacy.logs import HandClock, egress

Lines = pytest.CaptureFixture[str]
SEED = "7e" * 32


def export(capsys: Lines, form: str, log: Path, out: Path, *more: str) -> tuple[int, str]:
    code = main(["export", form, str(log), "--out", str(out), *more])
    told = capsys.readouterr()
    return code, told.out + told.err


def verify(capsys: Lines, *arguments: object) -> tuple[int, str]:
    code = main(["verify", *map(str, arguments)])
    return code, capsys.readouterr().out


@pytest.fixture
def exports(exchange: Exchange, capsys: Lines) -> Path:
    """Return a folder with one export of each format."""
    folder = exchange.root / "exports"
    folder.mkdir()
    for form, name in (("jsonl", "log.jsonl"), ("csv", "log.csv"), ("html", "log.html"), ("tiles", "tiles")):
        assert export(capsys, form, exchange.node, folder / name)[0] == 0
    return folder


def test_a_folder_of_exports_is_verified_whole(exports: Path, exchange: Exchange, capsys: Lines) -> None:
    code, out = verify(capsys, exports)
    assert code == 3 and out.count("result: valid") == 2 and out.count("records: skipped") == 2
    (exports / "log.csv").unlink()
    (exports / "log.csv.manifest.json").unlink()
    (exports / "log.html").unlink()
    (exports / "log.html.manifest.json").unlink()
    assert verify(capsys, exports)[0] == 0
    code, out = verify(capsys, exports, "--vkey", exchange.node / "log.vkey")
    assert code == 2


def test_every_changed_file_of_a_folder_is_found(exports: Path, capsys: Lines) -> None:
    chance = random.Random(3)
    for path in sorted(each for each in exports.rglob("*") if each.is_file()):
        whole = path.read_bytes()
        raw = bytearray(whole)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(raw))
        assert main(["verify", str(exports)]) in (1, 2), path
        path.write_bytes(whole)
    for path in sorted(each for each in exports.rglob("*") if each.is_file() and "manifest" not in each.name):
        path.rename(path.with_name("away"))
        assert main(["verify", str(exports)]) in (1, 2), path
        path.with_name("away").rename(path)
    capsys.readouterr()


def test_tiles_hold_without_their_manifest(exports: Path, capsys: Lines) -> None:
    tiles = exports / "tiles"
    (tiles / "manifest.json").unlink()
    assert verify(capsys, tiles)[0] == 0
    level = next(path for path in (tiles / "tile" / "0").rglob("*") if path.is_file())
    level.write_bytes(level.read_bytes()[:-32])
    code, out = verify(capsys, tiles)
    assert code == 1 and "is not the tile that the records make" in out


def test_a_tile_too_many_is_found(exports: Path, capsys: Lines) -> None:
    (exports / "tiles" / "tile" / "0" / "007").write_bytes(b"x" * 8192)
    assert verify(capsys, exports / "tiles")[0] == 1
    (exports / "tiles" / "manifest.json").unlink()
    code, out = verify(capsys, exports / "tiles")
    assert code == 1 and "belongs to no tree of this size" in out


def test_a_file_beside_the_tiles_that_no_manifest_names_is_found(exports: Path, capsys: Lines) -> None:
    (exports / "tiles" / "note.txt").write_text("trust me")
    code, out = verify(capsys, exports / "tiles")
    assert code == 1 and "is not in the manifest" in out


def test_an_uncovered_tail_is_left_out_of_tiles(exchange: Exchange, capsys: Lines) -> None:
    disarmed(exchange.node / "log.db", "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)")
    assert export(capsys, "tiles", exchange.node, exchange.root / "t")[0] == 0
    size = int((exchange.root / "t" / "checkpoint").read_text().splitlines()[1])
    assert (exchange.root / "t" / tile_path("entries", 0, size)).is_file() and size > 3


def test_tiles_of_a_changed_log_are_refused(exchange: Exchange, capsys: Lines) -> None:
    disarmed(exchange.node / "log.db", "UPDATE event SET event = zeroblob(9) WHERE seq = 3")
    code, told = export(capsys, "tiles", exchange.node, exchange.root / "t")
    assert code == 1 and "signed root" in told and not (exchange.root / "t").exists()


@pytest.mark.parametrize("form", ["jsonl", "csv", "html", "tiles"])
def test_half_an_export_is_none(exchange: Exchange, capsys: Lines, form: str) -> None:
    disarmed(exchange.node / "log.db", "UPDATE event SET event = x'ff22' WHERE seq = (SELECT max(seq) FROM event)")
    before = sorted(exchange.root.iterdir())
    out = exchange.root / "out"
    code, told = export(capsys, form, exchange.node, out)
    if form == "html":
        assert code == 0 and "not valid 未通过" in out.read_text("utf-8")
    else:
        assert code == 1 and told.count("\n") == 1 and sorted(exchange.root.iterdir()) == before


def test_manifests_can_be_signed(exchange: Exchange, capsys: Lines) -> None:
    key, out = exchange.root / "key", exchange.root / "a.jsonl"
    key.write_text(SEED + "\n")
    key.chmod(0o600)
    assert "signed" in export(capsys, "jsonl", exchange.node, out, "--sign-key", str(key))[1]
    code, told = verify(capsys, out)
    (signer,) = re.findall("signed by ([0-9a-f]{64})", told)
    assert code == 0
    assert verify(capsys, out, "--manifest-key", signer)[0] == 0
    assert verify(capsys, out, "--manifest-key", "00" * 32)[0] == 1
    manifest = out.with_name("a.jsonl.manifest.json")
    document = json.loads(manifest.read_text())
    unsigned = {**document, "signatures": []}
    manifest.write_text(json.dumps(unsigned))
    assert verify(capsys, out)[0] == 0 and verify(capsys, out, "--manifest-key", signer)[0] == 1
    forged = {**document, "payload": document["payload"][:-8] + "AAAA" + document["payload"][-4:]}
    manifest.write_text(json.dumps(forged))
    assert verify(capsys, out)[0] == 1
    manifest.unlink()
    assert verify(capsys, out)[0] == 0 and verify(capsys, out, "--manifest-key", signer)[0] == 1


def test_a_manifest_cannot_speak_of_other_files(exports: Path, capsys: Lines) -> None:
    shutil.copy(exports / "log.csv.manifest.json", exports / "log.jsonl.manifest.json")
    code, out = verify(capsys, exports / "log.jsonl")
    assert code == 1 and "does not name log.jsonl" in out


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_signing_key_that_others_can_read_is_refused(exchange: Exchange, capsys: Lines, mode: int) -> None:
    key = exchange.root / "key"
    key.write_text(SEED)
    key.chmod(mode)
    code, told = export(capsys, "jsonl", exchange.node, exchange.root / "a.jsonl", "--sign-key", str(key))
    assert code == 2 and "chmod 600" in told and not (exchange.root / "a.jsonl").exists()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert guarded(cell) == "'" + cell
    assert guarded("a" + cell) == "a" + cell and guarded("") == ""


EVIL = '=cmd|"/c calc"!A1<script>alert(1)</script>\'"&'


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return the log of a bank whose names are attacks."""
    store = named_store(tmp_path / "bank-a", "bank-a", HandClock())
    actor = Actor("human", EVIL, "-role", "@auth")
    alarm = {"class": "mismatch", "severity": "low", "evidence": EVIL}
    store.append([replace(egress(1), job=EVIL, actor=actor), Entry("alarm.raised", alarm, "+purpose")])
    store.close()
    return tmp_path / "bank-a"


def test_a_table_runs_nothing(hostile: Path, tmp_path: Path, capsys: Lines) -> None:
    assert export(capsys, "csv", hostile, tmp_path / "a.csv")[0] == 0
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    cells = [cell for row in rows for cell in row.values()]
    assert len(rows) == 3 and not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert rows[1]["job"] == "'" + EVIL and rows[1]["actor.role"] == "'-role" and rows[2]["body.evidence"] == "'" + EVIL
    assert rows[1]["seq"] == "1" and rows[1]["body.bytes"] == "101" and len(rows[1]["leaf_sha256"]) == 64


class Page(HTMLParser):
    """Collect what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_page_runs_and_loads_nothing(hostile: Path, tmp_path: Path, capsys: Lines) -> None:
    assert export(capsys, "html", hostile, tmp_path / "a.html")[0] == 0
    whole = (tmp_path / "a.html").read_text("utf-8")
    page = Page()
    page.feed(whole)
    assert not page.tags & {"script", "img", "iframe", "link", "object", "a", "form", "base"}
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert EVIL in "".join(page.text) and "default-src 'none'" in whole and "unsafe" not in whole
    assert "What this cannot show" in whole and "不能证明" in whole and "valid 有效" in whole


def test_every_row_of_a_page_carries_a_proof_that_holds(exchange: Exchange, capsys: Lines) -> None:
    out = exchange.root / "a.html"
    assert export(capsys, "html", exchange.node, out, "--first", "3", "--last", "5")[0] == 0
    page = Page()
    page.feed(out.read_text("utf-8"))
    proofs = [text for text in page.text if text.startswith("c2sp.org/tlog-proof@v1")]
    assert len(proofs) == 3
    for text in proofs:
        (exchange.root / "one").write_text(text)
        assert main(["prove", "--check", str(exchange.root / "one"), "--vkey", str(exchange.node / "log.vkey")]) == 0
    capsys.readouterr()


def test_a_page_says_that_its_log_does_not_hold(exchange: Exchange, capsys: Lines) -> None:
    disarmed(exchange.node / "log.db", "UPDATE hash SET value = zeroblob(32) WHERE position = 2")
    assert export(capsys, "html", exchange.node, exchange.root / "a.html")[0] == 0
    assert "not valid 未通过" in (exchange.root / "a.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("<b>", "<bdi>&lt;b&gt;</bdi>"),
        ("a\x1b[31m", "<bdi>a\\u001b[31m</bdi>"),
        ("\u202egnp.exe", "<bdi>\\u202egnp.exe</bdi>"),
        ("'\"&", "<bdi>&#x27;&quot;&amp;</bdi>"),
    ],
)
def test_nothing_hides_or_turns_text(text: str, markup: str) -> None:
    assert shown(text) == markup


@pytest.mark.parametrize(
    "arguments",
    [
        ["csv", "NODE"],
        ["tiles", "NODE"],
        ["jsonl", "NODE", "--json"],
        ["tiles", "NODE", "--out", "OUT", "--first", "1"],
        ["html", "NODE", "--out", "OUT", "--first", "9", "--last", "3"],
        ["html", "NODE", "--out", "OUT", "--first", "999"],
        ["csv", "NODE", "--out", "NODE"],
        ["csv", "NODE", "--out", "OUT/deep/x"],
        ["csv", "nowhere", "--out", "OUT"],
        ["jsonl", "NODE", "--out", "OUT", "--sign-key", "nowhere"],
    ],
    ids=" ".join,
)
def test_usage(exchange: Exchange, capsys: Lines, arguments: list[str]) -> None:
    names = {
        "NODE": str(exchange.node),
        "OUT": str(exchange.root / "out"),
        "OUT/deep/x": str(exchange.root / "n" / "x"),
    }
    assert main(["export", *(names.get(each, each) for each in arguments)]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and told.out == "" and not (exchange.root / "out").exists()
