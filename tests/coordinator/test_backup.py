"""A backup of a coordinator: whole or refused, and nothing of the old place is touched."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from coordinator import config
from coordinator.backup import back_up, restore
from coordinator.cli import main
from coordinator.service import open_log
from coordinator.store import Member, ModelRecord, Store
from privacy.errors import InputError, VerificationError
from privacy.log.record import Entry
from tests.coordinator.operator import Operator, make_operator

Lines = pytest.CaptureFixture[str]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    operator = make_operator(tmp_path / "operator")
    settings = config.load(operator.config)
    store = Store(settings.storage.url)
    store.add_member(Member("alpha", "0a" * 32, 2**159 - 1, "suspended", "log", "witness"))
    job = store.add_job("scorecard", {"job": {"名": "值"}})
    store.add_event(job, "job-started", {"members": ["alpha"]})
    store.add_model(ModelRecord("0b" * 32, job, "models/x.json"))
    store.close()
    (settings.state.dir / "models").mkdir(exist_ok=True)
    (settings.state.dir / "models" / "x.json").write_bytes(b"{}")
    log = open_log(settings, bytes(32))
    log.append([Entry("alarm.raised", {"class": "mismatch", "severity": "high", "evidence": f"{n}"}) for n in range(9)])
    log.close()
    return operator


def test_everything_is_there_again_and_goes_on(operator: Operator, tmp_path: Path) -> None:
    back_up(operator.config, tmp_path / "b")
    restore(tmp_path / "b", tmp_path / "new")

    old, new = config.load(operator.config), config.load(tmp_path / "new" / "coordinator.toml")
    assert new.state.dir == tmp_path / "new" / "state"
    before, after = Store(old.storage.url), Store(new.storage.url)
    assert (after.members(), after.jobs()) == (before.members(), before.jobs())
    job = after.jobs()[0].id
    assert after.job_events(job) == before.job_events(job)
    assert after.models(job) == before.models(job)
    assert after.add_job("scorecard", {}).startswith("job-0002-")
    before.close()
    after.close()
    assert (new.state.dir / "models" / "x.json").read_bytes() == b"{}"
    assert new.identity.key.read_bytes() == old.identity.key.read_bytes()
    assert new.identity.key.stat().st_mode & 0o777 == 0o600
    log = open_log(new, bytes(32))
    assert len(log.events(0, 100)) == 11  # what was there, and the two openings
    log.close()


def test_an_altered_or_cut_backup_is_refused_before_anything_is_written(operator: Operator, tmp_path: Path) -> None:
    back_up(operator.config, tmp_path / "b")
    content = (tmp_path / "b").read_bytes()
    place = content.index(b'"alpha"')
    (tmp_path / "altered").write_bytes(content[:place] + b'"alpho"' + content[place + 7 :])
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    for name in ("altered", "cut"):
        with pytest.raises(VerificationError, match="nothing was restored"):
            restore(tmp_path / name, tmp_path / "new")
    (tmp_path / "other").write_bytes(b"no tar at all" * 100)
    with pytest.raises(InputError, match="not a backup"):
        restore(tmp_path / "other", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../out", "/etc/out", "home/../../out"])
def test_an_entry_that_leads_out_of_the_folder_is_refused(operator: Operator, tmp_path: Path, name: str) -> None:
    back_up(operator.config, tmp_path / "b")
    with tarfile.open(tmp_path / "b", "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(VerificationError, match="damaged"):
        restore(tmp_path / "b", tmp_path / "new")


def test_nothing_is_overwritten(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    assert main(["backup", "--out", str(tmp_path / "b"), "--config", str(operator.config)]) == 0
    assert "private keys" in capsys.readouterr().out
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert main(["backup", "--out", str(tmp_path / "b"), "--config", str(operator.config)]) == 2
    assert main(["restore", str(tmp_path / "b"), "--to", str(operator.folder)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "never overwritten" in lines[0] and "restore into a new folder" in lines[1]
    used = f"sqlite:///{operator.folder}/coordinator.db"
    assert main(["restore", str(tmp_path / "b"), "--to", str(tmp_path / "new"), "--storage", used]) == 2
    assert "holds tables already" in capsys.readouterr().err
    assert list((tmp_path / "new").iterdir()) == []  # no key is left behind, and the next try may use it
    assert main(["restore", str(tmp_path / "b"), "--to", str(tmp_path / "new")]) == 0
    assert main(["restore", str(tmp_path / "absent"), "--to", str(tmp_path / "x")]) == 2


def test_a_log_that_cannot_be_used_leaves_the_database_empty(operator: Operator, tmp_path: Path, capsys: Lines) -> None:
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    back_up(operator.config, tmp_path / "b")
    target = ["--to", str(tmp_path / "new"), "--storage", f"sqlite:///{tmp_path}/elsewhere.db"]
    nowhere = f"postgresql+psycopg:///log?host={tmp_path}&user=nobody"
    assert main(["restore", str(tmp_path / "b"), *target, "--log", nowhere]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "PostgreSQL" in line or "server" in line or "log" in line
    assert main(["restore", str(tmp_path / "b"), *target]) == 0


def test_a_backup_of_later_software_is_refused(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(operator.config, tmp_path / "b")
    monkeypatch.setattr("coordinator.table_copy.newest_revision", lambda: "0001")
    with pytest.raises(InputError, match="install the release that made it"):
        restore(tmp_path / "b", tmp_path / "new")


def test_a_file_that_is_written_meanwhile_damages_no_backup(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = config.load(operator.config).state.dir
    add = tarfile.TarFile.addfile

    def written_meanwhile(self: tarfile.TarFile, entry: tarfile.TarInfo, stream: Any = None) -> None:
        name = entry.name.removeprefix("state/")
        if name in ("log.mark", "models/x.json"):
            (state / name).write_bytes(b"another content")
        add(self, entry, stream)

    monkeypatch.setattr(tarfile.TarFile, "addfile", written_meanwhile)
    back_up(operator.config, tmp_path / "b")
    monkeypatch.undo()
    restore(tmp_path / "b", tmp_path / "new")
    assert (tmp_path / "new" / "state" / "models" / "x.json").read_bytes() == b"{}"


def test_a_file_that_vanishes_meanwhile_is_left_out(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = config.load(operator.config).state.dir
    (state / "gone.json").symlink_to("nowhere")
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: path.name == "gone.json" or is_file(path))
    back_up(operator.config, tmp_path / "b")
    monkeypatch.undo()
    restore(tmp_path / "b", tmp_path / "new")
    assert not (tmp_path / "new" / "state" / "gone.json").exists()
