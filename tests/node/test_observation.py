"""Figures are shown only where the settings ask for them, and a missing library is said in one line."""

import sys
from pathlib import Path

import pytest

from node.config import NodeConfig, load
from node.observation import observed
from node.record_store import RecordStore
from node.service import open_store
from privacy.errors import InputError
from tests.node.bank import make_bank


def opened(folder: Path, section: str) -> tuple[NodeConfig, RecordStore]:
    bank = make_bank(folder)
    bank.config.write_text(bank.config.read_text() + section)
    config = load(bank.config)
    return config, open_store(config, bytes(32))


def test_without_the_section_nothing_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, store = opened(tmp_path, "")
    with observed(config, lambda: True, store):
        assert "metrics" not in capsys.readouterr().err
    store.close()


def test_the_address_is_said_and_the_log_s_head_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.node.test_metrics import asked, figures

    config, store = opened(tmp_path, '\n[metrics]\nlisten = "127.0.0.1:0"\n')
    with observed(config, lambda: False, store):
        line = capsys.readouterr().err
        address = line.partition('"address": "')[2].partition('"')[0]
        found = figures(asked(address)[1])
    assert found["creditmesh_link_up"] == 0 and found["creditmesh_audit_entries_total"] == store.size > 0
    assert found["creditmesh_audit_checkpoint_age_seconds"] >= 0
    store.close()


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "node.metrics", None)
    config, store = opened(tmp_path, '\n[metrics]\nlisten = "127.0.0.1:0"\n')
    with pytest.raises(InputError, match=r"install creditmesh\[serve\]"), observed(config, lambda: True, store):
        raise AssertionError
    store.close()
