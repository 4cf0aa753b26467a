"""Go's checksum-database code verifies our tiles, honest and tampered, through a program of its own."""

import base64
import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from audit.cli import main
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.journal import hash_reader
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.tiles import tile_files
from privacy.log.tree import CompactTree, consistency_proof, inclusion_proof, leaf_hash
from tests.audit.logs import NODE, node_store
from tests.privacy.logs import HandClock, egress

PROGRAM = Path(__file__).parent / "treecheck" / "main.go"
LIBRARY = Path("/usr/share/gocode")
SHOWN = Path(__file__).resolve().parents[2].parent / "shared" / "interop" / "audit_interop.go"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go here; on Debian install golang-go"),
    pytest.mark.skipif(
        not (LIBRARY / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
        reason="Go's x/mod is not here; on Debian install golang-golang-x-mod-dev",
    ),
]
EVENTS, BEFORE = 700, 300
WITNESS = NoteSigner("bank-b/witness", b"w" * 32)
Check = Callable[..., tuple[int, str]]


def built(source: Path, folder: Path) -> Path:
    """Build a Go program without any module proxy."""
    program = folder / source.stem
    settings = {"GO111MODULE": "off", "GOPATH": str(LIBRARY), "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0"}
    environment = {**os.environ, **settings, "GOFLAGS": "", "GOPROXY": "off"}
    subprocess.run(["go", "build", "-o", program, source], check=True, env=environment, cwd=folder, timeout=300)
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(PROGRAM, tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log's state directory, its tiles as the tool exports them, and an older checkpoint."""
    folder = tmp_path_factory.mktemp("log")
    store = node_store(folder / "state", HandClock())
    store.append([egress(number) for number in range(BEFORE)])
    (folder / "older").write_bytes(store.checkpoint())
    store.append([egress(number) for number in range(BEFORE, EVENTS)])
    (folder / "record").write_bytes(store.events(5, 6)[0].encoded)
    store.close()
    assert main(["export", "tiles", str(folder / "state"), "--out", str(folder / "tiles")]) == 0
    path = folder / "tiles" / "checkpoint"
    note = path.read_bytes()
    path.write_bytes(note + WITNESS.cosign(note.decode().split("\n\n")[0] + "\n", 1_790_000_000).line().encode())
    return folder


@pytest.fixture
def tiles(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "log")) / "tiles"


@pytest.fixture
def check(program: Path, tiles: Path) -> Check:
    def run(*options: str, key: str = "") -> tuple[int, str]:
        key = key or (tiles / "log.vkey").read_text("ascii").strip()
        line: list[str | Path] = [
            program,
            "-log",
            key,
            "-witness",
            WITNESS.verifier(COSIGNATURE).encode(),
            *options,
            tiles,
        ]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def signer(tiles: Path) -> NoteSigner:
    return NoteSigner(NODE, bytes.fromhex((tiles.parent / "state" / "log.key").read_text("ascii")))


def forge(tiles: Path, change: Callable[[list[bytes]], None]) -> None:
    """Write the tiles of a changed log, signed with its real key."""
    entries: list[bytes] = []
    for bundle in sorted((tiles / "tile" / "entries").rglob("*")):
        rest = bundle.read_bytes() if bundle.is_file() else b""
        while rest:
            size = 2 + int.from_bytes(rest[:2], "big")
            entries, rest = [*entries, rest[2:size]], rest[size:]
    change(entries)
    shutil.rmtree(tiles / "tile")
    tree = CompactTree()
    for entry in entries:
        tree, _ = tree.append(leaf_hash(entry))
    for name, content in tile_files(entries):
        (tiles / name).parent.mkdir(parents=True, exist_ok=True)
        (tiles / name).write_bytes(content)
    (tiles / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(NODE, tree.size, tree.root()), signer(tiles)))


