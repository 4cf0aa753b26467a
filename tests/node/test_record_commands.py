"""What people report is recorded as its kind demands, or refused in one line; a forged note records nothing."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.access import take_notes
from node.cli import main
from privacy.log.kinds import KINDS, fault_of
from privacy.log.record import Entry

CONFIG = (
    '[member]\nid = "bank"\n[coordinator]\nendpoint = "127.0.0.1:9"\n'
    '[tls]\nca = "a"\ncertificate = "b"\nkey = "c"\n[identity]\nkey = "d"\npeers = "e"\n'
    '[source]\ntable = "t.csv"\nschema = "schema.toml"\n[state]\ndir = "state"\n'
)
ERASURE = ["record", "erasure", "--request", "R-7", "--type", "pipl-47", "--received", "2026-01-02", "--due",
           "2026-02-01", "--method", "key-destroyed", "--seq", "12", "--seq", "14"]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    (tmp_path / "node.toml").write_text(CONFIG)
    return ["--config", str(tmp_path / "node.toml")]


def recorded(state: Path) -> list[Entry]:
    found: list[Entry] = []
    take_notes(state, found.extend)
    return found


def test_an_assessment_is_recorded_by_its_digest(tmp_path: Path, config: list[str]) -> None:
    document = tmp_path / "pipia.pdf"
    document.write_bytes(b"signed")
    what = ["--type", "PIPIA", "--scope", "credit-risk-model", "--scope", "job-1", "--signatory", "dpo-1"]

    assert main(["record", "assessment", str(document), *what, "--valid-to", "2027-12-31", *config]) == 0

    (entry,) = recorded(tmp_path / "state")
    assert (entry.kind, entry.purpose) == ("assessment.recorded", "compliance")
    assert entry.body == {
        "doc_sha256": hashlib.sha256(b"signed").hexdigest(),
        "type": "PIPIA",
        "scope": ["credit-risk-model", "job-1"],
        "valid_to": "2027-12-31",
        "signatories": ["dpo-1"],
    }
    assert fault_of(entry.body, KINDS[entry.kind]) is None
    assert recorded(tmp_path / "state") == []


def test_an_erasure_is_recorded(tmp_path: Path, config: list[str]) -> None:
    assert main([*ERASURE, "--done", "2026-01-20", *config]) == 0

    (entry,) = recorded(tmp_path / "state")
    assert entry.kind == "erasure.done" and entry.body["seqs"] == [12, 14]
    assert fault_of(entry.body, KINDS[entry.kind]) is None


def test_what_cannot_be_is_refused(tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()

    for done in ("2026-01-01", "yesterday", ahead):
        assert main([*ERASURE, "--done", done, *config]) == 2
    assert main([*ERASURE, "--done", "2026-01-20", "--method", "a\nb", *config]) == 2
    assert main([*ERASURE, "--done", "2026-01-20", *["--seq", "-1"], *config]) == 2
    assert main(["record", "assessment", str(tmp_path / "none"), "--type", "DPIA", "--scope", "x", "--valid-to",
                 "2027-01-01", "--signatory", "y", *config]) == 2  # fmt: skip

    assert len(capsys.readouterr().err.splitlines()) == 6
    assert not (tmp_path / "state" / "access").exists()


@pytest.mark.parametrize(
    "note",
    [
        {"kind": "decision.made", "body": {}, "subject": "uid-0"},
        {"kind": "erasure.done", "body": {"name": "Li"}, "subject": "uid-0"},
        {"kind": "erasure.done", "body": {}, "subject": "uid-0", "more": 1},
        {"kind": "access.checked", "body": {}, "subject": "uid-0"},
        [],
    ],
)
def test_a_forged_note_records_nothing(tmp_path: Path, note: object, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "access").mkdir()
    (tmp_path / "access" / "x.deed").write_text(json.dumps(note, separators=(",", ":")))

    assert recorded(tmp_path) == []
    assert "access_note_unreadable" in capsys.readouterr().err
    assert list((tmp_path / "access").iterdir()) == []
