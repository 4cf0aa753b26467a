"""sigstore's checkpoint and Merkle code, pymerkle and rfc8785 judge a record of ours; `make accept` installs them."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from privacy.log.journal import hash_reader
from privacy.log.tree import inclusion_proof
from tests.audit.logs import node_store
from tests.privacy.logs import HandClock, egress

SCRIPT = Path(__file__).with_name("second_opinion.py")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-accept" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="sigstore is not here; `make accept` installs it apart from ours"),
]
Claim = dict[str, object]


@pytest.fixture(scope="module")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Claim:
    folder = tmp_path_factory.mktemp("log")
    store = node_store(folder, HandClock())
    store.append([egress(number) for number in range(300)])
    note, events = store.checkpoint().decode(), [each.encoded for each in store.events(0, 301)]
    store.close()
    with closing(sqlite3.connect(folder / "log.db")) as database:
        proof = [each.hex() for each in inclusion_proof(7, 301, hash_reader(database))]
    vkey = (folder / "log.vkey").read_text("ascii").strip()
    return {
        "vkey": vkey,
        "checkpoint": note,
        "event": events[7].decode(),
        "index": 7,
        "size": 301,
        "proof": proof,
        "events": [each.hex() for each in events],
    }


def judged(claim: Claim, folder: Path) -> tuple[int, str]:
    path = folder / "claim.json"
    path.write_text(json.dumps(claim), "utf-8")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [PYTHON, SCRIPT, path]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=clean)
    return done.returncode, done.stdout + done.stderr


def test_an_honest_record_holds(claim: Claim, tmp_path: Path) -> None:
    assert judged(claim, tmp_path) == (0, "")


@pytest.mark.parametrize(
    "change",
    [
        lambda claim: {"index": 8},
        lambda claim: {"event": claim["event"].replace("coordinator", "coordinatoR", 1)},
        lambda claim: {"proof": claim["proof"][:-1]},
        lambda claim: {"checkpoint": claim["checkpoint"].replace("\n301\n", "\n302\n")},
        lambda claim: {"checkpoint": claim["checkpoint"].rsplit(" ", 1)[0] + " " + "A" * 90 + "=\n"},
        lambda claim: {"events": [*claim["events"][:-1], claim["events"][0]]},
    ],
    ids=["index", "record", "proof", "size", "signature", "tree"],
)
def test_a_tampered_record_is_refused(claim: Claim, tmp_path: Path, change: Callable[[Claim], Claim]) -> None:
    assert judged({**claim, **change(claim)}, tmp_path)[0] == 1
