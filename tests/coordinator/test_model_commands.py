"""Commands about models: what cannot be proposed is said in a line, and the papers follow from the records."""

import hashlib
import io
import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordinator import config
from coordinator.ballot_box import BallotBox
from coordinator.cli import main
from coordinator.registry import Registry
from coordinator.store import Member, ModelRecord, Store
from privacy.log.signoff import Proposal
from risk.lineage import figures_digest
from tests.coordinator.operator import Operator, make_operator, vkeys
from tests.node.signoff_bank import ballot_of
from tests.privacy.table import identity_of, manifest_of, names_of
from tests.risk.dossiers import dossier_of

NAMES = names_of(4)


class Desk:
    """An operator with two finished jobs, whose models are really trained."""

    def __init__(self, operator: Operator) -> None:
        self.operator, self.state = operator, operator.folder
        self.models: list[str] = []
        with closing(self.store()) as store:
            for place, name in enumerate(NAMES):
                log, witness = vkeys(name)
                store.add_member(Member(name, identity_of(name).public.hex(), place, "active", log, witness))
            for recipe in ("scorecard", "trees"):
                self.models.append(self._finish(store, recipe))

    def store(self) -> Store:
        return Store(f"sqlite:///{self.operator.database}")

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--config", str(self.operator.config)])

    def release(self) -> None:
        with closing(self.store()) as store:
            for model in store.pending_models():
                store.release_model(model.sha256, model.job)

    def promote(self, number: int, names: list[str]) -> None:
        with closing(self.store()) as store:
            box = BallotBox(store.engine)
            proposal = box.one(number).proposal
            for name in names:
                box.add_ballot(number, name, "approve", ballot_of(name, proposal))
            box.close(number, "promoted")

    def proposal(self, number: int) -> Proposal:
        with closing(self.store()) as store:
            return BallotBox(store.engine).one(number).proposal

    def _finish(self, store: Store, recipe: str) -> str:
        dossier = dossier_of(recipe)
        job = store.add_job(recipe, {"schema": SCHEMA})
        sha256 = Registry(self.state / "models").put(dossier.file)
        folder = self.state / "jobs" / job
        folder.mkdir(parents=True)
        manifest = manifest_of(NAMES, job=job, recipe=recipe, consortium="demo")
        (folder / "manifest.json").write_bytes(manifest.encode())
        outcome = {"job": job, "recipe": recipe, "metrics": dossier.metrics, "rounds": 12, "model_sha256": sha256,
                   "manifest_sha256": manifest.sha256().hex()}  # fmt: skip
        (folder / "outcome.json").write_text(json.dumps(outcome))
        store.add_model(ModelRecord(sha256, job, f"models/{sha256}.json"))
        for state in ("joining", "running", "done"):
            store.set_job_state(job, state)
        return sha256