def test_an_honest_export_holds(check: Check, tiles: Path) -> None:
    folder = tiles.parent

    code, said = check("-need", "1", "-older", f"{folder / 'older'}", "-record", f"5={folder / 'record'}")

    assert code == 0, said
    assert f"signed {EVENTS + 1} records, 1 cosignatures" in said
    assert f"older checkpoint: {BEFORE + 1} records, continued" in said and "included" in said


def test_every_flipped_bit_is_refused(check: Check, tiles: Path) -> None:
    chance = random.Random(1)
    files = [each for each in tiles.rglob("*") if each.is_file() and each.name not in ("manifest.json", "log.vkey")]
    assert len(files) >= 8
    for path in files:
        honest = path.read_bytes()
        for _ in range(4):
            place = chance.randrange(8 * len(honest))
            flipped = bytearray(honest)
            flipped[place // 8] ^= 1 << place % 8
            path.write_bytes(flipped)
            assert check("-need", "1")[0] == 1, (path, place)
        path.write_bytes(honest)
    assert check("-need", "1")[0] == 0


def test_a_changed_record_and_a_wrong_index_are_refused(check: Check, tiles: Path) -> None:
    record = tiles.parent / "record"

    assert check("-record", f"6={record}")[0] == 1
    record.write_bytes(record.read_bytes().replace(b"coordinator", b"coordinatoR", 1))
    assert check("-record", f"5={record}")[0] == 1


def test_other_keys_and_missing_cosignatures_are_refused(check: Check, tiles: Path) -> None:
    note = (tiles / "checkpoint").read_bytes()

    assert check(key=NoteSigner(NODE, b"x" * 32).verifier().encode())[0] == 1
    (tiles / "checkpoint").write_bytes(b"".join(note.splitlines(keepends=True)[:-1]))
    assert check("-need", "1")[0] == 1
    assert check()[0] == 0


def test_a_fork_signed_with_the_real_key_is_refused_by_whoever_saw_more(check: Check, tiles: Path) -> None:
    def change(entries: list[bytes]) -> None:
        entries[7] = entries[7].replace(b'"to":"coordinator"', b'"to":"somebody-in"')

    forge(tiles, change)

    assert check()[0] == 0, "alone the fork looks like a log"
    code, said = check("-older", str(tiles.parent / "older"))
    assert code == 1 and "older checkpoint" in said
    assert check("-need", "1")[0] == 1


def test_a_log_cut_back_with_the_real_key_is_refused(check: Check, tiles: Path) -> None:
    def change(entries: list[bytes]) -> None:
        del entries[BEFORE - 10 :]

    forge(tiles, change)

    assert check()[0] == 0 and check("-older", str(tiles.parent / "older"))[0] == 1


@pytest.mark.skipif(not SHOWN.is_file(), reason="the verifier of the shared folder is not at hand")
def test_the_shared_verifier_takes_our_export_too(tiles: Path, tmp_path: Path) -> None:
    program, folder = built(SHOWN, tmp_path), tiles.parent
    size, older = EVENTS + 1, BEFORE + 1
    with closing(sqlite3.connect(folder / "state" / "log.db")) as database:
        read = hash_reader(database)
        steps = [each.hex() for each in consistency_proof(older, size, read)]
        path = [each.hex() for each in inclusion_proof(5, size, read)]
    record = base64.b64encode((folder / "record").read_bytes()).decode()
    shutil.copy(folder / "older", tiles / "checkpoint.old")
    keys = [(tiles / "log.vkey").read_text("ascii").strip(), WITNESS.verifier(COSIGNATURE).encode()]

    def run(index: int) -> int:
        claims = {"Consistency": steps, "Records": [{"Index": index, "Data": record, "Proof": path}]}
        (tiles / "proofs.json").write_text(json.dumps(claims))
        return subprocess.run([program, tiles, *keys], capture_output=True, timeout=60, check=False).returncode

    assert (run(5), run(6)) == (0, 1)
