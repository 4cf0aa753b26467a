"""Ballots counted offline: with a bank's members.json alone, from a pack or from promoted.json."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from audit.cli import main
from node.signoff_store import Promotion, SignoffStore
from privacy.envelope import COORDINATOR
from tests.node.signoff_bank import NAMES, ballot_of, proposal_of
from tests.privacy.table import identity_of

Lines = pytest.CaptureFixture[str]
PROPOSAL = proposal_of()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    identities = {name: {"identity": identity_of(name).public.hex()} for name in NAMES}
    members = {"coordinator": {"identity": identity_of(COORDINATOR).public.hex()}, "members": identities}
    (tmp_path / "members.json").write_text(json.dumps(members))
    folder = tmp_path / "sign-off" / "3"
    folder.mkdir(parents=True)
    (folder / "proposal.json").write_bytes(PROPOSAL.encode())
    for name in NAMES[:5]:
        (folder / f"{name}.dsse.json").write_bytes(ballot_of(name, PROPOSAL))
    (folder / f"{NAMES[6]}.dsse.json").write_bytes(ballot_of(NAMES[6], PROPOSAL, "reject"))
    return tmp_path


def count(path: Path, pack: Path, capsys: Lines) -> tuple[int, Any]:
    code = main(["sign-off", str(path), "--members", str(pack / "members.json"), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def test_a_pack_that_carries_is_counted(pack: Path, capsys: Lines) -> None:
    for path in (pack, pack / "sign-off", pack / "sign-off" / "3"):
        code, said = count(path, pack, capsys)
        assert code == 0 and said["proposals"][0]["approved"] == NAMES[:5]
        assert said["proposals"][0]["rejected"] == [NAMES[6]]


def test_promoted_json_is_counted(pack: Path, capsys: Lines) -> None:
    ballots = tuple(ballot_of(name, PROPOSAL) for name in NAMES[:5])
    SignoffStore(pack).keep_promotion(Promotion(PROPOSAL, ballots, tuple(NAMES[:5])))
    code, said = count(pack / "promoted.json", pack, capsys)
    assert code == 0 and said["proposals"][0]["model"] == PROPOSAL.model


def test_one_ballot_too_few_is_no_quorum(pack: Path, capsys: Lines) -> None:
    (pack / "sign-off" / "3" / f"{NAMES[0]}.dsse.json").unlink()
    assert count(pack, pack, capsys)[0] == 3
    assert main(["sign-off", str(pack), "--members", str(pack / "members.json")]) == 3
    assert "has no quorum: 4 of 7 approved, 5 are needed" in capsys.readouterr().out


@pytest.mark.parametrize("lie", ["copied", "forged", "altered", "other proposal", "other coordinator", "not canonical"])
def test_a_ballot_or_a_proposal_that_does_not_hold_is_found(pack: Path, lie: str, capsys: Lines) -> None:
    folder = pack / "sign-off" / "3"
    place = folder / f"{NAMES[5]}.dsse.json"
    if lie == "copied":
        shutil.copy(folder / f"{NAMES[0]}.dsse.json", place)
    elif lie == "forged":
        place.write_bytes(ballot_of(NAMES[5], PROPOSAL, by=NAMES[0]))
    elif lie == "altered":
        path = folder / f"{NAMES[0]}.dsse.json"
        path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    elif lie == "other proposal":
        place.write_bytes(ballot_of(NAMES[5], proposal_of(role="challenger")))
    elif lie == "other coordinator":
        other = proposal_of(coordinator="00" * 32)
        (folder / "proposal.json").write_bytes(other.encode())
    else:
        (folder / "proposal.json").write_bytes(PROPOSAL.encode() + b"\n")
    assert count(pack, pack, capsys)[0] == 1


def test_nothing_to_count_is_said_in_one_line(pack: Path, capsys: Lines) -> None:
    empty = pack / "empty"
    empty.mkdir()
    assert count(empty, pack, capsys)[0] == 2
    (pack / "promoted.json").write_text("[]")
    assert main(["sign-off", str(pack / "promoted.json"), "--members", str(pack / "members.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