SCHEMA = {
    "name": "room", "version": 1, "title": "t", "source": "s", "target": {"field": "bad", "meaning": "1 = bad"},
    "field": [{"name": "late", "dimension": "credit", "type": "flag", "risk_when_rising": "up", "text": "t"}],
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(make_operator(tmp_path))


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_released_model_is_proposed_to_the_members_of_its_job(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.release()
    assert desk.run("propose", desk.models[0][:12], "--as", "champion", "--json") == 0
    assert said(capsys)["number"] == 1
    proposal = desk.proposal(1)
    settings = config.load(desk.operator.config)
    assert (proposal.members, proposal.quorum, proposal.consortium) == (tuple(NAMES), 3, settings.consortium.name)
    assert (proposal.replaces, proposal.rollback) == ("", False)
    assert proposal.evidence["figures"] == figures_digest(dossier_of("scorecard").metrics)


def test_what_cannot_be_proposed_is_refused_in_one_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(model: str, role: str, says: str) -> None:
        assert desk.run("propose", model, "--as", role) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and says in error

    first, second = desk.models
    refused(first, "champion", "is pending")
    desk.release()
    refused("champion", "challenger", "no model is champion yet")
    refused(first[:7], "champion", "8 or more digits")
    refused("0" * 64, "champion", "no model begins")
    refused("../../etc/passwd", "champion", "no model begins")
    assert desk.run("propose", first, "--as", "champion") == 0
    refused(first, "champion", "is proposed as champion already (proposal 1)")
    desk.promote(1, NAMES[:3])
    refused(first, "champion", "is champion already")
    refused(first, "challenger", "is champion already")
    assert desk.run("propose", second, "--as", "champion") == 0
    desk.promote(2, NAMES[1:])
    assert desk.run("propose", first, "--as", "champion") == 0
    assert (desk.proposal(2).replaces, desk.proposal(3).replaces) == (first, second)
    assert (desk.proposal(2).rollback, desk.proposal(3).rollback) == (False, True)


def test_a_proposal_is_withdrawn_once(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.release()
    desk.run("propose", desk.models[0], "--as", "challenger")
    assert desk.run("withdraw", "1") == 0
    for number, says in (("1", "is withdrawn"), ("7", "there is no proposal 7"), ("x", "a number from 1")):
        assert desk.run("withdraw", number) == 2
        assert says in capsys.readouterr().err


def test_the_list_shows_aliases_lineage_votes_and_whom_it_waits_for(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.release()
    first, second = desk.models
    for model, names in ((first, NAMES[:3]), (second, NAMES)):
        desk.run("propose", model, "--as", "champion")
        desk.promote(1 if model == first else 2, names)
    desk.run("propose", first, "--as", "challenger")
    capsys.readouterr()
    assert desk.run("models", "--json") == 0
    document = said(capsys)
    assert (document["champion"], document["challenger"]) == (second, None)
    one, other = document["models"]
    assert (one["aliases"], one["was"], other["aliases"]) == ([], ["champion"], ["champion"])
    assert (one["lineage"]["parent"], other["lineage"]["parent"]) == (None, first)
    assert one["proposals"][1]["waiting"] == NAMES and one["proposals"][1]["rollback"] is False
    assert [voice["member"] for voice in other["proposals"][0]["approved"]] == NAMES
    assert desk.run("models") == 0
    assert "waiting   bank-000, bank-001" in capsys.readouterr().out


def test_a_rule_of_the_settings_moves_the_quorum(desk: Desk) -> None:
    desk.release()
    text = desk.operator.config.read_text()
    desk.operator.config.write_text(text + '\n[policy]\nsign_off = "all"\n')
    assert desk.run("propose", desk.models[0], "--as", "champion") == 0
    assert desk.proposal(1).quorum == 4


@pytest.mark.parametrize("name", ["card.md", "card.html"])
def test_a_card_is_written_once_in_the_asked_language(desk: Desk, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    assert desk.run("card", desk.models[0], "--out", str(out), "--language", "zh") == 0
    assert "模型卡" in out.read_text() and "Model card" not in out.read_text()
    assert desk.run("card", desk.models[0], "--out", str(out)) == 2
    assert desk.run("card", desk.models[0], "--out", str(tmp_path / "card.pdf")) == 2


def test_a_pack_holds_what_was_signed_and_the_same_bytes_twice(desk: Desk, tmp_path: Path) -> None:
    desk.release()
    desk.run("propose", desk.models[0], "--as", "champion")
    desk.promote(1, NAMES[:3])
    packs = [tmp_path / f"{place}.zip" for place in (1, 2)]
    for path in packs:
        assert desk.run("evidence", "champion", "--out", str(path)) == 0
    assert packs[0].read_bytes() == packs[1].read_bytes()
    with zipfile.ZipFile(io.BytesIO(packs[0].read_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert hashlib.sha256(files["model.json"]).hexdigest() == desk.models[0]
    assert files["sign-off/1/bank-000.dsse.json"] == ballot_of("bank-000", desk.proposal(1))
    assert json.loads(files["manifest.json"])["consortium"] == "demo" and "own.json" not in files
    listed = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
    assert listed == {name: hashlib.sha256(files[name]).hexdigest() for name in files if name != "SHA256SUMS"}


def test_an_altered_model_file_makes_no_papers(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.state / "models" / f"{desk.models[0]}.json").write_bytes(b"{}")
    assert desk.run("evidence", desk.models[0], "--out", str(tmp_path / "pack")) == 1
    assert "was altered" in capsys.readouterr().err and not (tmp_path / "pack").exists()
